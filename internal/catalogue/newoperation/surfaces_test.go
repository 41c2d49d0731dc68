// Package newoperation_test proves that an operation is one file. filters_sync_test.go
// declares one that is not part of the product; the tests here find it on every
// surface and in every suite, without a word about it anywhere else.
package newoperation_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/cli"
	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/console/assets"
	"github.com/interlock-dev/interlock/internal/demo"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// patience bounds each wait for the demo; no test judges how fast anything is.
const patience = 2 * time.Minute

// world is the demo: the whole product on the simulator.
type world struct {
	*demo.Demo
	t *testing.T
}

func serve(t *testing.T) *world {
	t.Helper()
	d, err := demo.New(t.Context(), demo.Config{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
		d.Close()
	})
	return &world{Demo: d, t: t}
}

func (w *world) user(role string) demo.User {
	w.t.Helper()
	i := slices.IndexFunc(w.Info.Users, func(u demo.User) bool { return u.Role == role })
	if i < 0 {
		w.t.Fatalf("the demo has no %s", role)
	}
	return w.Info.Users[i]
}

// as is the API as somebody with the role sees it.
func (w *world) as(role string) *client.Client {
	w.t.Helper()
	c, err := client.New(w.Info.URL, w.user(role).Token, client.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// simulator is the control API of the demo's simulator.
func (w *world) simulator() *graphsim.Control {
	w.t.Helper()
	pem, err := os.ReadFile(w.Info.SimulatorCA)
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return graphsim.NewControl(w.Info.Simulator, w.Info.SimulatorToken, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}})
}

// directory is the directory of a tenant.
func (w *world) directory(slug string) string {
	w.t.Helper()
	list, err := w.as("operator").Connections(w.t.Context(), slug, client.Paging{})
	if err != nil || len(list.Items) != 1 {
		w.t.Fatalf("%d connections of %s, %v", len(list.Items), slug, err)
	}
	return list.Items[0].DirectoryID
}

// ended waits for the end of a run.
func (w *world) ended(id string) op.Run {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	run, err := w.as("operator").Follow(ctx, id, func(client.Event) error { return nil })
	if err != nil {
		w.t.Fatalf("run %s: %v", id, err)
	}
	return run
}

// command runs a command of interlock as an operator, and returns its exit code and
// everything that it wrote.
func (w *world) command(args ...string) (code int, out string) {
	w.t.Helper()
	w.t.Setenv("INTERLOCK_URL", w.Info.URL)
	w.t.Setenv("INTERLOCK_TOKEN", w.user("operator").Token)
	w.t.Setenv("INTERLOCK_CONFIG", w.t.TempDir()+"/config.json")
	var b bytes.Buffer
	root := cli.Root(cli.IO{In: strings.NewReader(""), Out: &b, Err: &b})
	root.SetArgs(args)
	code = cli.Execute(w.t.Context(), root)
	return code, b.String()
}

// browser is somebody's browser on the console.
type browser struct {
	w      *world
	cookie *http.Cookie
}

func (w *world) signIn(role string) *browser {
	w.t.Helper()
	b := &browser{w: w}
	u := w.user(role)
	r := b.do(http.MethodPost, "/sign-in", url.Values{"email": {u.Email}, "password": {u.Password}})
	i := slices.IndexFunc(r.cookies, func(c *http.Cookie) bool { return strings.HasSuffix(c.Name, "interlock") })
	if i < 0 {
		w.t.Fatalf("signing in as %s is answered with %s", role, r.status)
	}
	b.cookie = r.cookies[i]
	return b
}

// answered is the answer to a request, read to its end.
type answered struct {
	status  string
	code    int
	header  http.Header
	cookies []*http.Cookie
	body    []byte
}

func (b *browser) do(method, path string, form url.Values) answered {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.Info.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	hc := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return answered{resp.Status, resp.StatusCode, resp.Header, resp.Cookies(), body}
}

// page reads a page, which must be there.
func (b *browser) page(path string) *goquery.Document {
	b.w.t.Helper()
	r := b.do(http.MethodGet, path, nil)
	if r.code != http.StatusOK {
		b.w.t.Fatalf("%s is answered with %s", path, r.status)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(r.body))
	if err != nil {
		b.w.t.Fatal(err)
	}
	return doc
}

// press sends the start form of the operation on a tenant's page and returns the page
// that it leads to.
func (b *browser) press(tenant string) *goquery.Document {
	b.w.t.Helper()
	path := op.TenantPath("lattice", tenant)
	form := b.page(path).Find("#start-filters-sync")
	values := url.Values{}
	form.Find("input").Each(func(_ int, in *goquery.Selection) { values.Add(in.AttrOr("name", ""), in.AttrOr("value", "")) })
	if got := strings.TrimSpace(form.Find("button").Text()); !strings.Contains(got, "Read filters") {
		b.w.t.Fatalf("the start button on %s says %q", path, got)
	}
	drawing, err := goquery.NewDocumentFromReader(strings.NewReader("<svg>" + assets.Icon(filtersSync.Icon) + "</svg>"))
	if err != nil {
		b.w.t.Fatal(err)
	}
	want, _ := drawing.Find("svg").Html()
	if got, _ := form.Closest("li").Find(".acts__icon svg").Html(); want == "" || strings.TrimSpace(got) != strings.TrimSpace(want) {
		b.w.t.Errorf("the start line on %s has the icon %q, want %q", path, got, want)
	}
	r := b.do(http.MethodPost, form.AttrOr("action", ""), values)
	if r.code != http.StatusSeeOther {
		b.w.t.Fatalf("the press is answered with %s", r.status)
	}
	return b.page(r.header.Get("Location"))
}

// TestNewOperation walks the operation through every surface and every suite.
func TestNewOperation(t *testing.T) {
	t.Run("surfaces", everySurface)
	t.Run("faults", func(t *testing.T) { operationtest.Faults(t, filtersSync) })
	t.Run("sign-in faults", func(t *testing.T) { operationtest.SignInFaults(t, filtersSync) })
	t.Run("lost runs", func(t *testing.T) {
		s := operationtest.Simulate(t, nil)
		operationtest.LostRuns(t, filtersSync, func() provider.Client { return s.Client(t) }, 0)
	})
	t.Run("readiness", readinessStays) // the last: it registers an operation that the simulator can't serve
}

// everySurface finds the operation wherever people start, follow and read.
func everySurface(t *testing.T) {
	w := serve(t)
	ctx := t.Context()
	operator := w.as("operator")

	t.Run("the list of operations, and its parameters", func(t *testing.T) {
		all, err := operator.Operations(ctx)
		i := slices.IndexFunc(all.Items, func(o client.Operation) bool { return o.Kind == filtersSync.Kind })
		if err != nil || i < 0 {
			t.Fatalf("the API does not list it: %v", err)
		}
		o := all.Items[i]
		if o.Name != "Filters sync" || o.CapabilityName != "Sync assignment filters" || !o.Allowed || o.Baseline || len(o.Datasets) != 1 ||
			!strings.Contains(string(o.Parameters), "Only when the groups of the tenant were read.") {
			t.Errorf("the API lists %+v", o)
		}
		if code, out := w.command("operations"); code != 0 || !strings.Contains(out, "filters.sync") || !strings.Contains(out, filtersSync.Words.Does) {
			t.Errorf("interlock operations: %d\n%s", code, out)
		}
	})
	t.Run("the document of the API", func(t *testing.T) {
		text := (&browser{w: w}).do(http.MethodGet, "/api/v1/openapi.json", nil).body
		var doc struct {
			Paths map[string]map[string]struct {
				ID         string `json:"operationId"`
				Parameters []struct {
					Name, Description string
					Schema            struct{ Enum []string }
				}
			}
		}
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		list := doc.Paths["/api/v1/tenants/{tenant}/filters"]["get"]
		i := slices.IndexFunc(list.Parameters, func(p struct {
			Name, Description string
			Schema            struct{ Enum []string }
		},
		) bool {
			return p.Name == "type"
		})
		if list.ID != "list-filters" || i < 0 || list.Parameters[i].Description != "One platform only." || !slices.Equal(list.Parameters[i].Schema.Enum, []string{"windows"}) {
			t.Errorf("the list is %+v", list)
		}
		if n := bytes.Count(text, []byte(`"filters.sync"`)); n < 2 {
			t.Errorf("the document names it %d times, want it among the kinds and among the capabilities", n)
		}
	})
	t.Run("completion", func(t *testing.T) {
		for args, want := range map[string]string{
			"start ":                         "filters.sync\t" + filtersSync.Words.Does,
			"list ":                          "filters\tAssignment filters",
			"list filters --type ":           "windows",
			"preflight ":                     "filters.sync\t",
			"list groups --tenant x --type ": "security",
		} {
			if _, out := w.command(append([]string{"__complete"}, strings.Split(args, " ")...)...); !strings.Contains(out, want) {
				t.Errorf("after %q: %q, want %q", args, out, want)
			}
		}
	})

	ana := w.signIn("operator")
	t.Run("blocked", func(t *testing.T) {
		want := "Filters sync did not start"
		answer, err := operator.Start(ctx, "juniper", client.StartRequest{Operation: filtersSync.Kind})
		if err != nil || answer.Code != "blocked/consent_missing" || answer.Title != want {
			t.Errorf("API: %s %q, %v", answer.Code, answer.Title, err)
		}
		if code, out := w.command("start", "filters.sync", "--tenant", "juniper"); code != 4 || !strings.Contains(out, want) {
			t.Errorf("command: %d\n%s", code, out)
		}
		if got := ana.press("juniper").Find("#answer-filters-sync").Text(); !strings.Contains(got, want) || !strings.Contains(got, answer.Reasons[0].Detail) {
			t.Errorf("console: %q", got)
		}
	})
	t.Run("what the parameters need", func(t *testing.T) {
		with := client.StartRequest{Operation: filtersSync.Kind, Parameters: json.RawMessage(`{"groups":true}`)}
		answer, err := operator.Start(ctx, "kestrel", with)
		if err != nil || answer.Code != "blocked/"+string(groupsUnread) {
			t.Errorf("before the groups were read: %s, %v", answer.Code, err)
		}
		groups, err := operator.Start(ctx, "kestrel", client.StartRequest{Operation: op.DirectoryGroupsSync})
		if err != nil || groups.Run == nil {
			t.Fatal(groups.Code, err)
		}
		w.ended(groups.Run.ID)
		answer, err = operator.Preflight(ctx, "kestrel", with)
		if err != nil || answer.Outcome != op.Accepted {
			t.Errorf("afterwards: %s, %v", answer.Code, err)
		}
		for field, bad := range map[string]string{"parameters.colour": `{"colour":"red"}`, "parameters.groups": `{"groups":"yes"}`} {
			_, err := operator.Start(ctx, "kestrel", client.StartRequest{Operation: filtersSync.Kind, Parameters: json.RawMessage(bad)})
			var p *client.Problem
			if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Detail, field) {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
	t.Run("deduped", func(t *testing.T) {
		sim := w.simulator()
		fault, err := sim.AddFault(ctx, graphsim.Fault{Tenant: w.directory("alder-street"), Path: "/beta/deviceManagement/assignmentFilters*", Action: graphsim.Action{Kind: graphsim.ActHold}})
		if err != nil {
			t.Fatal(err)
		}
		first, err := operator.Start(ctx, "alder-street", client.StartRequest{Operation: filtersSync.Kind})
		if err != nil || first.Outcome != op.Accepted {
			t.Fatalf("API: %s, %v", first.Code, err)
		}
		running := errors.New("it is running")
		_, err = operator.Follow(ctx, first.Run.ID, func(e client.Event) error {
			if e.Run != nil && e.Run.State == op.Running {
				return running
			}
			return nil
		})
		if !errors.Is(err, running) {
			t.Fatalf("it does not begin: %v", err)
		}
		want := "Filters sync is already running"
		answer, err := operator.Preflight(ctx, "alder-street", client.StartRequest{Operation: filtersSync.Kind})
		if err != nil || answer.Outcome != op.Deduped {
			t.Errorf("preflight: %s, %v", answer.Code, err)
		}
		answer, err = operator.Start(ctx, "alder-street", client.StartRequest{Operation: filtersSync.Kind})
		if err != nil || answer.Outcome != op.Deduped || answer.Title != want || answer.Run == nil || answer.Run.ID != first.Run.ID {
			t.Errorf("API: %+v, %v", answer, err)
		}
		if code, out := w.command("start", "filters.sync", "--tenant", "alder-street"); code != 0 || !strings.Contains(out, want) || !strings.Contains(out, first.Run.Code) {
			t.Errorf("command: %d\n%s", code, out)
		}
		if got := ana.press("alder-street").Find("#answer-filters-sync").Text(); !strings.Contains(got, want) || !strings.Contains(got, first.Run.Code) {
			t.Errorf("console: %q", got)
		}
		if err := sim.ClearFaults(ctx, fault); err != nil {
			t.Fatal(err)
		}
		if run := w.ended(first.Run.ID); run.Outcome != op.RunSucceeded {
			t.Errorf("it ended %s", run.Words.Code)
		}
		if runs, err := operator.Runs(ctx, client.RunFilter{Operation: filtersSync.Kind}); err != nil || len(runs.Items) != 1 {
			t.Errorf("%d runs, %v", len(runs.Items), err)
		}
	})
	t.Run("busy", func(t *testing.T) { // Tern Bay has a long inventory sync under way
		want := "Filters sync did not start"
		answer, err := operator.Start(ctx, "tern-bay", client.StartRequest{Operation: filtersSync.Kind})
		if err != nil || answer.Outcome != op.ScopeBusy || answer.Title != want {
			t.Errorf("API: %s %q, %v", answer.Code, answer.Title, err)
		}
		if code, out := w.command("start", "filters.sync", "--tenant", "tern-bay"); code != 3 || !strings.Contains(out, want) {
			t.Errorf("command: %d\n%s", code, out)
		}
		if got := ana.press("tern-bay").Find("#answer-filters-sync").Text(); !strings.Contains(got, want) {
			t.Errorf("console: %q", got)
		}
	})
	t.Run("accepted, worked and listed", func(t *testing.T) {
		page := ana.press("marlow")
		if got := page.Find("#answer-filters-sync").Text(); !strings.Contains(got, "Filters sync is queued") {
			t.Fatalf("console: %q", got)
		}
		runs, err := operator.Runs(ctx, client.RunFilter{Tenant: "marlow", Operation: filtersSync.Kind})
		if err != nil || len(runs.Items) != 1 {
			t.Fatalf("%d runs of it, %v", len(runs.Items), err)
		}
		run := w.ended(runs.Items[0].ID)
		if run.Outcome != op.RunSucceeded || run.Counts.Done == 0 {
			t.Fatalf("it ended %s with %+v: %s", run.Words.Code, run.Counts, run.Words.Why)
		}
		if got := ana.page(op.RunPath("lattice", run.Code)).Find("main").Text(); !strings.Contains(got, "Filters sync") || !strings.Contains(got, filtersSync.Kind.Work(run.Counts)) {
			t.Errorf("the run's page says %q", got)
		}
		rows, err := operator.List(ctx, "marlow", "filters", client.DataFilter{})
		if err != nil || int64(len(rows.Items)) != run.Counts.Done || rows.Items[0].Name == "" {
			t.Fatalf("the API lists %+v, %v", rows, err)
		}
		windows, err := operator.List(ctx, "marlow", "filters", client.DataFilter{Type: "windows"})
		if err != nil || len(windows.Items) == 0 || slices.ContainsFunc(windows.Items, func(r client.Record) bool { return r.Type != "windows10AndLater" }) {
			t.Errorf("narrowed: %+v, %v", windows, err)
		}
		tenant := ana.page(op.TenantPath("lattice", "marlow"))
		if tab := tenant.Find("nav a").FilterFunction(func(_ int, a *goquery.Selection) bool { return strings.TrimSpace(a.Text()) == "Filters" }); tab.AttrOr("href", "") != op.TenantPath("lattice", "marlow")+"/filters" {
			t.Errorf("the tab leads to %q", tab.AttrOr("href", ""))
		}
		list := ana.page(op.TenantPath("lattice", "marlow") + "/filters").Find("main").Text()
		for _, want := range []string{"Assignment filters of Marlow Foods, as Interlock last read them.", rows.Items[0].Name, "windows10AndLater", "Sync now"} {
			if !strings.Contains(list, want) {
				t.Errorf("the page of the list lacks %q: %s", want, list)
			}
		}
		if code, out := w.command("list", "filters", "--tenant", "marlow"); code != 0 || !strings.Contains(out, rows.Items[0].Name) {
			t.Errorf("interlock list filters: %d\n%s", code, out)
		}
		if code, out := w.command("start", "filters.sync", "--tenant", "fenwick", "--wait"); code != 0 || !strings.Contains(out, "Filters sync") {
			t.Errorf("interlock start --wait: %d\n%s", code, out)
		}
	})
	t.Run("without the capability", func(t *testing.T) {
		_, err := w.as("viewer").Start(ctx, "kestrel", client.StartRequest{Operation: filtersSync.Kind})
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != http.StatusForbidden || !strings.Contains(p.Detail, "“Sync assignment filters”") || p.Title != "You can't start filters sync here" {
			t.Errorf("a viewer is answered %v", err)
		}
		lacks := w.signIn("viewer").page(op.TenantPath("lattice", "kestrel"))
		if lacks.Find("#start-filters-sync").Length() != 0 || !strings.Contains(lacks.Find("main").Text(), "Sync assignment filters") {
			t.Error("a viewer is offered the start, or not told what it takes")
		}
		only, err := operator.CreateToken(ctx, "filters only", time.Hour, []string{"view", "filters.sync"})
		if err != nil {
			t.Fatal(err)
		}
		narrow, err := client.New(w.Info.URL, only.Secret, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := narrow.Preflight(ctx, "alder-street", client.StartRequest{Operation: filtersSync.Kind}); err != nil {
			t.Errorf("a token with the capability: %v", err)
		}
		if _, err := narrow.Preflight(ctx, "alder-street", client.StartRequest{Operation: op.InventorySync}); !errors.As(err, &p) || p.Status != http.StatusForbidden {
			t.Errorf("a token without another's capability is answered %v", err)
		}
		for role, want := range map[tenancy.Role]bool{tenancy.Owner: true, tenancy.Operator: true, tenancy.Viewer: false} {
			if got := slices.Contains(role.Capabilities(), filtersSync.Capability); got != want {
				t.Errorf("%s has the capability: %t", role, got)
			}
		}
	})
}
