package dbtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

func now(t *testing.T, d *db.DB) time.Time {
	t.Helper()
	var micros int64
	err := d.Read(t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, "SELECT interlock_now()").Scan(&micros)
	})
	if err != nil {
		t.Fatal(err)
	}
	return db.Time(micros)
}

func TestSetClockOffset(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, offset := range []time.Duration{0, 2 * time.Hour, -24 * time.Hour, 0} {
			dbtest.SetClockOffset(t, d, offset)
			if got := time.Until(now(t, d)); (got - offset).Abs() > time.Minute {
				t.Errorf("offset %v: the clock is off by %v", offset, got)
			}
		}
	})
}

func TestEachDatabaseIsFresh(t *testing.T) {
	for range 2 {
		dbtest.Each(t, func(t *testing.T, d *db.DB) {
			err := d.Write(t.Context(), func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Exec(ctx, "CREATE TABLE once (id TEXT PRIMARY KEY)")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
