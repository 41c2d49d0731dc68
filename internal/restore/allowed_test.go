package restore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/restore"
)

// TestAllowed: whoever executes a plan refuses what no plan may contain.
func TestAllowed(t *testing.T) {
	t.Parallel()
	build := func() restore.Plan {
		w := newWorld(here)
		w.backup(t, access, "a", ca("Block", "enabled", `"includeUsers":["All"]`))
		w.backup(t, profiles, "p", profile("Kiosk", `,"description":"new","assignments":[]`)).now(t, profiles, "p", profile("Kiosk", `,"description":"old","assignments":[]`))
		p := w.plan(t)
		if p.Count(restore.Create) != 1 || p.Count(restore.Update) != 1 {
			t.Fatalf("%+v", p.Steps)
		}
		return p
	}
	if err := build().Allowed(); err != nil {
		t.Fatal(err)
	}
	body := func(c *restore.Call, text string) {
		c.Body = json.RawMessage(text)
		sum := sha256.Sum256(c.Body)
		c.Hash = hex.EncodeToString(sum[:])
	}
	for want, change := range map[string]func(update, create *restore.Step){
		"method is not allowed":        func(u, _ *restore.Step) { u.Calls[0].Method = "DELETE" },
		"leads to another object":      func(u, _ *restore.Step) { u.Calls[0].Path += "x" },
		"does not create a policy":     func(_, c *restore.Step) { c.Calls[0].Path = "/v1.0/groups" },
		"is not the one that was show": func(u, _ *restore.Step) { u.Calls[0].Body = json.RawMessage(`{}`) },
		"does not write the policy di": func(_, c *restore.Step) { body(&c.Calls[0], `{"displayName":"Block","state":"enabled"}`) },
		"mask of a secret":             func(u, _ *restore.Step) { body(&u.Calls[0], `{"preSharedKey":"*****"}`) },
		"was not observed":             func(u, _ *restore.Step) { u.Observed = "" },
		"is at place":                  func(u, _ *restore.Step) { u.N = 7 },
		"calls":                        func(u, _ *restore.Step) { u.Action = restore.Unchanged },
		"no policy type":               func(u, _ *restore.Step) { u.Type = "groups" },
	} {
		p := build()
		update, create := &p.Steps[0], &p.Steps[1]
		if update.Action != restore.Update {
			t.Fatal("the order of the steps has changed")
		}
		change(update, create)
		if err := p.Allowed(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestBesideAreNotNew: a create that was chosen beside objects of its name remembers them.
func TestBesideAreNotNew(t *testing.T) {
	t.Parallel()
	w := newWorld(there)
	w.backup(t, profiles, "p", profile("Kiosk", ``)).now(t, profiles, "q", profile("kiosk", ``)).choose(profiles, "p", restore.Choice{New: true})
	s := w.plan(t).Steps[0]
	if s.Action != restore.Create || len(s.Beside) != 1 || s.Beside[0] != "q" {
		t.Errorf("%s beside %q", s.Action, s.Beside)
	}
}
