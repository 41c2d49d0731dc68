//go:build linux

package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/demo"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// onBoth runs fn on each engine, beside other tests.
func onBoth(t *testing.T, fn func(t *testing.T, engine db.Engine)) {
	t.Helper()
	t.Parallel()
	for _, engine := range dbtest.Engines() {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			fn(t, engine)
		})
	}
}

// world is one installation: its database, root key and first owner, and the Microsoft
// 365 that it calls. Nodes are its processes.
type world struct {
	t        *testing.T
	engine   db.Engine
	database string // URL
	key      string // file of the root key
	sim      *graphsim.Server
	control  *graphsim.Control
	ca       string // file with the simulator's CA certificate
	owner    account
	nodes    []*node
}

// account is someone who can sign in.
type account struct{ name, email, password, token string }

const workspace = "lattice"

// newWorld creates an installation with the product's own command. Nothing runs yet.
func newWorld(t *testing.T, engine db.Engine) *world {
	t.Helper()
	return newWorldAt(t, engine, dbtest.URL(t, engine), t.TempDir())
}

// newWorldAt is newWorld with the caller's database, and a folder for the rest.
func newWorldAt(t *testing.T, engine db.Engine, database, folder string) *world {
	t.Helper()
	w := &world{
		t: t, engine: engine, database: database, key: filepath.Join(folder, "root.key"), ca: filepath.Join(folder, "ca.pem"),
		owner: account{name: "Mei Tan", email: "mei.tan@lattice.example", password: "e2e-" + rand.Text()},
	}
	sim, err := graphsim.New(graphsim.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	if err := sim.WriteCA(w.ca); err != nil {
		t.Fatal(err)
	}
	w.sim, w.control = sim, sim.Control()
	w.admin(w.owner.password+"\n", "bootstrap", "--email", w.owner.email, "--name", w.owner.name,
		"--workspace", workspace, "--workspace-name", "Lattice Managed IT")
	return w
}

// admin runs a server-side command, which has to succeed.
func (w *world) admin(in string, args ...string) string {
	w.t.Helper()
	return must(w.t, nil, in, program, w.onDatabase(args...)...)
}

func (w *world) onDatabase(args ...string) []string {
	return append(args, "--database", w.database, "--root-key", w.key)
}

// node is one server process.
type node struct {
	*process
	w     *world
	url   string
	addr  string
	owned *client.Client // acts for the owner
}

// Intervals short enough to see a worker's death within seconds.
var short = []string{"--lease", "2s", "--heartbeat", "500ms", "--quarantine", "1s", "--reap-every", "200ms", "--backoff", "100ms"}

// start starts a node on a free port and waits until it is ready.
func (w *world) start(args ...string) *node { w.t.Helper(); return w.startAt("127.0.0.1:0", args...) }

func (w *world) startAt(addr string, args ...string) *node {
	w.t.Helper()
	n := w.launchAt(addr, args...)
	n.ready()
	if w.owner.token == "" {
		w.owner.token = n.signIn(w.owner)
	}
	n.owned = n.as(w.owner.token)
	return n
}

func (w *world) launchAt(addr string, args ...string) *node {
	w.t.Helper()
	args = append(w.onDatabase("serve", "--addr", addr, "--log-json", "--log-level", "debug",
		"--simulator", w.sim.URL(), "--simulator-ca", w.ca), args...)
	n := &node{process: launch(w.t, nil, program, args...), w: w}
	w.nodes = append(w.nodes, n)
	return n
}

// ready waits until the node listens.
func (n *node) ready() {
	n.t.Helper()
	var line struct{ URL string }
	if err := json.Unmarshal([]byte(n.await(n.log, `"msg":"Interlock is ready"`)), &line); err != nil {
		n.t.Fatal(err)
	}
	n.url, n.addr = line.URL, strings.TrimPrefix(line.URL, "http://")
}

// again restarts the node at its address.
func (n *node) again(args ...string) *node {
	n.t.Helper()
	return n.w.startAt(n.addr, args...)
}

// as returns a client with a token.
func (n *node) as(token string) *client.Client {
	n.t.Helper()
	c, err := client.New(n.url, token, client.Options{})
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// owner returns a client of the owner.
func (n *node) owner() *client.Client { return n.owned }

func (n *node) signIn(a account) string {
	n.t.Helper()
	s, err := n.as("").SignIn(n.t.Context(), a.email, a.password, "")
	if err != nil {
		n.t.Fatal(err)
	}
	return s.Token
}

// direct sends requests without redirects or retries.
var direct = &http.Client{
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 128},
}

// linkOf returns the secret of the one-time link in an answer.
func linkOf(t *testing.T, r reply) string {
	t.Helper()
	var told struct {
		Href string
		Link struct{ Href string }
	}
	if err := json.Unmarshal(r.body, &told); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(told.Href + told.Link.Href)
	if err != nil || u.Query().Get("link") == "" {
		t.Fatalf("no link is told: %d %s", r.status, r.body)
	}
	return u.Query().Get("link")
}

// reply is an answer as received.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask sends one request to path below /api/v1. A string body is sent as it is, any
// other as JSON; nil sends none.
func ask(ctx context.Context, url, token, method, path string, body any, header ...string) (reply, error) {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, url+"/api/v1"+path, in)
	if err != nil {
		return reply{}, err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	resp, err := direct.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, text}, err
}

// must sends one request that has to succeed and decodes the answer.
func (n *node) must(method, path string, body, into any) {
	n.t.Helper()
	r, err := ask(n.t.Context(), n.url, n.w.owner.token, method, path, body)
	if err != nil || r.status >= 300 {
		n.t.Fatalf("%s %s: %v %d %s", method, path, err, r.status, r.body)
	}
	if into != nil {
		if err := json.Unmarshal(r.body, into); err != nil {
			n.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// place is a tenant with one connection.
type place struct{ slug, directory, app, secret, connection string }

// small is a directory that is read within a fraction of a second.
func small(slug string) graphsim.TenantSpec {
	return graphsim.TenantSpec{
		ID: uuid.NewString(), DisplayName: slug, Domain: slug + ".example", Intune: true,
		Groups: 20, Policies: 20, Devices: 10, MobileApps: 10, DeltaPage: page,
	}
}

// tenant adds a tenant with a connection that is not verified yet.
func (n *node) tenant(slug string) place {
	n.t.Helper()
	spec := small(slug)
	p := place{slug: slug, directory: spec.ID, app: uuid.NewString(), secret: "s~" + rand.Text()}
	spec.Apps = []graphsim.AppSpec{{
		AppID: p.app, Name: "Interlock", Consented: true, Requested: demo.Permissions(), Secrets: []graphsim.Secret{{Value: p.secret}},
	}}
	if err := n.w.sim.AddTenant(spec); err != nil {
		n.t.Fatal(err)
	}
	var made struct{ ID string }
	n.must(http.MethodPost, "/tenants", map[string]any{"name": slug, "slug": slug, "domain": spec.Domain, "directory_id": spec.ID}, nil)
	n.must(http.MethodPost, "/tenants/"+slug+"/connections", map[string]any{"name": slug + " primary", "slug": "primary", "client_id": p.app}, &made)
	n.must(http.MethodPost, "/tenants/"+slug+"/connections/primary/credential", map[string]any{"secret": p.secret}, nil)
	p.connection = made.ID
	return p
}

// readyTenants adds tenants with verified connections, on which everything can run.
func (n *node) readyTenants(slugs ...string) []place {
	n.t.Helper()
	places := make([]place, len(slugs))
	for i, slug := range slugs {
		places[i] = n.tenant(slug)
	}
	var wg sync.WaitGroup
	for _, slug := range slugs {
		wg.Go(func() {
			if r, err := n.through(slug, op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
				n.t.Errorf("verify %s: %v %s %s", slug, err, r.Outcome, r.Words.Why)
			}
		})
	}
	wg.Wait()
	if n.t.Failed() {
		n.t.FailNow()
	}
	return places
}

// through starts an operation as the owner and follows its run until it ends.
func (n *node) through(tenant string, kind op.Kind) (op.Run, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	a, err := n.owner().Start(ctx, tenant, client.StartRequest{Operation: kind})
	if err != nil {
		return op.Run{}, err
	}
	if a.Run == nil {
		return op.Run{}, fmt.Errorf("%s: %s", a.Code, a.Title)
	}
	return n.owner().Follow(ctx, a.Run.ID, func(client.Event) error { return nil })
}

// accepted starts an operation that has to be accepted.
func (n *node) accepted(tenant string, kind op.Kind) op.RunRef {
	n.t.Helper()
	a, err := n.owner().Start(n.t.Context(), tenant, client.StartRequest{Operation: kind})
	if err != nil {
		n.t.Fatal(err)
	}
	if a.Outcome != op.Accepted {
		n.t.Fatalf("%s on %s: %s, want accepted", kind, tenant, a.Code)
	}
	return *a.Run
}

// run returns a run as the owner sees it.
func (n *node) run(id string) op.Run {
	n.t.Helper()
	r, err := n.owner().Run(n.t.Context(), id)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// ended waits for the end of a run.
func (n *node) ended(id string) op.Run {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	r, err := n.owner().Follow(ctx, id, func(client.Event) error { return nil })
	if err != nil {
		n.t.Fatalf("the end of run %s: %v", id, err)
	}
	return r
}

// fault adds a rule to the fault plan and returns its id.
func (w *world) fault(f graphsim.Fault) string {
	w.t.Helper()
	id, err := w.control.AddFault(w.t.Context(), f)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// hold makes Graph hold its answers to a tenant, until the fault is cleared.
func (w *world) hold(p place) string {
	w.t.Helper()
	return w.fault(graphsim.Fault{Tenant: p.directory, Action: graphsim.Action{Kind: graphsim.ActHold}})
}

// held waits until Graph holds an answer to each of the tenants.
func (w *world) held(places ...place) (holds []graphsim.Hold) {
	w.t.Helper()
	eventually(w.t, "a call of each tenant is held", func() bool {
		all, err := w.control.Holds(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		holds = holds[:0]
		for _, p := range places {
			i := slices.IndexFunc(all, func(h graphsim.Hold) bool { return h.Tenant == p.directory })
			if i < 0 {
				return false
			}
			holds = append(holds, all[i])
		}
		return true
	})
	return holds
}

// clear removes all faults.
func (w *world) clear() {
	w.t.Helper()
	if err := w.control.ClearFaults(w.t.Context(), ""); err != nil {
		w.t.Fatal(err)
	}
}

// calls returns the calls of a tenant after number since.
func (w *world) calls(since int, p place) []graphsim.Call {
	w.t.Helper()
	calls, err := w.control.Calls(w.t.Context(), since, p.directory)
	if err != nil {
		w.t.Fatal(err)
	}
	return calls
}

// press is one start as a raw request, with its answer.
type press struct {
	status  int
	answer  op.Answer
	problem client.Problem
}

func rawStart(ctx context.Context, url, token, tenant, key string, body any) (press, error) {
	r, err := ask(ctx, url, token, http.MethodPost, "/tenants/"+tenant+"/starts", body, "Idempotency-Key", key)
	if err != nil {
		return press{}, err
	}
	p := press{status: r.status}
	if strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") {
		return p, json.Unmarshal(r.body, &p.problem)
	}
	return p, json.Unmarshal(r.body, &p.answer)
}

// operations are all that can be started without parameters.
var operations = kinds()

func kinds() (all []op.Kind) {
	for _, d := range catalogue.All() {
		if !d.Input {
			all = append(all, d.Kind)
		}
	}
	return all
}

var counter atomic.Int64

// key returns a new idempotency key.
func key() string { return fmt.Sprintf("e2e-%d-%s", counter.Add(1), rand.Text()) }
