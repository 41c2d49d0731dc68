//go:build browser

package browser

import (
	"bytes"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/cli"
	"github.com/interlock-dev/interlock/internal/op"
)

// command runs a command of the CLI as the operator, and returns what it tells
// its reader, on one line.
func (s *show) command(t *testing.T, args ...string) string {
	t.Helper()
	t.Setenv("INTERLOCK_URL", s.URL)
	t.Setenv("INTERLOCK_TOKEN", s.user(t, "operator").Token)
	t.Setenv("INTERLOCK_CONFIG", t.TempDir()+"/config.json")
	var out bytes.Buffer
	root := cli.Root(cli.IO{In: strings.NewReader(""), Out: &out, Err: &out})
	root.SetArgs(args)
	_ = root.ExecuteContext(t.Context()) // its exit code is for another test
	return whenever.ReplaceAllString(strings.Join(strings.Fields(out.String()), " "), "a while ago")
}

// TestBrowserOneSentence (V1, P1): for each outcome and each reason that the demo
// can show, both pages with start actions, the API and the command line say the
// same: title, reason, why, next step and whom to ask.
func TestBrowserOneSentence(t *testing.T) {
	s := onStage(t)
	b := s.visit(t).as("operator")
	busy := s.ready(t)
	busy.hold()
	busy.start(op.InventorySync)
	for _, tt := range []struct {
		tenant string
		kind   op.Kind
		code   string
	}{
		{"juniper", op.InventorySync, "blocked/consent_missing"},
		{"bright-quay", op.InventorySync, "blocked/consent_revoked"},
		{"saltmarsh", op.InventorySync, "blocked/credential_expired"},
		{"copperfield", op.DirectoryGroupsSync, "blocked/permission_missing"},
		{"harbour-pine", op.InventorySync, "blocked/connection_default_missing"},
		{"larkspur", op.ConnectionVerify, "blocked/connection_disabled"},
		{"wren-hollow", op.InventorySync, "blocked/tenant_not_active"},
		{"old-mill", op.InventorySync, "blocked/tenant_archived"},
		{busy.Slug, op.DirectoryGroupsSync, "scope_busy/other_operation_active"},
		{busy.Slug, op.InventorySync, "deduped"},
	} {
		t.Run(tt.code, func(t *testing.T) {
			p := s.place(t, tt.tenant)
			var pages []shown
			for _, page := range surfaces {
				if p.Default == nil && page.name != "tenant page" {
					continue // a start that names a connection needs no default
				}
				id := dashed(tt.kind) + page.after(p)
				b.open(page.path(p))
				b.click("#start-" + id + " button")
				pages = append(pages, b.result("#answer-"+id))
			}
			a, err := s.as(t, "operator").Start(t.Context(), tt.tenant, startOf(tt.kind))
			if err != nil {
				t.Fatal(err)
			}
			want := said(a)
			if want.Code != tt.code {
				t.Fatalf("the API answers %s, want %s", want.Code, tt.code)
			}
			for i, got := range pages {
				if got != want {
					t.Errorf("the %s says\n%+v\nand the API\n%+v", surfaces[i].name, got, want)
				}
			}
			told := s.command(t, "start", string(tt.kind), "--tenant", tt.tenant)
			for _, slot := range []string{want.Title, want.Why, a.Reasons[0].Fix.Behind(want.Next)} {
				if !strings.Contains(told, slot) {
					t.Errorf("the command lacks %q:\n%s", slot, told)
				}
			}
			// The recorded request, on its own page.
			b.open(op.AttemptPath(workspace, a.AttemptID))
			if text := whenever.ReplaceAllString(b.text("main"), "a while ago"); !strings.Contains(text, want.Title) || !strings.Contains(text, want.Why) {
				t.Errorf("the page of the attempt lacks %q or %q:\n%s", want.Title, want.Why, text)
			}
		})
	}
}
