package db

import "context"

// Steps is called before each begin, statement and commit, with the context of the
// transaction, which waits until it returns. It is for tests that interleave
// transactions. As with [Faults], statements that go through [Tx.Native] are not among
// the points.
type Steps func(ctx context.Context, p Point)

// WithSteps installs s for the transactions that begin from now on and returns
// d; nil removes it.
func (d *DB) WithSteps(s Steps) *DB {
	d.steps.Store(&s)
	return d
}

// hooks are what a test has installed for a transaction.
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

// before returns the error that replaces p (instead), or the one that follows it
// (after).
func (h hooks) before(ctx context.Context, p Point) (after, instead error) {
	if h.steps != nil {
		h.steps(ctx, p)
	}
	return h.faults.before(p)
}
