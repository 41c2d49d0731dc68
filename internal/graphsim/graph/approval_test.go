package graph_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestMultiAdminApproval(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	tok, ctx := s.Token(), t.Context()
	const (
		scripts  = "/beta/deviceManagement/deviceShellScripts"
		filters  = "/beta/deviceManagement/assignmentFilters"
		requests = "deviceManagement/operationApprovalRequests"
		script   = `{"displayName":"A","scriptContent":"YQ=="}`
	)
	if a := s.Send(tok, http.MethodPost, scripts, script); a.Status != http.StatusCreated {
		t.Fatalf("without a policy: %d %s", a.Status, a.Body)
	}
	policy := json.RawMessage(`{"displayName":"Scripts","policyType":"script","approverGroupIds":[]}`)
	if _, err := s.API.PutItem(ctx, simtest.TenantID, "deviceManagement/operationApprovalPolicies", policy); err != nil {
		t.Fatal(err)
	}
	if a := s.Send(tok, http.MethodPost, filters, `{"displayName":"A","platform":"iOS","rule":"r"}`); a.Status != http.StatusCreated {
		t.Errorf("a type that is not guarded: %d %s", a.Status, a.Body)
	}
	s.OK(tok, scripts)
	const reason = "x-msft-approval-justification"
	justified := base64.StdEncoding.EncodeToString([]byte("Change 42"))
	for name, c := range map[string]struct {
		header []string
		body   string
		status int
		text   string
	}{
		"no header":       {nil, script, http.StatusBadRequest, "Header 'x-msft-approval-justification' is required to request approval"},
		"plain text":      {[]string{reason, "Change 42!"}, script, http.StatusBadRequest, "base64"},
		"a long text":     {[]string{reason, base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 1025)))}, script, http.StatusBadRequest, "no greater than 1024"},
		"justified":       {[]string{reason, justified}, script, http.StatusPreconditionFailed, "Approval Required."},
		"an unknown code": {[]string{"x-msft-approval-code", "nobody"}, script, http.StatusBadRequest, "does not exist"},
		"no JSON":         {[]string{reason, justified}, "{", http.StatusBadRequest, "Unable to read JSON"},
	} {
		a := s.Send(tok, http.MethodPost, scripts, c.body, c.header...)
		if code, text := simtest.ErrorOf(t, a); a.Status != c.status || code != "BadRequest" || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	a := s.Send(tok, http.MethodPost, scripts, script, reason, justified)
	code := a.Header.Get("x-msft-approval-code")
	if _, text := simtest.ErrorOf(t, a); code == "" || !strings.Contains(text, code) {
		t.Fatalf("%v %s", a.Header, a.Body)
	}
	if n := s.Written("deviceManagement/deviceShellScripts").Created; n != 1 {
		t.Errorf("%d scripts created before the approval", n)
	}
	one := s.OK(tok, "/beta/"+requests+"/"+code)
	if one["status"] != "needsApproval" || one["requestJustification"] != "Change 42" {
		t.Errorf("%v", one)
	}
	send := func(body string, status int, text string) {
		t.Helper()
		if a := s.Send(tok, http.MethodPost, scripts, body, "x-msft-approval-code", code); a.Status != status || !strings.Contains(string(a.Body), text) {
			t.Errorf("%d %s, want %d with %q", a.Status, a.Body, status, text)
		}
	}
	send(script, http.StatusBadRequest, "needsApproval")
	if err := s.API.PatchItem(ctx, simtest.TenantID, requests, code, json.RawMessage(`{"status":"approved"}`)); err != nil {
		t.Fatal(err)
	}
	send(`{"displayName":"B","scriptContent":"YQ=="}`, http.StatusBadRequest, "another operation")
	send(script, http.StatusCreated, `"displayName":"A"`)
	send(script, http.StatusBadRequest, "completed")
	if n := s.Written("deviceManagement/deviceShellScripts").Created; n != 2 {
		t.Errorf("%d scripts created, want 2", n)
	}
	code = s.Send(tok, http.MethodPost, scripts, script, reason, justified).Header.Get("x-msft-approval-code")
	if err := s.API.PatchItem(ctx, simtest.TenantID, requests, code, json.RawMessage(`{"status":"approved"}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.API.SetClock(ctx, 73*time.Hour); err != nil {
		t.Fatal(err)
	}
	tok = s.Token()
	send(script, http.StatusBadRequest, "expired")
}
