package graph_test

import (
	"net/http"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestWriteAssignmentFilters(t *testing.T) {
	const filters = "/beta/deviceManagement/assignmentFilters"
	s := simtest.Start(t, graphsim.Config{}, simtest.Writer())
	reader := simtest.Start(t, graphsim.Config{}, simtest.Spec())
	do := func(s *simtest.Sim, method, path, body string) simtest.Answer {
		t.Helper()
		return s.Send(s.Token(), method, path, body)
	}
	const body = `{"displayName":"Windows 11","rule":"(a -eq \"b\")"}`
	for name, c := range map[string]struct {
		s            *simtest.Sim
		method, path string
		body         string
		status       int
	}{
		"without the permission":  {reader, http.MethodPost, filters, body, http.StatusForbidden},
		"of what is not JSON":     {s, http.MethodPost, filters, "{", http.StatusBadRequest},
		"by another method":       {s, http.MethodPut, filters, body, http.StatusMethodNotAllowed},
		"of one as a whole":       {s, http.MethodPost, filters + "/x", body, http.StatusMethodNotAllowed},
		"of one that is not here": {s, http.MethodPatch, filters + "/x", body, http.StatusNotFound},
		"of another collection":   {s, http.MethodPost, "/beta/deviceManagement/managedDevices", body, http.StatusMethodNotAllowed},
		"of a read-only property": {s, http.MethodPost, filters, `{"id":"mine","displayName":"a","rule":"b"}`, http.StatusBadRequest},
		"of what is below one":    {s, http.MethodPatch, filters + "/x/payloads", body, http.StatusBadRequest},
	} {
		if a := do(c.s, c.method, c.path, c.body); a.Status != c.status {
			t.Errorf("a write %s: %d, want %d", name, a.Status, c.status)
		}
	}
	a := do(s, http.MethodPost, filters, body)
	made := a.JSON(t)
	id, _ := made["id"].(string)
	if a.Status != http.StatusCreated || id == "" || id == "mine" || made["createdDateTime"] == "2001-01-01T00:00:00Z" || made["rule"] != `(a -eq "b")` {
		t.Fatalf("%d %v", a.Status, made)
	}
	if again := do(s, http.MethodPost, filters, body).JSON(t); again["id"] == id {
		t.Error("a second POST made no second filter")
	}
	if a := do(s, http.MethodPatch, filters+"/"+id, `{"displayName":"Windows 12"}`); a.Status != http.StatusOK || a.JSON(t)["rule"] != made["rule"] || a.JSON(t)["displayName"] != "Windows 12" {
		t.Errorf("%d %v", a.Status, a.JSON(t))
	}
	if a := do(s, http.MethodDelete, filters+"/"+id, ""); a.Status != http.StatusNoContent || len(a.Body) != 0 {
		t.Errorf("%d %q", a.Status, a.Body)
	}
	if a := s.Get(s.Token(), filters+"/"+id); a.Status != http.StatusNotFound {
		t.Errorf("%d after the removal", a.Status)
	}
}
