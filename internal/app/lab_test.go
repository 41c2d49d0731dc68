package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// lab is the whole product with one worker process, and a simulator in place of
// Microsoft 365. Its owner uses the API.
type lab struct {
	*gatetest.World
	t     testing.TB
	app   *App
	sim   *graphsim.Server
	owner *client.Client
}

// newLab starts the product on an empty database. paced keeps it to the limits that
// Microsoft documents.
func newLab(t testing.TB, database string, cfg graphsim.Config, paced bool) *lab {
	t.Helper()
	l := &lab{t: t}
	var err error
	if l.sim, err = graphsim.New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := l.sim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.sim.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := l.sim.WriteCA(ca); err != nil {
		t.Fatal(err)
	}
	root, err := vault.GenerateRoot()
	if err != nil {
		t.Fatal(err)
	}
	l.app, err = New(t.Context(), Config{
		Database: database, Root: root, Logger: slog.New(slog.DiscardHandler), Simulator: &Simulator{URL: l.sim.URL(), CAFile: ca, Paced: paced},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.app.Close(); err != nil {
			t.Error(err)
		}
	})
	l.World = gatetest.With(t, l.app.DB, root)
	if err := l.app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.app.worker.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	served := httptest.NewServer(l.app.server.Handler)
	t.Cleanup(served.Close)
	l.owner = l.as(served.URL, l.Owner)
	return l
}

// as returns a client of somebody at an address of the product.
func (l *lab) as(url string, a access.Actor) *client.Client {
	l.t.Helper()
	c, err := client.New(url, l.Session(a), client.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// tenant adds a tenant that the simulator has and that everything can run on. Its
// directory and application are filled in.
func (l *lab) tenant(slug string, spec graphsim.TenantSpec) (directory string) {
	l.t.Helper()
	app := uuid.NewString()
	spec.ID, spec.DisplayName, spec.Domain, spec.Intune = gatetest.Directory(slug), slug, slug+".example", true
	spec.Apps = []graphsim.AppSpec{{
		AppID: app, Name: "Interlock", Consented: true, Requested: catalogue.EveryPermission(), Secrets: []graphsim.Secret{{Value: "s3cret-" + slug}},
	}}
	if err := l.sim.AddTenant(spec); err != nil {
		l.t.Fatal(err)
	}
	l.Connection(l.Workspace, l.Tenant(l.Workspace, slug, slug), slug, func(c *tenancy.Connection) { c.ClientID = app })
	return spec.ID
}

// through starts an operation as the owner and follows its run to its end.
func (l *lab) through(tenant string, kind op.Kind, parameters any) op.Run {
	l.t.Helper()
	in, err := json.Marshal(parameters)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Minute)
	defer cancel()
	a, err := l.owner.Start(ctx, tenant, client.StartRequest{Operation: kind, Parameters: in})
	if err != nil || a.Run == nil {
		l.t.Fatalf("%s on %s: %v %s: %s", kind, tenant, err, a.Code, a.Title)
	}
	r, err := l.owner.Follow(ctx, a.Run.ID, func(client.Event) error { return nil })
	if err != nil {
		l.t.Fatalf("%s on %s: %v", kind, tenant, err)
	}
	return r
}

// backUp backs a tenant up and returns the backup. All of it must have been read.
func (l *lab) backUp(tenant string) backup.Set {
	l.t.Helper()
	r := l.through(tenant, "policy.backup", struct{}{})
	if r.Words.Code != "succeeded" {
		l.t.Fatalf("the backup of %s ended as %s: %s", tenant, r.Words.Code, r.Words.Why)
	}
	return l.set(l.Text(`SELECT id FROM backup_sets WHERE run_id = $1`, r.ID))
}

func (l *lab) set(id string) (s backup.Set) {
	l.t.Helper()
	err := l.DB.Read(l.t.Context(), func(ctx context.Context, tx db.Tx) (err error) {
		s, err = backup.Find(ctx, tx, l.Workspace, id)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// whole returns a backup with its contents.
func (l *lab) whole(s backup.Set) restore.Set {
	l.t.Helper()
	all, err := backup.Whole(l.t.Context(), func(fn func(context.Context, db.Tx) error) error { return l.DB.Read(l.t.Context(), fn) }, l.Workspace, s)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// preview previews a restore and returns its plan.
func (l *lab) preview(tenant string, in catalogue.PreviewParameters) client.Plan {
	l.t.Helper()
	if r := l.through(tenant, op.PolicyRestorePreview, in); r.Words.Code != "succeeded" {
		items, err := l.owner.RunItems(l.t.Context(), r.ID, client.Paging{Limit: 200})
		l.t.Fatalf("the preview for %s ended as %s: %s\n%+v %v", tenant, r.Words.Code, r.Words.Why, items.Items, err)
	}
	all, err := l.owner.Plans(l.t.Context(), tenant, "", client.Paging{Limit: 1})
	if err != nil || len(all.Items) != 1 {
		l.t.Fatalf("the plans of %s: %d, %v", tenant, len(all.Items), err)
	}
	return all.Items[0]
}

// stepsOf returns all steps of a plan.
func (l *lab) stepsOf(tenant, plan string) (all []client.PlanStep) {
	l.t.Helper()
	for p := (client.Paging{Limit: 200}); ; {
		some, err := l.owner.PlanSteps(l.t.Context(), tenant, plan, "", p)
		if err != nil {
			l.t.Fatal(err)
		}
		if all = append(all, some.Items...); some.Next == nil {
			return all
		}
		p.Cursor = *some.Next
	}
}

// confirmed are the parameters that confirm a plan.
func confirmed(tenant string, p client.Plan) catalogue.RestoreParameters {
	in := catalogue.RestoreParameters{Plan: p.Hash, Acknowledged: []string{}, Confirm: tenant}
	for _, w := range p.Warnings {
		in.Acknowledged = append(in.Acknowledged, w.Code)
	}
	return in
}
