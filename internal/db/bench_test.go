package db_test

import (
	"context"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// One short transaction of each kind, from 8 callers.
func BenchmarkTransaction(b *testing.B) {
	for _, engine := range dbtest.Engines() {
		d := dbtest.New(b, engine)
		err := d.Write(b.Context(), func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "CREATE TABLE x (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)")
			if err == nil {
				_, err = tx.Exec(ctx, "INSERT INTO x (id, n) VALUES (1, 0)")
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		callers := func(b *testing.B, run func(context.Context) error) {
			b.SetParallelism(4) // times 2 cores
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := run(b.Context()); err != nil {
						b.Error(err)
					}
				}
			})
		}
		b.Run(string(engine)+"/write", func(b *testing.B) {
			callers(b, func(ctx context.Context) error {
				return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
					_, err := tx.Exec(ctx, "UPDATE x SET n = n + 1 WHERE id = $1", 1)
					return err
				})
			})
		})
		b.Run(string(engine)+"/read", func(b *testing.B) {
			callers(b, func(ctx context.Context) error {
				return d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
					var n int64
					return tx.QueryRow(ctx, "SELECT n FROM x WHERE id = $1", 1).Scan(&n)
				})
			})
		})
	}
}
