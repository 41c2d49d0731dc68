// Package db is the one door to the database: an embedded SQLite file for a
// single node, PostgreSQL for several. Callers write one SQL text for both
// engines and run it inside [DB.Read] or [DB.Write].
//
// # The common subset of SQL
//
// Placeholders are $1, $2, ... Ids are TEXT, times BIGINT Unix microseconds
// ([Micros], [Time]), flags BOOLEAN, JSON is TEXT decoded in Go, bytes are
// BYTEA. Optional values are pointers, both as arguments and in Scan.
// SQL asks the database's clock with interlock_now(). Text is ordered by bytes:
// columns that are sorted or compared are declared COLLATE "C", or say so where
// they are used: SQLite, which has no other order, never hears the words. LIKE
// tells upper case from lower and always names its ESCAPE. The predicate of
// ON CONFLICT ... WHERE is literal SQL. Bare parameters in CASE are CAST.
//
// A statement that failed ends its transaction on both engines: whatever the
// function given to Write does next, nothing of it is committed. Uniqueness is
// therefore asked with ON CONFLICT DO NOTHING, never by catching a violation.
package db

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Engine names a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Config says which database to open and how patient to be with it.
type Config struct {
	// URL is "sqlite:" and the path of a file, which is created when missing,
	// or a "postgres://" URL (for a Unix socket: postgres:///name?host=/dir).
	URL string

	// MaxConns limits the connections to PostgreSQL, or the readers of SQLite,
	// which has exactly one writer besides. 0 means 12 for PostgreSQL (8 for
	// callers and a few for the job queue: measured, more than 16 on 2 cores
	// trebles the p99) and 4 for SQLite; at least 4 for PostgreSQL.
	MaxConns int

	// Patience is how long one Read or Write waits for a connection, and again
	// for a lock that another program holds, before it gives up as unavailable.
	// 0 means 5 s.
	Patience time.Duration

	// Idle is how long a transaction on PostgreSQL may wait for its next statement.
	// A node that is frozen in the middle of one keeps its row locks for that long,
	// and with them everybody else from changing what it has locked. 0 means 15 s.
	Idle time.Duration

	// Now is the clock behind interlock_now() on SQLite; nil means time.Now.
	// PostgreSQL has a clock of its own.
	Now func() time.Time

	// Logger hears of migrations and retries; nil means slog.Default().
	Logger *slog.Logger

	// Faults makes transactions fail on purpose; nil, as always outside tests,
	// makes none fail.
	Faults *Faults
}

const defaultPatience = 5 * time.Second

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine engine
	boot   string
	cfg    Config
	faults atomic.Pointer[Faults]
	steps  atomic.Pointer[Steps]
}

// engine is what the two databases do differently.
type engine interface {
	name() Engine
	// begin opens a transaction. It waits no longer than Config.Patience.
	begin(ctx context.Context, write bool) (txn, error)
	migrate(ctx context.Context, log *slog.Logger) error
	analyze(ctx context.Context) error
	close() error
}

// Open opens the database and returns an error that says what is wrong with it
// unless it can be read, written, and trusted to keep what it has acknowledged
// through a power cut. It creates no tables: see [DB.Migrate].
//
// An SQLite file belongs to one process, and to one DB in it: the second is
// refused with a [HeldError].
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	if cfg.Idle == 0 {
		cfg.Idle = defaultIdle
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Patience < 0 {
		return nil, fmt.Errorf("database patience %v is negative", cfg.Patience)
	}
	if cfg.MaxConns < 0 {
		return nil, fmt.Errorf("database connections %d is negative", cfg.MaxConns)
	}

	var e engine
	var err error
	scheme, rest, _ := strings.Cut(cfg.URL, ":")
	switch scheme {
	case "sqlite":
		e, err = openSQLite(ctx, rest, cfg)
	case "postgres", "postgresql":
		e, err = openPostgres(ctx, cfg)
	default:
		return nil, errors.New(`database URL: want "sqlite:" and a path, or a "postgres://" URL`)
	}
	if err != nil {
		return nil, err
	}
	d := &DB{engine: e, boot: rand.Text(), cfg: cfg}
	d.faults.Store(cfg.Faults)
	return d, nil
}

// Close releases the database. It waits for transactions in progress.
func (d *DB) Close() error { return d.engine.close() }

// Engine names the engine.
func (d *DB) Engine() Engine { return d.engine.name() }

// BootID is a new random name for each Open. Rows marked with another one were
// written by a process that has ended, where the database is embedded.
func (d *DB) BootID() string { return d.boot }

// Pool is the connection pool of PostgreSQL, for the job queue only; nil on SQLite.
func (d *DB) Pool() *pgxpool.Pool {
	if p, ok := d.engine.(*postgres); ok {
		return p.pool
	}
	return nil
}

// Writer is the single writing connection of SQLite, for the job queue only;
// nil on PostgreSQL.
func (d *DB) Writer() *sql.DB {
	if s, ok := d.engine.(*sqlite); ok {
		return s.writer
	}
	return nil
}

// Migrate brings the schema, ours and the job queue's, to what this program
// needs. Nodes that start together take turns. A schema newer than the program
// is refused with [ErrNewerSchema].
func (d *DB) Migrate(ctx context.Context) error {
	if err := d.engine.migrate(ctx, d.cfg.Logger); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return d.Analyze(ctx)
}

// Read runs fn on one consistent snapshot that can't be written to, so that a
// list and its count agree. fn may be run again and must be repeatable.
func (d *DB) Read(ctx context.Context, fn func(context.Context, Tx) error) error {
	return d.run(ctx, false, fn)
}

// Write runs fn in a transaction and commits when fn returns nil. After a nil
// error the changes are on disk; after any other, save [ErrOutcomeUnknown],
// none of them is. Write runs fn again when the database asks for it (deadlock,
// serialization, busy), so fn must be repeatable: no effects besides the
// transaction and variables that it sets anew each time.
//
// On PostgreSQL each statement sees what others have committed before it (READ
// COMMITTED): what a decision rests on is locked or guarded by the writing
// statement. On SQLite writers take turns.
//
// fn must use the context it is given: a Read or Write with it inside fn is
// [ErrNested] instead of a wait for oneself.
func (d *DB) Write(ctx context.Context, fn func(context.Context, Tx) error) error {
	return d.run(ctx, true, fn)
}

// inTx marks the contexts inside a transaction of one database.
type inTx struct{ d *DB }

const maxTries = 8

func (d *DB) run(ctx context.Context, write bool, fn func(context.Context, Tx) error) error {
	if ctx.Value(inTx{d}) != nil {
		return ErrNested
	}
	ctx = context.WithValue(ctx, inTx{d}, true)
	giveUp := time.Now().Add(d.cfg.Patience)
	for try := 1; ; try++ {
		again, err := d.try(ctx, write, fn)
		if !again || try == maxTries || time.Now().After(giveUp) {
			return err
		}
		d.cfg.Logger.DebugContext(ctx, "database transaction tried again", "try", try, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(mathrand.N(4 * time.Millisecond << try)):
		}
	}
}

// try runs fn once. again says that the database, not fn, was the obstacle and
// that nothing was committed.
func (d *DB) try(ctx context.Context, write bool, fn func(context.Context, Tx) error) (again bool, err error) {
	h := d.hooks()
	inner, err := begin(ctx, d.engine, write, h)
	if err != nil {
		return ctx.Err() == nil && IsUnavailable(err), fmt.Errorf("begin: %w", err)
	}
	defer inner.rollback() // does nothing after a commit

	t := &guarded{txn: inner, write: write, hooks: h}
	err = fn(ctx, t)
	if t.failed != nil {
		if err == nil {
			err = t.failed
		}
		return retryable(t.failed), err
	}
	if err != nil {
		return retryable(err), err
	}
	if err := ctx.Err(); err != nil {
		return false, err // nobody waits for it: rather nothing than perhaps
	}
	err = commit(ctx, inner, write, h)
	return retryable(err), err
}

// Micros is t as the schema keeps it: Unix microseconds.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time is the time, in UTC, that the schema keeps as Unix microseconds.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
