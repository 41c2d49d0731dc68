// Package worker does accepted work: it claims a run with its fence, checks again
// what the gate had checked, keeps the lease, runs the operation and ends the run
// truthfully. It also keeps house: the reaper frees scopes whose worker is gone,
// the reconciler sends runs anew whose job was lost, and old records are swept.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/ending"
	"github.com/interlock-dev/interlock/internal/gate/internal/ledger"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Config holds the worker's intervals and its way to the provider. The zero of
// each interval means its default.
type Config struct {
	Lease      time.Duration // how long a run is held without a heartbeat; 60 s
	Heartbeat  time.Duration // how often the lease is renewed; a quarter of Lease
	Quarantine time.Duration // how long a scope stays shut after its lease; 30 s
	CallMargin time.Duration // a provider call ends this long before the lease; 5 s, or a quarter of a short lease
	ReapEvery  time.Duration // how often slots are looked through, at most every Quarantine; 5 s
	Backoff    time.Duration // before the second dispatch of a run when the provider named no time; doubles; 15 s
	Workers    int           // runs at a time in this process; 32
	Drain      time.Duration // how long Stop waits for runs that can't be cut off; 30 s
	Logger     *slog.Logger

	// Connect makes the client that a run speaks to its provider with.
	Connect func(Connect) (provider.Client, error)
	// Changed is called after a commit that changed a run. nil: nobody listens.
	Changed func(op.Change)
}

// Connect is what a provider client is made of.
type Connect struct {
	Connection tenancy.Connection
	Credential vault.Secret
	// NoCredential is why there is no Credential to sign in with; empty when there is.
	NoCredential op.Reason
	// Interactive says that someone waits for the answer of this operation.
	Interactive bool
	// Before is called before every single call, also before a repeated one and
	// before signing in. It returns when that call has to have ended. After an error
	// no call may be made.
	Before func(context.Context) (time.Time, error)
}

// Worker works on runs. It is made by [New], begins with Start and ends with Stop.
type Worker struct {
	db    *db.DB
	store *store.Store
	queue *queue.Queue
	watch *watch // of slots with a worker
	taken *watch // of slots in line whose job was taken
	cfg   Config

	lineDue  time.Time // when the line is looked through next; of the house
	rarely   rarely
	draining chan struct{}
	stop     context.CancelFunc
	house    sync.WaitGroup

	mu      sync.Mutex
	working map[string]*execution // by run
}

// New returns a worker on d. It does nothing before Start.
func New(d *db.DB, st *store.Store, cfg Config) (*Worker, error) {
	orElse := func(d *time.Duration, other time.Duration) {
		if *d == 0 {
			*d = other
		}
	}
	orElse(&cfg.Lease, time.Minute)
	orElse(&cfg.Heartbeat, cfg.Lease/4)
	orElse(&cfg.Quarantine, 30*time.Second)
	orElse(&cfg.CallMargin, min(5*time.Second, cfg.Lease/4))
	orElse(&cfg.ReapEvery, 5*time.Second)
	cfg.ReapEvery = min(cfg.ReapEvery, cfg.Quarantine) // or a silence would be noticed later than it ends
	orElse(&cfg.Backoff, 15*time.Second)
	orElse(&cfg.Drain, 30*time.Second)
	if cfg.Workers == 0 {
		cfg.Workers = 32
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Changed == nil {
		cfg.Changed = func(op.Change) {}
	}
	if cfg.Connect == nil {
		return nil, errors.New("worker: Config.Connect is not set")
	}
	w := &Worker{db: d, store: st, cfg: cfg, watch: newWatch(), taken: newWatch(), working: map[string]*execution{}, draining: make(chan struct{})}
	q, err := queue.New(d, queue.Config{Handle: w.handle, Workers: cfg.Workers, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	w.queue = q
	return w, nil
}

// Silent reports that this process has watched a slot for a whole lease without
// seeing its heartbeat counter move. The gate asks it before it frees an expired slot.
func (w *Worker) Silent(run string, fence, heartbeat int64) bool {
	return w.watch.silent(run, fence, heartbeat) >= w.cfg.Lease
}

// Start recovers what an earlier process left behind and begins to take runs. It
// returns before HTTP may begin to answer.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.recover(ctx); err != nil {
		return fmt.Errorf("recover the runs of an earlier process: %w", err)
	}
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := w.queue.Start(ctx); err != nil {
		w.stop()
		return fmt.Errorf("start the queue: %w", err)
	}
	w.keepHouse(ctx)
	return nil
}

// Stop takes no further runs. Runs that can be made again go back in line at
// once; the others are waited for, until Drain has passed or ctx ends.
func (w *Worker) Stop(ctx context.Context) error {
	close(w.draining)
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Drain)
	defer cancel()
	err := w.queue.Stop(ctx)
	w.stop()
	w.house.Wait()
	return err
}

// elsewhere is how long a job waits that another node has to take, and stopNow one
// that was taken while this process stops.
const (
	elsewhere = 5 * time.Second
	stopNow   = time.Second
)

// handle is one delivery of one run. again above zero puts its job back.
func (w *Worker) handle(ctx context.Context, job int64, args queue.Args) (again time.Duration) {
	log := w.cfg.Logger.With("run", args.RunID, "fence", args.Fence)
	select {
	case <-w.draining:
		return stopNow
	default:
	}
	x, err := w.claim(ctx, job, args)
	var not *notHereError
	switch {
	case errors.As(err, &not):
		if w.rarely.say(not.what) {
			log.WarnContext(ctx, "left runs in line for another node", "reason", not)
		}
		// Not all at once and not in step, so that another node comes to take it.
		return elsewhere + rand.N(elsewhere)
	case err != nil:
		// The run stays in line without a job; the reconciler sends it anew.
		log.ErrorContext(ctx, "could not claim the run", "error", err)
		return 0
	case x == nil:
		return 0
	}
	x.log = log
	x.work(ctx)
	w.cfg.Changed(x.claim.Change())
	return 0
}

// notHereError says that another node has to do a run.
type notHereError struct {
	what string // of which one word in a while is enough
	err  error
}

func (e *notHereError) Error() string { return e.err.Error() }

// claim begins the run, or ends it when it may not begin any more. A nil
// execution means that there is nothing to do. What this node can't judge, for want
// of the operation or the key, is a [*notHereError] and stays in line.
func (w *Worker) claim(ctx context.Context, job int64, args queue.Args) (*execution, error) {
	var x *execution
	var changed op.Change
	err := ledger.Write(ctx, w.db, func(ctx context.Context, tx db.Tx) error {
		x, changed = nil, op.Change{}
		c, err := ledger.OfRun(ctx, tx, args.RunID)
		if err != nil {
			return err
		}
		if c == nil || c.Fence != args.Fence || c.State != op.Queued {
			return queue.Complete(ctx, tx, job) // sent anew meanwhile, cancelled, or taken
		}
		def, err := catalogue.Lookup(c.Operation)
		if err != nil { // a newer node accepted it
			return &notHereError{string(c.Operation), fmt.Errorf("this version does not know the operation %s", c.Operation)}
		}
		if err := w.store.HoldsKey(ctx, tx, c.Workspace); err != nil {
			var wrong *vault.WrongKeyError
			if errors.As(err, &wrong) {
				return &notHereError{c.Workspace, err}
			}
			return err
		}
		changed = c.Change()
		pinned, why, err := w.recheck(ctx, tx, c, def)
		if err != nil {
			return err
		}
		if why != nil {
			return ending.Stopped(ctx, tx, c, why)
		}
		if err := ledger.Begin(ctx, tx, c, pinned.Connection.Rev, w.cfg.Lease, def.RunLimit, w.db.BootID()); err != nil {
			return err
		}
		x = &execution{w: w, def: def, claim: c, job: job, pinned: pinned}
		return nil
	})
	if err == nil && changed.Run != "" {
		w.cfg.Changed(changed)
	}
	return x, err
}

// rarely lets each thing be said once in a minute.
type rarely struct {
	mu   sync.Mutex
	said map[string]time.Time
}

func (r *rarely) say(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.said[what]; ok && time.Since(at) < time.Minute {
		return false
	}
	if r.said == nil {
		r.said = map[string]time.Time{}
	}
	r.said[what] = time.Now()
	return true
}
