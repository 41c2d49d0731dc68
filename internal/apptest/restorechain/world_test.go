package restorechain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/api"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/cli"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// world is the console and the API on one database, for the command line, too. There is
// no worker: what is accepted stays queued.
type world struct {
	*consoletest.World
	t      *testing.T
	api    *httptest.Server
	second access.Actor // another owner
	places int
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{World: consoletest.NewWorld(t, d, console.Deps{}), t: t}
	logger := slog.New(slog.DiscardHandler)
	w.api = httptest.NewServer(httpx.Front{Logger: logger}.Wrap(api.New(api.Deps{
		Door: w.Door(access.Limits{}, ""), Store: w.Store, Mirror: w.Mirror, Plans: w.Plans, Gate: w.Gate, Flow: w.Flow, Feed: w.Feed, Logger: logger,
	})))
	t.Cleanup(w.api.Close)
	w.second = w.Member("Ola Berg", "ola.berg@lattice.example", tenancy.Owner)
	w.SignIn()
	t.Setenv("INTERLOCK_CONFIG", filepath.Join(t.TempDir(), "config.json"))
	return w
}

// place is a tenant with a connection, a backup, and a preview by the operator that can be
// executed.
type place struct {
	w                        *world
	slug, tenant, connection string
	backup, plan             string
}

const source = "8c4e0b1a-5d0f-4f0e-9d61-2f7a60be91d2" // directory of the backup

func (w *world) place() *place { return w.placeIn(w.Workspace, w.Operator.Person()) }

func (w *world) placeIn(workspace string, author op.Person) *place {
	w.t.Helper()
	w.places++
	p := &place{w: w, slug: fmt.Sprintf("t%02d", w.places), backup: access.NewID()}
	p.tenant = w.Tenant(workspace, p.slug, "Tenant "+p.slug)
	p.connection = w.Connection(workspace, p.tenant, p.slug, nil)
	w.Exec(`INSERT INTO backup_sets (id, workspace_id, tenant_id, directory_id, run_id, state, origin, tool, layout, as_of, types, complete, items, incomplete, size, pinned)
		VALUES ($1, $2, $3, $4, '', 'kept', 'run', '', '', 1, '[]', TRUE, 0, 0, 0, FALSE)`, p.backup, workspace, p.tenant, source)
	mapping := restore.Mapping{Kind: policy.Groups, SourceDirectory: source, Source: "g-there", TargetDirectory: gatetest.Directory(p.slug), Target: "g-here"}
	body := json.RawMessage(`{"displayName":"Tablets"}`)
	packed, err := w.Plans.Pack(plans.Made{Workspace: workspace, Tenant: p.tenant, Run: access.NewID(), Code: "PREVIEW", Author: author}, restore.Plan{
		Set: p.backup, SourceDirectory: source, AsOf: time.Now().UTC(), At: time.Now().UTC().Truncate(time.Microsecond), Mappings: []restore.Mapping{mapping},
		Choices: []restore.Chosen{}, Warnings: []restore.WarningCode{restore.ConditionalAccess, restore.CrossesDirectories}, Unread: []restore.Unread{},
		Target: restore.Target{Tenant: p.tenant, Connection: p.connection, Version: 1, Directory: gatetest.Directory(p.slug)},
		Steps: []restore.Step{{N: 1, Type: "assignmentFilters", Source: "f1", Name: "Tablets", Action: restore.Create, Calls: []restore.Call{
			{Method: "POST", Path: "/beta/deviceManagement/assignmentFilters", Hash: restore.HashOf(body), Body: body},
		}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Write(func(ctx context.Context, tx db.Tx) error {
		if _, err := plans.Map(ctx, tx, workspace, author, mapping, catalogue.MappedByPerson); err != nil {
			return err
		}
		if err := plans.Begin(ctx, tx, packed); err != nil {
			return err
		}
		for _, b := range packed.Batches() {
			if err := b.Put(ctx, tx); err != nil {
				return err
			}
		}
		return plans.Commit(ctx, tx, packed)
	})
	p.plan = packed.Hash
	return p
}

// set changes a stored row of the place: the tenant's plan, connection or backup.
func (p *place) set(table, set string, args ...any) {
	p.w.t.Helper()
	p.w.Exec(`UPDATE `+table+` SET `+set+` WHERE tenant_id = '`+p.tenant+`'`, args...)
}

// approve stores an approval without asking whether it may be given.
func (p *place) approve(by access.Actor, expires time.Time) {
	p.w.t.Helper()
	p.w.Exec(`INSERT INTO plan_approvals (plan_id, person_id, person, at, expires_at) SELECT id, $2, $3, interlock_now(), $4 FROM plans WHERE hash = $1`,
		p.plan, by.ID(), by.Name(), expires.UnixMicro())
}

// require says whether restores of lattice need a second person.
func (w *world) require(approval bool) {
	w.t.Helper()
	w.Exec(`UPDATE workspaces SET restore_approval = $2 WHERE id = $1`, w.Workspace, approval)
}

// said is an answer on one surface.
type said struct {
	status int    // HTTP; 0 on the command line
	exit   int    // of the command line; -1 elsewhere
	text   string // everything that is said, on one line
	body   []byte // as the API sends it
}

// Surfaces on which a start is asked for.
const (
	onWeb       = "web"
	onAPI       = "API"
	onPreflight = "preflight"
	onCLI       = "CLI"
)

// start asks for a start on a surface.
func (w *world) start(surface string, by access.Actor, p *place, kind op.Kind, connection string, parameters any) said {
	w.t.Helper()
	text, err := json.Marshal(parameters)
	if err != nil {
		w.t.Fatal(err)
	}
	switch surface {
	case onWeb:
		a := w.With(w.Bearer(by)).WithScript().Send(http.MethodPost, op.StartPath("lattice", p.slug, kind),
			url.Values{"key": {web.NewKey(time.Now())}, "parameters": {string(text)}, "connection": {connection}})
		return said{a.Status, -1, line(a.Page.Text()), nil}
	case onPreflight:
		q := url.Values{"operation": {string(kind)}, "parameters": {string(text)}, "connection": {connection}}
		if connection == "" {
			q.Del("connection")
		}
		return w.ask(by, http.MethodGet, "/tenants/"+p.slug+"/preflight?"+q.Encode(), nil)
	case onCLI:
		args := []string{"start", string(kind), "--tenant", p.slug, "--parameters", string(text)}
		if connection != "" {
			args = append(args, "--connection", connection)
		}
		return w.command(by, args...)
	}
	in := map[string]any{"operation": kind, "parameters": json.RawMessage(text)}
	if connection != "" {
		in["connection"] = connection
	}
	return w.ask(by, http.MethodPost, "/tenants/"+p.slug+"/starts", in)
}

// ask sends a request to the API.
func (w *world) ask(by access.Actor, method, path string, body any) said {
	w.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.api.URL+api.Base+path, in)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.Bearer(by))
	r.Header.Set("Idempotency-Key", access.NewID())
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.api.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return said{resp.StatusCode, -1, line(string(text)), text}
}

// command runs a command of the command line.
func (w *world) command(by access.Actor, args ...string) said {
	w.t.Helper()
	w.t.Setenv("INTERLOCK_URL", w.api.URL)
	w.t.Setenv("INTERLOCK_TOKEN", w.Bearer(by))
	var out, errs strings.Builder
	root := cli.Root(cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs})
	root.SetArgs(args)
	code := cli.Execute(w.t.Context(), root)
	return said{0, code, line(out.String() + errs.String()), nil}
}

var passing = regexp.MustCompile(`for (less than a|\d+) \w+|for a moment|just now|\d+ \w+ ago`)

// line puts text on one line, without what differs from one second to the next.
func line(text string) string {
	return passing.ReplaceAllString(strings.Join(strings.Fields(text), " "), "")
}

// queued counts what could run: runs, and jobs.
func (w *world) queued() int64 {
	return w.Int(`SELECT COUNT(*) FROM runs`) + w.Int(`SELECT COUNT(*) FROM river_job`)
}
