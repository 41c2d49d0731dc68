package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// Tx is a transaction. One goroutine at a time may use it, and only until the function
// that received it returns.
type Tx interface {
	// Exec runs a statement and returns how many rows it inserted, updated or deleted.
	Exec(ctx context.Context, sql string, args ...any) (rows int64, err error)

	// Query runs a statement that returns rows. Close them before the next statement.
	// The first argument may be [PlanAnew].
	Query(ctx context.Context, sql string, args ...any) (Rows, error)

	// QueryRow runs a statement that returns at most one row; Scan reports its error.
	QueryRow(ctx context.Context, sql string, args ...any) Row

	// Engine names the engine, for the rare statement that must differ.
	Engine() Engine

	// Native is the pgx.Tx or the *sql.Tx, for the job queue only.
	Native() any
}

// PlanAnew is a first argument of [Tx.Query], which does not count as a parameter. It
// makes PostgreSQL plan the statement each time for its arguments. Without it
// PostgreSQL may use one plan for all arguments from the sixth run on, which is wrong
// for a list that is long for one tenant and short for another. Planning is expensive:
// starts take twice as long with it.
var PlanAnew any = planAnew{}

type planAnew struct{}

// Row is one row.
type Row interface {
	// Scan copies the columns into dest. Without a row it returns [ErrNoRows].
	Scan(dest ...any) error
}

// Rows are the rows of a query.
type Rows interface {
	Row
	// Next goes to the next row. At the end, or on an error, it returns false.
	Next() bool
	// Err is the error that ended Next early.
	Err() error
	// Close skips the remaining rows. Closing twice is allowed.
	Close()
}

// txn is a transaction of one engine.
type txn interface {
	Tx
	commit(ctx context.Context) error
	rollback()
}

// guarded makes the engines behave alike. It refuses arguments that they treat
// differently, and after a failed statement it refuses all others, as PostgreSQL does.
type guarded struct {
	txn
	write  bool
	hooks  hooks
	failed error
}

func (t *guarded) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	args, err := t.prepare(sql, args)
	if err != nil {
		return 0, t.fail(err)
	}
	after, err := t.hooks.before(ctx, Point{Op: OpExec, Write: t.write, SQL: sql, Args: args})
	if err != nil {
		return 0, t.fail(err)
	}
	n, err := t.txn.Exec(ctx, sql, args...)
	if err == nil {
		err = after
	}
	if err != nil {
		return 0, t.fail(fmt.Errorf("exec %s: %w", brief(sql), err))
	}
	return n, nil
}

func (t *guarded) Query(ctx context.Context, sql string, args ...any) (Rows, error) {
	args, err := t.prepare(sql, args)
	if err != nil {
		return nil, t.fail(err)
	}
	point := Point{Op: OpQuery, Write: t.write, SQL: sql, Args: args}
	if len(args) > 0 && args[0] == PlanAnew {
		point.Anew, point.Args = true, args[1:]
	}
	after, err := t.hooks.before(ctx, point)
	if err != nil {
		return nil, t.fail(err)
	}
	rows, err := t.txn.Query(ctx, sql, args...)
	if err == nil && after != nil {
		rows.Close()
		err = after
	}
	if err != nil {
		return nil, t.fail(fmt.Errorf("query %s: %w", brief(sql), err))
	}
	return &guardedRows{Rows: rows, tx: t, sql: sql}, nil
}

func (t *guarded) QueryRow(ctx context.Context, sql string, args ...any) Row {
	rows, err := t.Query(ctx, sql, args...)
	return &oneRow{rows: rows, err: err}
}

func (t *guarded) fail(err error) error {
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// prepare checks the arguments and converts them to what means the same on both
// engines.
func (t *guarded) prepare(sql string, args []any) ([]any, error) {
	if t.failed != nil {
		return nil, fmt.Errorf("%s: the transaction has failed before: %w", brief(sql), t.failed)
	}
	for i, a := range args {
		var err error
		switch v := a.(type) {
		case nil, bool, int, int32, int64, []byte:
		case planAnew:
			if i > 0 {
				err = errors.New("PlanAnew comes first")
			}
		case string:
			err = checkText(v)
		case json.RawMessage:
			// database/sql takes it for bytes, and SQLite would store a BLOB, which is
			// not equal to the same TEXT.
			text := string(v)
			if err = checkText(text); err == nil {
				args = append(append(append(make([]any, 0, len(args)), args[:i]...), text), args[i+1:]...)
			}
		case time.Time, *time.Time:
			err = fmt.Errorf("times are BIGINT microseconds: use db.Micros")
		case time.Duration, *time.Duration:
			err = fmt.Errorf("a duration has no type in the schema: use its Microseconds")
		default:
			r := reflect.Indirect(reflect.ValueOf(a))
			if r.Kind() == reflect.String {
				err = checkText(r.String())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: argument $%d: %w", brief(sql), i+1, err)
		}
	}
	return args, nil
}

// Storable reports whether both engines can store a text, and compare columns with it.
func Storable(s string) bool { return checkText(s) == nil }

// checkText refuses text that SQLite can store and PostgreSQL can't.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("text is not valid UTF-8")
	}
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("text contains a NUL character")
	}
	return nil
}

// brief is the beginning of a statement, for errors. Statements hold no values, so it
// holds no secret.
func brief(sql string) string {
	s := strings.Join(strings.Fields(sql), " ")
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return s
}

type guardedRows struct {
	Rows
	tx  *guarded
	sql string
}

func (r *guardedRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	_ = r.Err() // a caller that does not check it must not commit
	return false
}

func (r *guardedRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return r.tx.fail(fmt.Errorf("query %s: %w", brief(r.sql), err))
	}
	return nil
}

type oneRow struct {
	rows Rows
	err  error
}

func (r *oneRow) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
