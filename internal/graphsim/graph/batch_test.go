package graph_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

func TestBatch(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{})
	tok := s.Token()
	batch := func(body string, zip bool) simtest.Answer {
		t.Helper()
		var b bytes.Buffer
		header := []string{"Authorization", "Bearer " + tok, "Content-Type", "application/json"}
		if zip {
			zw := gzip.NewWriter(&b)
			_, _ = zw.Write([]byte(body))
			_ = zw.Close()
			header = append(header, "Content-Encoding", "gzip")
		} else {
			b.WriteString(body)
		}
		a, err := s.Do(s.Request(http.MethodPost, "/v1.0/$batch", &b, header...))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if _, err := s.API.AddFault(t.Context(), graphsim.Fault{Path: "/v1.0/deviceManagement/*", Action: graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "10"}}); err != nil {
		t.Fatal(err)
	}
	a := batch(`{"requests": [
		{"id": "1", "method": "GET", "url": "/groups?$top=1"},
		{"id": "2", "method": "GET", "url": "deviceManagement/deviceConfigurations"},
		{"id": "3", "method": "DELETE", "url": "/groups/0e226165-c685-41ce-8bfc-df8360ab325d"},
		{"id": "4", "dependsOn": ["3"], "method": "GET", "url": "/groups"},
		{"id": "5", "method": "GET", "url": "/beta/organization"},
		{"id": "6", "method": "POST", "url": "/groups", "body": {}},
		{"id": "7", "method": "GET", "url": "/$batch"},
		{"id": "8", "method": "GET", "url": "https://elsewhere.example/groups"}]}`, true)
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	responses, _ := a.JSON(t)["responses"].([]any)
	got := map[string]float64{}
	for _, r := range responses {
		r := r.(map[string]any)
		got[r["id"].(string)] = r["status"].(float64)
		if r["id"] == "2" && r["headers"].(map[string]any)["Retry-After"] != "10" {
			t.Errorf("headers of the throttled part: %v", r["headers"])
		}
	}
	want := map[string]float64{"1": 200, "2": 429, "3": 405, "4": 424, "5": 200, "6": 400, "7": 400, "8": 400}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprintf(`{"id": "%d", "method": "GET", "url": "/groups"}`, i))
	}
	for name, body := range map[string]string{
		"21 requests":  `{"requests": [` + strings.Join(many, ",") + `]}`,
		"same id":      `{"requests": [{"id": "a", "method": "GET", "url": "/groups"}, {"id": "A", "method": "GET", "url": "/groups"}]}`,
		"no id":        `{"requests": [{"method": "GET", "url": "/groups"}]}`,
		"no JSON":      `{`,
		"nothing":      `{}`,
		"later depend": `{"requests": [{"id": "1", "dependsOn": ["2"], "method": "GET", "url": "/groups"}, {"id": "2", "method": "GET", "url": "/groups"}]}`,
	} {
		if a := batch(body, false); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	if a := batch(strings.Repeat("x", 5<<20), false); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 5 MiB: %d", a.Status)
	}
	if a := batch(strings.Repeat("x", 5<<20), true); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that unpacks to 5 MiB: %d", a.Status)
	}
	if a := s.Get(tok, "/v1.0/$batch"); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.Status)
	}
}
