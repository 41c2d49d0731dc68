package db

import "context"

// Steps is told of each begin, statement and commit before it is done, with the
// context of the transaction, and holds it up until it returns. It exists for
// tests that interleave transactions on purpose. As with [Faults], statements
// that go through [Tx.Native] are not among the points.
type Steps func(ctx context.Context, p Point)

// WithSteps installs s for the transactions that begin from now on and returns
// d; nil removes it.
func (d *DB) WithSteps(s Steps) *DB {
	d.steps.Store(&s)
	return d
}

// hooks are what a test has put in front of a transaction.
type hooks struct {
	faults *Faults
	steps  Steps
}

func (d *DB) hooks() hooks {
	h := hooks{faults: d.faults.Load()}
	if s := d.steps.Load(); s != nil {
		h.steps = *s
	}
	return h
}

// before returns the error to fail with instead of doing p, or the one to fail
// with after having done it.
func (h hooks) before(ctx context.Context, p Point) (after, instead error) {
	if h.steps != nil {
		h.steps(ctx, p)
	}
	return h.faults.before(p)
}
