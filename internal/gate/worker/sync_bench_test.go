package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// bigDirectory answers a delta round over many groups, without a network. Its pages
// have 100 groups of 20 members, or all groups at once.
type bigDirectory struct {
	fakeClient
	groups  int
	onePage bool
}

const membersEach = 20

func (c *bigDirectory) Page(ctx context.Context, next string) (provider.Page, error) {
	if err := c.call(ctx); err != nil {
		return provider.Page{}, err
	}
	from, size := 0, 100
	if _, at, ok := strings.Cut(next, "skip="); ok {
		from, _ = strconv.Atoi(at)
	}
	if c.onePage {
		size = c.groups
	}
	size = min(size, c.groups-from)
	page := provider.Page{Items: make([]json.RawMessage, size)}
	for i := range page.Items {
		var b strings.Builder
		fmt.Fprintf(&b, `{"id":%q,"displayName":"Group %d","description":null,"groupTypes":[],"membershipRule":null,"securityEnabled":true,"mailEnabled":false,"members@delta":[`,
			uuid.NewString(), from+i)
		for m := range membersEach {
			if m > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`{"@odata.type":"#microsoft.graph.user","id":"` + uuid.NewString() + `"}`)
		}
		b.WriteString(`]}`)
		page.Items[i] = json.RawMessage(b.String())
	}
	if from+size < c.groups {
		page.Next = fmt.Sprint("https://graph.example/v1.0/groups/delta?skip=", from+size)
	} else {
		page.Delta = "https://graph.example/v1.0/groups/delta?$deltatoken=1"
	}
	return page, nil
}

// BenchmarkGroupsSync reads directories of several sizes while others press start:
// how long a sync takes, what a membership costs, and how long a start and a
// heartbeat wait meanwhile. The longest wait bounds the longest transaction.
func BenchmarkGroupsSync(b *testing.B) {
	for _, size := range []struct {
		name    string
		groups  int
		onePage bool
	}{{"2000", 2_000, false}, {"20000", 20_000, false}, {"100000", 100_000, false}, {"one page of 100000", 100_000, true}} {
		b.Run(size.name, func(b *testing.B) {
			eachEngine(b, func(b *testing.B, d *db.DB) {
				s := gatetest.New(b, d)
				w, err := New(d, s.Store, Config{Heartbeat: 250 * time.Millisecond, Connect: func(c Connect) (provider.Client, error) {
					if c.Connection.Slug != "big" {
						return nil, &provider.Error{Reason: op.ProviderRejected}
					}
					return &bigDirectory{fakeClient: fakeClient{fake: &fake{}, connect: c}, groups: size.groups, onePage: size.onePage}, nil
				}})
				if err != nil {
					b.Fatal(err)
				}
				g, err := gate.New(d, s.Store, gate.Config{Silent: w.Silent})
				if err != nil {
					b.Fatal(err)
				}
				tenant := func(slug string) string {
					s.Connection(s.Workspace, s.Tenant(s.Workspace, slug, slug), slug, nil)
					return slug
				}
				start := func(slug string) {
					if _, err := g.Start(b.Context(), s.Operator, op.Request{Tenant: slug, Kind: op.DirectoryGroupsSync, Surface: op.SurfaceAPI}); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Start(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() {
					if err := w.Stop(context.WithoutCancel(b.Context())); err != nil {
						b.Error(err)
					}
				})
				tenant("big")
				var pressed []string
				for i := range 50 {
					pressed = append(pressed, tenant(fmt.Sprint("other-", i)))
				}
				for b.Loop() {
					began, before := time.Now(), used()
					start("big")
					var starts, writes []time.Duration
					state := ""
					for i := 0; state != "finished"; i++ {
						time.Sleep(10 * time.Millisecond)
						at := time.Now()
						start(pressed[i%len(pressed)])
						starts = append(starts, time.Since(at))
						at = time.Now()
						s.Write(func(ctx context.Context, tx db.Tx) error { // as small as a heartbeat
							_, err := tx.Exec(ctx, `UPDATE run_claims SET heartbeat = heartbeat WHERE run_id = 'nobody'`)
							return err
						})
						writes = append(writes, time.Since(at))
						err := d.Read(b.Context(), func(ctx context.Context, tx db.Tx) error {
							return tx.QueryRow(ctx, `SELECT r.state FROM runs r JOIN connections c ON c.id = r.connection_id WHERE c.slug = 'big'
								ORDER BY r.id DESC LIMIT 1`).Scan(&state)
						})
						if err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(time.Since(began).Seconds(), "s")
					b.ReportMetric(float64((used()-before).Nanoseconds())/1000/float64(size.groups*membersEach), "cpu-us/member")
					if n := s.Int(`SELECT COALESCE(MAX(member_count), 0) FROM datasets WHERE name = 'groups'`); n != int64(size.groups*membersEach) {
						b.Fatalf("%d members were kept", n)
					}
					for name, took := range map[string][]time.Duration{"start": starts, "write": writes} {
						slices.Sort(took)
						b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms/"+name)
						b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms/"+name)
					}
				}
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}

// used is the time that this process has computed. What PostgreSQL computes is not in it.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
