package graph_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/graph"
)

// many gives the tenant enough policies for more than one batch.
func many(s *graphsim.TenantSpec) { s.Policies = 120 }

// policies returns the paths of the simulator's policies.
func policies(t *testing.T, c *graph.Client) (paths []string) {
	t.Helper()
	for page, err := range provider.Walk(t.Context(), c, "/beta/deviceManagement/configurationPolicies?$select=id") {
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			var p struct{ ID string }
			if err := json.Unmarshal(item, &p); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, "/beta/deviceManagement/configurationPolicies/"+p.ID)
		}
	}
	return paths
}

// batchesOf returns how many batches the simulator served, and how often each path, alone or
// in a batch.
func batchesOf(t *testing.T, control *graphsim.Control) (batches int, reads map[string]int) {
	t.Helper()
	calls, err := control.Calls(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	reads = make(map[string]int)
	for _, call := range calls {
		if strings.HasSuffix(call.Path, "/$batch") {
			batches++
		} else {
			reads[call.Path]++
		}
	}
	return batches, reads
}

// Results come in the order of the paths, those of both versions, of lists, of links and of
// refused reads among them.
func TestBatch(t *testing.T) {
	t.Parallel()
	sim, control := simulator(t, func(s *graphsim.TenantSpec) {
		many(s)
		s.Apps[0].Requested = append(s.Apps[0].Requested, "Policy.Read.All")
	})
	c := client(t, config(t, sim))
	paths := policies(t, c)
	if len(paths) < 25 {
		t.Fatalf("only %d policies", len(paths))
	}
	first, err := c.Page(t.Context(), "/v1.0/groups/delta?$select=displayName")
	if err != nil || first.Next == "" {
		t.Fatal(first.Next, err)
	}
	paths = append(paths, first.Next, "/v1.0/organization", "/beta/deviceManagement/configurationPolicies/00000000-0000-0000-0000-000000000000",
		"/v1.0/deviceAppManagement/mobileApps", "/v1.0/identity/conditionalAccess/policies", "https://elsewhere.example/v1.0/groups")
	if err := control.ClearCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	results, err := c.Batch(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Path != paths[i] {
			t.Fatalf("result %d is of %s, want %s", i, r.Path, paths[i])
		}
		switch {
		case strings.Contains(r.Path, "00000000-0000"):
			pe := refusal(t, r.Err)
			if pe.Reason != op.ProviderRejected || pe.Status != http.StatusNotFound || pe.RequestID == "" || pe.ClientID == "" || pe.At.IsZero() ||
				pe.Call != "GET /beta/deviceManagement/configurationPolicies/00000000-0000-0000-0000-000000000000" || r.Body != nil {
				t.Errorf("not there: %+v, %s", pe, r.Body)
			}
		case strings.Contains(r.Path, "mobileApps"):
			if pe := refusal(t, r.Err); pe.Reason != op.PermissionMissing || len(pe.Granted) == 0 {
				t.Errorf("not granted: %+v", pe)
			}
		case strings.Contains(r.Path, "elsewhere"):
			if pe := refusal(t, r.Err); pe.Reason != op.ProviderFault || pe.Call != "" {
				t.Errorf("elsewhere: %+v", pe)
			}
		default:
			alone, err := c.Get(t.Context(), r.Path)
			if r.Err != nil || err != nil || string(alone) != string(r.Body) && !strings.Contains(r.Path, "delta") {
				t.Errorf("%s: %v, %v; in a batch\n%.200s\nalone\n%.200s", r.Path, r.Err, err, r.Body, alone)
			}
		}
	}
	if page, err := results[len(paths)-6].Page(); err != nil || len(page.Items) == 0 {
		t.Errorf("a page in a batch: %d objects, %v", len(page.Items), err)
	}
	if _, err := results[0].Page(); err == nil {
		t.Error("an object was taken for a list")
	}
	if batches, _ := batchesOf(t, control); batches == 0 || batches > 4 {
		t.Errorf("%d batches for %d reads", batches, len(paths))
	}
}

// Only the reads that were throttled are sent again, after the longest wait that one of them
// was told; the others keep their first answer.
func TestThrottledPartsOfABatch(t *testing.T) {
	t.Parallel()
	sim, control := simulator(t, many)
	cfg := config(t, sim)
	cfg.MaxWait = 5 * time.Second
	c := client(t, cfg)
	paths := policies(t, c)[:20]
	for i, wait := range map[int]string{3: "0.5", 7: "0.2", 11: ""} {
		if _, err := control.AddFault(t.Context(), graphsim.Fault{
			Path: paths[i], Times: 1, Action: graphsim.Action{Kind: graphsim.ActError, Status: http.StatusTooManyRequests, RetryAfter: wait},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := control.ClearCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	results, err := c.Batch(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Path, r.Err)
		}
	}
	batches, reads := batchesOf(t, control)
	for i, path := range paths {
		want := 1
		if slices.Contains([]int{3, 7, 11}, i) {
			want = 2
		}
		if reads[path] != want {
			t.Errorf("%s was read %d times, want %d", path, reads[path], want)
		}
	}
	if batches != 2 {
		t.Errorf("%d batches, want 2", batches)
	}
}

// A wait that is longer than the client waits is told with each read that needs it.
func TestLongWaitInABatch(t *testing.T) {
	t.Parallel()
	sim, control := simulator(t, many)
	c := client(t, config(t, sim))
	paths := policies(t, c)[:5]
	if _, err := control.AddFault(t.Context(), graphsim.Fault{
		Path: paths[2], Action: graphsim.Action{Kind: graphsim.ActError, Status: http.StatusTooManyRequests, RetryAfter: "900"},
	}); err != nil {
		t.Fatal(err)
	}
	results, err := c.Batch(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if i != 2 {
			if r.Err != nil {
				t.Errorf("%s: %v", r.Path, r.Err)
			}
			continue
		}
		if pe := refusal(t, r.Err); pe.Reason != op.ProviderThrottled || pe.RetryAfter != 15*time.Minute || !pe.Temporary {
			t.Errorf("throttled: %+v", pe)
		}
	}
	_, err = c.Get(t.Context(), paths[0]) // the lane is closed for the others, too
	if pe := refusal(t, err); pe.Reason != op.ProviderThrottled || pe.RetryAfter < 14*time.Minute {
		t.Errorf("afterwards: %+v", pe)
	}
}

// batchServer answers batches with what answer makes of each round's requests.
func batchServer(t *testing.T, answer func(round int, ids []string, urls map[string]string) (status int, body string)) (graph.Config, func() (rounds [][]string)) {
	t.Helper()
	var mu sync.Mutex
	var rounds [][]string
	cfg := server(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/$batch") {
			_, _ = w.Write([]byte(`{"alone":true}`))
			return
		}
		var in struct {
			Requests []struct {
				ID, Method, URL string
				Headers         map[string]string
			}
		}
		raw, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(raw, &in); err != nil {
			t.Error(err)
		}
		var ids, round []string
		urls := make(map[string]string)
		for _, q := range in.Requests {
			if q.Method != http.MethodGet || q.Headers["Prefer"] != "include-unknown-enum-members" {
				t.Errorf("sent as %+v", q)
			}
			ids, round, urls[q.ID] = append(ids, q.ID), append(round, q.URL), q.URL
		}
		mu.Lock()
		rounds = append(rounds, round)
		n := len(rounds)
		mu.Unlock()
		status, text := answer(n, ids, urls)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
	return cfg, func() [][]string {
		mu.Lock()
		defer mu.Unlock()
		return rounds
	}
}

// responses makes the answer of a batch, the last request first.
func responses(ids []string, part func(id string) string) string {
	var all []string
	for _, id := range slices.Backward(ids) {
		if p := part(id); p != "" {
			all = append(all, fmt.Sprintf(`{"id":%q,%s}`, id, p))
		}
	}
	return `{"responses":[` + strings.Join(all, ",") + `]}`
}

const fine = `"status":200,"headers":{"Content-Type":"application/json"},"body":{"fine":true}`

func TestOddBatches(t *testing.T) {
	t.Parallel()
	paths := []string{"/beta/deviceManagement/a?$x=%2520", "/beta/deviceManagement/b", "/beta/deviceManagement/c"}
	odd := func(first string) func(int, []string, map[string]string) (int, string) {
		return func(round int, ids []string, urls map[string]string) (int, string) {
			return http.StatusOK, responses(ids, func(id string) string {
				if round == 1 && strings.HasSuffix(urls[id], "/b") {
					return first
				}
				return fine
			})
		}
	}
	always := func(text string) func(int, []string, map[string]string) (int, string) {
		return func(_ int, ids []string, urls map[string]string) (int, string) {
			return http.StatusOK, responses(ids, func(id string) string {
				if strings.HasSuffix(urls[id], "/b") {
					return text
				}
				return fine
			})
		}
	}
	for _, c := range []struct {
		name   string
		answer func(int, []string, map[string]string) (int, string)
		rounds []int // how many reads each call has
		outer  op.Reason
		b      func(*provider.Error) bool // of the second read; nil: it succeeds
	}{
		{"missing, then there", odd(""), []int{3, 1}, "", nil},
		{"always missing", always(""), []int{3, 1, 1, 1}, "", func(e *provider.Error) bool {
			return e.Reason == op.ProviderFault && e.Temporary && strings.Contains(e.Note, "no answer") && e.Call == "GET /beta/deviceManagement/b"
		}},
		{"not made because of another", odd(`"status":424,"body":{"error":{"code":"FailedDependency"}}`), []int{3, 1}, "", nil},
		{"a fault", odd(`"status":503,"headers":{"Retry-After":"0.01"}`), []int{3, 1}, "", nil},
		{"a page of a gateway", always(`"status":502,"body":"<html>bad gateway</html>"`), []int{3, 1, 1, 1}, "", func(e *provider.Error) bool {
			return e.Reason == op.ProviderFault && e.Form == op.AnswerPage && e.Status == 502
		}},
		{"text for an object", odd(`"status":200,"body":"not JSON"`), []int{3, 1}, "", nil},
		{"an error in a success", always(`"status":200,"body":{"error":{"code":"Forbidden","message":"no"}}`), []int{3, 1, 1, 1}, "", func(e *provider.Error) bool {
			return e.Reason == op.PermissionMissing
		}},
		{"refused", always(`"status":400,"body":{"error":{"code":"BadRequest","message":"no","innerError":{"request-id":"inner"}}}`), []int{3}, "", func(e *provider.Error) bool {
			return e.Reason == op.ProviderRejected && e.RequestID == "inner" && e.Message == "no" && e.ClientID != ""
		}},
		{"a refused token, then a new one", odd(`"status":401,"body":{"error":{"code":"InvalidAuthenticationToken"}}`), []int{3, 1}, "", nil},
		{"refused tokens only", always(`"status":401,"body":{"error":{"code":"InvalidAuthenticationToken","message":"Signing key is invalid"}}`), []int{3, 1}, "", func(e *provider.Error) bool {
			return e.Reason == op.ProviderFault && e.Temporary && !e.Proven && strings.Contains(e.Note, "just issued")
		}},
		{"one id twice", func(_ int, ids []string, _ map[string]string) (int, string) {
			return http.StatusOK, responses(append(ids, ids[0]), func(string) string { return fine })
		}, []int{3}, op.ProviderFault, nil},
		{"no batch", func(int, []string, map[string]string) (int, string) { return http.StatusOK, `{}` }, []int{3}, op.ProviderFault, nil},
		{"refused as a whole", func(int, []string, map[string]string) (int, string) {
			return http.StatusBadRequest, `{"error":{"code":"BadRequest","message":"no"}}`
		}, []int{3}, op.ProviderRejected, nil},
		{"a fault as a whole", func(round int, ids []string, _ map[string]string) (int, string) {
			if round < 3 {
				return http.StatusServiceUnavailable, `{}`
			}
			return http.StatusOK, responses(ids, func(string) string { return fine })
		}, []int{3, 3, 3}, "", nil},
		{"too large together", func(int, []string, map[string]string) (int, string) {
			return http.StatusOK, `{"responses":[{"id":"1","status":200,"body":"` + strings.Repeat("x", 2<<20) + `"}]}`
		}, []int{3}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, rounds := batchServer(t, c.answer)
			results, err := client(t, cfg).Batch(t.Context(), paths)
			var got []int
			for _, r := range rounds() {
				got = append(got, len(r))
			}
			if !slices.Equal(got, c.rounds) {
				t.Errorf("calls with %v reads, want %v", got, c.rounds)
			}
			if rounds()[0][0] != "/deviceManagement/a?$x=%2520" {
				t.Errorf("asked for %q", rounds()[0])
			}
			if c.outer != "" {
				if pe := refusal(t, err); pe.Reason != c.outer || pe.ClientID == "" || results != nil {
					t.Errorf("%+v, %v", pe, results)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range results {
				if i == 1 && c.b != nil {
					if pe := refusal(t, r.Err); !c.b(pe) || r.Body != nil {
						t.Errorf("told as %+v, with %s", pe, r.Body)
					}
				} else if r.Err != nil || len(r.Body) == 0 {
					t.Errorf("%s: %s, %v", r.Path, r.Body, r.Err)
				}
			}
		})
	}
}

// Reads ask for the members of enumerations that were added later, changes don't.
func TestReadsAskForAllMembers(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	prefer := map[string]string{}
	c := client(t, server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		prefer[r.Method] = r.Header.Get("Prefer")
		mu.Unlock()
		_, _ = w.Write([]byte(`{"value":[]}`))
	}))
	if _, err := c.Page(t.Context(), "/beta/deviceManagement/deviceConfigurations"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(t.Context(), provider.Change{Method: http.MethodPost, Path: "/beta/deviceManagement/deviceConfigurations", Body: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if prefer[http.MethodGet] != "include-unknown-enum-members" || prefer[http.MethodPost] != "" {
		t.Errorf("sent %v", prefer)
	}
}
