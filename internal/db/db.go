// Package db opens the database: an embedded SQLite file for a single node, or
// PostgreSQL for several. Callers write one SQL text for both engines and run it in
// [DB.Read] or [DB.Write].
//
// # The common subset of SQL
//
// Placeholders are $1, $2, ... Ids are TEXT, times BIGINT Unix microseconds ([Micros],
// [Time]), flags BOOLEAN, JSON is TEXT decoded in Go, bytes are BYTEA. Optional values
// are pointers, both as arguments and in Scan. SQL reads the database's clock with
// interlock_now(). Text is ordered by bytes: declare columns that are sorted or
// compared COLLATE "C", or write it where they are used. On SQLite, where this is the
// only order, the clause is removed. LIKE is case-sensitive and always names its
// ESCAPE. The predicate of ON CONFLICT ... WHERE is literal SQL. CAST bare parameters
// in CASE.
//
// On both engines a failed statement ends its transaction: nothing is committed,
// whatever the function given to Write does next. So test uniqueness with ON CONFLICT
// DO NOTHING, never by catching a violation.
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

// Config names the database to open and sets its limits.
type Config struct {
	// URL is "sqlite:" and the path of a file, which is created when missing,
	// or a "postgres://" URL (for a Unix socket: postgres:///name?host=/dir).
	URL string

	// MaxConns limits the connections to PostgreSQL, or the readers of SQLite, which
	// has one writer besides. 0 means 4 for SQLite, and 12 for PostgreSQL: 8 for
	// callers and the rest for the job queue (measured: more than 16 on 2 cores triples
	// the p99). PostgreSQL needs at least 4.
	MaxConns int

	// Patience is how long one Read or Write waits for a connection, and again for a
	// lock that another program holds, before it fails as unavailable. 0 means 5 s.
	Patience time.Duration

	// Idle is how long a transaction on PostgreSQL may wait for its next statement. A
	// node that freezes in a transaction keeps its row locks, and blocks everybody who
	// needs them, for this long. 0 means 15 s.
	Idle time.Duration

	// Now is the clock behind interlock_now() on SQLite; nil means time.Now.
	// PostgreSQL has a clock of its own.
	Now func() time.Time

	// Logger logs migrations and retries; nil means slog.Default().
	Logger *slog.Logger

	// Faults makes transactions fail on purpose, in tests; nil means none.
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

// Open opens the database. It returns an error that names the problem when the database
// can't be read, can't be written, or would lose acknowledged commits in a power cut.
// It creates no tables: see [DB.Migrate].
//
// An SQLite file belongs to one process, and to one DB in it: a second one gets a
// [HeldError].
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

// BootID is a new random name for each Open. On SQLite, rows marked with another one
// were written by a process that has ended.
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

// Migrate brings the schema, ours and the job queue's, to the version that this program
// needs. Nodes that start together take turns. A schema newer than the program returns
// [ErrNewerSchema].
func (d *DB) Migrate(ctx context.Context) error {
	if err := d.engine.migrate(ctx, d.cfg.Logger); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return d.Analyze(ctx)
}

// Read runs fn on one consistent, read-only snapshot, so that a list and its count
// agree. fn may be run again and must be repeatable.
func (d *DB) Read(ctx context.Context, fn func(context.Context, Tx) error) error {
	return d.run(ctx, false, fn)
}

// Write runs fn in a transaction and commits when fn returns nil. After a nil error the
// changes are on disk. After any other error, except [ErrOutcomeUnknown], none of them
// is. Write runs fn again when the database asks for it (deadlock, serialization,
// busy), so fn must be repeatable: it has no effects besides the transaction and
// variables that it sets anew each time.
//
// On PostgreSQL each statement sees what others committed before it (READ COMMITTED):
// lock what a decision rests on, or guard it in the writing statement. On SQLite
// writers take turns.
//
// fn must use the context it is given: a Read or Write with that context inside fn
// returns [ErrNested] instead of waiting for itself.
func (d *DB) Write(ctx context.Context, fn func(context.Context, Tx) error) error {
	return d.run(ctx, true, fn)
}

// inTx marks contexts inside a transaction of a database.
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

// try runs fn once. again reports that the database, not fn, was the obstacle and that
// nothing was committed.
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
		return false, err // nobody waits for it: roll back rather than commit unseen
	}
	err = commit(ctx, inner, write, h)
	return retryable(err), err
}

// Micros returns t as the schema stores it: Unix microseconds.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time returns the UTC time of stored Unix microseconds.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
