package restore_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

func ExampleBuild() {
	read := func(id, name string) policy.Document {
		d, err := policy.Normalise(policy.Item{
			Type: "assignmentFilters", ID: id,
			Body: json.RawMessage(`{"displayName":"` + name + `","platform":"iOS","rule":"(device.model -eq \"iPad\")"}`),
		})
		if err != nil {
			panic(err)
		}
		return d
	}
	const directory = "11111111-1111-1111-1111-111111111111"
	plan, err := restore.Build(
		restore.Set{ID: "monday", Directory: directory, Items: []restore.Item{{Policy: read("f1", "Tablets")}, {Policy: read("f2", "Phones")}}},
		restore.Observed{Directory: directory, At: time.Now(), Items: []policy.Document{read("f1", "Tablets (old)"), read("f9", "phones")}},
		nil,
		restore.Options{Target: restore.Target{Directory: directory, Root: "https://graph.microsoft.com"}},
	)
	if err != nil {
		panic(err)
	}
	for _, step := range plan.Steps {
		fmt.Println(step.Name+":", step.Action)
		for _, block := range step.Blocks {
			fmt.Println("  blocked by", block.Code, step.Candidates)
		}
		for _, call := range step.Calls {
			fmt.Println(" ", call.Method, call.Path)
		}
		fmt.Print(policy.Text(step.Diff))
	}
	// Output:
	// Phones: conflict
	//   blocked by name_taken [{f9 phones}]
	// Tablets: update
	//   PATCH /beta/deviceManagement/assignmentFilters/f1
	// ~ Display name: Tablets (old) → Tablets
}
