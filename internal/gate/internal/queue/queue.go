// Package queue hands runs to workers through River, in the caller's
// transaction. There is one kind of job; it carries a run's id and fence and
// nothing else. River decides nothing here: it is given one attempt, its
// uniqueness is not used, and its idea of completion is not trusted, because it
// has no fence (a stopped worker that wakes up marks a job completed while its
// successor works). Our own rows decide.
package queue

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/interlock-dev/interlock/internal/db"
)

// Args is the whole of a job.
type Args struct {
	RunID string `json:"run_id"`
	Fence int64  `json:"fence"`
}

// Kind names the one kind of job.
func (Args) Kind() string { return "run" }

// Handler works on one run. It never returns an error: how the run ended is in
// our rows, and there is nothing that River could try again. again above zero puts
// the job back for that long, for this or another node to take.
type Handler func(ctx context.Context, jobID int64, args Args) (again time.Duration)

// Config says how a queue works. The zero Config only inserts.
type Config struct {
	Handle  Handler // nil: insert only
	Workers int     // runs at a time in this process
	Logger  *slog.Logger
}

// never is longer than any run: River must neither cut a run off nor rescue its
// job, since lease and fence do that.
const never = 10 * 365 * 24 * time.Hour

// Queue inserts jobs and, when it has a handler, works on them.
type Queue struct{ client client }

// client is a River client of either engine.
type client interface {
	insert(ctx context.Context, tx db.Tx, args Args, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
}

// New returns a queue on d's engine.
func New(d *db.DB, cfg Config) (*Queue, error) {
	out := &outage{log: cfg.Logger}
	rc := &river.Config{
		// Measured: with the default cool-downs of 100 ms pick-up takes 50 ms at the
		// median on both engines.
		FetchCooldown: 10 * time.Millisecond,
		// PostgreSQL notifies. But River leaves a notification out when another one was
		// sent within the cool-down, although that one's transaction may commit, and be
		// acted on, before ours does: the poll is what picks such a job up.
		FetchPollInterval:    100 * time.Millisecond,
		JobTimeout:           -1,
		RescueStuckJobsAfter: never,
		MaxAttempts:          1,
		Logger:               slog.New(quiet{cfg.Logger.Handler(), out}),
		Hooks:                []rivertype.Hook{out},
	}
	if d.Engine() == db.SQLite { // has nothing but the poll
		rc.FetchPollInterval = 40 * time.Millisecond
	}
	if cfg.Handle == nil { // the cool-down of a client that only inserts is that of its notifications
		rc.FetchCooldown = time.Millisecond
	}
	if cfg.Handle != nil {
		rc.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: cfg.Workers}}
		rc.Workers = river.NewWorkers()
		if err := river.AddWorkerSafely(rc.Workers, &worker{handle: cfg.Handle}); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
	}
	var c client
	var err error
	if d.Engine() == db.SQLite {
		// River shares the single writing connection: with one of its own, the two
		// wait for each other's locks and the slowest starts get three times slower.
		c, err = newClient[*sql.Tx](river.NewClient(riversqlite.New(d.Writer()), rc))
	} else {
		c, err = newClient[pgx.Tx](river.NewClient(riverpgxv5.New(d.Pool()), rc))
	}
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return &Queue{client: c}, nil
}

type riverClient[Tx any] struct{ *river.Client[Tx] }

func newClient[Tx any](c *river.Client[Tx], err error) (client, error) {
	return riverClient[Tx]{c}, err
}

func (c riverClient[Tx]) insert(ctx context.Context, tx db.Tx, args Args, opts *river.InsertOpts) (*rivertype.JobInsertResult, error) {
	native, ok := tx.Native().(Tx)
	if !ok {
		return nil, fmt.Errorf("transaction is a %T", tx.Native())
	}
	return c.InsertTx(ctx, native, args, opts)
}

type worker struct {
	river.WorkerDefaults[Args]
	handle Handler
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, job *river.Job[Args]) error {
	if again := w.handle(ctx, job.ID, job.Args); again > 0 {
		return river.JobSnooze(again) // counts as no attempt
	}
	return nil
}

// Insert puts a run into the queue when tx commits, to be taken not before at
// (zero: at once). It returns the job's id.
func (q *Queue) Insert(ctx context.Context, tx db.Tx, args Args, at time.Time) (int64, error) {
	res, err := q.client.insert(ctx, tx, args, &river.InsertOpts{ScheduledAt: at})
	if err != nil {
		return 0, fmt.Errorf("queue run %s: %w", args.RunID, err)
	}
	return res.Job.ID, nil
}

// Start begins to take jobs. Stop it with a context of its own.
func (q *Queue) Start(ctx context.Context) error { return q.client.Start(ctx) }

// Stop takes no further jobs and waits for those that are worked on, until ctx ends.
func (q *Queue) Stop(ctx context.Context) error { return q.client.Stop(ctx) }

// Complete settles a job in the transaction that settles its run.
func Complete(ctx context.Context, tx db.Tx, job int64) error {
	// By our own statement rather than River's: that one reads the job back from
	// the worker's context, and we also settle jobs whose worker is gone.
	return settle(ctx, tx, job, "completed")
}

// Discard settles a job that nobody works on any more.
func Discard(ctx context.Context, tx db.Tx, job int64) error {
	return settle(ctx, tx, job, "discarded")
}

func settle(ctx context.Context, tx db.Tx, job int64, state string) error {
	_, err := tx.Exec(ctx, `UPDATE river_job SET state = '`+state+`', finalized_at = CURRENT_TIMESTAMP
		WHERE id = $1 AND state NOT IN ('completed', 'cancelled', 'discarded')`, job)
	if err != nil {
		return fmt.Errorf("settle job %d: %w", job, err)
	}
	return nil
}

// Conditions on a job, for statements that join river_job j. They are written so
// that the index on the state, which jobs that have ended are not in the way of,
// is good for them.
const (
	IsWaiting = `j.state IN ('available', 'pending', 'retryable', 'scheduled')` // a worker will take it
	IsTaken   = `j.state = 'running'`                                           // a worker has it, here or elsewhere
)

// DiscardTaken settles every job that a worker had taken. It is for the start of
// a process that is alone on its database: nobody can be working on them.
func DiscardTaken(ctx context.Context, tx db.Tx) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE river_job SET state = 'discarded', finalized_at = CURRENT_TIMESTAMP WHERE state = 'running'`)
	if err != nil {
		return 0, fmt.Errorf("discard the jobs of an earlier process: %w", err)
	}
	return n, nil
}
