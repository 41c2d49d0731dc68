// Package query builds SQL statements and reads their rows. A [Query] grows with
// its arguments; [All], [One], [Read] and [Write] run it; bulk.go writes and names
// many rows with few distinct texts.
package query

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// Query is a statement that grows, with its arguments. The zero Query is empty and
// ready to use. It is not safe for concurrent use.
type Query struct {
	text strings.Builder
	args []any
	anew bool
}

// PlanAnew makes [All] run q with [db.PlanAnew], and returns q. Use it for a query
// whose arguments match many rows for some values and few for others.
func (q *Query) PlanAnew() *Query {
	q.anew = true
	return q
}

// Of returns a query whose text already names its parameters, $1 for the first of args.
func Of(text string, args ...any) *Query {
	q := &Query{args: args}
	q.text.WriteString(text)
	return q
}

// Text returns the statement so far.
func (q *Query) Text() string { return q.text.String() }

// Args returns the arguments so far.
func (q *Query) Args() []any { return q.args }

// Add appends text, with each %s of it replaced by a placeholder for the next value.
func (q *Query) Add(text string, values ...any) *Query {
	holders := make([]any, len(values))
	for i, v := range values {
		holders[i] = q.Bind(v)
	}
	if len(holders) > 0 {
		text = fmt.Sprintf(text, holders...)
	}
	q.text.WriteString(text)
	return q
}

// Bind adds an argument and returns its placeholder.
func (q *Query) Bind(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// In appends a list of values in brackets; there must be at least one. The last value
// is repeated until the length is a power of two: a text for each length would fill the
// caches of prepared statements.
func (q *Query) In(values []string) *Query {
	for i := range RoundUp(len(values)) {
		sep := ", "
		if i == 0 {
			sep = "("
		}
		q.Add(sep+`%s`, values[min(i, len(values)-1)])
	}
	return q.Add(`)`)
}

// RoundUp returns the smallest power of two that is not below n.
func RoundUp(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }

// Scan reads one row.
type Scan[T any] = func(db.Row) (T, error)

// All runs q and scans every row.
func All[T any](ctx context.Context, tx db.Tx, q *Query, scan Scan[T]) ([]T, error) {
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

// One runs q and scans its first row. Without a row it returns [op.ErrNotFound].
func One[T any](ctx context.Context, tx db.Tx, q *Query, scan Scan[T]) (T, error) {
	v, err := scan(tx.QueryRow(ctx, q.text.String(), q.args...))
	if errors.Is(err, db.ErrNoRows) {
		return v, op.ErrNotFound
	}
	return v, err
}

// ScanText reads a row of one text column.
func ScanText(row db.Row) (string, error) {
	var id string
	err := row.Scan(&id)
	return id, err
}

// Read runs fn on a snapshot and returns its result. what names the work in errors.
func Read[T any](ctx context.Context, d *db.DB, what string, fn func(context.Context, db.Tx) (T, error)) (T, error) {
	return run(ctx, d.Read, what, fn)
}

// Write runs fn in a transaction and returns its result. what names the work in
// errors. fn runs again when the transaction is retried.
func Write[T any](ctx context.Context, d *db.DB, what string, fn func(context.Context, db.Tx) (T, error)) (T, error) {
	return run(ctx, d.Write, what, fn)
}

func run[T any](ctx context.Context, do func(context.Context, func(context.Context, db.Tx) error) error, what string,
	fn func(context.Context, db.Tx) (T, error),
) (T, error) {
	var v T
	err := do(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		v, err = fn(ctx, tx)
		return err
	})
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}
