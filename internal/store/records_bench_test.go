package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/store"
)

// cpu is the time that this process has computed. What PostgreSQL computes is not in it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMembers writes groups of 20 members each, replaces them by another full
// round, and sweeps the first: what a row costs, and how long a transaction is.
func BenchmarkMembers(b *testing.B) {
	const groups, each = 5_000, 20
	for _, e := range dbtest.Engines() {
		b.Run(string(e), func(b *testing.B) {
			d := dbtest.New(b, e)
			var took []time.Duration
			write := func(fn func(ctx context.Context, tx db.Tx) error) {
				began := time.Now()
				if err := d.Write(b.Context(), fn); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			k := store.DatasetKey{Workspace: "w", Tenant: "t", Connection: access.NewID(), Name: "groups", Run: "r"}
			round := func() {
				var g int64
				write(func(ctx context.Context, tx db.Tx) (err error) {
					g, err = store.BeginRound(ctx, tx, k, true)
					return err
				})
				var rows []store.Record
				var members []store.GroupMember
				for i := range groups {
					id := uuid.NewString()
					rows = append(rows, store.Record{ID: id, Name: fmt.Sprint("Group ", i), Type: "security", Data: json.RawMessage(`{"id":"` + id + `","displayName":"Group"}`)})
					for range each {
						members = append(members, store.GroupMember{Group: id, Member: uuid.NewString(), Type: "#microsoft.graph.user"})
					}
				}
				for batch := range store.Batches(rows) {
					write(func(ctx context.Context, tx db.Tx) error { return store.PutRows(ctx, tx, k, g, batch) })
				}
				before := cpu()
				for batch := range store.GroupMemberBatches(members) {
					write(func(ctx context.Context, tx db.Tx) error { return store.PutGroupMembers(ctx, tx, g, batch) })
				}
				b.ReportMetric(float64((cpu()-before).Nanoseconds())/1000/groups/each, "cpu-us/member")
				write(func(ctx context.Context, tx db.Tx) error {
					_, err := store.CommitRound(ctx, tx, k, g, store.Committed{Delta: "d"})
					return err
				})
			}
			size := func() (n int64) {
				ask := `SELECT SUM(pgsize) FROM dbstat WHERE name IN ('memberships', 'memberships_nested', 'group_sizes')`
				if e == db.Postgres {
					ask = `SELECT pg_total_relation_size('memberships') + pg_total_relation_size('group_sizes')`
				}
				err := d.Read(b.Context(), func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, ask).Scan(&n) })
				if err != nil {
					b.Fatal(err)
				}
				return n
			}
			for b.Loop() {
				round()
				b.ReportMetric(float64(size())/groups/each, "bytes/member")
				round()
				before, rows := cpu(), int64(0)
				for n := int64(500); n >= 500; rows += n {
					write(func(ctx context.Context, tx db.Tx) (err error) {
						n, err = store.SweepGenerations(ctx, tx, 500)
						return err
					})
				}
				b.ReportMetric(float64((cpu()-before).Nanoseconds())/1000/float64(rows), "cpu-us/swept")
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms/tx")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms/tx")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms/tx")
			b.ReportMetric(0, "ns/op")
		})
	}
}
