package catalogue_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	reader "github.com/interlock-dev/interlock/internal/provider/policies"
	"github.com/interlock-dev/interlock/internal/restore"
)

// shelf is a backup, and a place for plans.
type shelf struct {
	catalogue.Backups
	catalogue.Plans
	set      restore.Set
	mappings []restore.Mapping
	mapped   []restore.Mapping
	kept     *restore.Plan
}

func (s *shelf) Set(_ context.Context, id string) (restore.Set, error) {
	if id != s.set.ID {
		return restore.Set{}, op.ErrNotFound
	}
	return s.set, nil
}

func (s *shelf) Mappings(context.Context, string, string) ([]restore.Mapping, error) {
	return s.mappings, nil
}

func (s *shelf) Map(_ context.Context, m restore.Mapping, _ catalogue.MappingSource) error {
	s.mapped = append(s.mapped, m)
	return nil
}

func (s *shelf) Keep(_ context.Context, p restore.Plan) (string, error) {
	s.kept = &p
	return p.Hash(), nil
}

const otherDirectory = "8c4e0b1a-5d0f-4f0e-9d61-2f7a60be91d2"

const backupID = "01890000-0000-7000-8000-000000000000"

// previewed backs up the simulated tenant's filters and reads them again as a preview.
func previewed(t *testing.T, s *operationtest.Simulated, from string, change func(*shelf, *catalogue.PreviewParameters)) (*shelf, *operationtest.Report) {
	t.Helper()
	shelf, r, err := tryPreview(t, s, from, change)
	if err != nil {
		t.Fatal(err)
	}
	return shelf, r
}

// tryPreview is [previewed] for a preview that may fail.
func tryPreview(t *testing.T, s *operationtest.Simulated, from string, change func(*shelf, *catalogue.PreviewParameters)) (*shelf, *operationtest.Report, error) {
	t.Helper()
	d, err := catalogue.Lookup(catalogue.PolicyRestorePreview)
	if err != nil {
		t.Fatal(err)
	}
	shelf := &shelf{set: restore.Set{ID: backupID, Directory: from, AsOf: operationtest.Epoch}}
	err = reader.Type(t.Context(), s.Client(t), policy.Lookup("assignmentFilters"), func(r reader.Read) error {
		shelf.set.Items = append(shelf.set.Items, restore.Item{Policy: r.Policy})
		return nil
	})
	if err != nil || len(shelf.set.Items) == 0 {
		t.Fatalf("%d filters, %v", len(shelf.set.Items), err)
	}
	in := catalogue.PreviewParameters{Backup: backupID}
	if change != nil {
		change(shelf, &in)
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := operationtest.Run(t, d, s.Client(t), &datatest.Memory{}, string(text), func(env *catalogue.Env) { env.Backups, env.Plans = shelf, shelf })
	return shelf, r, err
}

// TestPreview: what is in the tenant as it was is unchanged, what differs is updated, and
// what is gone is created; the plan is bound to backup, connection and directory.
func TestPreview(t *testing.T) {
	t.Parallel()
	s := operationtest.Simulate(t, nil)
	got, r := previewed(t, s, operationtest.Directory, nil)
	if got.kept == nil || got.kept.Count(restore.Unchanged) != len(got.set.Items) || got.kept.Set != backupID || got.kept.Target.Directory != operationtest.Directory {
		t.Fatalf("%+v, %+v", got.kept, r.Items)
	}
	got, _ = previewed(t, s, operationtest.Directory, func(s *shelf, _ *catalogue.PreviewParameters) {
		first := s.set.Items[0].Policy
		s.set.Items = nil
		for _, id := range []string{first.ID(), "99999999-9999-4999-8999-999999999999"} {
			d, err := policy.Normalise(policy.Item{Type: "assignmentFilters", ID: id, Body: json.RawMessage(`{"displayName":"Filter ` + id + `","platform":"` +
				first.Text("platform") + `","rule":"(device.manufacturer -eq \"Fabrikam\")","roleScopeTags":["0"]}`)})
			if err != nil {
				t.Fatal(err)
			}
			s.set.Items = append(s.set.Items, restore.Item{Policy: d})
		}
	})
	if got.kept.Count(restore.Update) != 1 || got.kept.Count(restore.Create) != 1 {
		t.Errorf("%+v", got.kept.Steps)
	}
	one := got.set.Items[0].Policy.ID()
	got, _ = previewed(t, s, operationtest.Directory, func(_ *shelf, in *catalogue.PreviewParameters) { in.Items = []string{"assignmentFilters/" + one} })
	if len(got.kept.Steps) != 1 || got.kept.Steps[0].Source != one {
		t.Errorf("of one policy: %+v", got.kept.Steps)
	}
}

// TestPreviewOfABaseline: a policy of another directory is matched by a mapping only; its
// name is a candidate. The mapping is recorded.
func TestPreviewOfABaseline(t *testing.T) {
	t.Parallel()
	s := operationtest.Simulate(t, nil)
	from := otherDirectory
	got, _ := previewed(t, s, from, nil)
	if got.kept.Count(restore.Conflict) != len(got.set.Items) {
		t.Errorf("%+v", got.kept.Steps)
	}
	got, _ = previewed(t, s, from, func(s *shelf, in *catalogue.PreviewParameters) {
		id := s.set.Items[0].Policy.ID()
		in.Items = []string{"assignmentFilters/" + id}
		in.Mappings = []catalogue.PreviewMapping{{Kind: "assignmentFilters", Source: id, Target: id}}
	})
	if got.kept.Count(restore.Unchanged) != 1 || len(got.kept.Mappings) != 1 || len(got.mapped) != 1 || got.mapped[0].SourceDirectory != from {
		t.Errorf("%+v, recorded %+v", got.kept, got.mapped)
	}
}

// TestPreviewOfAnUnreadableCounterpart: a policy of the tenant that is refused, or that is
// no policy, may be the counterpart. Its type counts as unread, and no step of it writes.
func TestPreviewOfAnUnreadableCounterpart(t *testing.T) {
	t.Parallel()
	const key, path = "deviceEnrollmentConfigurations", "/beta/deviceManagement/deviceEnrollmentConfigurations"
	limit, err := policy.Normalise(policy.Item{Type: key, ID: "a_DefaultLimit", Body: json.RawMessage(`{"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","displayName":"All","limit":5}`)})
	if err != nil || limit.DefaultName() == "" {
		t.Fatal(err)
	}
	d, err := catalogue.Lookup(catalogue.PolicyRestorePreview)
	if err != nil {
		t.Fatal(err)
	}
	for want, answer := range map[op.Reason]func() (string, error){
		op.AccessRefused:   func() (string, error) { return "", refusal(op.AccessRefused) },
		op.ObjectMalformed: func() (string, error) { return `{"id":"b","displayName":"1","displayName":"2"}`, nil },
	} {
		f := &fake{
			page: script(map[string]provider.Page{path: {Items: objects(`{"id":"b_DefaultLimit"}`)}}),
			get: func(path string) (string, error) {
				if strings.HasSuffix(path, "b_DefaultLimit") {
					return answer()
				}
				return `{"value":[]}`, nil
			},
		}
		shelf := &shelf{set: restore.Set{ID: backupID, Directory: operationtest.Directory, Items: []restore.Item{{Policy: limit}}}}
		r, err := operationtest.Run(t, d, f, &datatest.Memory{}, `{"backup":"`+backupID+`"}`, func(env *catalogue.Env) { env.Backups, env.Plans = shelf, shelf })
		if err != nil {
			t.Fatal(err)
		}
		if i := r.Find(t, key); i.Result != op.ItemFailed || i.Reason != want || shelf.kept.Steps[0].Action != restore.NotSupported {
			t.Errorf("%s: %+v, %+v", want, i, shelf.kept.Steps)
		}
	}
}

// TestPreviewOfWhatCannotBeRead: a type that is refused makes the plan incomplete, blocks
// its steps and fails its item.
func TestPreviewOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := operationtest.Simulate(t, nil)
	got, r := previewed(t, s, operationtest.Directory, func(*shelf, *catalogue.PreviewParameters) {
		s.Fault(t, graphsim.Fault{Path: "/beta/deviceManagement/assignmentFilters*", Action: graphsim.Action{Kind: graphsim.ActError, Status: 403, Code: "Forbidden", Message: "no"}})
	})
	if got.kept.Complete() || got.kept.Applicable() || got.kept.Count(restore.NotSupported) != len(got.set.Items) {
		t.Errorf("%+v", got.kept)
	}
	if item := r.Find(t, "assignmentFilters"); item.Result != op.ItemFailed || item.Reason == "" {
		t.Errorf("%+v", item)
	}
}

// TestPreviewThatCannotBeMeant: a selection of what the backup doesn't have, and a choice
// that isn't possible, fail the run with a reason that names the policy. The plan counts as a
// failed item, and nothing is stored.
func TestPreviewThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	s := operationtest.Simulate(t, nil)
	choose := func(c catalogue.PreviewChoice) func(*shelf, *catalogue.PreviewParameters) {
		return func(s *shelf, in *catalogue.PreviewParameters) {
			c.Item = "assignmentFilters/" + s.set.Items[0].Policy.ID()
			in.Choices = []catalogue.PreviewChoice{c}
		}
	}
	for name, c := range map[string]struct {
		ask  func(*shelf, *catalogue.PreviewParameters)
		from string
		says string
	}{
		"a policy that isn't there": {func(_ *shelf, in *catalogue.PreviewParameters) { in.Items = []string{"assignmentFilters/none"} }, operationtest.Directory, `the backup has no policy assignmentFilters "none"`},
		"a choice outside the selection": {func(_ *shelf, in *catalogue.PreviewParameters) {
			in.Choices = []catalogue.PreviewChoice{{Item: "assignmentFilters/another", Unassigned: true}}
		}, operationtest.Directory, "which is not selected"},
		"a choice where nothing is open":  {choose(catalogue.PreviewChoice{New: true}), operationtest.Directory, "there is nothing to choose"},
		"a target that is no candidate":   {choose(catalogue.PreviewChoice{Target: "elsewhere"}), otherDirectory, `"elsewhere" is no candidate`},
		"a deleted policy that isn't one": {choose(catalogue.PreviewChoice{Undelete: "elsewhere"}), otherDirectory, `"elsewhere" is no deleted object`},
		"a backup that was removed":       {func(_ *shelf, in *catalogue.PreviewParameters) { in.Backup = strings.Replace(backupID, "1", "2", 1) }, operationtest.Directory, "the backup was removed"},
		"two choices at once":             {choose(catalogue.PreviewChoice{New: true, Target: "elsewhere"}), otherDirectory, "not two of these"},
	} {
		got, r, err := tryPreview(t, s, c.from, c.ask)
		var failed *catalogue.RunError
		if !errors.As(err, &failed) || failed.Reason != op.RestoreRefused || !strings.Contains(failed.Args["detail"], c.says) || !strings.Contains(failed.Args["detail"], "assignmentFilters") && name != "a backup that was removed" {
			t.Fatalf("%s: the run ends with %v", name, err)
		}
		if item := r.Find(t, "plan"); got.kept != nil || item.Reason != op.RestoreRefused || item.Args["detail"] != failed.Args["detail"] {
			t.Errorf("%s: %+v, %+v", name, got.kept, r.Items)
		}
		if n := int64(len(r.Items)); r.Counts != (op.Counts{Done: n - 1, Failed: 1, Total: n}) {
			t.Errorf("%s: %+v are counted of %+v", name, r.Counts, r.Items)
		}
	}
}

func TestParametersOfAPreviewAndARestore(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	for raw, field := range map[string]string{
		`{"backup":"` + strings.ToUpper(backupID) + `","items":["assignmentFilters/b","assignmentFilters/a","assignmentFilters/a"]}`: "",
		`{}`:             "parameters.backup",
		`{"backup":"x"}`: "parameters.backup",
		`{"backup":"` + backupID + `","items":["filters/a"]}`:     "parameters.items[0]",
		`{"backup":"` + backupID + `","items":["a"]}`:             "parameters.items[0]",
		`{"backup":"` + backupID + `","choices":[{"item":"a"}]}`:  "parameters.choices[0].item",
		`{"backup":"` + backupID + `","mappings":[{"kind":"a"}]}`: "parameters.mappings[0].kind",
		`{"backup":"` + backupID + `","force":true}`:              "parameters.force",
		`{"backup":"` + backupID + `","mappings":[{"kind":"groups","source":"a","target":"b"},{"kind":"groups","source":"a","target":"c"}]}`: "parameters.mappings[1]",
	} {
		checkParameters(t, catalogue.PolicyRestorePreview, raw, field)
	}
	for raw, field := range map[string]string{
		`{"plan":"` + hash + `","acknowledged":["conditional_access"],"confirm":"Kestrel"}`: "",
		`{}`: "parameters.plan",
		`{"plan":"` + hash + `","acknowledged":["all"],"confirm":"Kestrel"}`:         "parameters.acknowledged[0]",
		`{"plan":"` + hash + `","acknowledged":[]}`:                                  "parameters.confirm",
		`{"plan":"` + hash[1:] + `","acknowledged":[],"confirm":"Kestrel"}`:          "parameters.plan",
		`{"plan":"` + hash + `","acknowledged":[],"confirm":"Kestrel","force":true}`: "parameters.force",
	} {
		checkParameters(t, catalogue.PolicyRestore, raw, field)
	}
}

func checkParameters(t *testing.T, kind op.Kind, raw, field string) {
	t.Helper()
	d, err := catalogue.Lookup(kind)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := d.Canonical(json.RawMessage(raw))
	var wrong *op.FieldError
	switch {
	case field == "" && err != nil:
		t.Errorf("%s: %v", raw, err)
	case field == "":
		if again, err := d.Canonical(canonical); err != nil || !slices.Equal(again, canonical) {
			t.Errorf("%s becomes %s and then %s, %v", raw, canonical, again, err)
		}
	case !errors.As(err, &wrong) || wrong.Field != field:
		t.Errorf("%s: %v, want the field %s", raw, err, field)
	}
}
