package catalogue_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

const initial = "/v1.0/groups/delta?$select=displayName,description,groupTypes,membershipRule,securityEnabled,mailEnabled,members"

// shown renders what readers see as "group name: members", one line a group.
func shown(t testing.TB, data *datatest.Memory) string {
	t.Helper()
	groups, err := data.Rows(t.Context(), catalogue.Groups)
	if err != nil {
		t.Fatal(err)
	}
	members, err := data.Members(t.Context(), catalogue.Groups)
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string][]string)
	for _, m := range members {
		of[m.Group] = append(of[m.Group], m.ID)
	}
	var lines []string
	for _, g := range groups {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s: %s", g.ID, g.Name, strings.Join(of[g.ID], " "))))
		delete(of, g.ID)
	}
	for _, orphan := range slices.Sorted(maps.Keys(of)) {
		lines = append(lines, "no group "+orphan+": "+strings.Join(of[orphan], " "))
	}
	return strings.Join(lines, "\n")
}

// had returns data as a first sync left it: groups a (members 1, 2) and b.
func had(t testing.TB) *datatest.Memory {
	t.Helper()
	data := &datatest.Memory{}
	f := &fake{page: script(map[string]provider.Page{initial: {
		Items: objects(
			`{"id":"a","displayName":"Alpha","description":"first","members@delta":[{"@odata.type":"#microsoft.graph.user","id":"1"},{"id":"2"}]}`,
			`{"id":"b","displayName":"Beta"}`),
		Delta: "d1",
	}})}
	if _, err := run(t, op.DirectoryGroupsSync, f, data, ""); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, data); got != "a Alpha: 1 2\nb Beta:" {
		t.Fatalf("first sync: %q", got)
	}
	return data
}

func TestGroupsSyncRounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		parameters string
		pages      map[string]provider.Page
		want       string
		unchanged  bool
	}{
		{
			name:  "nothing changed",
			pages: map[string]provider.Page{"d1": {Delta: "d2"}},
			want:  "a Alpha: 1 2\nb Beta:", unchanged: true,
		},
		{
			name: "changes of every kind",
			pages: map[string]provider.Page{"d1": {
				Items: objects(
					`{"id":"a","displayName":"Alpha two","members@delta":[{"id":"1","@removed":{"reason":"deleted"}},{"id":"3"}]}`,
					`{"id":"b","@removed":{"reason":"changed"}}`,
					`{"id":"c","displayName":"Gamma","members@delta":[{"id":"9"}]}`),
				Delta: "d2",
			}},
			want: "a Alpha two: 2 3\nc Gamma: 9",
		},
		{
			name: "an object with members alone keeps the properties",
			pages: map[string]provider.Page{"d1": {
				Items: objects(`{"id":"a","members@delta":[{"id":"4"}]}`), Delta: "d2",
			}},
			want: "a Alpha: 1 2 4\nb Beta:",
		},
		{
			name: "empty pages go on, links are followed as they are",
			pages: map[string]provider.Page{
				"d1":                           {Next: "https://x/y?$skiptoken=%255B"},
				"https://x/y?$skiptoken=%255B": {Next: "n2"},
				"n2":                           {Items: objects(`{"id":"c","displayName":"Gamma"}`), Next: "n3"},
				"n3":                           {Delta: "d2"},
			},
			want: "a Alpha: 1 2\nb Beta:\nc Gamma:",
		},
		{
			name: "one group on several pages, a page twice, a group that comes back",
			pages: map[string]provider.Page{
				"d1": {Items: objects(
					`{"id":"c","displayName":"Gamma","members@delta":[{"id":"1"},{"id":"2"}]}`,
					`{"id":"b","@removed":{"reason":"changed"}}`), Next: "n1"},
				"n1": {Items: objects(`{"id":"c","displayName":"Gamma","members@delta":[{"id":"3"}]}`), Next: "n2"},
				"n2": {Items: objects(`{"id":"c","displayName":"Gamma","members@delta":[{"id":"3"}]}`), Next: "n3"},
				"n3": {Items: objects(`{"id":"c","members@delta":[{"id":"4"}]}`, `{"id":"b","displayName":"Beta","members@delta":[{"id":"7"}]}`), Delta: "d2"},
			},
			want: "a Alpha: 1 2\nb Beta: 7\nc Gamma: 1 2 3 4",
		},
		{
			name: "within one page the last word counts",
			pages: map[string]provider.Page{"d1": {
				Items: objects(
					`{"id":"a","displayName":"Alpha","members@delta":[{"id":"5"},{"id":"6"},{"id":"5","@removed":{"reason":"deleted"}}]}`,
					`{"id":"b","displayName":"Beta","members@delta":[{"id":"5"}]}`,
					`{"id":"b","@removed":{"reason":"deleted"}}`,
					`{"id":"a","@removed":{"reason":"changed"}}`,
					`{"id":"a","displayName":"Alpha anew","members@delta":[{"id":"8"}]}`),
				Delta: "d2",
			}},
			want: "a Alpha anew: 8",
		},
		{
			name: "unknown things are removed", pages: map[string]provider.Page{"d1": {
				Items: objects(`{"id":"z","@removed":{"reason":"deleted"}}`, `{"id":"a","displayName":"Alpha","members@delta":[{"id":"z","@removed":{"reason":"deleted"}}]}`),
				Delta: "d2",
			}},
			want: "a Alpha: 1 2\nb Beta:",
		},
		{
			name: "a full sync on request", parameters: `{"full":true}`,
			pages: map[string]provider.Page{initial: {Items: objects(`{"id":"c","displayName":"Gamma"}`), Delta: "d2"}},
			want:  "c Gamma:",
		},
		{
			name: "an empty tenant", parameters: `{"full":true}`,
			pages: map[string]provider.Page{initial: {Delta: "d2"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := had(t)
			r, err := run(t, op.DirectoryGroupsSync, &fake{page: script(c.pages)}, data, c.parameters)
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(t, data); got != c.want {
				t.Errorf("readers see\n%s\nwant\n%s", got, c.want)
			}
			groups, _ := data.Dataset(t.Context(), catalogue.Groups)
			if groups.Delta != "d2" {
				t.Errorf("token %q", groups.Delta)
			}
			item := r.Find(t, "groups")
			if item.Counts.Done != groups.Count || r.Counts.Done != groups.Count || r.Counts.Total != groups.Count {
				t.Errorf("item %+v, progress %+v, %d groups", item, r.Counts, groups.Count)
			}
			if got := item.Result == op.ItemUnchanged && r.Find(t, "members").Result == op.ItemUnchanged; got != c.unchanged {
				t.Errorf("unchanged is %t: %+v", got, r.Items)
			}
		})
	}
}

func TestGroupsSyncKeepsTheProvidersBytes(t *testing.T) {
	t.Parallel()
	data := &datatest.Memory{}
	f := &fake{page: script(map[string]provider.Page{initial: {
		Items: objects(`{"membershipRule":"user.department -eq \"A\u0026B <x>\"", "id":"a", "groupTypes":[ "DynamicMembership" ],"members@delta":[],"displayName":"A\u0000\nlpha","n":1.50}`),
		Delta: "d1",
	}})}
	if _, err := run(t, op.DirectoryGroupsSync, f, data, ""); err != nil {
		t.Fatal(err)
	}
	rows, _ := data.Rows(t.Context(), catalogue.Groups)
	const want = `{"membershipRule":"user.department -eq \"A\u0026B <x>\"","id":"a","groupTypes":[ "DynamicMembership" ],"displayName":"A\u0000\nlpha","n":1.50}`
	if len(rows) != 1 || string(rows[0].Data) != want {
		t.Errorf("kept %s\nwant %s", rows[0].Data, want)
	}
	if rows[0].Name != "Alpha" {
		t.Errorf("name %q", rows[0].Name)
	}
}

// Groups are kept by the type that Entra's own console shows; what can't be told
// stays open, and members keep what the provider called them.
func TestGroupsSyncTellsTypes(t *testing.T) {
	t.Parallel()
	properties := map[string]string{
		"security":              `"groupTypes":[],"mailEnabled":false,"securityEnabled":true`,
		"dynamic_security":      `"groupTypes":["DynamicMembership"],"mailEnabled":false,"securityEnabled":true`,
		"microsoft_365":         `"groupTypes":["Unified"],"mailEnabled":true,"securityEnabled":false`,
		"dynamic_microsoft_365": `"groupTypes":["DynamicMembership","Unified"],"mailEnabled":true,"securityEnabled":true`,
		"mail_enabled_security": `"groupTypes":[],"mailEnabled":true,"securityEnabled":true`,
		"distribution":          `"groupTypes":[],"mailEnabled":true,"securityEnabled":false`,
		"":                      `"groupTypes":null,"mailEnabled":null,"securityEnabled":"?"`,
		"dynamic":               `"groupTypes":["DynamicMembership",7],"mailEnabled":[]`,
	}
	var items []string
	for want, p := range properties {
		items = append(items, fmt.Sprintf(`{"@odata.type":"#microsoft.graph.group","id":"g-%s","displayName":%q,%s,"members@delta":[{"@odata.type":"#microsoft.graph.user","id":"u"}]}`, want, want, p))
	}
	data := &datatest.Memory{}
	f := &fake{page: script(map[string]provider.Page{initial: {Items: objects(items...), Delta: "d1"}})}
	if _, err := run(t, op.DirectoryGroupsSync, f, data, ""); err != nil {
		t.Fatal(err)
	}
	rows, _ := data.Rows(t.Context(), catalogue.Groups)
	if len(rows) != len(properties) {
		t.Errorf("%d groups, want %d", len(rows), len(properties))
	}
	for _, r := range rows {
		if "g-"+r.Type != r.ID {
			t.Errorf("%s has type %q", r.ID, r.Type)
		}
	}
	members, _ := data.Members(t.Context(), catalogue.Groups)
	for _, m := range members {
		if m.Type != "#microsoft.graph.user" {
			t.Errorf("a member has type %q", m.Type)
		}
	}
}

// When the provider no longer knows the token, everything is read anew in the
// same run.
func TestGroupsSyncStartsOver(t *testing.T) {
	t.Parallel()
	resync := func() error { return &provider.Error{Reason: op.ProviderRejected, Status: 410, Resync: true} }
	foreign := func() error { return &provider.Error{Reason: op.ProviderRejected, Err: provider.ErrForeignLink} }
	anew := provider.Page{Items: objects(`{"id":"c","displayName":"Gamma"}`), Delta: "d2"}
	for _, c := range []struct {
		name   string
		page   func(n int, next string) (provider.Page, error)
		reason op.Reason
		want   string
		calls  int
	}{
		{
			name: "an expired token",
			page: func(_ int, next string) (provider.Page, error) {
				if next == initial {
					return anew, nil
				}
				return provider.Page{}, resync()
			},
			want: "c Gamma:", calls: 2,
		},
		{
			name: "a token of another address",
			page: func(_ int, next string) (provider.Page, error) {
				if next == initial {
					return anew, nil
				}
				return provider.Page{}, foreign()
			},
			want: "c Gamma:", calls: 2,
		},
		{
			name: "a token that is refused without a code of its own",
			page: func(_ int, next string) (provider.Page, error) {
				if next == initial {
					return anew, nil
				}
				return provider.Page{}, &provider.Error{Reason: op.ProviderRejected, Status: 400, Code: "Request_BadRequest", Message: "Badly formed token"}
			},
			want: "c Gamma:", calls: 2,
		},
		{
			name: "a token that is gone",
			page: func(_ int, next string) (provider.Page, error) {
				if next == initial {
					return anew, nil
				}
				return provider.Page{}, &provider.Error{Reason: op.ProviderRejected, Status: 410}
			},
			want: "c Gamma:", calls: 2,
		},
		{
			name: "a full round is not refused twice",
			page: func(int, string) (provider.Page, error) {
				return provider.Page{}, &provider.Error{Reason: op.ProviderRejected, Status: 400, Code: "Request_BadRequest"}
			},
			reason: op.ProviderRejected, want: "a Alpha: 1 2\nb Beta:", calls: 2,
		},
		{
			name: "a reset in the middle, twice",
			page: func(n int, next string) (provider.Page, error) {
				switch {
				case n < 4 && next == "n1":
					return provider.Page{}, resync()
				case n < 4:
					return provider.Page{Items: objects(`{"id":"x","displayName":"Half"}`), Next: "n1"}, nil
				}
				return anew, nil
			},
			want: "c Gamma:", calls: 5,
		},
		{
			name:   "a provider that never gets over it",
			page:   func(int, string) (provider.Page, error) { return provider.Page{}, resync() },
			reason: op.ProviderRejected, want: "a Alpha: 1 2\nb Beta:", calls: 3,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := had(t)
			n := -1
			f := &fake{page: func(next string) (provider.Page, error) { n++; return c.page(n, next) }}
			r, err := run(t, op.DirectoryGroupsSync, f, data, "")
			if reasonOf(err) != c.reason {
				t.Errorf("ended with %v", err)
			}
			if !slices.Contains(r.Events, "The provider can't go on from the last sync") {
				t.Errorf("the timeline says %q", r.Events)
			}
			if got := shown(t, data); got != c.want {
				t.Errorf("readers see %q, want %q", got, c.want)
			}
			if got := len(f.calls); got != c.calls {
				t.Errorf("%d pages asked for, want %d: %v", got, c.calls, f.calls)
			}
		})
	}
}

// A round that does not come to its end leaves readers and token as they were.
func TestGroupsSyncKeepsOldRows(t *testing.T) {
	t.Parallel()
	half := provider.Page{Items: objects(`{"id":"x","displayName":"Half"}`, `{"id":"a","@removed":{"reason":"deleted"}}`), Next: "n1"}
	for _, c := range []struct {
		name   string
		second func() (provider.Page, error)
		reason op.Reason
	}{
		{"throttled", func() (provider.Page, error) { return provider.Page{}, throttled() }, op.ProviderThrottled},
		{"away", func() (provider.Page, error) { return provider.Page{}, away() }, op.ProviderUnreachable},
		{"consent withdrawn", func() (provider.Page, error) { return provider.Page{}, refusal(op.ConsentMissing) }, op.ConsentMissing},
		{"credential refused", func() (provider.Page, error) { return provider.Page{}, refusal(op.CredentialInvalid) }, op.CredentialInvalid},
		{"no permission", func() (provider.Page, error) { return provider.Page{}, refusal(op.PermissionMissing) }, op.PermissionMissing},
		{"a circle", func() (provider.Page, error) { return provider.Page{Next: "n1"}, nil }, op.ProviderFault},
		{"no delta link", func() (provider.Page, error) { return provider.Page{}, nil }, op.ProviderFault},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := had(t)
			f := &fake{page: func(next string) (provider.Page, error) {
				if next == "n1" {
					return c.second()
				}
				return half, nil
			}}
			_, err := run(t, op.DirectoryGroupsSync, f, data, "")
			if reasonOf(err) != c.reason {
				t.Errorf("ended with %v, want %s", err, c.reason)
			}
			if got := shown(t, data); got != "a Alpha: 1 2\nb Beta:" {
				t.Errorf("readers see %q", got)
			}
			if d, _ := data.Dataset(t.Context(), catalogue.Groups); d.Delta != "d1" {
				t.Errorf("token %q", d.Delta)
			}
		})
	}
}

// crashing is data whose commit is the last thing that is tried.
type crashing struct{ *datatest.Memory }

type crashingRound struct{ catalogue.Round }

var errCrash = errors.New("crash")

func (c crashing) Begin(ctx context.Context, name string, full bool) (catalogue.Round, error) {
	r, err := c.Memory.Begin(ctx, name, full)
	return crashingRound{r}, err
}

func (r crashingRound) Commit(context.Context, catalogue.Committed) (catalogue.Dataset, error) {
	return catalogue.Dataset{}, errCrash
}

// A member that came and went between two rounds is not in the changes since the
// first. So after an incremental round that was cut off, nothing may be built on
// the token that it began with.
func TestGroupsSyncAfterARoundThatWasCutOff(t *testing.T) {
	t.Parallel()
	data := had(t)
	with5 := `{"id":"a","displayName":"Alpha","members@delta":[{"id":"5"}]}`
	_, err := runWith(t, op.DirectoryGroupsSync,
		&fake{page: script(map[string]provider.Page{"d1": {Items: objects(with5), Delta: "d2"}})},
		crashing{data}, "", func(*catalogue.Env) {})
	if !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	f := &fake{page: script(map[string]provider.Page{
		"d1":    {Delta: "d3"}, // 5 is gone again: nothing changed since d1
		"d2":    {Items: objects(`{"id":"a","members@delta":[{"id":"5","@removed":{"reason":"deleted"}}]}`), Delta: "d3"},
		initial: {Items: objects(`{"id":"a","displayName":"Alpha","members@delta":[{"id":"1"},{"id":"2"}]}`, `{"id":"b","displayName":"Beta"}`), Delta: "d3"},
	})}
	if _, err := run(t, op.DirectoryGroupsSync, f, data, ""); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, data); got != "a Alpha: 1 2\nb Beta:" {
		t.Errorf("readers see %q", got)
	}
}

// directoryModel is a directory with a log of its changes, and a provider that
// tells of them as badly as the documentation allows.
type directoryModel struct {
	groups  map[string]string          // id -> name
	members map[string]map[string]bool // group -> members
	known   map[string]string          // what was told in the last round: groups
	told    map[string]map[string]bool // and members
	round   int
}

func (m *directoryModel) String() string {
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(m.groups)) {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s: %s", id, m.groups[id], strings.Join(slices.Sorted(maps.Keys(m.members[id])), " "))))
	}
	return strings.Join(lines, "\n")
}

// change does something to the directory.
func (m *directoryModel) change(t *rapid.T) {
	id := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "group")
	if rapid.IntRange(0, 5).Draw(t, "what") == 0 {
		delete(m.groups, id)
		delete(m.members, id)
		return
	}
	if _, ok := m.groups[id]; !ok || rapid.Bool().Draw(t, "rename") {
		m.groups[id] = rapid.SampledFrom([]string{"Ash", "Birch", "Cedar"}).Draw(t, "name")
	}
	if m.members[id] == nil {
		m.members[id] = make(map[string]bool)
	}
	for _, member := range rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}), 0, 3).Draw(t, "members") {
		if m.members[id][member] = !m.members[id][member]; !m.members[id][member] {
			delete(m.members[id], member)
		}
	}
}

// pages returns the round that follows the last one: objects split, in any order
// where the order means nothing, some pages twice, some empty.
func (m *directoryModel) pages(t *rapid.T, full bool) []provider.Page {
	if full {
		m.known, m.told = nil, nil
	}
	var perGroup [][]string
	for _, id := range []string{"a", "b", "c", "d"} {
		name, there := m.groups[id]
		was, before := m.known[id]
		switch {
		case there:
			var changes []string
			for _, member := range []string{"1", "2", "3", "4", "5"} {
				switch now, then := m.members[id][member], m.told[id][member]; {
				case now && !then, now && rapid.IntRange(0, 4).Draw(t, "replay member") == 0:
					changes = append(changes, fmt.Sprintf(`{"@odata.type":"#microsoft.graph.user","id":%q}`, member))
				case !now && then:
					changes = append(changes, fmt.Sprintf(`{"id":%q,"@removed":{"reason":"deleted"}}`, member))
				}
			}
			var parts []string
			for len(changes) > 0 {
				n := rapid.IntRange(1, len(changes)).Draw(t, "slice")
				described := ""
				if !before || was != name || rapid.Bool().Draw(t, "described") {
					described = fmt.Sprintf(`"displayName":%q,`, name)
				}
				parts = append(parts, fmt.Sprintf(`{"id":%q,%s"members@delta":[%s]}`, id, described, strings.Join(changes[:n], ",")))
				changes = changes[n:]
			}
			if len(parts) == 0 && (!before || was != name) {
				parts = append(parts, fmt.Sprintf(`{"id":%q,"displayName":%q}`, id, name))
			}
			if before && len(m.told[id]) == 0 && rapid.IntRange(0, 4).Draw(t, "gone and back") == 0 {
				parts = append([]string{fmt.Sprintf(`{"id":%q,"@removed":{"reason":"changed"}}`, id)}, parts...)
				parts = append(parts, fmt.Sprintf(`{"id":%q,"displayName":%q}`, id, name))
			}
			perGroup = append(perGroup, parts)
		case before:
			perGroup = append(perGroup, []string{fmt.Sprintf(`{"id":%q,"@removed":{"reason":"deleted"}}`, id)})
		}
	}
	var pages []provider.Page
	for {
		perGroup = slices.DeleteFunc(perGroup, func(parts []string) bool { return len(parts) == 0 })
		if len(perGroup) == 0 {
			break
		}
		var page provider.Page
		for range rapid.IntRange(0, 3).Draw(t, "objects") {
			i := rapid.IntRange(0, len(perGroup)-1).Draw(t, "of")
			if len(perGroup[i]) > 0 {
				page.Items = append(page.Items, objects(perGroup[i][0])...)
				perGroup[i] = perGroup[i][1:]
			}
		}
		pages = append(pages, page)
		if rapid.IntRange(0, 4).Draw(t, "replay page") == 0 {
			pages = append(pages, page)
		}
	}
	pages = append(pages, provider.Page{})
	m.known, m.told = maps.Clone(m.groups), make(map[string]map[string]bool)
	for id, members := range m.members {
		m.told[id] = maps.Clone(members)
	}
	m.round++
	return pages
}

func TestGroupsSyncFollowsTheDirectory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &directoryModel{groups: make(map[string]string), members: make(map[string]map[string]bool)}
		data := &datatest.Memory{}
		for round := range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			for range rapid.IntRange(0, 6).Draw(rt, "changes") {
				m.change(rt)
			}
			full := round == 0 || rapid.IntRange(0, 3).Draw(rt, "full") == 0
			pages := m.pages(rt, full)
			first := initial
			if !full {
				first = fmt.Sprintf("delta %d", m.round-1)
			}
			links := map[string]provider.Page{}
			for i, page := range pages {
				link := fmt.Sprintf("round %d page %d", m.round, i)
				if i == 0 {
					link = first
				}
				if i == len(pages)-1 {
					page.Delta = fmt.Sprintf("delta %d", m.round)
				} else {
					page.Next = fmt.Sprintf("round %d page %d", m.round, i+1)
				}
				links[link] = page
			}
			if _, err := run(t, op.DirectoryGroupsSync, &fake{page: script(links)}, data, fmt.Sprintf(`{"full":%t}`, full)); err != nil {
				rt.Fatal(err)
			}
			if got := shown(t, data); got != m.String() {
				rt.Fatalf("readers see\n%s\nthe directory is\n%s\npages %s", got, m, pages)
			}
		}
	})
}

// A round of any size is written as it comes, tells how far it is, and ends with
// the same rows. An incremental one changes nothing before it is known to its end,
// unless it is very large.
func TestGroupsSyncOfALargeDirectory(t *testing.T) {
	t.Parallel()
	const groups, each = 3_000, 5
	page := func(from, n int, next, delta string) provider.Page {
		p := provider.Page{Next: next, Delta: delta}
		for i := from; i < from+n; i++ {
			var members []string
			for m := range each {
				members = append(members, fmt.Sprintf(`{"id":"m%d"}`, m))
			}
			p.Items = append(p.Items, objects(fmt.Sprintf(`{"id":"g%d","displayName":"G","members@delta":[%s]}`, i, strings.Join(members, ",")))...)
		}
		return p
	}
	for name, pages := range map[string]map[string]provider.Page{
		"one page":   {initial: page(0, groups, "", "d1")},
		"many pages": {initial: page(0, 1000, "n1", ""), "n1": page(1000, 1000, "n2", ""), "n2": page(2000, 1000, "", "d1")},
	} {
		data := &watched{Memory: &datatest.Memory{}}
		clock := epoch
		r, err := runWith(t, op.DirectoryGroupsSync, &fake{page: script(pages)}, data, "", func(env *catalogue.Env) {
			env.Now = func() time.Time { clock = clock.Add(time.Second); return clock }
		})
		if err != nil {
			t.Fatal(err)
		}
		d, _ := data.Dataset(t.Context(), catalogue.Groups)
		if d.Count != groups || d.Members != groups*each || r.Counts != (op.Counts{Done: groups, Total: groups}) {
			t.Errorf("%s: %+v, progress %+v", name, d, r.Counts)
		}
		if len(r.Done) < 3 || !slices.IsSorted(r.Done) {
			t.Errorf("%s: progress was told as %v", name, r.Done)
		}
		if data.most > 6_000 {
			t.Errorf("%s: %d rows were written at once", name, data.most)
		}
		if len(data.writes) < 3 {
			t.Errorf("%s: everything was written at once: %v", name, data.writes)
		}
	}
	// Held until its end: a round that is cut off has changed nothing.
	data := &watched{Memory: had(t)}
	cutOff := map[string]provider.Page{"d1": page(0, groups, "n1", "")}
	if _, err := runWith(t, op.DirectoryGroupsSync, &fake{page: script(cutOff)}, data, "", func(*catalogue.Env) {}); err == nil {
		t.Fatal("it was not cut off")
	}
	if d, _ := data.Dataset(t.Context(), catalogue.Groups); d.Delta != "d1" || len(data.writes) > 0 {
		t.Errorf("a round that was cut off left %+v after %d writes", d, len(data.writes))
	}
}

// watched is data that counts what is written at once.
type watched struct {
	*datatest.Memory
	writes []int
	most   int
}

type watchedRound struct {
	catalogue.Round
	data *watched
}

func (w *watched) Begin(ctx context.Context, name string, full bool) (catalogue.Round, error) {
	r, err := w.Memory.Begin(ctx, name, full)
	return watchedRound{r, w}, err
}

func (r watchedRound) PutMembers(ctx context.Context, members []catalogue.Member) error {
	r.data.writes = append(r.data.writes, len(members))
	r.data.most = max(r.data.most, len(members))
	return r.Round.PutMembers(ctx, members)
}
