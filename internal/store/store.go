// Package store holds the reads and the ordinary writes, one file per
// aggregate. Nothing is read or changed without an [access.Scope], an
// [access.TenantAccess] or an [access.Actor]: what lies outside is
// [op.ErrNotFound], and can't be told from what does not exist. Starting work
// is not an ordinary write: that is package gate.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Options are what the store needs from rooms that it may not import.
type Options struct {
	// StopRun stops the run that works on a connection, in the transaction that
	// disables the connection or withdraws its consent. It is called while the
	// connection's row is locked. nil: nothing ever runs.
	StopRun func(ctx context.Context, tx db.Tx, connectionID string, by op.Person, why op.Reason) error

	// Judge returns what is in the way of work on a tenant, by the rules that
	// the gate judges by. connection is the tenant's default, or nil when it has
	// none among its count of connections. nil: nothing is ever ready.
	Judge func(t tenancy.Tenant, connection *tenancy.Connection, count int, now time.Time) []op.Cause

	// Turns returns when Judge may change its mind about a connection by itself,
	// because something runs out. nil: it never does.
	Turns func(c tenancy.Connection) []time.Time

	// ConsentURL returns the provider's page on which an administrator of the
	// connection's directory consents. The provider hands state back with the
	// answer. nil: nobody knows where to, and consent can't be asked for.
	ConsentURL func(c tenancy.Connection, state string) (string, error)

	// StalledAfter is how long a living run may make no progress before it is
	// shown as stalled. 0 means 5 minutes.
	StalledAfter time.Duration
}

// Store reads and writes everything but runs in progress. It is safe for
// concurrent use.
type Store struct {
	db      *db.DB
	root    *vault.Root
	opts    Options
	keysets sync.Map // wrapped keyset -> *vault.Keyset
}

// New returns a store on d whose credentials are sealed under root.
func New(d *db.DB, root *vault.Root, opts Options) *Store {
	if opts.StalledAfter == 0 {
		opts.StalledAfter = 5 * time.Minute
	}
	return &Store{db: d, root: root, opts: opts}
}

// Limits of one page of a list.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// pageSize checks the limit that a caller asked for; 0 means the default.
func pageSize(limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultLimit, nil
	case limit < 1 || limit > maxLimit:
		return 0, &op.FieldError{Field: "limit", Detail: fmt.Sprintf("must be from 1 to %d", maxLimit)}
	}
	return limit, nil
}

// query is a statement that grows.
type query struct {
	text strings.Builder
	args []any
	anew bool // see [db.PlanAnew]: some arguments match many rows, and some few
}

// add appends text, with each %s of it replaced by a placeholder for the next value.
func (q *query) add(text string, values ...any) *query {
	holders := make([]any, len(values))
	for i, v := range values {
		holders[i] = q.bind(v)
	}
	if len(holders) > 0 {
		text = fmt.Sprintf(text, holders...)
	}
	q.text.WriteString(text)
	return q
}

// bind adds an argument and returns its placeholder.
func (q *query) bind(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// in adds a list of values in brackets; there must be one at least. The last one
// is repeated until there are a power of two: a text of each length would fill
// the caches of prepared statements.
func (q *query) in(values []string) *query {
	for i := range roundUp(len(values)) {
		sep := ", "
		if i == 0 {
			sep = "("
		}
		q.add(sep+`%s`, values[min(i, len(values)-1)])
	}
	return q.add(`)`)
}

// roundUp is the smallest power of two that is not below n.
func roundUp(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }

// all runs q and scans every row.
func all[T any](ctx context.Context, tx db.Tx, q *query, scan func(db.Row) (T, error)) ([]T, error) {
	args := q.args
	if q.anew {
		args = append([]any{db.PlanAnew}, args...)
	}
	rows, err := tx.Query(ctx, q.text.String(), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// one runs q and scans its row; none is [op.ErrNotFound].
func one[T any](ctx context.Context, tx db.Tx, q *query, scan func(db.Row) (T, error)) (T, error) {
	v, err := scan(tx.QueryRow(ctx, q.text.String(), q.args...))
	if errors.Is(err, db.ErrNoRows) {
		return v, op.ErrNotFound
	}
	return v, err
}

func scanID(row db.Row) (string, error) {
	var id string
	err := row.Scan(&id)
	return id, err
}

// read runs fn on a snapshot and returns what it found.
func read[T any](ctx context.Context, s *Store, what string, fn func(context.Context, db.Tx) (T, error)) (T, error) {
	var v T
	err := s.db.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		v, err = fn(ctx, tx)
		return err
	})
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// write runs fn in a transaction and returns what it made.
func write[T any](ctx context.Context, s *Store, what string, fn func(context.Context, db.Tx) (T, error)) (T, error) {
	var v T
	err := s.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		v, err = fn(ctx, tx)
		return err
	})
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// maybe is an optional stored time.
func maybe(micros *int64) *time.Time {
	if micros == nil {
		return nil
	}
	t := db.Time(*micros)
	return &t
}

// contains is a LIKE pattern for text with q anywhere in it, ignoring case where
// the column is lower case.
func contains(q string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(q)) + "%"
}

// now is the database's time.
func now(ctx context.Context, tx db.Tx) (time.Time, error) {
	var micros int64
	err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&micros)
	return db.Time(micros), err
}

// decode reads a stored JSON text; empty leaves v as it is.
func decode(what, text string, v any) error {
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("stored %s: %w", what, err)
	}
	return nil
}
