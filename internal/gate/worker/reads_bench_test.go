package worker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/graph"
	"github.com/interlock-dev/interlock/internal/vault"
)

// latency is what the benchmarks of reads add to each answer of Graph.
const latency = 100 * time.Millisecond

// distant is a provider that is latency away. It counts the requests for each list.
type distant struct {
	http.RoundTripper
	mu    sync.Mutex
	lists map[string]int // by path
	all   int
}

func (d *distant) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(strings.ToLower(r.URL.Path), "/v1.0/") || strings.HasPrefix(strings.ToLower(r.URL.Path), "/beta/") {
		d.mu.Lock()
		d.all++
		d.lists[r.URL.Path]++
		d.mu.Unlock()
		time.Sleep(latency)
	}
	return d.RoundTripper.RoundTrip(r)
}

// slowest returns how long the slowest chain takes by itself: the pages of one list, one
// after the other, or the calls of conditional access, of which one a second is allowed.
func (d *distant) slowest() time.Duration {
	pages, paced := 0, 0
	for path, n := range d.lists {
		pages = max(pages, n)
		if strings.Contains(path, "/identity/") {
			paced += n
		}
	}
	return max(time.Duration(pages)*latency, time.Duration(max(0, paced-1))*time.Second+latency)
}

// BenchmarkReads runs the two operations that read most, through Microsoft's sign-in
// library and with the documented limits, from a provider that is 100 ms away. It tells how
// long a run takes, how many requests it makes, how long its slowest chain of requests takes
// by itself, what the process computes, and the largest heap.
func BenchmarkReads(b *testing.B) {
	b.Run("inventory", func(b *testing.B) {
		eachEngine(b, func(b *testing.B, d *db.DB) {
			sim, err := graphsim.New(graphsim.Config{Seed: 1})
			if err != nil {
				b.Fatal(err)
			}
			if err := sim.Start(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(sim.Close)
			application := uuid.NewString()
			known := slices.DeleteFunc(catalogue.EveryPermission(), func(name string) bool { return strings.HasPrefix(name, "Toy") }) // of a test
			err = sim.AddTenant(graphsim.TenantSpec{
				ID: gatetest.Directory("big"), DisplayName: "Big", Domain: "big.example", Intune: true, Policies: 800, Devices: 2000, MobileApps: 300,
				Apps: []graphsim.AppSpec{{AppID: application, Secrets: []graphsim.Secret{{Value: "secret"}}, Consented: true, Requested: known}},
			})
			if err != nil {
				b.Fatal(err)
			}
			read(b, d, op.InventorySync, sim.URL(), application, sim.Transport())
		})
	})
	for _, groups := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("%d groups, %d members", groups, groups*membersOfEach), func(b *testing.B) {
			eachEngine(b, func(b *testing.B, d *db.DB) {
				application := uuid.NewString()
				read(b, d, op.DirectoryGroupsSync, "https://graph.example", application, &manyGroups{directory: gatetest.Directory("big"), application: application, groups: groups})
				if n := gatetest.Attach(b, d, nil).Int(`SELECT COALESCE(MAX(member_count), 0) FROM datasets WHERE name = 'groups'`); n != int64(groups*membersOfEach) {
					b.Fatalf("%d members were kept", n)
				}
			})
		})
	}
}

// read measures runs of an operation on the tenant big.
func read(b *testing.B, d *db.DB, kind op.Kind, base, application string, transport http.RoundTripper) {
	b.Helper()
	s := gatetest.New(b, d)
	s.Connection(s.Workspace, s.Tenant(s.Workspace, "big", "Big"), "big", nil)
	far := &distant{RoundTripper: transport}
	w, err := New(d, s.Store, Config{Connect: func(c Connect) (provider.Client, error) {
		return graph.New(graph.Config{
			Endpoints: graph.Endpoints{Login: base, Graph: base}, Directory: gatetest.Directory("big"), ClientID: application,
			Credential: c.Connection.Credential, Secret: vault.NewSecret("secret"), HTTP: &http.Client{Transport: far}, Before: c.Before,
		})
	}})
	if err != nil {
		b.Fatal(err)
	}
	g, err := gate.New(d, s.Store, gate.Config{Silent: w.Silent})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	})
	for b.Loop() {
		far.lists, far.all = make(map[string]int), 0
		computed := used()
		request := op.Request{Tenant: "big", Kind: kind, Surface: op.SurfaceAPI}
		if kind == op.DirectoryGroupsSync {
			request.Parameters = json.RawMessage(`{"full":true}`)
		}
		r, err := g.Start(b.Context(), s.Operator, request)
		if err != nil {
			b.Fatal(err)
		}
		var heap uint64
		var outcome string
		var began, ended int64
		for outcome == "" {
			time.Sleep(20 * time.Millisecond)
			sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
			metrics.Read(sample)
			heap = max(heap, sample[0].Value.Uint64())
			err := d.Read(b.Context(), func(ctx context.Context, tx db.Tx) error {
				return tx.QueryRow(ctx, `SELECT outcome, COALESCE(began_at, 0), COALESCE(ended_at, 0) FROM runs WHERE id = $1`, r.Run().ID).Scan(&outcome, &began, &ended)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		if outcome != string(op.RunSucceeded) {
			b.Fatalf("the run ended as %s", outcome)
		}
		took := time.Duration(ended-began) * time.Microsecond
		alone := far.slowest()
		b.ReportMetric(took.Seconds(), "s")
		b.ReportMetric(float64(far.all), "requests")
		b.ReportMetric(alone.Seconds(), "s-slowest-chain")
		b.ReportMetric(took.Seconds()/alone.Seconds(), "times-that")
		b.ReportMetric((used() - computed).Seconds(), "s-cpu")
		b.ReportMetric(float64(heap)/(1<<20), "MiB-heap")
		b.ReportMetric(0, "ns/op")
	}
}

// membersOfEach is how many members each group of [manyGroups] has.
const membersOfEach = 10

// manyGroups answers as Graph does for a directory with many groups: sign-in, organization,
// and a delta round whose pages have 100 groups.
type manyGroups struct {
	directory, application string
	groups                 int
}

func (m *manyGroups) RoundTrip(r *http.Request) (*http.Response, error) {
	var body string
	switch {
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		body = `{"authorization_endpoint":"https://graph.example/d/authorize","token_endpoint":"https://graph.example/d/token","issuer":"https://graph.example/d/v2.0"}`
	case strings.HasSuffix(r.URL.Path, "/token"):
		claims, err := json.Marshal(map[string]any{"tid": m.directory, "appid": m.application, "roles": catalogue.EveryPermission()})
		if err != nil {
			return nil, err
		}
		body = `{"token_type":"Bearer","expires_in":86400,"access_token":"x.` + base64.RawURLEncoding.EncodeToString(claims) + `.x"}`
	case strings.HasSuffix(r.URL.Path, "/organization"):
		body = `{"value":[{"id":"` + m.directory + `","displayName":"Big"}]}`
	default:
		body = m.page(r.URL.Query().Get("$skiptoken"))
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// page returns the page of the delta round that begins at a group.
func (m *manyGroups) page(skip string) string {
	from, _ := strconv.Atoi(skip)
	to := min(from+100, m.groups)
	var page strings.Builder
	page.WriteString(`{"value":[`)
	for i := from; i < to; i++ {
		if i > from {
			page.WriteByte(',')
		}
		fmt.Fprintf(&page, `{"id":%q,"displayName":"Group %d","description":null,"groupTypes":[],"membershipRule":null,"securityEnabled":true,"mailEnabled":false,"members@delta":[`,
			uuid.NewString(), i)
		for n := range membersOfEach {
			if n > 0 {
				page.WriteByte(',')
			}
			page.WriteString(`{"@odata.type":"#microsoft.graph.user","id":"` + uuid.NewString() + `"}`)
		}
		page.WriteString(`]}`)
	}
	if to < m.groups {
		fmt.Fprintf(&page, `],"@odata.nextLink":"https://graph.example/v1.0/groups/delta?$skiptoken=%d"}`, to)
	} else {
		page.WriteString(`],"@odata.deltaLink":"https://graph.example/v1.0/groups/delta?$deltatoken=1"}`)
	}
	return page.String()
}
