package graph_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// TestRecordedAnswersAreServedWhole loads answers that were recorded in a real tenant, sends the
// recorded requests, and finds every recorded object with every property. Ids and assignments are
// those of the simulated tenant, which does not have the recorded groups.
func TestRecordedAnswersAreServedWhole(t *testing.T) {
	s := simtest.Start(t, graphsim.Config{DataDir: filepath.Dir(filepath.Dir(simtest.Shared(t, "examples/recorded")))}, graphsim.TenantSpec{
		ID: simtest.TenantID, DisplayName: "Contoso", Intune: true, Groups: 10, Devices: 1, Apps: simtest.Spec().Apps,
	})
	tok := s.Token()
	files, err := filepath.Glob(filepath.Join(simtest.Shared(t, "examples/recorded"), "*.json"))
	if err != nil || len(files) != 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	total := 0
	for _, file := range files {
		name := filepath.Base(file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct {
			Request string
			Body    struct{ Value []map[string]any }
		}
		if err := json.Unmarshal(b, &recorded); err != nil {
			t.Fatal(err)
		}
		_, path, _ := strings.Cut(recorded.Request, "graph.microsoft.com")
		served, _ := s.All(tok, path)
		for i, want := range recorded.Body.Value {
			total++
			for key := range want {
				if key == "id" || key == "isAssigned" || key == "assignments" || strings.HasPrefix(key, "#") || strings.Contains(key, "@odata.") && key != "@odata.type" {
					delete(want, key)
				}
			}
			if !slices.ContainsFunc(served, func(o map[string]any) bool { return contains(o, want) }) {
				t.Errorf("%s: object %d is not among the %d that are served: %v", name, i, len(served), want)
			}
		}
	}
	if total < 200 {
		t.Errorf("only %d objects were recorded", total)
	}
	t.Logf("%d recorded objects are served", total)
}

// contains reports whether o has all properties of part.
func contains(o, part map[string]any) bool {
	for name, v := range part {
		if !reflect.DeepEqual(o[name], v) {
			return false
		}
	}
	return true
}
