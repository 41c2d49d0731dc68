//go:build linux

package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// refusedSignIn is a refusal of the sign-in service, and its consequences.
type refusedSignIn struct {
	number int
	error  string // error code, if there is no number
	reason op.Reason
	blocks op.Reason // first reason that blocks the next start; empty: none
	mends  string    // part of the next step, with who takes it
}

func refusedSignIns() []refusedSignIn {
	const secret, admin, edit = "Add a new credential", "Ask an administrator of", "Check the"
	return []refusedSignIn{
		{7000215, "", op.CredentialInvalid, op.CredentialInvalid, secret},
		{7000222, "", op.CredentialExpired, op.CredentialExpired, secret},
		{700027, "", op.CertificateNotRegistered, op.CertificateNotRegistered, "Upload the certificate"},
		{700213, "", op.FederationMissing, op.FederationMissing, "Add a federated credential"},
		{7000112, "", op.ApplicationDisabled, op.ApplicationDisabled, admin},
		{53003, "", op.SignInBlocked, op.SignInBlocked, admin},
		{500011, "", op.ResourceNotFound, op.ResourceNotFound, edit},
		{90002, "", op.DirectoryNotFound, op.DirectoryNotFound, edit},
		{900023, "", op.DirectoryNotFound, op.DirectoryNotFound, edit},
		{5000224, "", op.DirectoryUnavailable, op.DirectoryUnavailable, admin},
		{5000225, "", op.DirectoryUnavailable, op.DirectoryUnavailable, admin},
		{700016, "", op.ConsentRevoked, op.ConsentRevoked, admin}, // consent had been given
		{7000229, "", op.ConsentRevoked, op.ConsentRevoked, admin},
		{65001, "", op.ConsentRevoked, op.ConsentRevoked, admin},
		{650052, "", op.ConsentRevoked, op.ConsentRevoked, admin},
		{650051, "", op.ConsentSettling, "", "in a minute"},
		{700024, "", op.ClockSkew, "", "the server's administrator"},
		{90055, "", op.ProviderThrottled, "", "Start again"},
		{90033, "", op.ProviderFault, "", "Start again"},
		{7654321, "", op.SignInRefused, "", "Look up the code"},
		{0, "invalid_client", op.CredentialInvalid, "", secret},
		{0, "invalid_resource", op.ResourceNotFound, "", edit},
		{0, "unauthorized_client", op.ConsentRevoked, "", admin},
		{0, "odd_error", op.SignInRefused, "", "Look up the code"},
	}
}

// TestEveryRefusedSignIn: each cause that the sign-in service can name has its own
// reason and remedy, in the API and in the command, with the number, the text and the
// request ids. Only proven causes block, and a successful sign-in clears them.
func TestEveryRefusedSignIn(t *testing.T) {
	t.Parallel()
	rows := refusedSignIns()
	w := newWorld(t, db.SQLite)
	n := w.start("--backoff", "50ms", "--max-wait", "100ms", "--workers", "50")
	slugs := make([]string, len(rows))
	for i := range rows {
		slugs[i] = fmt.Sprintf("t%d", i)
	}
	places := n.readyTenants(slugs...)
	faults := make([]string, len(rows))
	for i, row := range rows {
		faults[i] = w.fault(graphsim.Fault{
			Tenant: places[i].directory, Path: "/*/oauth2/v2.0/token",
			Action: graphsim.Action{Kind: graphsim.ActSignIn, Number: row.number, Code: row.error},
		})
	}
	var wg sync.WaitGroup
	for i, row := range rows {
		wg.Go(func() {
			name := fmt.Sprintf("%d %s", row.number, row.error)
			r, err := n.through(slugs[i], op.ConnectionVerify)
			if err != nil || r.Words.Code != "failed/"+string(row.reason) {
				t.Errorf("%s: %v %s, want %s: %s", name, err, r.Words.Code, row.reason, r.Words.Why)
				return
			}
			if next := r.Words.Fix.Behind(r.Words.Next); !strings.Contains(next, row.mends) || strings.Contains(r.Words.Why, "known") {
				t.Errorf("%s: says %q, next %q, want %q", name, r.Words.Why, next, row.mends)
			}
			code := fmt.Sprintf("AADSTS%d", row.number)
			if row.number == 0 {
				code = row.error
			}
			e := r.Evidence
			if e == nil || e.Code != code || e.Status < 400 || e.Text == "" || e.ClientRequestID == "" || e.RequestID == "" && row.number != 0 || !strings.HasPrefix(e.Call, "POST /") {
				t.Errorf("%s: the run keeps %+v", name, e)
				return
			}
			// The item, the check and the command show the same.
			items, err := n.owner().RunItems(t.Context(), r.ID, client.Paging{})
			var failed *op.Item
			for j := range items.Items {
				if items.Items[j].Key == "sign_in" {
					failed = &items.Items[j]
				}
			}
			if err != nil || failed == nil || failed.Reason != row.reason || failed.Evidence == nil || failed.Evidence.Code != code {
				t.Errorf("%s: the item is %+v, %v", name, failed, err)
			}
			v, err := n.owner().Verification(t.Context(), slugs[i], "")
			if err != nil || v.Checks[1].Key != "sign_in" || v.Checks[1].Reason != row.reason || v.Checks[1].Evidence == nil || v.Checks[1].Evidence.Code != code {
				t.Errorf("%s: the report has %+v, %v", name, v.Checks, err)
			}
			for _, args := range [][]string{{"run", r.Code, "--details"}, {"verification", "--tenant", slugs[i], "--details"}} {
				shown, err := execute(t.Context(), cliEnv(n.url, w.owner.token), "", program, args...)
				if err != nil || shown.code != 0 || !strings.Contains(shown.out, code) || !strings.Contains(shown.out, e.ClientRequestID) {
					t.Errorf("%s: interlock %s does not show code and request id: %v\n%s%s", name, args[0], err, shown.out, shown.stderr)
				}
			}
			start := func() op.Answer {
				a, err := n.owner().Start(t.Context(), slugs[i], client.StartRequest{Operation: op.DirectoryGroupsSync})
				if err != nil {
					t.Error(err)
				}
				return a
			}
			if row.blocks != "" {
				if a := start(); a.Code != "blocked/"+string(row.blocks) || len(a.Reasons) != 1 {
					t.Errorf("%s: the next start is %s %+v, want %s", name, a.Code, a.Reasons, row.blocks)
				}
			}
			if err := w.control.ClearFaults(t.Context(), faults[i]); err != nil {
				t.Error(err)
			}
			if row.blocks != "" {
				if r, err := n.through(slugs[i], op.ConnectionVerify); err != nil || r.Outcome != op.RunSucceeded {
					t.Errorf("%s: verified again: %v %s %s", name, err, r.Words.Code, r.Words.Why)
				}
			}
			if a := start(); a.Outcome != op.Accepted {
				t.Errorf("%s: what is over is still in the way: %s", name, a.Code)
			}
		})
	}
	wg.Wait()
	// The log has one line for each refused call, with all its identifiers.
	lines := 0
	for line := range strings.SplitSeq(n.log.String(), "\n") {
		var l struct{ Msg, Call, Code, ClientRequestID string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "provider refused a call" && strings.HasPrefix(l.Call, "POST /") {
			lines++
		}
	}
	if lines < len(rows) {
		t.Errorf("%d refused calls stand in the log, %d were made", lines, len(rows))
	}
	w.audit("at the end")
}
