package control_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// fault adds a rule for calls to Graph.
func fault(s *simtest.Sim, f graphsim.Fault) string {
	s.T.Helper()
	if f.Path == "" {
		f.Path = "/v1.0/*"
	}
	id, err := s.API.AddFault(s.T.Context(), f)
	if err != nil {
		s.T.Fatal(err)
	}
	return id
}

func clearFaults(s *simtest.Sim) {
	s.T.Helper()
	if err := s.API.ClearFaults(s.T.Context(), ""); err != nil {
		s.T.Fatal(err)
	}
}

func TestFaultAnswers(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	const list = "/v1.0/groups?$top=5"
	for name, tc := range map[string]struct {
		action graphsim.Action
		path   string
		check  func(t *testing.T, a simtest.Answer, err error)
	}{
		"retry after: whole seconds": {graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "7"}, list, throttled("7")},
		"retry after: a fraction":    {graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "2.128"}, list, throttled("2.128")},
		"retry after: negative":      {graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "-5"}, list, throttled("-5")},
		"retry after: huge":          {graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "86400"}, list, throttled("86400")},
		"retry after: none":          {graphsim.Action{Kind: graphsim.ActThrottle}, list, throttled("")},
		"retry after: a date": {graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "date:30"}, list, func(t *testing.T, a simtest.Answer, _ error) {
			at, err := http.ParseTime(a.Header.Get("Retry-After"))
			if err != nil || time.Until(at) < 20*time.Second || time.Until(at) > 31*time.Second {
				t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
		}},
		"throttled login": {graphsim.Action{Kind: graphsim.ActThrottle}, "/" + simtest.TenantID + "/v2.0/.well-known/openid-configuration", func(t *testing.T, a simtest.Answer, _ error) {
			if a.Status != http.StatusTooManyRequests || a.JSON(t)["error"] != "temporarily_unavailable" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}},
		"error": {graphsim.Action{Kind: graphsim.ActError, Status: 403, Code: "UnknownError", Message: "as asked"}, list, func(t *testing.T, a simtest.Answer, _ error) {
			if code, message := simtest.ErrorOf(t, a); a.Status != 403 || code != "UnknownError" || message != "as asked" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}},
		"expired token":   {graphsim.Action{Kind: graphsim.ActUnauthorized}, list, status(401)},
		"challenge":       {graphsim.Action{Kind: graphsim.ActChallenge}, list, status(401)},
		"no identity":     {graphsim.Action{Kind: graphsim.ActNoIdentity}, list, status(401)},
		"forbidden":       {graphsim.Action{Kind: graphsim.ActForbidden}, "/v1.0/deviceManagement/managedDevices", status(403)},
		"forbidden group": {graphsim.Action{Kind: graphsim.ActForbidden}, list, status(403)},
		"redirect": {graphsim.Action{Kind: graphsim.ActRedirect, Value: "https://elsewhere.example/"}, list, func(t *testing.T, a simtest.Answer, _ error) {
			if a.Status != http.StatusFound || a.Header.Get("Location") != "https://elsewhere.example/" {
				t.Errorf("%d %q", a.Status, a.Header.Get("Location"))
			}
		}},
		"dropped": {graphsim.Action{Kind: graphsim.ActDrop}, list, broken},
		"reset":   {graphsim.Action{Kind: graphsim.ActReset}, list, broken},
		"reset in the middle": {graphsim.Action{Kind: graphsim.ActReset, Bytes: 100}, list, func(t *testing.T, a simtest.Answer, err error) {
			if err == nil || len(a.Body) > 100 {
				t.Errorf("%v after %d bytes", err, len(a.Body))
			}
		}},
		"truncated": {graphsim.Action{Kind: graphsim.ActTruncate, Bytes: 50}, list, func(t *testing.T, a simtest.Answer, err error) {
			if err != nil || a.Status != 200 || len(a.Body) != 50 || json.Valid(a.Body) {
				t.Errorf("%v, %d, %q", err, a.Status, a.Body)
			}
		}},
		"slow": {graphsim.Action{Kind: graphsim.ActDrip, Bytes: 512, DelayMS: 1}, list, func(t *testing.T, a simtest.Answer, err error) {
			if err != nil || len(simtest.Values(a.JSON(t))) != 5 {
				t.Errorf("%v %s", err, a.Body)
			}
		}},
		"content type": {graphsim.Action{Kind: graphsim.ActContentType, Value: "text/plain"}, list, func(t *testing.T, a simtest.Answer, _ error) {
			if a.Header.Get("Content-Type") != "text/plain" || len(simtest.Values(a.JSON(t))) != 5 {
				t.Errorf("%q %s", a.Header.Get("Content-Type"), a.Body)
			}
		}},
		"error in 200": {graphsim.Action{Kind: graphsim.ActErrorIn200}, list, func(t *testing.T, a simtest.Answer, _ error) {
			if code, _ := simtest.ErrorOf(t, a); a.Status != 200 || code == "" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}},
		"link to this page": {graphsim.Action{Kind: graphsim.ActNextLink}, list, func(t *testing.T, a simtest.Answer, _ error) {
			if link, _ := a.JSON(t)["@odata.nextLink"].(string); !strings.HasSuffix(link, list) {
				t.Errorf("link %q", link)
			}
		}},
		"link elsewhere": {graphsim.Action{Kind: graphsim.ActNextLink, Value: "http://elsewhere.example/"}, "/v1.0/groups/delta", func(t *testing.T, a simtest.Answer, _ error) {
			if m := a.JSON(t); m["@odata.nextLink"] != "http://elsewhere.example/" || m["@odata.deltaLink"] != nil {
				t.Errorf("%v", m["@odata.nextLink"])
			}
		}},
		"huge string": {graphsim.Action{Kind: graphsim.ActHugeString}, list, func(t *testing.T, a simtest.Answer, _ error) {
			if len(a.Body) < 10<<20 || !json.Valid(a.Body) {
				t.Errorf("%d bytes", len(a.Body))
			}
		}},
		"deep JSON": {graphsim.Action{Kind: graphsim.ActDeepJSON}, list, func(t *testing.T, a simtest.Answer, _ error) {
			if n := strings.Count(string(a.Body), "["); n < 100_000 {
				t.Errorf("%d deep", n)
			}
		}},
		"delay": {graphsim.Action{Kind: graphsim.ActDelay, DelayMS: 1}, list, status(200)},
	} {
		t.Run(name, func(t *testing.T) {
			defer clearFaults(s)
			path := "/v1.0/*"
			if !strings.HasPrefix(tc.path, "/v1.0") {
				path = "/*"
			}
			fault(s, graphsim.Fault{Path: path, Action: tc.action})
			a, err := s.Do(s.Request(http.MethodGet, tc.path, nil, "Authorization", "Bearer "+tok))
			tc.check(t, a, err)
		})
	}
}

func throttled(retryAfter string) func(*testing.T, simtest.Answer, error) {
	return func(t *testing.T, a simtest.Answer, _ error) {
		if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != retryAfter {
			t.Errorf("%d, Retry-After %q", a.Status, a.Header.Get("Retry-After"))
		}
	}
}

func status(want int) func(*testing.T, simtest.Answer, error) {
	return func(t *testing.T, a simtest.Answer, err error) {
		if err != nil || a.Status != want {
			t.Errorf("%v, %d %s", err, a.Status, a.Body)
		}
	}
}

func broken(t *testing.T, a simtest.Answer, err error) {
	if err == nil {
		t.Errorf("an answer: %d %s", a.Status, a.Body)
	}
}

func TestFaultConditions(t *testing.T) {
	other := simtest.Spec()
	other.ID, other.Domain = "11111111-aaaa-4bbb-8ccc-000000000003", "fabrikam.example"
	s := simtest.Start(t, graphsim.Config{Seed: 7}, simtest.Spec(), other)
	tok := s.Token()
	a := s.Post("/"+other.ID+"/oauth2/v2.0/token", simtest.Credentials())
	foreign, _ := a.JSON(t)["access_token"].(string)
	refuse := graphsim.Action{Kind: graphsim.ActError, Status: 503}
	statuses := func(n int, token, path string) (out []int) {
		for range n {
			out = append(out, s.Get(token, path).Status)
		}
		return out
	}
	count := func(list []int, status int) (n int) {
		for _, v := range list {
			if v == status {
				n++
			}
		}
		return n
	}
	for name, tc := range map[string]struct {
		fault graphsim.Fault
		want  []int // statuses of five calls to /v1.0/groups
	}{
		"the third only":  {graphsim.Fault{Skip: 2, Times: 1, Action: refuse}, []int{200, 200, 503, 200, 200}},
		"the first two":   {graphsim.Fault{Times: 2, Action: refuse}, []int{503, 503, 200, 200, 200}},
		"other method":    {graphsim.Fault{Method: "POST", Action: refuse}, []int{200, 200, 200, 200, 200}},
		"any case":        {graphsim.Fault{Method: "get", Path: "/V1.0/Groups", Times: 1, Action: refuse}, []int{503, 200, 200, 200, 200}},
		"exact path":      {graphsim.Fault{Path: "/v1.0/group", Action: refuse}, []int{200, 200, 200, 200, 200}},
		"glob":            {graphsim.Fault{Path: "*groups", Times: 1, Action: refuse}, []int{503, 200, 200, 200, 200}},
		"query":           {graphsim.Fault{Query: "skiptoken", Action: refuse}, []int{200, 200, 200, 200, 200}},
		"other tenant":    {graphsim.Fault{Tenant: other.ID, Action: refuse}, []int{200, 200, 200, 200, 200}},
		"this app":        {graphsim.Fault{App: strings.ToUpper(simtest.AppID), Times: 1, Action: refuse}, []int{503, 200, 200, 200, 200}},
		"another app":     {graphsim.Fault{App: simtest.TenantID, Action: refuse}, []int{200, 200, 200, 200, 200}},
		"no path, always": {graphsim.Fault{Path: "*", Action: refuse}, []int{503, 503, 503, 503, 503}},
	} {
		t.Run(name, func(t *testing.T) {
			defer clearFaults(s)
			fault(s, tc.fault)
			got := statuses(5, tok, "/v1.0/groups?$top=1")
			for i := range got {
				if got[i] != tc.want[i] {
					t.Fatalf("%v, want %v", got, tc.want)
				}
			}
		})
	}
	t.Run("order decides", func(t *testing.T) {
		defer clearFaults(s)
		fault(s, graphsim.Fault{Times: 1, Action: graphsim.Action{Kind: graphsim.ActThrottle}})
		fault(s, graphsim.Fault{Action: refuse})
		if got := statuses(2, tok, "/v1.0/groups?$top=1"); got[0] != 429 || got[1] != 503 {
			t.Errorf("%v", got)
		}
	})
	t.Run("chance, drawn from the seed", func(t *testing.T) {
		defer clearFaults(s)
		fault(s, graphsim.Fault{Probability: 0.5, Tenant: other.ID, Action: refuse})
		got := statuses(60, foreign, "/v1.0/groups?$top=1")
		if n := count(got, 503); n < 15 || n > 45 {
			t.Errorf("%d of 60 calls failed at a chance of one half", n)
		}
		if n := count(statuses(5, tok, "/v1.0/groups?$top=1"), 503); n != 0 {
			t.Errorf("%d calls of the other tenant failed", n)
		}
	})
	t.Run("state", func(t *testing.T) {
		defer clearFaults(s)
		id := fault(s, graphsim.Fault{Skip: 1, Action: refuse})
		statuses(3, tok, "/v1.0/groups?$top=1")
		list, err := s.API.Faults(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != id || list[0].Matched != 3 || list[0].Fired != 2 {
			t.Errorf("%v %+v", err, list)
		}
		if err := s.API.ClearFaults(t.Context(), id); err != nil {
			t.Error(err)
		}
		if err := s.API.ClearFaults(t.Context(), id); err == nil {
			t.Error("a rule can be cleared twice")
		}
	})
	for name, bad := range map[string]graphsim.Fault{
		"kind":        {Action: graphsim.Action{Kind: "explode"}},
		"probability": {Probability: 2, Action: refuse},
		"times":       {Times: -1, Action: refuse},
		"status":      {Action: graphsim.Action{Kind: graphsim.ActError, Status: 42}},
	} {
		if _, err := s.API.AddFault(t.Context(), bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("bad %s: %v", name, err)
		}
	}
}

func TestEmptyPagesGoOn(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	for _, path := range []string{simtest.DeltaPath, "/v1.0/groups?$top=50", "/beta/deviceManagement/configurationPolicies?$top=5", "/v1.0/deviceManagement/managedDevices?$top=4"} {
		want, _ := s.All(tok, path)
		fault(s, graphsim.Fault{Path: "*", Times: 3, Action: graphsim.Action{Kind: graphsim.ActEmptyPage}})
		seen := map[string]bool{}
		var got []map[string]any
		for next := path; next != ""; {
			if seen[next] {
				t.Fatalf("%s: the link %s comes twice", path, next)
			}
			seen[next] = true
			page := s.OK(tok, next)
			if len(seen) <= 3 && len(simtest.Values(page)) != 0 {
				t.Errorf("%s: page %d is not empty", path, len(seen))
			}
			got = append(got, simtest.Values(page)...)
			next, _ = page["@odata.nextLink"].(string)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d items past empty pages, %d without", path, len(got), len(want))
		}
		clearFaults(s)
	}
}

func TestReplayedDeltaShowsAnObjectTwice(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	fault(s, graphsim.Fault{Action: graphsim.Action{Kind: graphsim.ActReplay}})
	page := simtest.Values(s.OK(s.Token(), simtest.DeltaPath))
	if page[0]["id"] != page[len(page)-1]["id"] {
		t.Error("nothing is replayed")
	}
}

func TestHold(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok, ctx := s.Token(), t.Context()
	id := fault(s, graphsim.Fault{Times: 2, Action: graphsim.Action{Kind: graphsim.ActHold}})
	answers := make(chan simtest.Answer, 2)
	var wg sync.WaitGroup
	for range 2 {
		r := s.Request(http.MethodGet, "/v1.0/groups?$top=3", nil, "Authorization", "Bearer "+tok)
		wg.Go(func() {
			a, err := s.Do(r)
			if err != nil {
				t.Error(err)
			}
			answers <- a
		})
	}
	holds := waitFor(t, func() []graphsim.Hold {
		h, err := s.API.Holds(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}, func(h []graphsim.Hold) bool { return len(h) == 2 })
	if h := holds[0]; h.Fault != id || h.Tenant != simtest.TenantID || h.App != simtest.AppID || h.Path != "/v1.0/groups" || h.Method != "GET" {
		t.Errorf("hold %+v", h)
	}
	// A held response blocks nothing else.
	if a := s.Get(tok, "/v1.0/groups?$top=1"); a.Status != http.StatusOK {
		t.Errorf("another call: %d", a.Status)
	}
	calls, err := s.API.Calls(ctx, holds[0].Call-1, simtest.TenantID)
	if err != nil || len(calls) == 0 || calls[0].Fault != id || calls[0].Action != graphsim.ActHold || !calls[0].Ended.IsZero() {
		t.Errorf("%v, a held call in the log: %+v", err, calls)
	}
	if n, err := s.API.ReleaseOne(ctx, holds[0].ID); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if a := <-answers; len(simtest.Values(a.JSON(t))) != 3 {
		t.Errorf("%s", a.Body)
	}
	if n, err := s.API.Release(ctx, id); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	wg.Wait()
	if h, err := s.API.Holds(ctx); err != nil || len(h) != 0 {
		t.Errorf("%v, still held: %v", err, h)
	}
}

// waitFor polls until ok returns true: the simulator does not signal that a call arrived.
func waitFor[T any](t *testing.T, read func() T, ok func(T) bool) T {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		v := read()
		if ok(v) {
			return v
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", v)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestCloseLetsHeldCallsGo(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	fault(s, graphsim.Fault{Action: graphsim.Action{Kind: graphsim.ActHold}})
	ended := make(chan error, 1)
	r := s.Request(http.MethodGet, "/v1.0/groups", nil, "Authorization", "Bearer "+tok)
	go func() {
		_, err := s.Do(r)
		ended <- err
	}()
	waitFor(t, func() []graphsim.Hold {
		h, err := s.API.Holds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return h
	}, func(h []graphsim.Hold) bool { return len(h) == 1 })
	s.Close()
	if err := <-ended; err == nil {
		t.Error("the held call got an answer from a closed simulator")
	}
}

func TestCallLog(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{LogHeaders: []string{"X-Fence", "Authorization"}})
	ctx, tok := t.Context(), s.Token()
	s.Get(tok, "/v1.0/groups?$top=1", "X-Fence", "42", "client-request-id", "mine")
	fault(s, graphsim.Fault{Path: "/v1.0/organization", Action: graphsim.Action{Kind: graphsim.ActDrop}})
	if _, err := s.Do(s.Request(http.MethodGet, "/v1.0/organization", nil, "Authorization", "Bearer "+tok)); err == nil {
		t.Fatal("the call was not dropped")
	}
	calls, err := s.API.Calls(ctx, 0, simtest.TenantID)
	if err != nil || len(calls) != 3 {
		t.Fatalf("%v: %d calls, want 3", err, len(calls))
	}
	login, read, dropped := calls[0], calls[1], calls[2]
	switch {
	case login.Method != "POST" || !strings.HasSuffix(login.Path, "/token") || login.App != simtest.AppID || login.Status != 200:
		t.Errorf("login %+v", login)
	case read.Query != "$top=1" || read.Headers["X-Fence"] != "42" || len(read.Headers) != 1 || read.ClientRequestID != "mine" || read.RequestID == "" || read.Bytes == 0 || read.Ended.IsZero():
		t.Errorf("read %+v", read)
	case dropped.Status != 0 || dropped.Action != graphsim.ActDrop:
		t.Errorf("dropped %+v", dropped)
	}
	for _, c := range calls {
		text, err := json.Marshal(c)
		if err != nil || strings.Contains(string(text), simtest.Secret) || strings.Contains(string(text), tok) {
			t.Errorf("%v: the log holds a secret: %s", err, text)
		}
	}
	if err := s.API.ClearCalls(ctx); err != nil {
		t.Fatal(err)
	}
	s.Get(tok, "/v1.0/groups?$top=1")
	calls, err = s.API.Calls(ctx, dropped.Number, "")
	if err != nil || len(calls) != 1 || calls[0].Number != dropped.Number+1 {
		t.Errorf("%v, after the clearing: %+v", err, calls)
	}
	if err := s.API.LogHeaders(ctx, "X-Other"); err != nil {
		t.Fatal(err)
	}
	s.Get(tok, "/v1.0/groups?$top=1", "X-Other", "1", "X-Fence", "2")
	if calls, err = s.API.Calls(ctx, calls[0].Number, ""); err != nil || len(calls[0].Headers) != 1 || calls[0].Headers["X-Other"] != "1" {
		t.Errorf("%v, headers %v", err, calls[0].Headers)
	}
}
