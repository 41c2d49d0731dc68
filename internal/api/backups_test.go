package api

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func filter(id, name, rule string) archive.Item {
	return archive.Item{Item: policy.Item{Type: "assignmentFilters", ID: id, Body: json.RawMessage(`{ "id":"` + id + `","displayName":"` + name + `","platform":"iOS","rule":"` + rule + `" }`)}}
}

// ran keeps a backup as a run of the tenant would, and returns its id.
func (w *world) ran(tenant string, types []backup.TypeRead, items ...backup.Contents) string {
	w.t.Helper()
	k := backup.Key{Workspace: w.Workspace, Tenant: tenant, Set: access.NewID()}
	w.Write(func(ctx context.Context, tx db.Tx) error {
		return backup.Begin(ctx, tx, k.Workspace, backup.Set{ID: k.Set, Tenant: tenant, Run: access.NewID(), Origin: backup.FromRun, AsOf: time.Now()})
	})
	packed := backup.Pack(items)
	w.Write(func(ctx context.Context, tx db.Tx) error { return backup.Put(ctx, tx, k, packed) })
	w.Write(func(ctx context.Context, tx db.Tx) error { _, err := backup.Commit(ctx, tx, k, types); return err })
	return k.Set
}

// kept is an item as a run keeps it.
func kept(t *testing.T, i archive.Item) backup.Contents {
	t.Helper()
	d, err := policy.Normalise(i.Item)
	if err != nil {
		t.Fatal(err)
	}
	return backup.Contents{Policy: i.Item, Item: backup.Item{Type: i.Type, ID: i.ID, Name: d.Name(), Hash: d.Hash()}}
}

// TestBackups lists backups, shows what one lacks, and pins one.
func TestBackups(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, _ := w.ready("kestrel")
		vague := kept(t, filter("f2", "Shared", "z"))
		vague.Missing = []backup.Missing{{Part: "assignments", Reason: op.PermissionMissing, Why: "Forbidden"}}
		old := w.Backup(w.Owner, tenant, filter("f1", "Kiosks", "x"))
		ran := w.ran(tenant, []backup.TypeRead{
			{Type: "assignmentFilters", Items: 2}, {Type: "intents", Reason: op.PermissionMissing}, {Type: "roleScopeTags", Reason: op.NotLicensed, Absent: true},
		}, kept(t, filter("f1", "Kiosks", "x")), vague)

		var list Page[Backup]
		w.get(w.Viewer, "/tenants/kestrel/backups").want(http.StatusOK, &list)
		if len(list.Items) != 2 || list.Items[0].ID != ran || list.Items[1].ID != old || list.Items[0].Complete || list.Items[0].Incomplete != 1 || list.Items[1].Tool != "files" {
			t.Fatalf("the list: %+v", list)
		}
		if k := list.Items[0].Kept; !slices.Equal(k.Rules, []string{"newest", "monthly", "daily"}) || k.Until != nil || k.Text != "Kept as long as it is among the newest backups of the tenant." {
			t.Errorf("kept: %+v", k)
		}
		for query, want := range map[string][]string{
			"?origin=upload": {old}, "?origin=run": {ran}, "?pinned=true": {}, "?incomplete=true": {ran}, "?run=ZZZZZZ": {},
			"?limit=1&cursor=" + next(t, w.get(w.Viewer, "/tenants/kestrel/backups?limit=1")): {old},
		} {
			var some Page[Backup]
			w.get(w.Viewer, "/tenants/kestrel/backups"+query).want(http.StatusOK, &some)
			if got := each(some.Items, func(b Backup) string { return b.ID }); !slices.Equal(got, want) {
				t.Errorf("%s lists %v, want %v", query, got, want)
			}
		}
		w.get(w.Viewer, "/tenants/kestrel/backups?origin=tape").problem(http.StatusUnprocessableEntity, "field")

		var detail BackupDetail
		w.get(w.Viewer, "/tenants/kestrel/backups/"+ran).want(http.StatusOK, &detail)
		if len(detail.Types) != 3 || !detail.Types[0].Complete || detail.Types[1].Complete || detail.Types[1].Why == "" || !detail.Types[2].Absent || !detail.Types[2].Complete {
			t.Errorf("the types: %+v", detail.Types)
		}
		var items Page[BackupItem]
		w.get(w.Viewer, "/tenants/kestrel/backups/"+ran+"/items?incomplete=true").want(http.StatusOK, &items)
		if len(items.Items) != 1 || items.Items[0].ID != "f2" || items.Items[0].Missing[0].Part != "assignments" || items.Items[0].Missing[0].Said != "Forbidden" || items.Items[0].TypeName != "Assignment filter" {
			t.Errorf("what is incomplete: %+v", items)
		}
		page := "/tenants/kestrel/backups/" + ran + "/items?type=assignmentFilters&limit=1"
		w.get(w.Viewer, page+"&cursor="+next(t, w.get(w.Viewer, page))).want(http.StatusOK, &items)
		if len(items.Items) != 1 || items.Items[0].Name != "Shared" || items.Next != nil {
			t.Errorf("the second page: %+v", items)
		}
		w.get(w.Viewer, "/tenants/kestrel/backups/"+ran+"/items?q=KIOS").want(http.StatusOK, &items)
		if len(items.Items) != 1 || items.Items[0].ID != "f1" {
			t.Errorf("found: %+v", items)
		}
		w.get(w.Viewer, "/tenants/kestrel/backups/"+ran+"/items?type=tapes").problem(http.StatusUnprocessableEntity, "field")

		// Pinned once, and once in the audit trail. A viewer can't.
		w.ask(w.Bearer(w.Viewer), http.MethodPut, "/tenants/kestrel/backups/"+old+"/pin", nil).problem(http.StatusForbidden, "forbidden")
		var b Backup
		for range 2 {
			w.ask(w.Bearer(w.Operator), http.MethodPut, "/tenants/kestrel/backups/"+old+"/pin", nil).want(http.StatusOK, &b)
			if !b.Pinned || b.Kept.Text != "Pinned: kept until someone unpins it." {
				t.Errorf("pinned: %+v", b)
			}
		}
		w.ask(w.Bearer(w.Operator), http.MethodDelete, "/tenants/kestrel/backups/"+old+"/pin", nil).want(http.StatusOK, &b)
		if b.Pinned {
			t.Errorf("unpinned: %+v", b)
		}
		w.ask(w.Bearer(w.Operator), http.MethodPut, "/tenants/kestrel/backups/"+access.NewID()+"/pin", nil).problem(http.StatusNotFound, "not_found")
		if n := w.Int(`SELECT COUNT(*) FROM audit_log WHERE action IN ('backup.pin', 'backup.unpin') AND actor_id = $1 AND data LIKE '%' || $2 || '%'`, w.Operator.ID(), old); n != 2 {
			t.Errorf("the audit trail has %d rows", n)
		}
	})
}

func next(t *testing.T, a answer) string {
	t.Helper()
	var p struct{ Next *string }
	a.want(http.StatusOK, &p)
	if p.Next == nil {
		t.Fatalf("there is no next page: %s", a.body)
	}
	return *p.Next
}

// TestSecretsOfBackups: who may see backups sees a mask in place of a secret, wherever it
// is shown; who may download them gets the file byte for byte, which is recorded.
func TestSecretsOfBackups(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, _ := w.ready("kestrel")
		wifi := func(secret string) archive.Item {
			return archive.Item{Item: policy.Item{
				Type: "deviceConfigurations", ID: "w1", Assignments: json.RawMessage(`[ ]`),
				Body: json.RawMessage(`{"@odata.type": "#microsoft.graph.windowsWifiConfiguration",  "id":"w1","displayName":"Wi-Fi <1>","preSharedKey":"` + secret + `",
					"omaSettings":[{"isEncrypted":false,"secretReferenceValueId":null,"value":"` + secret + `"}],"vpn":{"sharedSecret":"` + secret + `"}}`),
			}}
		}
		one, two := w.Backup(w.Owner, tenant, wifi("first-secret")), w.Backup(w.Owner, tenant, wifi("second-secret"))
		var item BackupItemDetail
		for _, a := range []access.Actor{w.Viewer, w.Owner} {
			w.get(a, "/tenants/kestrel/backups/"+one+"/items/deviceConfigurations/w1").want(http.StatusOK, &item)
			if item.Secrets != 3 || !strings.Contains(string(item.Policy), `"preSharedKey":"[secret]"`) || !strings.Contains(string(item.Policy), `"assignments":[]`) {
				t.Errorf("shown: %+v %s", item, item.Policy)
			}
		}
		for _, path := range []string{
			"/tenants/kestrel/backups/" + one + "/items/deviceConfigurations/w1", "/tenants/kestrel/backups/" + one + "/diff/" + two,
			"/tenants/kestrel/policies/deviceConfigurations/w1/versions", "/tenants/kestrel/backups/" + one + "/items",
		} {
			if got := w.get(w.Viewer, path).want(http.StatusOK); strings.Contains(string(got.body), "-secret") || aHash.Match(got.body) {
				t.Errorf("%s shows a secret or a hash to try guesses against: %s", path, got.body)
			}
		}
		file := "/tenants/kestrel/backups/" + one + "/items/deviceConfigurations/w1/file"
		for _, path := range []string{file, "/tenants/kestrel/backups/" + one + "/archive"} {
			for _, a := range []access.Actor{w.Viewer, w.Operator} {
				w.get(a, path).problem(http.StatusForbidden, "forbidden")
			}
		}
		got := w.get(w.Owner, file).want(http.StatusOK)
		want := `{"@odata.type": "#microsoft.graph.windowsWifiConfiguration",  "id":"w1","displayName":"Wi-Fi <1>","preSharedKey":"first-secret",
					"omaSettings":[{"isEncrypted":false,"secretReferenceValueId":null,"value":"first-secret"}],"vpn":{"sharedSecret":"first-secret"},"assignments":[ ]}`
		if string(got.body) != want {
			t.Errorf("the file:\n%s\nwant\n%s", got.body, want)
		}
		w.get(w.Owner, "/tenants/kestrel/backups/"+one+"/items/deviceConfigurations/w2/file").problem(http.StatusNotFound, "not_found")
		if n := w.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'backup.download' AND data LIKE '%deviceConfigurations/w1%'`); n != 1 {
			t.Errorf("the audit trail has %d rows", n)
		}
		if strings.Contains(w.log.String(), "-secret") {
			t.Error("a secret is in the log")
		}
	})
}

// aHash matches a SHA-256 in hex.
var aHash = regexp.MustCompile(`"[0-9a-f]{64}"`)

// TestStepsTellNoHash: a step shows neither the hash of a body nor that of a policy, to
// which guesses of their secrets could be compared.
func TestStepsTellNoHash(t *testing.T) {
	hash := restore.HashOf([]byte(`{"preSharedKey":"a-secret"}`))
	shown, err := json.Marshal(stepOf(restore.Step{Action: restore.Update, Observed: hash, Calls: []restore.Call{{Method: http.MethodPatch, Path: "deviceManagement/x", Hash: hash}}}))
	if err != nil || !strings.Contains(string(shown), `"method":"PATCH"`) || aHash.Match(shown) {
		t.Errorf("shown: %s, %v", shown, err)
	}
}

// TestVersions follows a policy that is changed, removed and created again. A backup that
// lacks a part of it, or didn't read its type, says nothing.
func TestVersions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, _ := w.ready("kestrel")
		whole := []backup.TypeRead{{Type: "assignmentFilters", Items: 1}}
		part := kept(t, filter("f1", "Kiosks", ""))
		part.Missing = []backup.Missing{{Part: "assignments", Reason: op.PermissionMissing}}
		w.ran(tenant, whole, kept(t, filter("f0", "Other", "o")))
		first := w.ran(tenant, whole, kept(t, filter("f1", "Kiosks", "x")))
		w.ran(tenant, whole, part)
		w.ran(tenant, whole, kept(t, filter("f1", "Kiosks", "x")))
		second := w.ran(tenant, whole, kept(t, filter("f1", "Kiosks 2", "y")))
		w.ran(tenant, []backup.TypeRead{{Type: "intents"}})
		w.ran(tenant, []backup.TypeRead{{Type: "assignmentFilters", Reason: op.ProviderFault}})
		elsewhere := archive.Bundle{Tool: archive.Files, Items: []archive.Item{filter("f1", "Kiosks", "z")}}
		elsewhere.Directory = "0a1b2c3d-1111-2222-3333-444455556666"
		if _, err := w.Files.Upload(t.Context(), w.Owner, tenant, elsewhere); err != nil {
			t.Fatal(err)
		}
		gone := w.ran(tenant, whole)
		w.ran(tenant, whole)
		back := w.ran(tenant, whole, kept(t, filter("f1", "Kiosks 2", "y")))
		var all Page[PolicyVersion]
		w.get(w.Viewer, "/tenants/kestrel/policies/assignmentFilters/f1/versions").want(http.StatusOK, &all)
		type line struct {
			how, backup string
			n           int
			text        string
		}
		got := each(all.Items, func(v PolicyVersion) line { return line{v.How, v.Backup, v.Backups, v.Text} })
		want := []line{{"added", back, 1, ""}, {"removed", gone, 2, ""}, {"changed", second, 1, "~ Display name: Kiosks → Kiosks 2\n~ Rule: x → y\n"}, {"added", first, 2, ""}}
		if !slices.Equal(got, want) {
			t.Errorf("versions\n%+v, want\n%+v", got, want)
		}
		var some Page[PolicyVersion]
		path := "/tenants/kestrel/policies/assignmentFilters/f1/versions?limit=2"
		w.get(w.Viewer, path+"&cursor="+next(t, w.get(w.Viewer, path))).want(http.StatusOK, &some)
		if len(some.Items) != 2 || some.Items[0].Backup != second || some.Items[0].Text != want[2].text || some.Next != nil {
			t.Errorf("the second page: %+v", some)
		}
		for _, path := range []string{"assignmentFilters/f9", "tapes/f1"} {
			w.get(w.Viewer, "/tenants/kestrel/policies/"+path+"/versions").problem(http.StatusNotFound, "not_found")
		}
	})
}

// TestKeepRules changes how long backups are kept: with a fresh sign-in, within limits,
// and on record.
func TestKeepRules(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var r KeepRules
		w.get(w.Viewer, "/workspace/keep-rules").want(http.StatusOK, &r)
		if r != KeepRules(backup.DefaultRules) {
			t.Errorf("by default: %+v", r)
		}
		set := func(a access.Actor, body string) answer {
			return w.ask(w.Bearer(a), http.MethodPut, "/workspace/keep-rules", body)
		}
		set(w.Operator, `{"newest":5,"daily":7,"monthly":1}`).problem(http.StatusForbidden, "forbidden")
		for body, says := range map[string]string{
			`{"newest":0,"daily":7,"monthly":1}`: "newest must be at least 1", `{"newest":401,"daily":7,"monthly":1}`: "newest must be at most 400",
			`{"newest":5,"daily":-1,"monthly":1}`: "daily must be at least 0", `{"newest":5,"daily":7,"monthly":121}`: "monthly must be at most 120", `{"newest":5,"daily":7}`: "monthly is missing",
		} {
			if p := set(w.Owner, body).problem(http.StatusUnprocessableEntity, "field"); !strings.Contains(p.Errors[0].Field+" "+p.Errors[0].Detail, says) {
				t.Errorf("%s: %v, want %s", body, p.Errors, says)
			}
		}
		for range 2 {
			set(w.Owner, `{"newest":5,"daily":7,"monthly":1}`).want(http.StatusOK, &r)
		}
		if r != (KeepRules{Newest: 5, Daily: 7, Monthly: 1}) {
			t.Errorf("set to %+v", r)
		}
		stale := w.Member("Old", "old@lattice.example", tenancy.Owner)
		secret := w.Bearer(stale)
		w.Exec(`UPDATE tokens SET proved_at = 1 WHERE user_id = $1`, stale.ID())
		w.ask(secret, http.MethodPut, "/workspace/keep-rules", `{"newest":1,"daily":0,"monthly":0}`).want(http.StatusForbidden)
		if n := w.Int(`SELECT COUNT(*) FROM audit_log WHERE action = 'workspace.keep_rules'`); n != 1 {
			t.Errorf("the audit trail has %d rows", n)
		}
	})
}
