//go:build linux

package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// spoken is the text of an answer or a run.
type spoken struct{ title, why, next string }

// ofAnswer returns the text of the API's answer, with the person to ask inserted, as
// commands show it.
func ofAnswer(a op.Answer) spoken {
	first := a.Reasons[0]
	return spoken{a.Title, first.Title + ". " + first.Detail, first.Fix.Behind(strings.Join(a.Next, " "))}
}

func ofRun(r op.Run) spoken {
	return spoken{r.Words.Title, r.Words.Reason + ". " + r.Words.Why, r.Words.Fix.Behind(r.Words.Next)}
}

// ofTerminal parses the output of a command and joins its lines. Next ends with a
// command or an address, which the API has in fields of their own.
func ofTerminal(text string) (s spoken) {
	var slot *string
	for i, line := range strings.Split(text, "\n") {
		switch {
		case i == 0:
			_, s.title, _ = strings.Cut(line, "  ")
			s.title = strings.TrimSpace(s.title)
		case strings.HasPrefix(line, "Why "):
			slot, s.why = &s.why, strings.TrimSpace(line[4:])
		case strings.HasPrefix(line, "Next"):
			slot, s.next = &s.next, strings.TrimSpace(line[4:])
		case !strings.HasPrefix(line, "      "), slot == nil:
			slot = nil
		default:
			*slot += " " + strings.TrimSpace(line)
		}
	}
	return s
}

var age = regexp.MustCompile(`\b(\d+ (seconds?|minutes?)( ago)?|just now|a moment)\b`)

// ageless returns s without the ages in it: a second may pass between two answers.
func (s spoken) ageless() spoken {
	s.why = age.ReplaceAllString(s.why, "AGE")
	return s
}

// TestOneSentence (V1): each kind of answer has the same text in the API, in a command,
// in the start attempt and, if there is a run, in the run.
func TestOneSentence(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	api := d.as("operator")
	for _, tt := range []struct {
		tenant string
		kind   op.Kind
		code   string
	}{
		{"juniper", op.InventorySync, "blocked/consent_missing"},
		{"bright-quay", op.InventorySync, "blocked/consent_revoked"},
		{"saltmarsh", op.InventorySync, "blocked/credential_expired"},
		{"copperfield", op.InventorySync, "blocked/permission_missing"},
		{"harbour-pine", op.InventorySync, "blocked/connection_default_missing"},
		{"larkspur", op.InventorySync, "blocked/connection_disabled"},
		{"wren-hollow", op.InventorySync, "blocked/tenant_not_active"},
		{"old-mill", op.InventorySync, "blocked/tenant_archived"},
		{"tern-bay", op.DirectoryGroupsSync, "scope_busy/other_operation_active"},
		{"tern-bay", op.InventorySync, "deduped"},
		{"kestrel", op.ConnectionVerify, "accepted"},
	} {
		t.Run(tt.code, func(t *testing.T) {
			said := d.cli("operator", "start", string(tt.kind), "--tenant", tt.tenant)
			attempts, err := api.Attempts(t.Context(), client.AttemptFilter{Tenant: tt.tenant, Actor: "me", Paging: client.Paging{Limit: 1}})
			if err != nil || len(attempts.Items) != 1 {
				t.Fatalf("the record of the press: %v, %d", err, len(attempts.Items))
			}
			recorded := attempts.Items[0].Answer
			if recorded.Code != tt.code {
				t.Fatalf("the record says %s, want %s", recorded.Code, tt.code)
			}
			if got, want := ofTerminal(said.stderr).ageless(), ofAnswer(recorded).ageless(); got.title != want.title || got.why != want.why || !strings.HasPrefix(got.next, want.next) {
				t.Errorf("the command says\n%+v\nand the record of the press\n%+v\n%s", got, want, said.stderr)
			}
			p, err := rawStart(t.Context(), d.URL, d.user("operator").Token, tt.tenant, key(), map[string]any{"operation": tt.kind})
			if err != nil {
				t.Fatal(err)
			}
			if tt.code == "accepted" { // by now it runs or has ended
				if p.answer.Run == nil || recorded.Run == nil {
					t.Errorf("answers without a run: %s, %s", p.answer.Code, recorded.Code)
				}
				return
			}
			if got, want := ofAnswer(p.answer).ageless(), ofAnswer(recorded).ageless(); got != want {
				t.Errorf("the API says\n%+v\nand the record of the press\n%+v", got, want)
			}
			tenant, err := api.Tenant(t.Context(), tt.tenant)
			if err != nil {
				t.Fatal(err)
			}
			if len(tenant.Blockers) > 0 != (tenant.Readiness == "blocked") {
				t.Errorf("the tenant is %s and names %d blockers", tenant.Readiness, len(tenant.Blockers))
			}
			if len(tenant.Blockers) > 0 {
				want := recorded.Reasons[0].Title
				if tt.code == "blocked/permission_missing" { // the tenant counts the permissions of all operations
					want = "2 permissions are missing"
				}
				if tenant.Blockers[0].Title != want {
					t.Errorf("the tenant names %q, the answer %q", tenant.Blockers[0].Title, recorded.Reasons[0].Title)
				}
			}
		})
	}
}

// TestRunsSayWhatStartsSay (V1, V3, G12, A4): a condition that changes between the
// start and the worker ends the run with the words of a start that meets the same
// condition. API, command and notification agree, and only the starter is notified.
func TestRunsSayWhatStartsSay(t *testing.T) {
	onBoth(t, runsSayWhatStartsSay)
}

func runsSayWhatStartsSay(t *testing.T, engine db.Engine) {
	w := newWorld(t, engine)
	n := w.start("--workers", "1", "--backoff", "50ms")
	change := map[string]func(p place){
		"connection_disabled": func(p place) {
			n.must(http.MethodPost, "/tenants/"+p.slug+"/connections/primary/disable", nil, nil)
		},
		"consent_revoked": func(p place) {
			n.must(http.MethodDelete, "/tenants/"+p.slug+"/connections/primary/consent", nil, nil)
		},
		"credential_expired": func(p place) {
			n.must(http.MethodPost, "/tenants/"+p.slug+"/connections/primary/credential",
				map[string]any{"secret": p.secret, "expires_at": time.Now().Add(500 * time.Millisecond)}, nil)
		},
	}
	codes := []string{"connection_disabled", "consent_revoked", "credential_expired"}
	slugs := []string{"stopper"}
	for _, code := range codes {
		slugs = append(slugs, strings.ReplaceAll(code, "_", "-"))
	}
	places := n.readyTenants(slugs...)
	// The only worker is busy, so that all others stay queued.
	w.hold(places[0])
	stopper := n.accepted("stopper", op.InventorySync)
	w.held(places[0])
	var waiting []op.RunRef
	for i, code := range codes {
		waiting = append(waiting, n.accepted(places[i+1].slug, op.InventorySync))
		change[code](places[i+1])
	}
	time.Sleep(600 * time.Millisecond) // the credential has to expire
	since := w.calls(0, places[0])
	w.clear()
	if r := n.ended(stopper.ID); r.Outcome != op.RunSucceeded {
		t.Errorf("the run in front ended as %s", r.Outcome)
	}
	for i, code := range codes {
		slug := places[i+1].slug
		r := n.ended(waiting[i].ID)
		if want := "blocked/" + code; r.Words.Code != want {
			t.Errorf("%s: the run ended as %s, want %s", slug, r.Words.Code, want)
		}
		for _, c := range w.calls(since[len(since)-1].Number, places[i+1]) {
			t.Errorf("%s: the provider was called: %s %s", slug, c.Method, c.Path)
		}
		answer, err := n.owner().Start(t.Context(), slug, client.StartRequest{Operation: op.InventorySync})
		if err != nil || answer.Outcome != op.Blocked {
			t.Fatalf("%s: a start now: %v %s", slug, err, answer.Code)
		}
		if answer.Reasons[0].Title != r.Words.Reason || answer.Reasons[0].Next != r.Words.Next {
			t.Errorf("%s: the run says %q %q, and a start %q %q", slug, r.Words.Reason, r.Words.Next, answer.Reasons[0].Title, answer.Reasons[0].Next)
		}
		sameEverywhere(t, n, r)
	}
}

// sameEverywhere compares what API, command and notification say about the end of a
// run.
func sameEverywhere(t *testing.T, n *node, r op.Run) {
	t.Helper()
	want := ofRun(r)
	shown := must(t, cliEnv(n.url, n.w.owner.token), "", program, "run", r.Code)
	if got := ofTerminal(shown); got.title != want.title || got.why != want.why || !strings.HasPrefix(got.next, want.next) {
		t.Errorf("the command says of run %s\n%+v\nand the API\n%+v\n%s", r.Code, got, want, shown)
	}
	notes, err := n.owner().Notifications(t.Context(), false, client.Paging{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	var told []spoken
	for _, note := range notes.Items {
		if note.RunID == r.ID {
			told = append(told, spoken{note.Title, note.Text, note.Next})
		}
	}
	if len(told) != 1 || told[0] != (spoken{r.Words.Title, want.why, r.Words.Next}) {
		t.Errorf("the notifications of run %s say\n%+v\nand its page\n%+v", r.Code, told, want)
	}
}

// TestEndsSaySame (V1, M3): each way in which a run ends has the same text on every
// surface, and a label of its own.
func TestEndsSaySame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start("--backoff", "50ms", "--heartbeat", "300ms")
	places := n.readyTenants("succeeds", "partly", "fails", "cancelled")
	w.fault(graphsim.Fault{
		Tenant: places[1].directory, Path: "/v1.0/deviceManagement/managedDevices",
		Action: graphsim.Action{Kind: graphsim.ActError, Status: http.StatusBadRequest, Code: "BadRequest", Message: "Bad filter"},
	})
	if err := w.control.RemovePrincipal(t.Context(), places[2].directory, places[2].app); err != nil {
		t.Fatal(err)
	}
	w.hold(places[3])
	pills := map[string]string{}
	for i, want := range []op.RunOutcome{op.RunSucceeded, op.RunPartial, op.RunFailed, op.RunCancelled} {
		run := n.accepted(places[i].slug, op.InventorySync)
		if want == op.RunCancelled {
			w.held(places[i])
			if _, err := n.owner().Cancel(t.Context(), run.ID); err != nil {
				t.Fatal(err)
			}
		}
		r := n.ended(run.ID)
		if r.Outcome != want {
			t.Errorf("%s: ended as %s, want %s: %s", places[i].slug, r.Words.Code, want, r.Words.Why)
		}
		if other := pills[r.Words.Pill]; other != "" {
			t.Errorf("%s and %s are both %q at a glance", other, want, r.Words.Pill)
		}
		pills[r.Words.Pill] = fmt.Sprint(want)
		sameEverywhere(t, n, r)
	}
}
