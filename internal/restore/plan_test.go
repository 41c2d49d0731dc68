package restore_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// TestOneStepATarget: two policies can't be restored over one object.
func TestOneStepATarget(t *testing.T) {
	w := newWorld(here).backup(t, profiles, "p1", profile("A", "")).backup(t, profiles, "p2", profile("B", "")).backup(t, profiles, "p3", profile("C", "")).
		now(t, profiles, "q1", profile("X", "")).mapped(profiles, "p1", "q1").mapped(profiles, "p2", "q1")
	var got []string
	for _, s := range w.plan(t).Steps {
		got = append(got, string(s.Action))
		if s.Action == restore.Conflict && s.Blocks[0].Code != restore.TargetTaken {
			t.Errorf("the conflict is %s", s.Blocks[0].Code)
		}
	}
	if s := strings.Join(got, " "); s != "update conflict create" {
		t.Errorf("got %s", s)
	}

	w = newWorld(here).backup(t, access, "p1", ca("A", "disabled", "")).backup(t, access, "p2", ca("a", "disabled", "")).
		choose(access, "p1", restore.Choice{Undelete: "d1"}).choose(access, "p2", restore.Choice{Undelete: "d1"})
	w.observed.Deleted = []restore.Deleted{{Type: access, ID: "d1", Name: "A", State: "disabled"}}
	if p := w.plan(t); p.Steps[0].Action != restore.Create || p.Steps[1].Action != restore.Conflict {
		t.Errorf("a deleted object is restored twice: %s, %s", said(p.Steps[0]), said(p.Steps[1]))
	}
}

// TestOrder: what others refer to comes first, and its id is filled in when it is known.
func TestOrder(t *testing.T) {
	w := newWorld(there).
		backup(t, access, "p1", ca("A", "disabled", `"includeUsers":["None"]},"locations":{"includeLocations":["l1"]`)).
		backup(t, catalog, "p2", `{"name":"B","roleScopeTagIds":["7"],"settings":[{"settingInstance":{"settingDefinitionId":"a","simpleSettingValue":{"@odata.type":"#microsoft.graph.deviceManagementConfigurationReferenceSettingValue","value":"s1"}}}],"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget","deviceAndAppManagementAssignmentFilterId":"f1","deviceAndAppManagementAssignmentFilterType":"include"}}]}`).
		backup(t, "reusablePolicySettings", "s1", `{"displayName":"S"}`).
		backup(t, "namedLocations", "l1", `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"L"}`).
		backup(t, "assignmentFilters", "f1", `{"displayName":"F","platform":"iOS"}`).
		backup(t, "roleScopeTags", "7", `{"displayName":"Berlin"}`)
	p := w.plan(t)
	var order []string
	for _, s := range p.Steps {
		order = append(order, s.Source)
	}
	if got, want := strings.Join(order, " "), "7 f1 l1 s1 p2 p1"; got != want {
		t.Fatalf("the order is %s, want %s", got, want)
	}
	if p.Count(restore.Create) != 6 {
		t.Fatalf("%d are created, want 6:\n%s", p.Count(restore.Create), p.Canonical())
	}
	step := p.Steps[4]
	if len(step.Needs) != 3 || len(step.Calls) != 2 {
		t.Fatalf("it needs %v and calls %d times", step.Needs, len(step.Calls))
	}
	created := map[restore.Need]string{
		{Kind: policy.ScopeTags, Source: "7"}: "12", {Kind: policy.Filters, Source: "f1"}: "new-f", {Kind: policy.ReusableSettings, Source: "s1"}: "new-s",
	}
	if _, err := step.Ready(1, "", created); err == nil {
		t.Error("it is assigned before it has an id")
	}
	if _, err := step.Ready(0, "", map[restore.Need]string{}); err == nil {
		t.Error("it is created before what it needs")
	}
	create, err := step.Ready(0, "", created)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"roleScopeTagIds":["12"]`; !strings.Contains(string(create.Body), want) || !strings.Contains(string(create.Body), `"value":"new-s"`) {
		t.Errorf("the body is %s", create.Body)
	}
	assign, err := step.Ready(1, "new/p2", created)
	if err != nil {
		t.Fatal(err)
	}
	if assign.Path != "/beta/deviceManagement/configurationPolicies/new%2Fp2/assign" || !strings.Contains(string(assign.Body), `"deviceAndAppManagementAssignmentFilterId":"new-f"`) {
		t.Errorf("it is assigned by %s %s", assign.Path, assign.Body)
	}

	// Without the filter in the selection its users can't be assigned.
	w.opts.Selection = []restore.Key{{Type: catalog, ID: "p2"}, {Type: "reusablePolicySettings", ID: "s1"}, {Type: "roleScopeTags", ID: "7"}}
	if got, want := said(w.plan(t).Steps[2]), "unresolvable reference_missing"; got != want {
		t.Errorf("without its filter: %s, want %s", got, want)
	}
}

// TestNeedsOfTheUnassigned: what only the assignments refer to is not needed when they are
// left out.
func TestNeedsOfTheUnassigned(t *testing.T) {
	target := `{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"gone","deviceAndAppManagementAssignmentFilterId":"f1","deviceAndAppManagementAssignmentFilterType":"include"}}`
	p := newWorld(here).
		backup(t, "assignmentFilters", "f1", `{"displayName":"F","platform":"iOS"}`).
		backup(t, "roleScopeTags", "8", `{"displayName":"T"}`).
		backup(t, profiles, "p1", profile("A", `,"roleScopeTagIds":["8"],"assignments":[`+target+`]`)).
		choose(profiles, "p1", restore.Choice{Unassigned: true}).plan(t)
	if step := p.Steps[2]; step.Action != restore.Create || !slices.Equal(step.Needs, []restore.Need{{Kind: policy.ScopeTags, Source: "8"}}) {
		t.Errorf("it needs %v: %s", step.Needs, said(step))
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		bend func(t *testing.T, w *world)
		says string
	}{
		{"two policies with one id", func(t *testing.T, w *world) { w.backup(t, profiles, "p1", profile("B", "")) }, `the backup has two policies deviceConfigurations "p1": "A" and "B"`},
		{"a selection of nothing", func(_ *testing.T, w *world) { w.opts.Selection = []restore.Key{{Type: profiles, ID: "p9"}} }, `the backup has no policy deviceConfigurations "p9"`},
		{"a choice for what is not selected", func(_ *testing.T, w *world) { w.choose(profiles, "p9", restore.Choice{New: true}) }, `deviceConfigurations "p9", which is not selected`},
		{"a choice of what is no candidate", func(_ *testing.T, w *world) { w.choose(profiles, "p1", restore.Choice{Target: "q9"}) }, `"A": "q9" is no candidate`},
		{"a choice of what was not deleted", func(_ *testing.T, w *world) { w.choose(profiles, "p1", restore.Choice{Undelete: "q9"}) }, `"A": "q9" is no deleted object`},
		{"two choices", func(_ *testing.T, w *world) { w.choose(profiles, "p1", restore.Choice{Target: "q9", New: true}) }, `not two of these`},
		{"a choice against the same id", func(t *testing.T, w *world) {
			w.now(t, profiles, "p1", profile("B", "")).now(t, profiles, "q1", profile("A", "")).choose(profiles, "p1", restore.Choice{Target: "q1"})
		}, `"A": there is nothing to choose: the target has the object with its id`},
		{"a new object against the same id", func(t *testing.T, w *world) {
			w.now(t, profiles, "p1", profile("B", "")).choose(profiles, "p1", restore.Choice{New: true})
		}, `the target has the object with its id`},
		{"a choice against a mapping", func(t *testing.T, w *world) {
			w.now(t, profiles, "q1", profile("B", "")).mapped(profiles, "p1", "q1").choose(profiles, "p1", restore.Choice{New: true})
		}, `it is mapped to "q1"`},
		{"a choice for a default", func(t *testing.T, w *world) {
			const limit = "deviceEnrollmentConfigurations"
			w.backup(t, limit, "a_DefaultLimit", `{"@odata.type":"#microsoft.graph.deviceEnrollmentLimitConfiguration","displayName":"D"}`).choose(limit, "a_DefaultLimit", restore.Choice{New: true})
		}, `it is a default of the service`},
		{"two mappings", func(_ *testing.T, w *world) { w.mapped(policy.Groups, "g", "a").mapped(policy.Groups, "g", "b") }, `groups "g" is mapped to "a" and to "b"`},
		{"a target that was read twice", func(t *testing.T, w *world) {
			w.now(t, profiles, "q1", profile("B", "")).now(t, profiles, "q1", profile("C", ""))
		}, `deviceConfigurations "q1" was read twice`},
		{"another directory was read", func(_ *testing.T, w *world) { w.observed.Directory = there }, "was read for a restore into directory"},
		{"bringing back what would be enabled", func(t *testing.T, w *world) {
			w.backup(t, access, "a1", ca("B", "enabled", "")).choose(access, "a1", restore.Choice{Undelete: "a1"})
			w.observed.Deleted = []restore.Deleted{{Type: access, ID: "a1", Name: "B", State: "enabled"}}
		}, `"B": "a1" is no deleted object that can be brought back`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(here).backup(t, profiles, "p1", profile("A", ""))
			tt.bend(t, w)
			if _, err := restore.Build(w.set, w.observed, w.mappings, w.opts); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error that says %s", err, tt.says)
			}
		})
	}
}

// TestHash: the hash covers everything that is called and judged, and contains no body.
func TestHash(t *testing.T) {
	base := func(t *testing.T) *world {
		return newWorld(here).backup(t, profiles, "p1", profile("A", `,"preSharedKey":"hunter2-hunter2","assignments":[`+include("g1")+`]`)).now(t, profiles, "p1", profile("B", `,"assignments":[]`))
	}
	plan := base(t).plan(t)
	if strings.Contains(string(plan.Canonical()), "hunter2") {
		t.Errorf("a secret is in the plan: %s", plan.Canonical())
	}
	if !json.Valid(plan.Canonical()) || len(plan.Hash()) != 64 {
		t.Errorf("the canonical form is %s", plan.Canonical())
	}
	for name, bend := range map[string]func(w *world){
		"another connection version": func(w *world) { w.opts.Target.Version++ },
		"another tenant":             func(w *world) { w.opts.Target.Tenant = "t2" },
		"another backup":             func(w *world) { w.set.ID = "set2" },
		"another time of reading":    func(w *world) { w.observed.At = w.observed.At.Add(time.Microsecond) },
		"another secret": func(w *world) {
			w.set.Items[0].Policy = doc(t, profiles, "p1", profile("A", `,"preSharedKey":"another","assignments":[`+include("g1")+`]`))
		},
		"another state of the target": func(w *world) { w.observed.Items[0] = doc(t, profiles, "p1", profile("C", `,"assignments":[]`)) },
		"another choice":              func(w *world) { w.choose(profiles, "p1", restore.Choice{Unassigned: true}) },
		"something that was not read": func(w *world) { w.observed.Unread = map[string]string{"intents": "provider_fault"} },
	} {
		w := base(t)
		bend(w)
		if w.plan(t).Hash() == plan.Hash() {
			t.Errorf("%s has the same hash", name)
		}
	}
	if again := base(t).plan(t); again.Hash() != plan.Hash() {
		t.Error("the same arguments make another plan")
	}
	if !slices.Equal(plan.Warnings, []restore.WarningCode{restore.WidensAudience}) || !plan.Complete() || !plan.Applicable() {
		t.Errorf("warnings %v, complete %t, applicable %t", plan.Warnings, plan.Complete(), plan.Applicable())
	}
}

// TestHashOfDeepPolicies: a plan of a policy at the limit of depth can be hashed.
func TestHashOfDeepPolicies(t *testing.T) {
	deep := strings.Repeat("[", policy.MaxDepth-2) + strings.Repeat("]", policy.MaxDepth-2)
	plan := newWorld(here).backup(t, profiles, "p1", profile("A", `,"x":`+deep)).now(t, profiles, "p1", profile("A", "")).plan(t)
	if plan.Steps[0].Action != restore.Update || len(plan.Hash()) != 64 {
		t.Errorf("got %s", said(plan.Steps[0]))
	}
}

func TestStale(t *testing.T) {
	plan := newWorld(here).backup(t, profiles, "p1", profile("A", "")).now(t, profiles, "p1", profile("B", "")).plan(t)
	good := restore.Facts{Now: readAt.Add(10 * time.Minute), Connection: "c1", Version: 3, Directory: here, Written: readAt.Add(-time.Second)}
	for _, tt := range []struct {
		name string
		bend func(f *restore.Facts)
		want []restore.Staleness
	}{
		{"fresh", func(*restore.Facts) {}, nil},
		{"never written", func(f *restore.Facts) { f.Written = time.Time{} }, nil},
		{"at its limit", func(f *restore.Facts) { f.Now = readAt.Add(restore.MaxAge) }, nil},
		{"too old", func(f *restore.Facts) { f.Now = readAt.Add(restore.MaxAge + 1) }, []restore.Staleness{restore.Expired}},
		{"from the future", func(f *restore.Facts) { f.Now = readAt.Add(-restore.MaxAge - 1) }, []restore.Staleness{restore.Expired}},
		{"another version", func(f *restore.Facts) { f.Version = 4 }, []restore.Staleness{restore.ConnectionChanged}},
		{"another connection", func(f *restore.Facts) { f.Connection = "c2" }, []restore.Staleness{restore.ConnectionChanged}},
		{"another directory", func(f *restore.Facts) { f.Directory = there }, []restore.Staleness{restore.DirectoryChanged}},
		{"another mapping", func(f *restore.Facts) { f.Remapped = true }, []restore.Staleness{restore.MappingChanged}},
		{"written since", func(f *restore.Facts) { f.Written = readAt.Add(time.Second) }, []restore.Staleness{restore.TenantWritten}},
		{"written at the same moment", func(f *restore.Facts) { f.Written = readAt }, []restore.Staleness{restore.TenantWritten}},
		{
			"everything", func(f *restore.Facts) {
				*f = restore.Facts{Now: readAt.Add(time.Hour), Written: readAt.Add(time.Minute)}
			},
			[]restore.Staleness{restore.Expired, restore.ConnectionChanged, restore.DirectoryChanged, restore.TenantWritten},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := good
			tt.bend(&facts)
			if got := restore.Stale(plan, facts); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	step := plan.Steps[0]
	if now := doc(t, profiles, "p1", profile("B", `,"version":99`)).Hash(); !step.Holds(now) {
		t.Error("a version alone makes the step stale")
	}
	for _, action := range []restore.Action{restore.Unchanged, restore.Conflict} {
		if still := (restore.Step{Action: action, Observed: step.Observed}); still.Holds(step.Observed) {
			t.Errorf("a step that is %s holds, and has nothing to execute", action)
		}
	}
	if step.Holds(doc(t, profiles, "p1", profile("C", "")).Hash()) || step.Holds("") {
		t.Error("a step holds although its target changed")
	}
}
