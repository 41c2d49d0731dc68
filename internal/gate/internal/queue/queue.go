// Package queue passes runs to workers through River, in the caller's transaction.
// There is one kind of job, which carries a run's id and fence and nothing else. River
// decides nothing: jobs have one attempt, its uniqueness is not used, and its completion
// is not trusted, because it has no fence (a suspended worker that wakes up marks a job
// completed while its successor works). Our own rows decide.
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

// Args is everything that a job carries.
type Args struct {
	RunID string `json:"run_id"`
	Fence int64  `json:"fence"`
}

// Kind names the one kind of job.
func (Args) Kind() string { return "run" }

// Handler works one run. It returns no error: our rows say how the run ended, and River
// must not retry. again > 0 puts the job back for that long, for this or another node.
type Handler func(ctx context.Context, jobID int64, args Args) (again time.Duration)

// Config configures a queue. The zero Config only inserts.
type Config struct {
	Handle  Handler // nil: insert only
	Workers int     // runs at a time in this process
	Logger  *slog.Logger
}

// never is longer than any run. River must neither time out a run nor rescue its job:
// lease and fence do that.
const never = 10 * 365 * 24 * time.Hour

// Queue inserts jobs and, if it has a handler, works them. It is safe for concurrent use.
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
		// Measured: with the default cool-down of 100 ms a job is picked up after 50 ms at
		// the median, on both engines.
		FetchCooldown: 10 * time.Millisecond,
		// PostgreSQL notifies. But River skips a notification when another one was sent
		// within the cool-down, although that transaction may commit, and be acted on,
		// before ours. The poll picks up such a job.
		FetchPollInterval:    100 * time.Millisecond,
		JobTimeout:           -1,
		RescueStuckJobsAfter: never,
		MaxAttempts:          1,
		Logger:               slog.New(quiet{cfg.Logger.Handler(), out}),
		Hooks:                []rivertype.Hook{out},
	}
	if d.Engine() == db.SQLite { // has no notifications
		rc.FetchPollInterval = 40 * time.Millisecond
	}
	if cfg.Handle == nil { // for a client that only inserts, this is the cool-down of its notifications
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
		// River shares the single writing connection. With one of its own, the two wait
		// for each other's locks, and the slowest starts take three times as long.
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
		return river.JobSnooze(again) // does not count as an attempt
	}
	return nil
}

// Insert adds a job, which workers see once tx commits and take not before at (zero: at
// once). It returns the job's id.
func (q *Queue) Insert(ctx context.Context, tx db.Tx, args Args, at time.Time) (int64, error) {
	res, err := q.client.insert(ctx, tx, args, &river.InsertOpts{ScheduledAt: at})
	if err != nil {
		return 0, fmt.Errorf("queue run %s: %w", args.RunID, err)
	}
	return res.Job.ID, nil
}

// Start begins to take jobs. ctx must live until after Stop.
func (q *Queue) Start(ctx context.Context) error { return q.client.Start(ctx) }

// Stop takes no further jobs and waits for running ones until ctx ends.
func (q *Queue) Stop(ctx context.Context) error { return q.client.Stop(ctx) }

// Complete marks a job completed, in the transaction that settles its run.
func Complete(ctx context.Context, tx db.Tx, job int64) error {
	// River's own function takes the job from the worker's context, but we also settle
	// jobs whose worker is gone.
	return settle(ctx, tx, job, "completed")
}

// Discard marks a job discarded that nobody works any more.
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

// Conditions on a job, for statements that join river_job j. They can use the index on
// the state, so that jobs that have ended cost nothing.
const (
	IsWaiting = `j.state IN ('available', 'pending', 'retryable', 'scheduled')` // a worker will take it
	IsTaken   = `j.state = 'running'`                                           // a worker has it, here or elsewhere
)

// DiscardTaken discards every job that a worker had taken. Call it only at the start of
// a process that is alone on its database: nobody works those jobs.
func DiscardTaken(ctx context.Context, tx db.Tx) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE river_job SET state = 'discarded', finalized_at = CURRENT_TIMESTAMP WHERE state = 'running'`)
	if err != nil {
		return 0, fmt.Errorf("discard the jobs of an earlier process: %w", err)
	}
	return n, nil
}
