package dbtest_test

import (
	"context"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// BenchmarkFresh is what a test pays for its database: to get it, to ask it
// something for the first time, and to give it back.
func BenchmarkFresh(b *testing.B) {
	for _, engine := range dbtest.Engines() {
		b.Run(string(engine), func(b *testing.B) {
			for b.Loop() {
				b.Run("", func(b *testing.B) { // what it cleans up counts
					d := dbtest.New(b, engine)
					err := d.Read(b.Context(), func(ctx context.Context, tx db.Tx) error {
						var n int64
						return tx.QueryRow(ctx, "SELECT COUNT(*) FROM runs").Scan(&n)
					})
					if err != nil {
						b.Fatal(err)
					}
				})
			}
		})
	}
}
