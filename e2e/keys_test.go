//go:build linux

package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/doctor"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

// status returns the output of interlock key status.
func (w *world) status() (k store.KeyStatus) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.admin("", "key", "status", "--json")), &k); err != nil {
		w.t.Fatal(err)
	}
	return k
}

// diagnosis returns the output of interlock doctor, by check.
func (w *world) diagnosis() map[string]doctor.Check {
	w.t.Helper()
	var r doctor.Report
	if err := json.Unmarshal([]byte(w.admin("", "doctor", "--json")), &r); err != nil {
		w.t.Fatal(err)
	}
	checks := map[string]doctor.Check{}
	for _, c := range r.Checks {
		checks[c.Name] = c
	}
	return checks
}

// TestKeysChangeWhileServing replaces the root key and the data keys of a running
// server with an administrator's commands on the same machine.
func TestKeysChangeWhileServing(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		n := w.start()
		n.readyTenants("kestrel")
		before := w.status()
		if c := w.diagnosis()["keys"]; c.State != doctor.OK {
			t.Errorf("a new installation: %+v", c)
		}
		added := strings.TrimSpace(w.admin("", "key", "new"))
		if engine == db.SQLite { // the server runs the command, and does not know the new key yet
			if r := w.try("key", "rewrap"); r.code != 1 || !strings.Contains(r.stderr, "restart it first") {
				t.Errorf("a server that does not know the key yet: %d, %q", r.code, r.stderr)
			}
		}
		n.stop()
		n = n.again()
		if c := w.diagnosis()["keys"]; c.State != doctor.Attention || !strings.Contains(c.Detail, before.Root) || !strings.Contains(c.Next, "key rewrap") {
			t.Errorf("with an old root key: %+v", c)
		}
		if r := w.try("key", "remove", before.Root); r.code != 1 || !strings.Contains(r.stderr, "rewrap first") {
			t.Errorf("a key in use was removed: %d, %q", r.code, r.stderr)
		}
		if out := w.admin("", "key", "rewrap", "--dry-run"); !strings.Contains(out, "Nothing was changed") {
			t.Errorf("a dry run says %q", out)
		}
		w.admin("", "key", "rewrap")
		w.admin("", "key", "remove", before.Root)
		after := w.status()
		if after.Root != added || after.OnOldRoot() != 0 || after.RootKeys[added] != before.RootKeys[before.Root] {
			t.Errorf("the root keys are %+v, want that %s seals everything", after.RootKeys, added)
		}
		if r, err := n.through("kestrel", op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
			t.Errorf("after the root key: %v, %v", r.Outcome, err)
		}

		w.admin("", "key", "rotate")
		if k := w.status(); k.Workspaces[0].ID == before.Workspaces[0].ID || k.Workspaces[0].Old != 0 || k.Rotating {
			t.Errorf("the data keys are %+v", k)
		}
		if r, err := n.through("kestrel", op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
			t.Errorf("after the data key: %v, %v", r.Outcome, err)
		}
		n.stop()
		n = n.again() // with the new root key only
		if r, err := n.through("kestrel", op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
			t.Errorf("after a restart: %v, %v", r.Outcome, err)
		}
		for name, c := range w.diagnosis() {
			if c.State != doctor.OK {
				t.Errorf("doctor: %s is %+v", name, c)
			}
		}
	})
}

// TestACutTailShows removes the last record of an audit trail, so that the rest is
// consistent. The exported heads reveal it, and so does a head that was kept.
func TestACutTailShows(t *testing.T) {
	onBoth(t, func(t *testing.T, engine db.Engine) {
		w := newWorld(t, engine)
		n := w.start()
		n.readyTenants("kestrel")
		n.must(http.MethodPost, "/tenants/kestrel/connections/primary/disable", nil, nil)
		n.stop()
		n = n.again() // exports at its start
		export := filepath.Join(filepath.Dir(w.key), "interlock-audit-heads.jsonl")
		n.await(n.log, "exported the heads")
		out := w.admin("", "audit", "verify")
		if !strings.Contains(out, "Exports: 2,") {
			t.Fatalf("verify says %q", out)
		}
		head := strings.Split(strings.TrimSpace(strings.Split(out, "\n")[0]), "\t")
		kept := head[1] + ":" + head[2]
		w.admin("", "audit", "verify", "--head", kept)
		n.stop()

		w.sql(`UPDATE audit_heads SET seq = seq - 1, hash = (SELECT l.hash FROM audit_log l WHERE l.workspace_id = audit_heads.workspace_id AND l.seq = audit_heads.seq - 1)`)
		w.sql(`DELETE FROM audit_log WHERE seq = (SELECT MAX(seq) FROM audit_log)`)
		fails := func(what, says string, args ...string) {
			t.Helper()
			if r := w.try(args...); r.code != 1 || !strings.Contains(r.stderr, says) {
				t.Errorf("%s: exit code %d, %q, want 1 and %q", what, r.code, r.stderr, says)
			}
		}
		passes := func(what string, args ...string) {
			t.Helper()
			if r := w.try(args...); r.code != 0 {
				t.Errorf("%s: exit code %d, %q", what, r.code, r.stderr)
			}
		}
		fails("against the export", "workspace "+workspace, "audit", "verify")
		fails("doctor", "workspace "+workspace, "doctor")
		passes("without any head", "audit", "verify", "--audit-export", "off")
		fails("against a head", "is on no trail", "audit", "verify", "--audit-export", "off", "--head", kept)
		fails("a head that is none", "is not SEQ:HASH", "audit", "verify", "--head", "12:abc")

		text, err := os.ReadFile(export)
		if err != nil {
			t.Fatal(err)
		}
		forged := strings.Replace(string(text), `"seq":`, `"seq":1`, 1)
		if err := os.WriteFile(export, []byte(forged), 0o600); err != nil {
			t.Fatal(err)
		}
		fails("a forged export", "is not signed by this server's key", "audit", "verify")
		if err := os.Remove(export); err != nil {
			t.Fatal(err)
		}
		if r := w.try("audit", "verify"); r.code != 0 || !strings.Contains(r.out, "A cut-off end would not show") {
			t.Errorf("without an export: %d, %q", r.code, r.out)
		}
	})
}
