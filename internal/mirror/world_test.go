package mirror_test

import (
	"context"
	"errors"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// world is a workspace with the tenant Kestrel and a viewer Vic, and another one
// with the tenant Harbour and its owner Olga.
type world struct {
	*gatetest.World
	*mirror.Mirror
	t         *testing.T
	d         *db.DB
	vic, olga access.Actor
	kestrel   string // id
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	seeded := gatetest.New(t, d)
	w := &world{World: seeded, Mirror: mirror.New(d, seeded.Store), t: t, d: d, vic: seeded.Viewer, olga: seeded.Outsider}
	w.kestrel = w.Tenant(w.Workspace, "kestrel", "Kestrel Logistics")
	w.Tenant(w.Other, "harbour", "Harbour Dental")
	return w
}

// connection adds a connection of Kestrel and returns its id. The first one is the
// default.
func (w *world) connection(slug string) string {
	w.t.Helper()
	first := w.Int(`SELECT COUNT(*) FROM connections WHERE tenant_id = $1`, w.kestrel) == 0
	return w.Connection(w.Workspace, w.kestrel, slug, func(c *tenancy.Connection) { c.Default = first })
}

func (w *world) access(a access.Actor, tenant string) (ta access.TenantAccess) {
	w.t.Helper()
	w.Write(func(ctx context.Context, tx db.Tx) (err error) {
		ta, err = access.Authorize(ctx, tx, a, tenant, tenancy.View)
		return err
	})
	return ta
}

// set returns the description of a dataset.
func (w *world) set(name string) *catalogue.DatasetInfo {
	w.t.Helper()
	set, _, err := catalogue.LookupDataset(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return set
}

func (w *world) Groups(ctx context.Context, ta access.TenantAccess, f mirror.Filter) ([]mirror.Record, string, error) {
	return w.List(ctx, ta, w.set(catalogue.Groups), f)
}

func (w *world) Inventory(ctx context.Context, ta access.TenantAccess, f mirror.Filter) ([]mirror.Record, string, error) {
	return w.List(ctx, ta, w.set("inventory"), f)
}

func (w *world) Group(ctx context.Context, ta access.TenantAccess, connection, group string) (mirror.Record, error) {
	return w.Object(ctx, ta, w.set(catalogue.Groups), connection, group)
}

func (w *world) GroupMembers(ctx context.Context, ta access.TenantAccess, group string, f mirror.Filter) ([]mirror.Record, string, error) {
	return w.Members(ctx, ta, w.set(catalogue.Groups), group, f)
}

func (w *world) GroupSizes(ctx context.Context, ta access.TenantAccess, connection string, ids []string) (map[string]int64, error) {
	return w.MemberCounts(ctx, ta, w.set(catalogue.Groups), connection, ids)
}

// wantField fails unless err names the field.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var fe *op.FieldError
	if !errors.As(err, &fe) || fe.Field != field {
		t.Errorf("got %v, want an error of the field %s", err, field)
	}
}

// wantErr fails unless err is want.
func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
