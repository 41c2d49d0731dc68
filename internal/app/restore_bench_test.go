package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// slow adds 100 ms to each answer of the provider, also to each part of a batch.
func (l *lab) slow() {
	l.t.Helper()
	for _, path := range []string{"/v1.0/*", "/beta/*"} {
		_, err := l.sim.Control().AddFault(l.t.Context(), graphsim.Fault{Path: path, Action: graphsim.Action{Kind: graphsim.ActDelay, DelayMS: 100}})
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// calls is how many calls the simulator has answered since number since, and the number of
// the last one.
func (l *lab) calls(since int) (n, last int) {
	l.t.Helper()
	all, err := l.sim.Control().Calls(l.t.Context(), since, "")
	if err != nil {
		l.t.Fatal(err)
	}
	if len(all) == 0 {
		return 0, since
	}
	return len(all), all[len(all)-1].Number
}

// eachPace runs a benchmark on each engine, with and without the limits that Microsoft
// documents.
func eachPace(b *testing.B, fn func(b *testing.B, database string, paced bool)) {
	for _, engine := range dbtest.Engines() {
		for _, paced := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/%s", engine, map[bool]string{false: "unlimited", true: "paced"}[paced]), func(b *testing.B) {
				fn(b, dbtest.URL(b, engine), paced)
			})
		}
	}
}

// BenchmarkBackup backs up tenants of several sizes whose provider adds 100 ms to each
// answer: how long the run takes, from the start's answer to its end.
//
//	go test ./internal/app -run '^$' -bench 'Backup$' -benchtime 1x
func BenchmarkBackup(b *testing.B) {
	for _, objects := range []int{207, 822} {
		b.Run(fmt.Sprint(objects), func(b *testing.B) {
			eachPace(b, func(b *testing.B, database string, paced bool) {
				l := newLab(b, database, graphsim.Config{Seed: 1}, paced)
				for n := 0; b.Loop(); n++ {
					tenant := fmt.Sprint("kestrel-", n)
					l.tenant(tenant, graphsim.TenantSpec{Policies: objects - 14, Groups: 60}) // 14 are in every tenant
					l.slow()
					_, last := l.calls(0)
					began := time.Now()
					s := l.backUp(tenant)
					b.ReportMetric(time.Since(began).Seconds(), "s")
					made, _ := l.calls(last)
					b.ReportMetric(float64(made), "calls")
					if s.Items != int64(objects) {
						b.Fatalf("%d objects, want %d", s.Items, objects)
					}
				}
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}

// BenchmarkRestore previews and restores 180 policies with assignments, with 100 ms added
// to each answer. Microsoft takes 100 changes of Intune in 20 seconds: where that is
// obeyed, 360 changes take 70 seconds at least.
//
//	go test ./internal/app -run '^$' -bench 'Restore$' -benchtime 1x
func BenchmarkRestore(b *testing.B) {
	const policies = 180
	eachPace(b, func(b *testing.B, database string, paced bool) {
		l := newLab(b, database, graphsim.Config{Seed: 1}, paced)
		for n := 0; b.Loop(); n++ {
			tenant := fmt.Sprint("kestrel-", n)
			l.tenant(tenant, graphsim.TenantSpec{Policies: 800, Groups: 60})
			s := l.backUp(tenant)
			in := catalogue.PreviewParameters{Backup: s.ID}
			for _, item := range assigned(l.whole(s).Items, policies) {
				t := policy.Lookup(item.Key().Type)
				if err := l.sim.Control().DeleteItem(b.Context(), gatetest.Directory(tenant), t.Path, item.Key().ID); err != nil {
					b.Fatal(err)
				}
				in.Items = append(in.Items, item.Key().Type+"/"+item.Key().ID)
			}
			l.slow()
			began := time.Now()
			plan := l.preview(tenant, in)
			b.ReportMetric(time.Since(began).Seconds(), "s/preview")
			if plan.Counts["create"] != policies {
				b.Fatalf("%v", plan.Counts)
			}
			_, last := l.calls(0)
			began = time.Now()
			if r := l.through(tenant, op.PolicyRestore, confirmed(tenant, plan)); r.Words.Code != "succeeded" {
				b.Fatalf("%s: %s", r.Words.Code, r.Words.Why)
			}
			b.ReportMetric(time.Since(began).Seconds(), "s/restore")
			made, _ := l.calls(last)
			b.ReportMetric(float64(made), "calls")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// assigned returns n policies with names of their own, of the types that are restored in
// two calls: a create and its assignments.
func assigned(items []restore.Item, n int) (some []restore.Item) {
	names := map[string]int{}
	for _, item := range items {
		names[strings.ToLower(item.Policy.Name())]++
	}
	for _, item := range items {
		d := item.Policy
		two := slices.Contains([]string{"configurationPolicies", "deviceConfigurations"}, d.Type().Key)
		if two && names[strings.ToLower(d.Name())] == 1 && len(d.Assignments()) > 0 && len(d.Obstacles()) == 0 && len(some) < n {
			some = append(some, item)
		}
	}
	return some
}
