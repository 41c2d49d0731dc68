package db

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
)

// Fault is a way in which a database fails its caller.
type Fault int

// The faults. At a statement each of them loses the transaction; they differ in how
// Write reacts. At the commit they differ in what is stored.
const (
	NoFault           Fault = iota
	Unavailable             // the connection is lost before the statement or commit
	Busy                    // the database asks to try again: Write does so by itself
	Timeout                 // no answer, and nothing was done
	ExecuteAndTimeout       // no answer, although it was done
)

// String is the name of f.
func (f Fault) String() string {
	names := [...]string{"none", "unavailable", "busy", "timeout", "execute and timeout"}
	if f < 0 || int(f) >= len(names) {
		return fmt.Sprintf("Fault(%d)", int(f))
	}
	return names[f]
}

// Op is what a transaction is about to do at a [Point].
type Op string

// The operations.
const (
	OpBegin  Op = "begin"
	OpExec   Op = "exec"
	OpQuery  Op = "query"
	OpCommit Op = "commit"
)

// Point is a moment at which a transaction may fail.
type Point struct {
	N     int // counts from 1 over all transactions since the faults were installed
	Op    Op
	Write bool
	SQL   string // the statement; empty at begin and commit
	Args  []any  // its arguments
	Anew  bool   // it is planned for them each time; see [PlanAnew]
}

// FaultError is the error of an injected fault.
type FaultError struct {
	Fault Fault
	Point Point
}

func (e *FaultError) Error() string {
	return fmt.Sprintf("injected fault: %s at point %d (%s %s)", e.Fault, e.Point.N, e.Point.Op, brief(e.Point.SQL))
}

// Faults decides which transactions fail. It is for tests, which could not otherwise
// see what callers do when a database fails at the worst moment. Statements that go
// through [Tx.Native] are not among the points.
type Faults struct {
	decide func(Point) Fault

	mu     sync.Mutex
	points int
	hits   []FaultError
}

// NewFaults asks decide at each point. Calls to decide don't overlap.
func NewFaults(decide func(Point) Fault) *Faults { return &Faults{decide: decide} }

// SeededFaults fails each point with the given chance (0 to 1) per fault. The
// same seed and the same order of points fail the same points.
func SeededFaults(seed uint64, chance map[Fault]float64) *Faults {
	kinds := make([]Fault, 0, len(chance))
	for f := range chance {
		kinds = append(kinds, f)
	}
	slices.Sort(kinds)
	draw := rand.New(rand.NewPCG(seed, 0))
	return NewFaults(func(Point) Fault {
		x := draw.Float64()
		for _, f := range kinds {
			if x -= chance[f]; x < 0 {
				return f
			}
		}
		return NoFault
	})
}

// FaultAt fails the n-th point, counted from 1, and no other. To try all points, run a
// test with n = 1, 2, ... until [Faults.Hits] stays empty.
func FaultAt(n int, f Fault) *Faults {
	return NewFaults(func(p Point) Fault {
		if p.N == n {
			return f
		}
		return NoFault
	})
}

// Hits are the faults that were injected so far.
func (f *Faults) Hits() []FaultError {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.hits)
}

// WithFaults installs f for the transactions that begin from now on and returns
// d; nil removes it.
func (d *DB) WithFaults(f *Faults) *DB {
	d.faults.Store(f)
	return d
}

// before returns the error that replaces p (instead), or the one that follows it
// (after). A nil f costs nothing.
func (f *Faults) before(p Point) (after, instead error) {
	if f == nil {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.points++
	p.N = f.points
	fault := f.decide(p)
	if fault == NoFault {
		return nil, nil
	}
	hit := FaultError{Fault: fault, Point: p}
	f.hits = append(f.hits, hit)
	if fault == ExecuteAndTimeout {
		return &hit, nil
	}
	return nil, &hit
}

func begin(ctx context.Context, e engine, write bool, h hooks) (txn, error) {
	after, err := h.before(ctx, Point{Op: OpBegin, Write: write})
	if err != nil {
		return nil, err
	}
	t, err := e.begin(ctx, write)
	if err == nil && after != nil {
		t.rollback()
		return nil, after
	}
	return t, err
}

func commit(ctx context.Context, t txn, write bool, h hooks) error {
	after, err := h.before(ctx, Point{Op: OpCommit, Write: write})
	if err == nil {
		if err = t.commit(ctx); err == nil {
			err = after
		}
	}
	if fault, ok := err.(*FaultError); ok && fault.Fault != Busy { //nolint:errorlint // made three lines above
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return err
}
