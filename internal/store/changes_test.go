package store

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestChanges: what one process tells the others hear once, in its order; itself it
// does not hear.
func TestChanges(t *testing.T) {
	url := dbtest.URL(t, db.Postgres)
	d, other := dbtest.Open(t, db.Config{URL: url}), dbtest.Open(t, db.Config{URL: url})
	ctx := t.Context()
	here, there := NewChanges(d), NewChanges(other)
	hear := func(c *Changes) []op.Change {
		t.Helper()
		changes, err := c.Hear(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return changes
	}
	tell := func(c *Changes, changes ...op.Change) {
		t.Helper()
		if err := c.Tell(ctx, changes); err != nil {
			t.Fatal(err)
		}
	}
	one, two, three := op.Change{Workspace: "w", Tenant: "t", Run: "r"}, op.Change{Workspace: "w"}, op.Change{}
	tell(here, one) // before the other began to hear
	if got := hear(there); !slices.Equal(got, []op.Change{one}) {
		t.Errorf("heard %v", got)
	}
	tell(here, two, three)
	if got := hear(there); !slices.Equal(got, []op.Change{two, three}) {
		t.Errorf("heard %v", got)
	}
	if got := hear(there); len(got) != 0 {
		t.Errorf("heard %v again", got)
	}
	if got := hear(here); len(got) != 0 {
		t.Errorf("it hears itself: %v", got)
	}
	tell(there, one)
	if got := hear(here); !slices.Equal(got, []op.Change{one}) {
		t.Errorf("heard %v", got)
	}

	// A reader that was away for longer than changes are kept must read everything.
	dbtest.SetClockOffset(t, other, 5*time.Minute)
	if got := hear(there); !slices.Equal(got, []op.Change{{}}) {
		t.Errorf("after five minutes it heard %v", got)
	}
	tell(there, two)
	tell(NewChanges(dbtest.Open(t, db.Config{URL: url})), three) // a process that begins clears up after those that are gone
	var left int64
	if err := d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM changes`).Scan(&left)
	}); err != nil {
		t.Fatal(err)
	}
	if left != 2 {
		t.Errorf("%d rows are kept", left)
	}
}
