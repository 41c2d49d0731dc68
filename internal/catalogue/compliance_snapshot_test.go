package catalogue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const complianceSnapshot op.Kind = "compliance.snapshot"

const (
	devicesList  = "/v1.0/deviceManagement/managedDevices?$select=id,deviceName,complianceState,lastSyncDateTime,userPrincipalName"
	policiesList = "/beta/deviceManagement/deviceCompliancePolicies"
	summaryPath  = "/v1.0/deviceManagement/deviceCompliancePolicyDeviceStateSummary"
	reportsOf    = "/v1.0/deviceManagement/deviceCompliancePolicies/"
)

// complianceTenant has two devices on two pages, and three policies of which the first
// fails on one device. Nobody asks which devices fail the others.
func complianceTenant() *fake {
	return &fake{
		page: script(map[string]provider.Page{
			devicesList: {Items: objects(`{"id":"d1","deviceName":"NB-1","complianceState":"compliant","lastSyncDateTime":"2026-11-20T08:00:00Z","userPrincipalName":"ana@kestrel.example"}`), Next: "more"},
			"more":      {Items: objects(`{"id":"d2","deviceName":"NB-2","complianceState":"noncompliant","lastSyncDateTime":"2026-11-01T08:00:00Z","userPrincipalName":"ben@kestrel.example"}`)},
			policiesList: {Items: objects(
				`{"@odata.type":"#microsoft.graph.windows10CompliancePolicy","id":"p1","displayName":"Windows", "version":3}`,
				`{"@odata.type":"#microsoft.graph.iosCompliancePolicy","id":"p/2","displayName":"iOS"}`,
			)},
			reportsOf + "p1/deviceStatuses": {Items: objects(
				`{"id":"s1","deviceDisplayName":"NB-1","status":"compliant","lastReportedDateTime":"2026-11-20T08:00:00Z"}`,
				`{"id":"s2","deviceDisplayName":"NB-2","status":"nonCompliant","lastReportedDateTime":"2026-11-01T08:00:00Z","userPrincipalName":"ben@kestrel.example"}`,
				`{"id":"s3","deviceDisplayName":"NB-3","status":"notApplicable"}`,
			)},
		}),
		get: func(path string) (string, error) {
			switch path {
			case summaryPath:
				return `{"id":"s","compliantDeviceCount":1,"nonCompliantDeviceCount":1,"inGracePeriodCount":4,"configManagerCount":5,"unknownDeviceCount":6,` +
					`"notApplicableDeviceCount":7,"remediatedDeviceCount":8,"errorDeviceCount":9,"conflictDeviceCount":10}`, nil
			case reportsOf + "p1/deviceStatusOverview":
				return `{"id":"o1", "successCount":1,"failedCount":1,"errorCount":2,"pendingCount":3,"notApplicableCount":4,"conflictCount":5}`, nil
			case reportsOf + "p%2F2/deviceStatusOverview":
				return `{"successCount":2,"failedCount":0}`, nil
			}
			return "", &provider.Error{Reason: op.ProviderRejected, Status: 404}
		},
	}
}

// snapshot takes a snapshot at the time at.
func snapshot(t *testing.T, f provider.Client, data *datatest.Memory, kept *datatest.Snapshots, at time.Time) (*operationtest.Report, error) {
	t.Helper()
	kept.Now = func() time.Time { return at }
	return runWith(t, complianceSnapshot, f, data, "", func(env *catalogue.Env) { env.Snapshots = kept })
}

// TestComplianceSnapshot: devices, policies with their counts, failures with their policy,
// and the counts of the summary are kept together, as of the moment when the run began.
func TestComplianceSnapshot(t *testing.T) {
	t.Parallel()
	data, kept, f := &datatest.Memory{}, &datatest.Snapshots{}, complianceTenant()
	r, err := snapshot(t, f, data, kept, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Results(), "done 4, unchanged 0, failed 0, skipped 0, unknown 0"; got != want || r.Counts != (op.Counts{Done: 4, Total: 4}) {
		t.Errorf("%s, %+v; want %s", got, r.Counts, want)
	}
	if got := r.Find(t, "summary").Counts.Done; got != 51 {
		t.Errorf("the summary counts %d devices", got)
	}
	if n := len(kept.Kept()); n != 1 {
		t.Fatalf("%d snapshots were kept", n)
	}
	s := kept.Kept()[0]
	want := catalogue.ComplianceCounts{
		Compliant: 1, Noncompliant: 1, InGracePeriod: 4, ConfigManager: 5, Unknown: 6, NotApplicable: 7, Remediated: 8, Error: 9, Conflict: 10,
	}
	if !s.At.Equal(epoch) || !s.Complete || s.Counts == nil || *s.Counts != want || len(s.Parts) != 3 {
		t.Errorf("kept %+v", s)
	}

	info, def, err := catalogue.LookupDataset("compliance")
	if err != nil || def.Kind != complianceSnapshot || def.Baseline {
		t.Fatal(def, err)
	}
	var shown []string
	for _, part := range info.Parts {
		rows, _ := data.Rows(t.Context(), info.Stored(part.Key))
		for _, row := range rows {
			row.Part = part.Key
			cells := []string{row.ID, row.Name}
			for _, c := range info.Columns[1:] {
				cells = append(cells, c.Text(row))
			}
			shown = append(shown, strings.Join(cells, "|"))
		}
	}
	if got, want := strings.Join(shown, "\n"), strings.Join([]string{
		"d1|NB-1|Compliant|ana@kestrel.example|20 Nov 2026",
		"d2|NB-2|Not compliant|ben@kestrel.example|1 Nov 2026",
		"p1/s2|NB-2|Not compliant|Windows|1 Nov 2026",
		"p/2|iOS|0 of 2 failing||",
		"p1|Windows|8 of 12 failing||",
	}, "\n"); got != want {
		t.Errorf("the list shows\n%s\nwant\n%s", got, want)
	}
	policies, _ := data.Rows(t.Context(), "compliance/policies")
	if got, want := string(policies[1].Data), `{"@odata.type":"#microsoft.graph.windows10CompliancePolicy","id":"p1","displayName":"Windows","version":3,`+
		`"deviceStatusOverview":{"id":"o1", "successCount":1,"failedCount":1,"errorCount":2,"pendingCount":3,"notApplicableCount":4,"conflictCount":5}}`; got != want {
		t.Errorf("the policy is kept as\n%s, want\n%s", got, want)
	}
	if c, ok := catalogue.PolicyCountsOf(policies[1]); !ok || c != (catalogue.PolicyCounts{Compliant: 1, Noncompliant: 1, Error: 2, Conflict: 5, Pending: 3, NotApplicable: 4}) {
		t.Errorf("its counts are %+v", c)
	}
	if !slices.Contains(tenancy.Operator.Capabilities(), def.Capability) || slices.Contains(tenancy.Viewer.Capabilities(), def.Capability) {
		t.Error("operators can take snapshots, and viewers can't")
	}
	if calls := strings.Join(f.calls, " "); strings.Contains(calls, "p%2F2/deviceStatuses") {
		t.Error("it asks which devices fail a policy that none fails")
	}
}

// TestComplianceSnapshotIsOneMoment: nothing is shown before all was read. A part that
// fails keeps its old rows, and the snapshot is told to be incomplete; a run that ends
// early keeps nothing.
func TestComplianceSnapshotIsOneMoment(t *testing.T) {
	t.Parallel()
	refused := &provider.Error{Reason: op.ProviderRejected, Status: 400, Message: "No."}
	for _, c := range []struct {
		name, path string
		err        error
		results    string
		parts      int    // that are kept; -1: no snapshot
		counted    bool   // the summary is kept
		stale      string // parts with a reason
		ends       op.Reason
	}{
		{"devices", devicesList, refused, "done 3, unchanged 0, failed 1, skipped 0, unknown 0", 2, true, "devices", ""},
		{"a later page", "more", refused, "done 3, unchanged 0, failed 1, skipped 0, unknown 0", 2, true, "devices", ""},
		{"summary", summaryPath, refused, "done 3, unchanged 0, failed 1, skipped 0, unknown 0", 3, false, "", ""},
		{"policies", policiesList, refused, "done 2, unchanged 0, failed 2, skipped 0, unknown 0", 1, true, "policies failures", ""},
		{"one overview", reportsOf + "p1/deviceStatusOverview", refused, "done 2, unchanged 0, failed 2, skipped 0, unknown 0", 1, true, "policies failures", ""},
		{"failures", reportsOf + "p1/deviceStatuses", refused, "done 3, unchanged 0, failed 1, skipped 0, unknown 0", 2, true, "failures", ""},
		{"no Intune", devicesList, noIntune(), "done 0, unchanged 0, failed 0, skipped 0, unknown 0, not applicable 4", -1, false, "devices policies failures", ""},
		{"away", reportsOf + "p1/deviceStatuses", away(), "done 0, unchanged 0, failed 0, skipped 4, unknown 0", -1, false, "devices policies failures", op.ProviderUnreachable},
		{"away in a batch", reportsOf + "p1/deviceStatusOverview", throttled(), "done 0, unchanged 0, failed 0, skipped 4, unknown 0", -1, false, "devices policies failures", op.ProviderThrottled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data, kept, f := &datatest.Memory{}, &datatest.Snapshots{}, complianceTenant()
			if _, err := snapshot(t, f, data, kept, epoch); err != nil {
				t.Fatal(err)
			}
			before := operationtest.State(t, data)
			page, get := f.page, f.get
			f.page = func(next string) (provider.Page, error) {
				if operationtest.State(t, data) != before {
					t.Errorf("rows are shown before all was read, at %s", next)
				}
				if next == c.path {
					return provider.Page{}, c.err
				}
				return page(next)
			}
			f.get = func(path string) (string, error) {
				if path == c.path {
					return "", c.err
				}
				return get(path)
			}
			r, err := snapshot(t, f, data, kept, epoch.Add(time.Hour))
			if got := reasonOf(err); got != c.ends {
				t.Errorf("ended with %q (%v), want %q", got, err, c.ends)
			}
			if got := r.Results(); got != c.results {
				t.Errorf("%s, want %s", got, c.results)
			}
			all := kept.Kept()
			switch last := all[len(all)-1]; {
			case c.parts < 0 && len(all) != 1:
				t.Errorf("a snapshot was kept: %+v", last)
			case c.parts >= 0 && (len(all) != 2 || len(last.Parts) != c.parts || last.Complete || (last.Counts != nil) != c.counted):
				t.Errorf("kept %+v", all[1:])
			}
			for _, part := range []string{"devices", "policies", "failures"} {
				if got := data.StaleReason("compliance/"+part) != ""; got != strings.Contains(" "+c.stale+" ", " "+part+" ") {
					t.Errorf("%s is stale: %t", part, got)
				}
			}
			if operationtest.State(t, data) != before {
				t.Error("the rows have changed")
			}
		})
	}
}

// TestComplianceSnapshotOfOddAnswers: what can't be read is told, and the rest is kept.
func TestComplianceSnapshotOfOddAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255)
	for _, c := range []struct{ name, path, body, item string }{
		{"a summary without counts", summaryPath, `{"id":"s"}`, "summary failed provider_fault"},
		{"a summary of text", summaryPath, `{"compliantDeviceCount":"many"}`, "summary failed provider_fault"},
		{"an overview without counts", reportsOf + "p1/deviceStatusOverview", `{}`, "policies failed provider_fault"},
		{"a policy without an id", policiesList, `{"displayName":"Windows"}`, "policies done list_incomplete"},
		{"a device without an id", "more", `{"deviceName":"NB-2"}`, "devices done list_incomplete"},
		{"a report without an id", reportsOf + "p1/deviceStatuses", `{"deviceDisplayName":"NB-2","status":"error"}`, "failures failed provider_fault"},
		{"a report with a long id", reportsOf + "p1/deviceStatuses", fmt.Sprintf(`{"id":%q,"deviceDisplayName":"NB-2","status":"error"}`, long), "failures failed provider_fault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data, kept, f := &datatest.Memory{}, &datatest.Snapshots{}, complianceTenant()
			page, get := f.page, f.get
			f.page = func(next string) (provider.Page, error) {
				p, err := page(next)
				if next == c.path {
					p.Items = append(objects(c.body), p.Items[1:]...)
					if next == reportsOf+"p1/deviceStatuses" {
						p.Items = p.Items[:1]
					}
				}
				return p, err
			}
			f.get = func(path string) (string, error) {
				if path == c.path {
					return c.body, nil
				}
				return get(path)
			}
			r, err := snapshot(t, f, data, kept, epoch)
			if err != nil {
				t.Fatal(err)
			}
			key, _, _ := strings.Cut(c.item, " ")
			item := r.Find(t, key)
			if got := fmt.Sprintf("%s %s %s", key, item.Result, item.Reason); got != c.item {
				t.Errorf("%s, want %s", got, c.item)
			}
			if kept.Kept()[0].Complete != (item.Result == op.ItemDone && item.Reason == "") {
				t.Errorf("complete: %t", kept.Kept()[0].Complete)
			}
			if c.name == "a policy without an id" && r.Find(t, "failures").Reason != op.ListIncomplete {
				t.Error("the failures of a policy that can't be read are not told to be missing")
			}
		})
	}
}

// TestComplianceSnapshotAgainstTheSimulator: the counts agree with the devices and the
// failures.
func TestComplianceSnapshotAgainstTheSimulator(t *testing.T) {
	t.Parallel()
	s := operationtest.Simulate(t, func(spec *graphsim.TenantSpec) { spec.Devices, spec.Policies = 60, 100 })
	data, kept := &datatest.Memory{}, &datatest.Snapshots{}
	if _, err := snapshot(t, s.Client(t), data, kept, epoch); err != nil {
		t.Fatal(err)
	}
	counts := kept.Kept()[0].Counts
	states := map[string]int64{}
	devices, _ := data.Rows(t.Context(), "compliance/devices")
	for _, d := range devices {
		states[d.Type]++
	}
	if counts.Total() != int64(len(devices)) || len(devices) != 60 || counts.Compliant != states["compliant"] || counts.Noncompliant != states["noncompliant"] || counts.Noncompliant == 0 {
		t.Errorf("the summary counts %+v of the devices %v", counts, states)
	}
	var failing int64
	policies, _ := data.Rows(t.Context(), "compliance/policies")
	for _, p := range policies {
		c, _ := catalogue.PolicyCountsOf(p)
		failing += c.Failing()
	}
	failures, _ := data.Rows(t.Context(), "compliance/failures")
	if failing != int64(len(failures)) || failing == 0 {
		t.Errorf("the policies count %d failures, %d are listed", failing, len(failures))
	}
}
