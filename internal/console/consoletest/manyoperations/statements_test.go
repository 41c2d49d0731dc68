package manyoperations_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// kestrel is the page of a tenant.
const kestrel = "/w/lattice/tenants/kestrel"

// TestStatementsOfALook: a look at the page of a tenant, or of a connection, takes the
// same number of statements with 3 operations as with 30.
func TestStatementsOfALook(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	w.Ready("kestrel", nil)
	ana := w.Browser(w.Operator)
	pages := []string{kestrel, kestrel + "/connections/kestrel"}
	statements := 0
	w.DB.WithFaults(db.NewFaults(func(p db.Point) db.Fault {
		if p.Op == db.OpQuery || p.Op == db.OpExec {
			statements++
		}
		return db.NoFault
	}))
	counts := func() (counts []int) {
		for _, path := range pages {
			ana.Get(path).Want(http.StatusOK) // whatever is done once is done
			statements = 0
			page := ana.Get(path).Want(http.StatusOK)
			if n, want := page.Page.Find(".acts li").Length(), plain(); n != want {
				t.Fatalf("%s offers %d of %d operations", path, n, want)
			}
			counts = append(counts, statements)
		}
		return counts
	}
	few := counts()
	for len(catalogue.All()) < 30 {
		n := len(catalogue.All())
		name := "toy" + strings.Repeat("y", n)
		catalogue.Register(&catalogue.Definition{
			Kind: op.Kind(name + ".sync"), Version: 1, Place: 90, Icon: "sync", Baseline: false,
			Words:      op.KindWords{Name: fmt.Sprintf("Toy sync %d", n), Does: "Reads toys.", Start: "Start sync", Item: "toy", Items: "toys"},
			Capability: tenancy.Capability(name + ".sync"), Allows: fmt.Sprintf("Sync toys %d", n), Roles: []tenancy.Role{tenancy.Owner},
			Canonical:  catalogue.NoParameters,
			Parameters: struct{}{}, QueueLimit: time.Hour, RunLimit: time.Hour, CallLimit: time.Second, MaxDispatch: 1, Recovery: catalogue.Again,
			Run: func(context.Context, *catalogue.Env) error { return nil },
		})
	}
	many := counts()
	for i, path := range pages {
		if few[i] != many[i] || few[i] == 0 {
			t.Errorf("%s takes %d statements, and %d with 30 operations", path, few[i], many[i])
		}
		t.Logf("%s: %d statements", path, many[i])
	}
}

// plain counts the operations that have a start button: those that need no input.
func plain() (n int) {
	for _, d := range catalogue.All() {
		if !d.Input {
			n++
		}
	}
	return n
}
