// Package demo runs the whole product on one machine without an account: a simulated
// Microsoft 365, two workspaces, and a tenant in each interesting state.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/app"
	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Config is the configuration of a demo. The zero Config uses a temporary folder.
type Config struct {
	Addr     string // to listen on; empty: a free port of 127.0.0.1
	Folder   string // for its files; empty: a temporary folder, removed at the end
	Database string // see [db.Config]; empty: a file in Folder
	Tenants  int    // more ready tenants, for load
	Data     string // folder of real policies for the simulator; empty: generated ones
	// History fills one tenant with snapshots, backups and restores. It is written after
	// [New] has returned; see [Demo.Told].
	History bool
	Logger  *slog.Logger

	// Intervals of the server; zero: its defaults.
	Lease, Heartbeat, Quarantine, ReapEvery, Backoff time.Duration
}

// MaxTenants bounds Config.Tenants.
const MaxTenants = 2000

// Info is what a user of the demo needs to know.
type Info struct {
	URL       string `json:"url"`
	Simulator string `json:"simulator"`
	// SimulatorToken is the bearer token of the simulator's control API.
	SimulatorToken string `json:"simulator_token"`
	// SimulatorCA is a PEM file with the simulator's certificate authority.
	SimulatorCA string `json:"simulator_ca"`
	Users       []User `json:"users"`
}

// User is someone who can sign in to a demo.
type User struct {
	Name      string `json:"name"`
	Email     string `json:"email"`
	Password  string `json:"password"`
	Role      string `json:"role"` // owner, operator, viewer, or outsider: the owner of another workspace
	Workspace string `json:"workspace"`
	Token     string `json:"token"`
}

// Demo is a demo that listens.
type Demo struct {
	Info      Info
	app       *app.App
	simulator *graphsim.Server
	listener  net.Listener
	folder    string
	temporary bool
	localhost bool // browsers use that name

	cancel context.CancelFunc // ends the history; nil: there is none
	told   chan struct{}      // closed when the history is written, or can't be
	failed error              // why it can't
}

// kept is what a demo stores in its folder to continue after a restart: the sign-ins,
// of which the database has hashes only, and the seed of the client secrets.
type kept struct {
	Salt    string `json:"salt"`
	Control string `json:"control"` // token of the simulator's control API
	Tenants int    `json:"tenants"` // the largest number of additional tenants so far
	Users   []User `json:"users"`
	Told    bool   `json:"told,omitempty"` // the history was written
}

// New creates a demo, or continues the one in the folder. It already listens;
// [Demo.Serve] answers.
func New(ctx context.Context, cfg Config) (_ *Demo, err error) {
	if cfg.Tenants < 0 || cfg.Tenants > MaxTenants {
		return nil, fmt.Errorf("tenants: %d is not between 0 and %d", cfg.Tenants, MaxTenants)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Demo{folder: cfg.Folder}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	if d.folder == "" {
		if d.folder, err = os.MkdirTemp("", "interlock-demo-"); err != nil {
			return nil, fmt.Errorf("demo folder: %w", err)
		}
		d.temporary = true
	} else if err := os.MkdirAll(d.folder, 0o700); err != nil {
		return nil, fmt.Errorf("demo folder: %w", err)
	}
	// Listen first: report an address in use before anything is created.
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if d.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	host, _, _ := net.SplitHostPort(cfg.Addr) // valid, since it is listened on
	d.localhost = host == "localhost"
	root, err := rootKey(d.file("root.key"))
	if err != nil {
		return nil, err
	}
	k, err := d.recall(cfg)
	if err != nil {
		return nil, err
	}
	// Tenants of an earlier start are in the database, so the simulator needs them too.
	k.Tenants = max(k.Tenants, cfg.Tenants)
	if err := d.simulate(ctx, cfg, k); err != nil {
		return nil, err
	}
	if cfg.Database == "" {
		cfg.Database = "sqlite:" + d.file(database)
	}
	d.app, err = app.New(ctx, app.Config{
		Database: cfg.Database, Root: root, Logger: cfg.Logger, PublicURL: d.url(),
		Simulator:   &app.Simulator{URL: d.simulator.URL(), CAFile: d.file("simulator-ca.pem")},
		Demo:        func() []app.DemoUser { return doors(k.Users) },
		AuditExport: d.file("audit-heads.jsonl"),
		Lease:       cfg.Lease, Heartbeat: cfg.Heartbeat, Quarantine: cfg.Quarantine, ReapEvery: cfg.ReapEvery, Backoff: cfg.Backoff,
	})
	if err != nil {
		return nil, err
	}
	if err := seed(ctx, d.app, root, &k); err != nil {
		return nil, fmt.Errorf("seed the demo: %w", err)
	}
	if err := d.remember(k); err != nil {
		return nil, err
	}
	if err := d.app.Start(ctx); err != nil {
		return nil, err
	}
	if err := d.keepBusy(ctx, k); err != nil {
		return nil, err
	}
	d.Info = Info{
		URL: d.url(), Simulator: d.simulator.URL(),
		SimulatorToken: d.simulator.ControlToken(), SimulatorCA: d.file("simulator-ca.pem"), Users: k.Users,
	}
	if cfg.History && !k.Told {
		d.begin(ctx, k, cfg.Logger)
	}
	return d, nil
}

// doors returns the people for the sign-in page.
func doors(users []User) []app.DemoUser {
	var doors []app.DemoUser
	for _, u := range users {
		doors = append(doors, app.DemoUser{Name: u.Name, Role: u.Role, Email: u.Email, Password: u.Password})
	}
	return doors
}

func (d *Demo) file(name string) string { return filepath.Join(d.folder, name) }

// url returns the address for browsers.
func (d *Demo) url() string {
	_, port, _ := net.SplitHostPort(d.listener.Addr().String()) // a listener has one
	if d.localhost {                                            // browsers allow passkeys for this name
		return "http://localhost:" + port
	}
	return "http://" + d.listener.Addr().String()
}

// Serve answers until ctx ends.
func (d *Demo) Serve(ctx context.Context) error {
	return d.app.Serve(ctx, d.listener)
}

// begin writes the history while the demo is used.
func (d *Demo) begin(ctx context.Context, k kept, log *slog.Logger) {
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.told = make(chan struct{})
	go func() {
		defer close(d.told)
		if d.failed = d.tell(ctx, k); d.failed != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "the history of the demo is incomplete", "error", d.failed)
		}
	}()
}

// Told waits until the history is written. It returns at once if there is none to write.
func (d *Demo) Told(ctx context.Context) error {
	if d.told == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.told:
		return d.failed
	}
}

// Close stops everything. It removes a temporary folder.
func (d *Demo) Close() {
	if d.cancel != nil {
		d.cancel()
		<-d.told
	}
	if d.listener != nil {
		_ = d.listener.Close()
	}
	if d.app != nil {
		_ = d.app.Close()
	}
	if d.simulator != nil {
		d.simulator.Close()
	}
	if d.temporary {
		_ = os.RemoveAll(d.folder)
	}
}

func rootKey(path string) (*vault.Root, error) {
	root, err := vault.LoadRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return vault.CreateRoot(path)
	}
	return root, err
}

// recall reads what the demo in the folder stored, or begins a new demo. It writes the
// file before anything else is created, still without people: a file without people
// means that the first start was cut off, and the demo is created anew.
func (d *Demo) recall(cfg Config) (k kept, err error) {
	path := d.file(memory)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(d.file(database)); err == nil && cfg.Database == "" {
			return k, fmt.Errorf("demo folder: %s has a database and no %s beside it: it is no demo's. Give another --data-dir", d.folder, memory)
		}
		k = kept{Salt: rand.Text(), Control: rand.Text()}
		return k, d.remember(k)
	case err != nil:
		return k, fmt.Errorf("demo folder: %w", err)
	}
	if err := json.Unmarshal(b, &k); err != nil || k.Salt == "" {
		return k, fmt.Errorf("demo folder: %s is damaged, as after a power cut: remove the folder %s, or give another --data-dir", path, d.folder)
	}
	if len(k.Users) == 0 && cfg.Database == "" {
		for _, ending := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(d.file(database + ending)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return k, fmt.Errorf("demo folder: %w", err)
			}
		}
	}
	return k, nil
}

func (d *Demo) remember(k kept) error {
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("demo folder: %w", err)
	}
	if err := durable.WriteFile(d.file(memory), b, 0o600); err != nil {
		return fmt.Errorf("demo folder: %w", err)
	}
	return nil
}

// Files in a demo's folder.
const (
	memory   = "demo.json"
	database = "interlock.db"
)

// keepBusy keeps a long sync running, whose tenant answers slowly. After a restart the
// earlier run is lost, and another one begins.
func (d *Demo) keepBusy(ctx context.Context, k kept) error {
	for _, p := range places {
		if p.State != longSync {
			continue
		}
		slow := graphsim.Action{Kind: graphsim.ActDelay, DelayMS: int(slowAnswer.Milliseconds())}
		emptyPages := graphsim.Action{Kind: graphsim.ActEmptyPage, DelayMS: slow.DelayMS}
		for _, f := range []graphsim.Fault{ // sign-in stays fast
			{Path: "/*/deviceManagement/managedDevices", Times: slowPages, Action: emptyPages},
			{Path: "/v1.0/*", Action: slow},
			{Path: "/beta/*", Action: slow},
		} {
			f.Tenant = p.directory()
			if _, err := d.simulator.Control().AddFault(ctx, f); err != nil {
				return fmt.Errorf("slow the simulator down: %w", err)
			}
		}
		operator, err := access.Authenticate(ctx, d.app.DB, k.user("operator").Token)
		if err != nil {
			return fmt.Errorf("start the long sync: %w", err)
		}
		if _, err := d.app.Gate.Start(ctx, operator, op.Request{Tenant: p.Slug, Kind: op.InventorySync, Surface: op.SurfaceAPI}); err != nil {
			return fmt.Errorf("start the long sync: %w", err)
		}
	}
	return nil
}

// An inventory sync reads its types in a few batches at the same time, so slow answers alone make it
// last for a minute. Empty pages of devices before the first one with devices make it last for a quarter of an
// hour. A slow answer is well below the limit of a call.
const (
	slowAnswer = 20 * time.Second
	slowPages  = 45
)

func (k kept) user(role string) User {
	for _, u := range k.Users {
		if u.Role == role {
			return u
		}
	}
	return User{}
}
