// Package app assembles Interlock: it is the one package that knows all others. The
// server, the demo and the end-to-end tests all start it with [New].
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/api"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/checkpoint"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/doctor"
	"github.com/interlock-dev/interlock/internal/flow"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/worker"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/outbound"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/graph"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
	"github.com/interlock-dev/interlock/internal/workload"
)

// Config is the configuration. A zero interval means its default, which package worker
// or gate names.
type Config struct {
	Database string      // see [db.Config]
	Root     *vault.Root // opens the credentials
	// Simulator replaces every Microsoft cloud; nil: the real ones.
	Simulator *Simulator
	Logger    *slog.Logger
	// PublicURL is the address that browsers use for this server, without a slash at
	// the end. If it is empty, consent can't be requested, since its page leads back to
	// this address.
	PublicURL string

	// FederatedTokenFile is the file in which the platform keeps the token of this server's
	// workload identity; empty: none. FederatedWorkspaces are the slugs of the workspaces
	// whose connections may sign in with it.
	FederatedTokenFile  string
	FederatedWorkspaces []string

	Workers    int // runs at a time in this process
	Lease      time.Duration
	Heartbeat  time.Duration
	Quarantine time.Duration
	ReapEvery  time.Duration
	Backoff    time.Duration
	StallAfter time.Duration
	MaxWait    time.Duration // the longest wait inside a run when the provider limits the rate

	SignIn            access.Limits // zero: no limits on guessing
	RequestsPerMinute int           // per address; 0: no limit
	StartsPerMinute   int           // per person; 0: no limit
	// AuditExport is the file that the signed heads of the audit trails are exported
	// to, at the start and every hour; empty: none.
	AuditExport      string
	StreamsPerPerson int // pages and commands that follow changes, at a time; 0: no limit
	Connections      int // at a time; 0: no limit
	// TLS is the server's TLS configuration; nil: plain HTTP.
	TLS *tls.Config
	// Demo returns the people who can sign in, for the sign-in page of a demo; nil: not
	// a demo.
	Demo func() []DemoUser
	// Proxies are the proxies whose X-Forwarded-For is trusted; none by default.
	Proxies []netip.Prefix
}

// DemoUser is someone who can sign in to a demo.
type DemoUser = console.DemoUser

// Simulator is the address of a simulated Microsoft 365.
type Simulator struct {
	URL    string // https, on loopback
	CAFile string // PEM of the authority that issued its certificate
	Paced  bool   // keep to the limits that Microsoft documents, as with a real tenant
}

// check refuses a simulator on another machine: it would receive real client secrets.
func (s *Simulator) check() error {
	if s == nil {
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("simulator: %q is not the address of one, such as https://127.0.0.1:8443", s.URL)
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.Unmap().IsLoopback()) {
		return fmt.Errorf("simulator: %s is not on this machine. Run \"interlock sim\" here and give its loopback address", host)
	}
	return nil
}

// ServerTLS returns a TLS configuration for a certificate and its key, in PEM files. It
// picks up renewed files without a restart.
func ServerTLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c, err := httpx.LoadCertificate(certFile, keyFile, log)
	if err != nil {
		return nil, err
	}
	return c.TLS(), nil
}

// App is Interlock without its listener.
type App struct {
	DB     *db.DB
	Store  *store.Store
	Gate   *gate.Gate
	Flow   *flow.Flow
	Plans  *plans.Plans
	worker *worker.Worker
	server *http.Server
	most   int // connections
	log    *slog.Logger

	export string // file of the audit heads; empty: none
	house  sync.WaitGroup
	stop   context.CancelFunc // ends the tasks that house waits for
}

// New opens the database, migrates it and assembles the packages. Nothing runs and
// nothing listens before [App.Serve].
func New(ctx context.Context, cfg Config) (_ *App, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Root == nil {
		return nil, errors.New("app: no root key")
	}
	d, err := db.Open(ctx, db.Config{URL: cfg.Database, Logger: cfg.Logger, Idle: idle(cfg.Lease)})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.Migrate(ctx); err != nil {
		return nil, err
	}
	feed := &httpx.Feed{}
	if d.Engine() == db.Postgres { // on SQLite there is no other process
		feed = httpx.NewFeed(store.NewChanges(d), cfg.Logger)
	}
	if err := cfg.Simulator.check(); err != nil {
		return nil, err
	}
	identity, err := workload.New(cfg.FederatedTokenFile, cfg.FederatedWorkspaces)
	if err != nil {
		return nil, err
	}
	st := store.New(d, cfg.Root, store.Options{
		StalledAfter: cfg.StallAfter,
		ConsentURL:   consentURL(cfg),
		Judge: func(t tenancy.Tenant, c *tenancy.Connection, count int, now time.Time) []op.Cause {
			return catalogue.JudgeReadiness(t, catalogue.Target{Connection: c, Count: count}, now)
		},
		Turns:    catalogue.Turns,
		Workload: identity,
	})
	connect, err := connector(cfg, identity, st)
	if err != nil {
		return nil, err
	}
	if _, err := st.CheckRoot(ctx); err != nil {
		return nil, err
	}
	w, err := worker.New(d, st, worker.Config{
		Lease: cfg.Lease, Heartbeat: cfg.Heartbeat, Quarantine: cfg.Quarantine, ReapEvery: cfg.ReapEvery, Backoff: cfg.Backoff,
		Workers: cfg.Workers, Logger: cfg.Logger, Connect: connect, Changed: feed.Changed,
	})
	if err != nil {
		return nil, err
	}
	g, err := gate.New(d, st, gate.Config{
		Quarantine: cfg.Quarantine, StallAfter: cfg.StallAfter, Logger: cfg.Logger, Silent: w.Silent, Changed: feed.Changed,
	})
	if err != nil {
		return nil, err
	}
	data, flows, planned := mirror.New(d, st), flow.New(d, st, g), plans.New(d, st)
	door := httpx.NewDoor(d, cfg.SignIn, access.NewFactors(cfg.Root, cfg.PublicURL))
	budgets := httpx.Budgets{Requests: httpx.NewBudget(cfg.RequestsPerMinute), Starts: httpx.NewBudget(cfg.StartsPerMinute), Streams: httpx.NewStreams(cfg.StreamsPerPerson)}
	holders := httpx.NewHolders(door, feed)
	programs := api.New(api.Deps{
		Door: door, Store: st, Mirror: data, Plans: planned, Backups: backup.New(d), Files: backup.NewFiles(d), Gate: g, Flow: flows, Feed: feed, Holders: holders, Budgets: budgets,
		Proxies: cfg.Proxies, Logger: cfg.Logger,
	})
	handler := http.NewServeMux()
	for _, path := range []string{"/api/", "/healthz", "/readyz"} {
		handler.Handle(path, programs)
	}
	handler.Handle("/", console.New(console.Deps{
		Door: door, Store: st, Mirror: data, Plans: planned, Gate: g, Flow: flows, Feed: feed, Holders: holders, Budgets: budgets, Proxies: cfg.Proxies,
		Demo: cfg.Demo, Simulated: cfg.Simulator != nil, Logger: cfg.Logger,
	}))
	return &App{
		DB: d, Store: st, Gate: g, Flow: flows, Plans: planned, worker: w, most: cfg.Connections, log: cfg.Logger, export: cfg.AuditExport, stop: func() {},
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			// Each write of an answer extends it: see [httpx.Front].
			WriteTimeout: time.Minute,
			TLSConfig:    cfg.TLS,
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams: 100, WriteByteTimeout: 30 * time.Second, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second,
			},
			ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		},
	}, nil
}

// idle returns how long a frozen node may keep its row locks. With a short lease it is
// half the lease, so that the locks are free when the reaper comes. A worker renews its
// lease in the first quarter of it, so a transaction that freezes then ends in time.
func idle(lease time.Duration) time.Duration {
	if lease == 0 {
		return 0 // the defaults
	}
	return min(lease/2, 15*time.Second)
}

// connector returns a function that connects runs with their provider: one HTTP client
// for each cloud, which may call that cloud's hosts only.
func connector(cfg Config, identity *workload.Identity, st *store.Store) (func(worker.Connect) (provider.Client, error), error) {
	type way struct {
		endpoints graph.Endpoints
		http      *http.Client
	}
	ways := map[string]way{}
	for _, name := range tenancy.CloudNames() {
		w := way{}
		oc := outbound.Config{}
		if cfg.Simulator != nil {
			w.endpoints = graph.Endpoints{Login: cfg.Simulator.URL, Graph: cfg.Simulator.URL}
			oc.Loopback, oc.CAFile = true, cfg.Simulator.CAFile
		} else {
			var err error
			if w.endpoints, err = graph.Cloud(name); err != nil {
				return nil, err
			}
		}
		oc.Hosts = w.endpoints.Hosts()
		var err error
		if w.http, err = outbound.New(oc); err != nil {
			return nil, err
		}
		ways[name] = w
	}
	lanes := graph.NewLanes()
	if cfg.Simulator != nil && !cfg.Simulator.Paced {
		lanes = graph.UnlimitedLanes() // the simulator has limits of its own
	}
	return func(c worker.Connect) (provider.Client, error) {
		w, ok := ways[c.Connection.Cloud]
		if !ok {
			return nil, fmt.Errorf("connection %s: cloud %q is not known", c.Connection.ID, c.Connection.Cloud)
		}
		priority := graph.PriorityLow
		if c.Interactive {
			priority = graph.PriorityHigh
		}
		return graph.New(graph.Config{
			Endpoints: w.endpoints, Directory: c.Connection.DirectoryID, ClientID: c.Connection.ClientID,
			Credential: c.Connection.Credential, Secret: c.Credential, NoCredential: c.NoCredential,
			Assertion: assertion(identity, st, c.Connection.WorkspaceID),
			HTTP:      w.http, Lanes: lanes, Before: c.Before, Priority: priority, MaxWait: cfg.MaxWait, Logger: cfg.Logger,
		})
	}, nil
}

// assertion returns a function that reads the token of the workload identity for a
// connection of the workspace with that id. The administrator may have taken the identity
// away from the workspace since the credential was saved.
func assertion(identity *workload.Identity, st *store.Store, workspace string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		workspaces, err := st.Workspaces(ctx)
		if err != nil {
			return "", errors.New("can’t be read while the database is unavailable")
		}
		i := slices.IndexFunc(workspaces, func(w tenancy.Workspace) bool { return w.ID == workspace })
		if i < 0 || !identity.Serves(workspaces[i].Slug) {
			return "", errors.New("is not set up for this workspace")
		}
		token, err := identity.Token(time.Now())
		return token.Text, err
	}
}

// consentURL returns a function that builds the address of the provider's consent page;
// nil if there is no address to return to.
func consentURL(cfg Config) func(tenancy.Connection, string) (string, error) {
	if cfg.PublicURL == "" {
		return nil
	}
	return func(c tenancy.Connection, state string) (string, error) {
		endpoints := graph.Endpoints{}
		if cfg.Simulator != nil {
			endpoints = graph.Endpoints{Login: cfg.Simulator.URL, Graph: cfg.Simulator.URL}
		} else {
			var err error
			if endpoints, err = graph.Cloud(c.Cloud); err != nil {
				return "", err
			}
		}
		// docs: the v2.0 admin consent endpoint; the scope .default requests everything
		// that the application is registered for.
		q := url.Values{"client_id": {c.ClientID}, "scope": {endpoints.Graph + "/.default"}, "redirect_uri": {cfg.PublicURL + op.ConsentRoute}, "state": {state}}
		return endpoints.Login + "/" + url.PathEscape(c.DirectoryID) + "/v2.0/adminconsent?" + q.Encode(), nil
	}
}

// Start recovers what an earlier process left behind and begins to work. Call it before
// Serve.
func (a *App) Start(ctx context.Context) error {
	if err := a.worker.Start(ctx); err != nil {
		return err
	}
	if a.export != "" {
		ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
		a.house.Go(func() { a.keepExporting(ctx) })
	}
	return nil
}

// exportEvery is how often the heads of the audit trails are exported.
const exportEvery = time.Hour

// keepExporting exports the heads of the audit trails until ctx ends.
func (a *App) keepExporting(ctx context.Context) {
	for {
		if err := a.exportHeads(ctx); err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "could not export the heads of the audit trails", "file", a.export, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(exportEvery):
		}
	}
}

func (a *App) exportHeads(ctx context.Context) error {
	signer, err := doctor.Signer(ctx, a.Store)
	if err != nil {
		return err
	}
	workspaces, err := a.Store.Workspaces(ctx)
	if err != nil {
		return err
	}
	trails, at, err := access.AuditHeads(ctx, a.DB)
	if err != nil {
		return err
	}
	var heads []checkpoint.Head
	for _, w := range workspaces {
		if c, ok := trails[w.ID]; ok {
			heads = append(heads, checkpoint.Head{Workspace: w.ID, Slug: w.Slug, Seq: c.Seq, Hash: c.Hash})
		}
	}
	if err := checkpoint.Append(a.export, signer, at, heads); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "exported the heads of the audit trails", "file", a.export, "workspaces", len(heads))
	return nil
}

// Serve answers on ln until ctx ends. Then it accepts no further requests and begins no
// further runs, and waits for the active runs or hands them back.
func (a *App) Serve(ctx context.Context, ln net.Listener) error {
	ln = httpx.Bound(a.server, ln, a.most)
	gone := make(chan error, 1)
	go func() {
		if a.server.TLSConfig != nil {
			gone <- a.server.ServeTLS(ln, "", "")
			return
		}
		gone <- a.server.Serve(ln)
	}()
	var err error
	select {
	case <-ctx.Done():
	case err = <-gone:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	// Event streams don't end by themselves, so the graceful stop is short.
	polite, hurry := context.WithTimeout(stop, politeStop)
	defer hurry()
	if serr := a.server.Shutdown(polite); serr != nil {
		_ = a.server.Close()
	}
	if werr := a.worker.Stop(stop); werr != nil {
		a.log.WarnContext(stop, "some runs were still working at the stop; their leases will end", "error", werr)
	}
	return err
}

const (
	politeStop = 2 * time.Second
	stopWithin = 45 * time.Second
)

// Close closes the database.
func (a *App) Close() error {
	a.stop()
	a.house.Wait()
	return a.DB.Close()
}
