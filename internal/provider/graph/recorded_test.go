package graph_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/provider"
)

// TestRecordedAnswersAreReadWithoutLoss plays answers that were recorded in a real tenant, byte by
// byte, and compares what the client reads with them.
func TestRecordedAnswersAreReadWithoutLoss(t *testing.T) {
	sim, control := simulator(t, asIs)
	c := client(t, config(t, sim))
	files, err := filepath.Glob("../../../../shared/graph-data/examples/recorded/*.json")
	if err != nil || len(files) == 0 {
		t.Skip("the reference data in ../shared/graph-data is not here")
	}
	total := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct {
			Request string
			Body    json.RawMessage
		}
		if err := json.Unmarshal(b, &recorded); err != nil {
			t.Fatal(err)
		}
		var list struct {
			Value []json.RawMessage
		}
		if err := json.Unmarshal(recorded.Body, &list); err != nil {
			t.Fatal(err)
		}
		_, path, _ := strings.Cut(recorded.Request, "https://graph.microsoft.com")
		path, _, _ = strings.Cut(path, "?")
		body := strings.ReplaceAll(string(recorded.Body), "https://graph.microsoft.com", sim.URL())
		for _, rule := range []graphsim.Fault{
			{Path: path, Times: 1, Action: graphsim.Action{Kind: graphsim.ActBody, Value: body}},
			{Path: path, Action: graphsim.Action{Kind: graphsim.ActBody, Value: `{"value":[]}`}}, // behind the link of the last recorded page
		} {
			if _, err := control.AddFault(t.Context(), rule); err != nil {
				t.Fatal(err)
			}
		}
		var got []json.RawMessage
		for page, err := range provider.Walk(t.Context(), c, path) {
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			got = append(got, page.Items...)
		}
		if len(got) != len(list.Value) {
			t.Errorf("%s: %d objects, want %d", file, len(got), len(list.Value))
			continue
		}
		for i := range got {
			total++
			if want := strings.ReplaceAll(string(list.Value[i]), "https://graph.microsoft.com", sim.URL()); !bytes.Equal(got[i], []byte(want)) {
				t.Errorf("%s: object %d is read as\n%s\nwant\n%s", file, i, got[i], want)
			}
		}
	}
	t.Logf("%d recorded objects were read", total)
}
