package graph_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// mirror is the state of a client after delta rounds.
type mirror struct {
	names   map[string]string
	members map[string]map[string]bool
	pages   int
	slices  map[string]int // number of times that a group came in one round
	gone    map[string]string
}

func deltaRound(s *simtest.Sim, token, path string, m *mirror) (deltaLink string) {
	s.T.Helper()
	m.slices = map[string]int{}
	for path != "" {
		page := s.OK(token, path)
		m.pages++
		for _, g := range simtest.Values(page) {
			id := g["id"].(string)
			m.slices[id]++
			if removed, ok := g["@removed"].(map[string]any); ok {
				delete(m.names, id)
				delete(m.members, id)
				m.gone[id] = removed["reason"].(string)
				continue
			}
			if name, ok := g["displayName"].(string); ok {
				m.names[id] = name
			}
			if m.members[id] == nil {
				m.members[id] = map[string]bool{}
			}
			list, _ := g["members@delta"].([]any)
			for _, e := range list {
				e := e.(map[string]any)
				if _, removed := e["@removed"]; removed {
					delete(m.members[id], e["id"].(string))
				} else {
					m.members[id][e["id"].(string)] = true
				}
			}
		}
		path, _ = page["@odata.nextLink"].(string)
		deltaLink, _ = page["@odata.deltaLink"].(string)
		if (path == "") == (deltaLink == "") {
			s.T.Fatalf("a page has both links, or none: %q %q", path, deltaLink)
		}
	}
	return deltaLink
}

func newMirror() *mirror {
	return &mirror{names: map[string]string{}, members: map[string]map[string]bool{}, gone: map[string]string{}}
}

func TestDeltaMirrorsTheDirectory(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok, ctx := s.Token(), t.Context()
	m := newMirror()
	link := deltaRound(s, tok, simtest.DeltaPath, m)
	if len(m.names) != 120 || m.pages < 2 {
		t.Fatalf("first round: %d groups on %d pages", len(m.names), m.pages)
	}
	split := slices.ContainsFunc(keys(m.slices), func(id string) bool { return m.slices[id] > 1 && len(m.members[id]) == 1500 })
	if !split {
		t.Error("no group of 1,500 members was split over pages")
	}
	big := ""
	for id := range m.names {
		list, _ := s.All(tok, "/v1.0/groups/"+id+"/members?$top=999")
		if len(list) != len(m.members[id]) {
			t.Errorf("group %s: delta says %d members, the group %d", id, len(m.members[id]), len(list))
		}
		if len(list) == 1500 {
			big = id
		}
	}

	some := keys(m.names)
	slices.Sort(some)
	some = slices.DeleteFunc(some, func(id string) bool { return id == big })
	const newcomer = "99999999-aaaa-4bbb-8ccc-000000000009"
	ids, err := s.API.ChangeGroups(ctx, simtest.TenantID,
		graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: "Brand new", Count: 3},
		graphsim.GroupChange{Op: graphsim.GroupUpdate, ID: some[0], DisplayName: "Renamed"},
		graphsim.GroupChange{Op: graphsim.GroupDelete, ID: some[1]},
		graphsim.GroupChange{Op: graphsim.GroupPurge, ID: some[2]},
		graphsim.GroupChange{Op: graphsim.GroupDelete, ID: some[3]},
		graphsim.GroupChange{Op: graphsim.GroupRestore, ID: some[3]},
		graphsim.GroupChange{Op: graphsim.GroupAddMembers, ID: some[4], Members: []graphsim.Member{{ID: newcomer}}},
		graphsim.GroupChange{Op: graphsim.GroupRemoveMembers, ID: big, Count: 1200},
	)
	if err != nil {
		t.Fatal(err)
	}
	before := len(m.members[some[4]])
	next := deltaRound(s, tok, link, m)
	switch {
	case m.names[ids[0]] != "Brand new" || len(m.members[ids[0]]) != 3:
		t.Errorf("new group: %q with %d members", m.names[ids[0]], len(m.members[ids[0]]))
	case m.names[some[0]] != "Renamed":
		t.Errorf("renamed group: %q", m.names[some[0]])
	case m.gone[some[1]] != "changed" || m.gone[some[2]] != "deleted":
		t.Errorf("removed groups: %q and %q", m.gone[some[1]], m.gone[some[2]])
	case m.names[some[3]] == "":
		t.Error("the restored group is missing")
	case len(m.members[some[4]]) != before+1 || !m.members[some[4]][newcomer]:
		t.Error("the new member is missing")
	case len(m.members[big]) != 300 || m.slices[big] < 2:
		t.Errorf("the large group has %d members after %d slices", len(m.members[big]), m.slices[big])
	}
	if got := len(m.slices); got != 7 {
		t.Errorf("the second round names %d groups, want 7", got)
	}
	m.pages = 0
	deltaRound(s, tok, next, m)
	if m.pages != 1 || len(m.slices) != 0 {
		t.Errorf("a round without changes: %d pages, %d groups", m.pages, len(m.slices))
	}
	// The same link returns the same changes again.
	deltaRound(s, tok, link, m)
	if len(m.slices) != 7 {
		t.Errorf("the link followed again names %d groups, want 7", len(m.slices))
	}
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

func TestDeltaChangesDuringTheFirstRoundComeAfterIt(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	first := s.OK(tok, simtest.DeltaPath)
	id := simtest.Values(first)[0]["id"].(string)
	if _, err := s.API.ChangeGroups(t.Context(), simtest.TenantID, graphsim.GroupChange{Op: graphsim.GroupUpdate, ID: id, DisplayName: "Moved on"}); err != nil {
		t.Fatal(err)
	}
	m := newMirror()
	link := deltaRound(s, tok, first["@odata.nextLink"].(string), m)
	deltaRound(s, tok, link, m)
	if m.names[id] != "Moved on" {
		t.Errorf("the change is lost: %q", m.names[id])
	}
}

func TestDeltaTokens(t *testing.T) {
	dir := t.TempDir()
	s := simtest.Start(t, graphsim.Config{StateDir: dir})
	tok, ctx := s.Token(), t.Context()
	link := deltaRound(s, tok, simtest.DeltaPath, newMirror())

	latest := s.OK(tok, "/v1.0/groups/delta?$deltatoken=latest")
	if len(simtest.Values(latest)) != 0 || latest["@odata.deltaLink"] == nil {
		t.Errorf("latest = %v", latest)
	}
	if n := newMirror(); deltaRound(s, tok, "/v1.0/groups/delta?$deltatoken=", n) == "" || len(n.names) != 120 {
		t.Errorf("an empty token gives %d groups, want a full round of 120", len(n.names))
	}
	if a := s.Get(tok, "/v1.0/groups/delta?$deltatoken=made-up"); a.Status != http.StatusBadRequest {
		t.Errorf("a made-up token: %d", a.Status)
	}

	t.Run("survives a restart while nothing changed", func(t *testing.T) {
		other := simtest.Start(t, graphsim.Config{StateDir: dir})
		n := newMirror()
		deltaRound(other, other.Token(), strings.Replace(link, s.URL(), other.URL(), 1), n)
		if len(n.slices) != 0 {
			t.Errorf("%d groups changed by a restart", len(n.slices))
		}
	})
	if _, err := s.API.ChangeGroups(ctx, simtest.TenantID, graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: "One more"}); err != nil {
		t.Fatal(err)
	}
	later := deltaRound(s, tok, link, newMirror())
	t.Run("answers 410 after a restart when the change log is gone", func(t *testing.T) {
		other := simtest.Start(t, graphsim.Config{StateDir: dir})
		a := other.Get(other.Token(), strings.Replace(later, s.URL(), other.URL(), 1))
		if a.Status != http.StatusGone || !strings.HasSuffix(a.Header.Get("Location"), "/v1.0/groups/delta?$deltatoken=") {
			t.Errorf("%d, Location %q", a.Status, a.Header.Get("Location"))
		}
	})
	t.Run("answers 410 after a reset", func(t *testing.T) {
		if err := s.API.ResetTenant(ctx, simtest.TenantID); err != nil {
			t.Fatal(err)
		}
		if a := s.Get(tok, later); a.Status != http.StatusGone {
			t.Errorf("%d", a.Status)
		}
		if a := s.Get(tok, link); a.Status != http.StatusOK {
			t.Errorf("a token of the state reset to: %d", a.Status)
		}
	})
	t.Run("expires after seven days", func(t *testing.T) {
		if err := s.API.SetClock(ctx, 7*24*time.Hour+time.Minute); err != nil {
			t.Fatal(err)
		}
		a := s.Get(s.Token(), link)
		if code, _ := simtest.ErrorOf(t, a); a.Status != http.StatusBadRequest || code != "syncStateNotFound" {
			t.Errorf("%d %s", a.Status, code)
		}
		if err := s.API.SetClock(ctx, 0); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("is lost by order", func(t *testing.T) {
		if err := s.API.PatchTenant(ctx, simtest.TenantID, graphsim.TenantPatch{LoseDelta: true}); err != nil {
			t.Fatal(err)
		}
		if a := s.Get(tok, link); a.Status != http.StatusGone {
			t.Errorf("%d", a.Status)
		}
	})
	t.Run("works in its own tenant only", func(t *testing.T) {
		other := simtest.Spec()
		other.ID, other.Domain = "11111111-aaaa-4bbb-8ccc-000000000003", "fabrikam.example"
		if err := s.AddTenant(other); err != nil {
			t.Fatal(err)
		}
		a := s.Post("/"+other.ID+"/oauth2/v2.0/token", simtest.Credentials())
		foreign, _ := a.JSON(t)["access_token"].(string)
		if got := s.Get(foreign, link).Status; got != http.StatusBadRequest {
			t.Errorf("%d", got)
		}
	})
}

func TestDeltaOptions(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	for _, q := range []string{"$top=5", "$orderby=displayName", "$expand=members", "$filter=displayName%20eq%20'x'", "$select=nonsense", "$search=x"} {
		if a := s.Get(tok, "/v1.0/groups/delta?"+q); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", q, a.Status)
		}
	}
	groups, _ := s.All(tok, "/v1.0/groups")
	id := groups[7]["id"].(string)
	for _, path := range []string{"/v1.0/groups/delta", "/V1.0/groups/delta()", "/beta/groups/microsoft.graph.delta()"} {
		m := newMirror()
		deltaRound(s, tok, path+"?$filter=id%20eq%20'"+id+"'", m)
		if len(m.names) != 1 || m.names[id] == "" {
			t.Errorf("%s filtered by id names %v", path, m.names)
		}
	}
	for _, g := range simtest.Values(s.OK(tok, "/v1.0/groups/delta?$select=displayName")) {
		if len(g) != 2 {
			t.Fatalf("selected displayName, got %v", keys(g))
		}
	}
	link := deltaRound(s, tok, simtest.DeltaPath, newMirror())
	if _, err := s.API.ChangeGroups(t.Context(), simtest.TenantID, graphsim.GroupChange{Op: graphsim.GroupUpdate, ID: id, Description: "Other words"}); err != nil {
		t.Fatal(err)
	}
	full, least := simtest.Values(s.OK(tok, link)), simtest.Values(s.OK(tok, link, "Prefer", "return=minimal"))
	if len(full) != 1 || full[0]["displayName"] == nil || len(least) != 1 || least[0]["displayName"] != nil || least[0]["description"] != "Other words" {
		t.Errorf("full %v, minimal %v", full, least)
	}
}

func TestDeltaLag(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok, ctx, lag := s.Token(), t.Context(), 60_000
	link := deltaRound(s, tok, simtest.DeltaPath, newMirror())
	if err := s.API.PatchTenant(ctx, simtest.TenantID, graphsim.TenantPatch{DeltaLagMS: &lag}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.API.ChangeGroups(ctx, simtest.TenantID, graphsim.GroupChange{Op: graphsim.GroupAdd, DisplayName: "Late"}); err != nil {
		t.Fatal(err)
	}
	m := newMirror()
	link = deltaRound(s, tok, link, m)
	if len(m.names) != 0 {
		t.Errorf("a change shows before its lag: %v", m.names)
	}
	if err := s.API.SetClock(ctx, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	deltaRound(s, tok, link, m)
	if fmt.Sprint(m.names) == "map[]" {
		t.Error("the change never shows")
	}
}
