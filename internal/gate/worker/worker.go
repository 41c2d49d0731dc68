// Package worker works accepted runs: it begins a run by its fence, rechecks what the
// gate checked, renews the lease, runs the operation and ends the run. It also does the
// housekeeping: the reaper settles runs whose worker is gone, the reconciler sends
// queued runs again whose job was lost, and old records are swept.
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
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Config holds the worker's intervals and how it reaches the provider. A zero interval
// means its default.
type Config struct {
	Lease      time.Duration // how long a run is held without a heartbeat; 60 s
	Heartbeat  time.Duration // how often the lease is renewed; a quarter of Lease
	Quarantine time.Duration // how long a connection stays claimed after the lease has expired; 30 s
	CallMargin time.Duration // a provider call ends this long before the lease; 5 s, or a quarter of Lease if that is less
	ReapEvery  time.Duration // how often claims are checked; 5 s, and Quarantine at most
	Backoff    time.Duration // wait before the second dispatch when the provider named no time; doubles with each one; 15 s
	Workers    int           // runs at a time in this process; 32
	Drain      time.Duration // how long Stop waits for running runs; 30 s
	Logger     *slog.Logger

	// Connect makes the client of one dispatch of a run. A client that is a
	// [provider.Writer] too can make changes.
	Connect func(Connect) (provider.Client, error)
	// Changed is called after a commit that changed a run. nil: not called.
	Changed func(op.Change)
}

// Connect is what a provider client is made from.
type Connect struct {
	Connection tenancy.Connection
	Credential vault.Secret
	// NoCredential is why Credential is not set; empty when it is.
	NoCredential op.Reason
	// Interactive says that somebody waits for the run.
	Interactive bool
	// Before must be called before each attempt of a call, sign-ins included. It returns
	// the attempt's deadline. After an error no attempt may be made.
	Before func(context.Context) (time.Time, error)
}

// Worker works runs. Make it with [New], then call Start and Stop, once each.
type Worker struct {
	db    *db.DB
	store *store.Store
	plans *plans.Plans
	queue *queue.Queue
	watch *watch // claims with a lease
	taken *watch // claims of queued runs whose job was taken
	cfg   Config

	lineDue  time.Time // when queued runs are checked next; used by that loop only
	rarely   rarely
	draining chan struct{}
	stop     context.CancelFunc
	house    sync.WaitGroup

	mu      sync.Mutex
	working map[string]*execution // by run
}

// New returns a worker on d. It does nothing until Start.
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
	cfg.ReapEvery = min(cfg.ReapEvery, cfg.Quarantine) // or the quarantine would be over before the reaper looks
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
	w := &Worker{db: d, store: st, plans: plans.New(d, st), cfg: cfg, watch: newWatch(), taken: newWatch(), working: map[string]*execution{}, draining: make(chan struct{})}
	q, err := queue.New(d, queue.Config{Handle: w.handle, Workers: cfg.Workers, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	w.queue = q
	return w, nil
}

// Silent reports that this process has watched a claim for one full lease and saw no
// heartbeat. The gate asks it before it settles the run of an expired claim.
func (w *Worker) Silent(run string, fence, heartbeat int64) bool {
	return w.watch.silent(run, fence, heartbeat) >= w.cfg.Lease
}

// Start recovers the runs of an earlier process and begins to take runs. Call it before
// the server answers requests.
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

// Stop takes no further runs. Runs whose operation can be dispatched again go back to
// the queue, as soon as the items that they are changing are finished. Stop waits for
// the others until Drain has passed or ctx ends.
func (w *Worker) Stop(ctx context.Context) error {
	close(w.draining)
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Drain)
	defer cancel()
	err := w.queue.Stop(ctx)
	w.stop()
	w.house.Wait()
	return err
}

// elsewhere is how long a job waits that another node must take, and stopNow how long
// one waits that was taken while this process stops.
const (
	elsewhere = 5 * time.Second
	stopNow   = time.Second
)

// handle works one delivery of a job. again > 0 puts the job back for that long.
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
			log.WarnContext(ctx, "left queued runs for another node", "reason", not)
		}
		// With jitter, so that another node gets the chance to take it.
		return elsewhere + rand.N(elsewhere)
	case err != nil:
		// The run stays queued without a job; the reconciler sends it again.
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

// notHereError says that another node must work the run.
type notHereError struct {
	what string // one log line a minute is written for each
	err  error
}

func (e *notHereError) Error() string { return e.err.Error() }

// claim begins the run, or ends it when it may no longer begin. A nil execution means
// that there is nothing to do. A run that this node can't judge, because it lacks the
// operation or the key, stays queued: that is a [*notHereError].
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
			return queue.Complete(ctx, tx, job) // sent again meanwhile, cancelled, or begun
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

// rarely limits log lines about one thing to one a minute.
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
