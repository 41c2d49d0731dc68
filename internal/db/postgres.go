package db

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgres is a pool of connections, which the job queue shares.
type postgres struct {
	pool     *pgxpool.Pool
	patience time.Duration
}

const (
	defaultPostgresConns = 12
	minPostgresConns     = 4      // the job queue's listener keeps one
	oldestPostgres       = 150000 // the oldest that is tested
	closeTimeout         = 10 * time.Second

	defaultIdle = 15 * time.Second

	// In one round trip. A connection pool in between may have changed the session, so
	// each transaction sets its own durability.
	beginWrite = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on"
	// REPEATABLE READ gives one snapshot to all statements, as SQLite does. It
	// can't fail with a serialization error as long as nothing is written.
	beginRead = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

func openPostgres(ctx context.Context, cfg Config) (*postgres, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err) // pgx leaves the password out
	}
	pc.MaxConns = defaultPostgresConns
	if cfg.MaxConns != 0 {
		if cfg.MaxConns < minPostgresConns {
			return nil, fmt.Errorf("database connections %d: PostgreSQL needs at least %d", cfg.MaxConns, minPostgresConns)
		}
		pc.MaxConns = int32(min(cfg.MaxConns, 1000))
	}
	pc.PingTimeout = cfg.Patience
	pc.ConnConfig.ConnectTimeout = cfg.Patience
	params := pc.ConnConfig.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "interlock"
	}
	params["lock_timeout"] = millis(cfg.Patience)
	params["idle_in_transaction_session_timeout"] = millis(cfg.Idle)

	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	facts, err := askServer(ctx, pool)
	if err == nil {
		err = facts.fit()
	}
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("PostgreSQL database %q: %w", pc.ConnConfig.Database, err)
	}
	return &postgres{pool: pool, patience: cfg.Patience}, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// server holds what decides whether a server can be used.
type server struct {
	version                              int // 150018 is 15.18
	fsync, fullPages, encoding, readOnly string
}

func askServer(ctx context.Context, pool *pgxpool.Pool) (s server, err error) {
	err = pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('full_page_writes'), current_setting('server_encoding'), current_setting('transaction_read_only')`).
		Scan(&s.version, &s.fsync, &s.fullPages, &s.encoding, &s.readOnly)
	return s, err
}

// fit refuses a server that is read-only, too old, would lose acknowledged commits, or
// stores text in another encoding than UTF-8.
func (s server) fit() error {
	switch {
	case s.version < oldestPostgres:
		return fmt.Errorf("server version %d is too old: want %d or newer", s.version/10000, oldestPostgres/10000)
	case s.fsync != "on":
		return fmt.Errorf("fsync is %q, want on: a power cut would lose acknowledged work", s.fsync)
	case s.fullPages != "on":
		return fmt.Errorf("full_page_writes is %q, want on: a power cut could damage the database", s.fullPages)
	case s.encoding != "UTF8":
		return fmt.Errorf("encoding is %q, want UTF8", s.encoding)
	case s.readOnly != "off":
		return errors.New("is read-only: a standby, or default_transaction_read_only is on")
	}
	return nil
}

func (p *postgres) name() Engine { return Postgres }

func (p *postgres) close() error {
	p.pool.Close()
	return nil
}

func (p *postgres) begin(ctx context.Context, write bool) (txn, error) {
	wait, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	conn, err := p.pool.Acquire(wait)
	if err != nil {
		return nil, tooLong(ctx, wait, p.patience, err)
	}
	query := beginRead
	if write {
		query = beginWrite
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: query})
	if err != nil {
		conn.Release()
		return nil, err
	}
	return &postgresTx{conn: conn, tx: tx}, nil
}

type postgresTx struct {
	conn *pgxpool.Conn
	tx   pgx.Tx
}

func (t *postgresTx) Engine() Engine { return Postgres }
func (t *postgresTx) Native() any    { return t.tx }

func (t *postgresTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

func (t *postgresTx) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	if len(args) > 0 && args[0] == PlanAnew {
		// Described once, and planned each time the arguments are bound.
		args = append([]any{pgx.QueryExecModeCacheDescribe}, args[1:]...)
	}
	rows, err := t.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (t *postgresTx) QueryRow(ctx context.Context, sql string, args ...any) Row {
	return t.tx.QueryRow(ctx, sql, args...)
}

// commit ignores the end of the caller's context: the caller may be gone, but the
// outcome decides what is true.
func (t *postgresTx) commit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := t.tx.Commit(ctx)
	var pg *pgconn.PgError
	switch {
	case err == nil, errors.Is(err, pgx.ErrTxCommitRollback):
		return err
	case errors.As(err, &pg) && pg.SeverityUnlocalized == "ERROR":
		return err // the server has rolled back and says so
	}
	// observed: an immediate restart of PostgreSQL under load answered 99
	// commits with a lost connection although they were on disk.
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}

func (t *postgresTx) rollback() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.tx.Rollback(ctx) // after a commit there is nothing to roll back; a lost connection has done it
	t.conn.Release()
}
