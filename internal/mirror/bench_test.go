package mirror_test

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
	"github.com/interlock-dev/interlock/internal/mirror"
)

// cpu is the time that this process has computed. What PostgreSQL computes is not in it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMembers writes directories with 20 members in each group, replaces them
// by an empty one, and sweeps what was replaced: what a row costs, how long the
// transactions are, and that neither depends on how many rows there are.
func BenchmarkMembers(b *testing.B) {
	for _, groups := range []int{5_000, 100_000} {
		for _, e := range dbtest.Engines() {
			b.Run(fmt.Sprint(groups, " groups/", e), func(b *testing.B) {
				for b.Loop() {
					benchmarkMembers(b, dbtest.New(b, e), groups)
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func benchmarkMembers(b *testing.B, d *db.DB, groups int) {
	const each = 20
	var took []time.Duration
	write := func(fn func(ctx context.Context, tx db.Tx) error) time.Duration {
		began := time.Now()
		if err := d.Write(b.Context(), fn); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		return took[len(took)-1]
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	perRow := func(d time.Duration, rows int64) float64 { return float64(d.Nanoseconds()) / 1000 / float64(rows) }
	k := mirror.Key{Workspace: "w", Tenant: "t", Connection: access.NewID(), Name: "groups", Run: "r"}
	var g int64
	begin := func() {
		write(func(ctx context.Context, tx db.Tx) (err error) {
			g, err = mirror.BeginRound(ctx, tx, k, true)
			return err
		})
	}
	commit := func() time.Duration {
		return write(func(ctx context.Context, tx db.Tx) error {
			_, err := mirror.CommitRound(ctx, tx, k, g, mirror.Committed{Delta: "d"})
			return err
		})
	}

	begin()
	var wrote, computed time.Duration           // of rows, and of members
	for from := 0; from < groups; from += 100 { // a page at a time, as they come
		var rows []mirror.Record
		var members []mirror.Member
		for i := range 100 {
			id := uuid.NewString()
			rows = append(rows, mirror.Record{ID: id, Name: fmt.Sprint("Group ", from+i), Type: "security", Data: json.RawMessage(`{"id":"` + id + `","displayName":"Group"}`)})
			for range each {
				members = append(members, mirror.Member{Group: id, Member: uuid.NewString(), Type: "#microsoft.graph.user"})
			}
		}
		before := cpu()
		for batch := range mirror.Batches(rows) {
			write(func(ctx context.Context, tx db.Tx) error { return mirror.PutRows(ctx, tx, k, g, batch) })
		}
		wrote += cpu() - before
		before = cpu()
		for batch := range mirror.MemberBatches(members) {
			write(func(ctx context.Context, tx db.Tx) error { return mirror.PutMembers(ctx, tx, g, batch) })
		}
		computed += cpu() - before
	}
	b.ReportMetric(perRow(wrote, int64(groups)), "cpu-us/row")
	b.ReportMetric(perRow(computed, int64(groups*each)), "cpu-us/member")
	b.ReportMetric(ms(commit()), "commit-ms")

	size := func(tables ...string) (bytes float64) {
		for _, table := range tables {
			ask := `SELECT SUM(s.pgsize) FROM dbstat s WHERE s.name IN (SELECT m.name FROM sqlite_master m WHERE m.tbl_name = $1)`
			if d.Engine() == db.Postgres {
				ask = `SELECT pg_total_relation_size(CAST($1 AS TEXT))`
			}
			var n int64
			if err := d.Read(b.Context(), func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, ask, table).Scan(&n) }); err != nil {
				b.Fatal(err)
			}
			bytes += float64(n)
		}
		return bytes
	}
	b.ReportMetric(size("records")/float64(groups), "bytes/row")
	b.ReportMetric(size("memberships", "group_sizes")/float64(groups*each), "bytes/member")

	begin()
	commit()
	before, rows := cpu(), int64(0)
	for n := int64(500); n >= 500; rows += n {
		write(func(ctx context.Context, tx db.Tx) (err error) {
			n, err = mirror.Sweep(ctx, tx, 500)
			return err
		})
	}
	b.ReportMetric(perRow(cpu()-before, rows), "cpu-us/swept")
	slices.Sort(took)
	b.ReportMetric(ms(took[len(took)/2]), "p50-ms/tx")
	b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms/tx")
	b.ReportMetric(ms(took[len(took)-1]), "max-ms/tx")
}
