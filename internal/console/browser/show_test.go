//go:build browser

package browser

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/demo"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

const workspace = "lattice"

// show is the whole product with a demo's tenants, in this process. Tests share the one on
// SQLite. Each takes fresh tenants, so that no test waits for another's run.
type show struct {
	demo.Info
	demo    *demo.Demo
	control *graphsim.Control
	stop    func()

	mu    sync.Mutex
	fresh []string // slugs of ready tenants that no test has taken yet
}

// spare is how many ready tenants tests can take.
const spare = 40

// shows are those that last for the whole lane.
var shows []*show

func closeShows() {
	for _, s := range shows {
		s.stop()
	}
}

// stage is the show that most tests play on.
var stage = sync.OnceValues(func() (*show, error) {
	s, err := open(context.Background(), demo.Config{Tenants: spare})
	if err == nil {
		shows = append(shows, s)
	}
	return s, err
})

func onStage(t *testing.T) *show {
	t.Helper()
	s, err := stage()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// onBoth runs fn with a show on each engine.
func onBoth(t *testing.T, fn func(t *testing.T, s *show)) {
	t.Helper()
	t.Run(string(db.SQLite), func(t *testing.T) { fn(t, onStage(t)) })
	t.Run(string(db.Postgres), func(t *testing.T) {
		s, err := open(t.Context(), demo.Config{Tenants: 8, Database: dbtest.URL(t, db.Postgres)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.stop)
		fn(t, s)
	})
}

// onBothAtLength is onBoth; with -short it skips PostgreSQL.
func onBothAtLength(t *testing.T, fn func(t *testing.T, s *show)) {
	t.Helper()
	if testing.Short() {
		fn(t, onStage(t))
		return
	}
	onBoth(t, fn)
}

// open starts a demo, which serves until it is stopped.
func open(ctx context.Context, cfg demo.Config) (*show, error) {
	d, err := demo.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx) }()
	s := &show{Info: d.Info, demo: d, stop: func() {
		cancel()
		if err := <-served; err != nil {
			panic(err) // the product under test ended by itself
		}
		d.Close()
	}}
	for i := range cfg.Tenants {
		s.fresh = append(s.fresh, fmt.Sprintf("load-%04d", i+1))
	}
	pem, err := os.ReadFile(d.Info.SimulatorCA)
	if err != nil {
		s.stop()
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.control = graphsim.NewControl(d.Info.Simulator, d.Info.SimulatorToken, &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	})
	return s, nil
}

// user returns the demo user with a role.
func (s *show) user(t *testing.T, role string) demo.User {
	t.Helper()
	i := slices.IndexFunc(s.Users, func(u demo.User) bool { return u.Role == role })
	if i < 0 {
		t.Fatalf("the demo has no %s", role)
	}
	return s.Users[i]
}

// as returns an API client for the demo user with a role.
func (s *show) as(t *testing.T, role string) *client.Client {
	t.Helper()
	return s.with(t, s.user(t, role).Token)
}

func (s *show) with(t *testing.T, token string) *client.Client {
	t.Helper()
	c, err := client.New(s.URL, token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// place is a tenant with its default connection.
type place struct {
	client.Tenant
	t    *testing.T
	show *show
}

func (s *show) place(t *testing.T, slug string) place {
	t.Helper()
	tenant, err := s.as(t, "owner").Tenant(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	return place{tenant, t, s}
}

// ready takes a fresh tenant on which every operation can start.
func (s *show) ready(t *testing.T) place {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) == 0 {
		t.Fatal("no ready tenant is left: raise spare")
	}
	slug := s.fresh[0]
	s.fresh = s.fresh[1:]
	return s.place(t, slug)
}

func (p place) path() string       { return op.TenantPath(workspace, p.Slug) }
func (p place) connection() string { return op.ConnectionPath(workspace, p.Slug, p.Default.Slug) }

// fault adds a fault to the tenant's directory until the test ends or the returned function
// is called.
func (p place) fault(f graphsim.Fault) (end func()) {
	p.t.Helper()
	f.Tenant = p.DirectoryID
	id, err := p.show.control.AddFault(p.t.Context(), f)
	if err != nil {
		p.t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		if err := p.show.control.ClearFaults(context.WithoutCancel(p.t.Context()), id); err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(end)
	return end
}

// hold makes the provider hold its answers to the tenant's runs.
func (p place) hold() (release func()) {
	p.t.Helper()
	return p.fault(graphsim.Fault{Path: "/v1.0/*", Action: graphsim.Action{Kind: graphsim.ActHold}})
}

// start starts an operation through the API, as the operator.
func (p place) start(kind op.Kind) op.RunRef {
	p.t.Helper()
	a, err := p.show.as(p.t, "operator").Start(p.t.Context(), p.Slug, startOf(kind))
	if err != nil || a.Run == nil {
		p.t.Fatalf("start %s of %s: %v, %s", kind, p.Slug, err, a.Code)
	}
	return *a.Run
}

// runs are the runs of the tenant, newest first.
func (p place) runs() []op.Run {
	p.t.Helper()
	runs, err := p.show.as(p.t, "owner").Runs(p.t.Context(), client.RunFilter{Tenant: p.Slug})
	if err != nil {
		p.t.Fatal(err)
	}
	return runs.Items
}

// attempts returns the tenant's start attempts, newest first.
func (p place) attempts() []client.Attempt {
	p.t.Helper()
	attempts, err := p.show.as(p.t, "owner").Attempts(p.t.Context(), client.AttemptFilter{Tenant: p.Slug})
	if err != nil {
		p.t.Fatal(err)
	}
	return attempts.Items
}

// untouched fails the test when anything was started on the tenant.
func (p place) untouched() {
	p.t.Helper()
	if runs, attempts := len(p.runs()), len(p.attempts()); runs+attempts > 0 {
		p.t.Errorf("%s has %d runs and %d attempts, want none", p.Slug, runs, attempts)
	}
}

// ended waits until a run has ended.
func (p place) ended(run string) op.Run {
	p.t.Helper()
	return p.until(run, func(r op.Run) bool { return r.State == op.Finished })
}

// until waits for a run to be as wanted.
func (p place) until(run string, wanted func(op.Run) bool) op.Run {
	p.t.Helper()
	api := p.show.as(p.t, "owner")
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r, err := api.Run(p.t.Context(), run)
		if err != nil {
			p.t.Fatal(err)
		}
		if wanted(r) {
			return r
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("run %s is still %s", r.Code, cmp.Or(r.Words.Code, string(r.State)))
		}
	}
}

func startOf(kind op.Kind) client.StartRequest { return client.StartRequest{Operation: kind} }
