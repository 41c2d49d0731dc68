package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/gatetest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func bundle(rule string) archive.Bundle {
	b := archive.Bundle{Tool: archive.Interlock, Layout: 1, Meta: archive.Meta{Directory: "11111111-1111-1111-1111-111111111111", AsOf: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)}}
	filter := archive.Item{Item: policy.Item{Type: "assignmentFilters", ID: "f1", Body: json.RawMessage(` {"id":"f1", "displayName":"Kiosks","platform":"iOS","rule":"` + rule + `"}`)}}
	catalog := archive.Item{Missing: []string{"settings: no permission"}, Item: policy.Item{
		Type: "configurationPolicies", ID: "c1", Body: json.RawMessage(`{"id":"c1","name":"Lock"}`),
		Parts: map[string]json.RawMessage{"settings": json.RawMessage(`[ ]`)}, Assignments: json.RawMessage(`[]`),
	}}
	b.Items = []archive.Item{filter, catalog}
	return b
}

// TestRoundTripUpload uploads an archive, downloads it, and uploads that: every byte is
// the same. Nobody without the capability does either, and each leaves an audit row.
func TestRoundTripUpload(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := gatetest.New(t, d)
		ctx, files := t.Context(), backup.NewFiles(d)
		tenant := w.Tenant(w.Workspace, "wren", "Wren")
		w.Tenant(w.Workspace, "other", "Other")
		owner, viewer := w.Member("Ann", "ann@x.test", tenancy.Owner), w.Member("Vi", "vi@x.test", tenancy.Viewer)

		if _, err := files.Upload(ctx, viewer, tenant, bundle("x")); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("a viewer uploads: %v", err)
		}
		s, err := files.Upload(ctx, owner, tenant, bundle("x"))
		if err != nil {
			t.Fatal(err)
		}
		if s.Items != 2 || s.Incomplete != 1 || s.Complete || s.Origin != backup.FromUpload || s.Tool != "interlock" || s.Directory != "11111111-1111-1111-1111-111111111111" {
			t.Errorf("it is kept as %+v", s)
		}
		if _, err := files.Download(ctx, viewer, tenant, s.ID); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("a viewer downloads: %v", err)
		}
		if _, err := files.Download(ctx, owner, "other", s.ID); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("it is downloaded from another tenant: %v", err)
		}
		down, err := files.Download(ctx, owner, tenant, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		var zipped bytes.Buffer
		if err := down.Write(ctx, &zipped); err != nil {
			t.Fatal(err)
		}
		again, err := archive.Zip(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
		if err != nil {
			t.Fatal(err)
		}
		strip := func(all []archive.Item) []archive.Item {
			for i := range all {
				all[i].File, all[i].Name = "", ""
				if len(all[i].Parts) == 0 {
					all[i].Parts = nil
				}
			}
			return all
		}
		if diff := cmp.Diff(strip(bundle("x").Items), strip(again.Items)); diff != "" {
			t.Errorf("-uploaded +downloaded:\n%s", diff)
		}

		second, err := files.Upload(ctx, owner, tenant, again)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := files.Compare(ctx, viewer, tenant, s.ID, second.ID); err != nil || len(same.Policies) != 0 || len(same.LeftOut) != 2 {
			t.Errorf("they differ: %v, %v", same, err)
		}
		third, err := files.Upload(ctx, owner, tenant, bundle("y"))
		if err != nil {
			t.Fatal(err)
		}
		differ, err := files.Compare(ctx, viewer, tenant, s.ID, third.ID)
		changed := differ.Policies
		if err != nil || len(changed) != 1 || policy.Text(changed[0].Changes) != "~ Rule: x → y\n" {
			t.Errorf("they differ in %+v, %v", changed, err)
		}
		if _, err := files.Compare(ctx, viewer, "other", s.ID, third.ID); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("they are compared for another tenant: %v", err)
		}
		if n := w.Int(`SELECT count(*) FROM audit_log WHERE action IN ('backup.upload', 'backup.download')`); n != 4 {
			t.Errorf("the trail has %d rows, want those of three uploads and a download", n)
		}
	})
}

// TestUploadCutOff shows that an upload that ends early is never visible, and that the
// sweep deletes it, whatever ended it.
func TestUploadCutOff(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := gatetest.New(t, d)
		files := backup.NewFiles(d)
		tenant := w.Tenant(w.Workspace, "wren", "Wren")
		owner := w.Member("Ann", "ann@x.test", tenancy.Owner)
		bad := bundle("x")
		bad.Items = append(bad.Items, bad.Items[0]) // twice one id: the last batch fails
		if _, err := files.Upload(t.Context(), owner, tenant, bad); err == nil {
			t.Error("two policies with one id are kept")
		}
		crashed := func(ctx context.Context, tx db.Tx) error {
			return backup.Begin(ctx, tx, w.Workspace, backup.Set{ID: "00000000-0000-7000-8000-000000000001", Tenant: tenant, Origin: backup.FromUpload, AsOf: time.Now()})
		}
		running := func(ctx context.Context, tx db.Tx) error {
			return backup.Begin(ctx, tx, w.Workspace, backup.Set{ID: "ffffffff-ffff-7000-8000-000000000001", Tenant: tenant, Origin: backup.FromUpload, AsOf: time.Now()})
		}
		w.Write(crashed)
		w.Write(running)
		if n := w.Int(`SELECT count(*) FROM backup_sets WHERE state = 'kept'`); n != 0 {
			t.Errorf("%d are visible", n)
		}
		w.Write(func(ctx context.Context, tx db.Tx) error {
			_, err := backup.Sweep(ctx, tx, 100)
			return err
		})
		left := []int64{w.Int(`SELECT count(*) FROM backup_sets`), w.Int(`SELECT count(*) FROM backup_items`), w.Int(`SELECT count(*) FROM backup_blobs`)}
		if !slices.Equal(left, []int64{1, 0, 0}) {
			t.Errorf("left are %v sets, items and blobs: only the upload in progress stays", left)
		}
	})
}
