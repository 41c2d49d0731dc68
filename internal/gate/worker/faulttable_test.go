package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/operationtest"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// faultColumn is a call of an operation that meets the faults.
type faultColumn struct {
	title        string
	kind         op.Kind
	parameters   string // "": chosen by the test
	method, path string // of the call
	list         bool   // it reads a list, which has faults of its own
}

func (c faultColumn) writes() bool { return c.method != "GET" }

const (
	oneFilter  = "11111111-0000-4000-8000-000000000001" // policies of the tenant
	oneKiosk   = "11111111-0000-4000-8000-000000000002"
	oneNetwork = "11111111-0000-4000-8000-000000000003"
	oneScript  = "11111111-0000-4000-8000-000000000004"
)

// faultColumns are the operations of the product. A restore is there with each of its
// kinds of calls.
var faultColumns = []faultColumn{
	{"connection.verify: the organization", op.ConnectionVerify, "{}", "GET", "/v1.0/organization", false},
	{"inventory.sync: a list", op.InventorySync, `{"types":["configurationPolicies"]}`, "GET", "/beta/deviceManagement/configurationPolicies", true},
	{"directory.groups.sync: the delta", op.DirectoryGroupsSync, `{"full":true}`, "GET", "/v1.0/groups/delta*", true},
	{"directory.roles.sync: the scope tags", "directory.roles.sync", "{}", "GET", "/beta/deviceManagement/roleScopeTags", true},
	{"compliance.snapshot: the devices", "compliance.snapshot", "{}", "GET", "/v1.0/deviceManagement/managedDevices", true},
	{"policy.backup: a list", "policy.backup", `{"types":["deviceConfigurations"]}`, "GET", "/beta/deviceManagement/deviceConfigurations", true},
	{"policy.backup: the assignments of a policy", "policy.backup", `{"types":["deviceConfigurations"]}`, "GET", "/beta/deviceManagement/deviceConfigurations/" + oneKiosk + "/assignments", true},
	{"policy.restore.preview: a list", op.PolicyRestorePreview, "", "GET", "/beta/deviceManagement/assignmentFilters", true},
	{"policy.restore: reading a policy", op.PolicyRestore, "", "GET", "/beta/deviceManagement/deviceConfigurations/" + oneKiosk, false},
	{"policy.restore: creating a policy", op.PolicyRestore, "", "POST", "/beta/deviceManagement/assignmentFilters", false},
	{"policy.restore: changing a policy", op.PolicyRestore, "", "PATCH", "/beta/deviceManagement/deviceConfigurations/*", false},
	{"policy.restore: assigning a policy", op.PolicyRestore, "", "POST", "/beta/deviceManagement/deviceManagementScripts/*/assign", false},
	{"connection.verify: the sign-in", op.ConnectionVerify, "{}", "POST", tokenPath, false},
	{"inventory.sync: the sign-in, as of every other operation", op.InventorySync, `{"types":["configurationPolicies"]}`, "POST", tokenPath, false},
}

// tokenPath is where the clients sign in.
const tokenPath = "/*/oauth2/v2.0/token"

// noLicence is what Intune answers for a tenant that doesn't have it.
var noLicence = operationtest.Fault{Name: "400, no licence", Action: graphsim.Action{
	Kind: graphsim.ActError, Status: 400, Code: "BadRequest", Message: "Request not applicable to target tenant.",
}}

// writeFaults are those that only changes can meet.
var writeFaults = []operationtest.Fault{
	{Name: "made, and no answer", Action: graphsim.Action{Kind: graphsim.ActDrop}},
	{Name: "made, and 504", Action: graphsim.Action{Kind: graphsim.ActErrorAfter}},
	{Name: "202, and made later", Action: graphsim.Action{Kind: graphsim.ActAccepted, DelayMS: 50}},
	{Name: "success, and not made", Action: graphsim.Action{Kind: graphsim.ActDiscard}},
	{Name: "another administrator has to approve", Action: graphsim.Action{
		Kind: graphsim.ActError, Status: 400, Code: "BadRequest", Message: "Header 'x-msft-approval-justification' is required",
	}},
}

// signInFaults are those that only a sign-in can meet: the numbers of refusals.
func signInFaults() (all []operationtest.Fault) {
	for _, n := range []int{7000215, 7000222, 700027, 7000112, 53003, 500011, 90002, 900023, 5000224, 65001, 650052, 650051, 700016, 700024, 90055, 50000} {
		all = append(all, operationtest.Fault{Name: fmt.Sprint("AADSTS", n), Action: graphsim.Action{Kind: graphsim.ActSignIn, Number: n}})
	}
	return all
}

func (c faultColumn) faults() []operationtest.Fault {
	if c.path == tokenPath {
		return append(operationtest.CallFaults(), signInFaults()...)
	}
	all := append(operationtest.CallFaults(), noLicence)
	switch {
	case c.list:
		all = append(all, operationtest.ListFaults()...)
	case c.writes():
		all = append(all, writeFaults...)
	}
	return all
}

// faultBackoff is long, so that runs which wait for hours have few tries.
const faultBackoff = 4 * time.Minute

// faultLab is a shop whose tenant is simulated.
type faultLab struct {
	*shop
	faultColumn
	sim        *operationtest.Simulated
	connection string
	moved      time.Duration
	backup     string // id of the backup that restores are made from
	scope      tenancy.Tenant
}

func newFaultLab(t *testing.T, d *db.DB, c faultColumn) *faultLab {
	t.Helper()
	l := &faultLab{shop: newShop(t, d, Config{Lease: time.Minute, Heartbeat: time.Hour, Backoff: faultBackoff}), faultColumn: c, sim: operationtest.Simulate(t, bareTenant)}
	l.sim.Patience = time.Second
	l.w.cfg.Connect = func(c Connect) (provider.Client, error) { return l.sim.Guarded(c.Before) }
	l.scope.ID = l.Tenant(l.Workspace, "kestrel", "Tenant kestrel")
	l.connection = l.Connection(l.Workspace, l.scope.ID, "kestrel", func(c *tenancy.Connection) {
		c.DirectoryID, c.ActualDirectoryID = operationtest.Directory, operationtest.Directory
	})
	l.Exec(`UPDATE tenants SET directory_id = $1 WHERE id = $2`, operationtest.Directory, l.scope.ID)
	l.furnish("as backed up", true)
	if l.kind == op.PolicyRestore || l.kind == op.PolicyRestorePreview {
		if run := l.runs("policy.backup", `{"types":["assignmentFilters","deviceConfigurations","deviceManagementScripts"]}`); run.Outcome != op.RunSucceeded {
			t.Fatalf("the backup is %s", run.Outcome)
		}
		l.backup = l.Text(`SELECT id FROM backup_sets WHERE state = 'kept'`)
	}
	return l
}

// bareTenant has groups and devices, and no policies.
func bareTenant(s *graphsim.TenantSpec) {
	s.Groups, s.DeltaPage, s.Policies, s.Devices, s.MobileApps = 4, 2, -1, 3, -1
	app := &s.Apps[0] // the simulator knows no toys
	app.Requested = slices.DeleteFunc(slices.Clone(app.Requested), func(p string) bool { return strings.HasPrefix(p, "Toy.") })
}

// furnish puts policies into the tenant. Without whole, one of them is different, and two
// are gone.
func (l *faultLab) furnish(description string, whole bool) {
	l.t.Helper()
	put := func(collection, body string) {
		if _, err := l.sim.PutItem(l.t.Context(), operationtest.Directory, "deviceManagement/"+collection, json.RawMessage(body)); err != nil {
			l.t.Fatal(err)
		}
	}
	custom := func(id, name, description string) {
		put("deviceConfigurations", fmt.Sprintf(`{"@odata.type":"#microsoft.graph.windows10CustomConfiguration","id":%q,"displayName":%q,"description":%q,"roleScopeTagIds":["0"],"omaSettings":[],
			"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`, id, name, description))
	}
	custom(oneKiosk, "Kiosk", description)
	if !whole {
		return
	}
	if l.kind == "policy.backup" {
		custom(oneNetwork, "Network", "as backed up")
	}
	put("deviceManagementScripts", fmt.Sprintf(`{"id":%q,"displayName":"Printers","fileName":"printers.ps1","runAsAccount":"system","enforceSignatureCheck":false,"runAs32Bit":false,
		"scriptContent":"ZXhpdCAw","roleScopeTagIds":["0"],"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]}`, oneScript))
	put("assignmentFilters", fmt.Sprintf(`{"id":%q,"displayName":"Tablets","platform":"iOS","rule":"(device.model -eq \"iPad\")","roleScopeTags":["0"]}`, oneFilter))
	for _, name := range []string{"Disk encryption", "Firewall"} {
		put("configurationPolicies", fmt.Sprintf(`{"name":%q,"platforms":"windows10","technologies":"mdm","roleScopeTagIds":["0"],"settings":[],"assignments":[]}`, name))
	}
}

// empty removes the policies that restores write.
func (l *faultLab) empty() {
	l.t.Helper()
	for key, objects := range l.there() {
		for _, o := range objects {
			if err := l.sim.DeleteItem(l.t.Context(), operationtest.Directory, "deviceManagement/"+key, o.ID); err != nil {
				l.t.Fatal(err)
			}
		}
	}
}

// object is a policy that is in the tenant.
type object struct{ ID, DisplayName, Description string }

// there are the policies that restores write, by collection.
func (l *faultLab) there() map[string][]object {
	l.t.Helper()
	all := map[string][]object{}
	for _, key := range []string{"assignmentFilters", "deviceConfigurations", "deviceManagementScripts"} {
		for page, err := range provider.Walk(l.t.Context(), l.sim.Client(l.t), "/beta/deviceManagement/"+key) {
			if err != nil {
				l.t.Fatal(err)
			}
			for _, raw := range page.Items {
				var o object
				if err := json.Unmarshal(raw, &o); err != nil {
					l.t.Fatal(err)
				}
				all[key] = append(all[key], o)
			}
		}
	}
	return all
}

// runs starts an operation and delivers it until it has ended. Waits are spent by moving
// the clock.
func (l *faultLab) runs(kind op.Kind, parameters string) op.Run {
	l.t.Helper()
	l.Exec(`UPDATE connections SET consent = 'granted', credential_state = 'ok', sign_in_refusal = '', sign_in_refused_at = NULL, actual_directory_id = directory_id,
		verification = 'ok', verification_reason = '', verified_at = interlock_now()`)
	res, err := l.gate.Start(l.t.Context(), l.Owner, op.Request{Tenant: "kestrel", Kind: kind, Surface: op.SurfaceAPI, Parameters: json.RawMessage(parameters)})
	if err != nil || res.Outcome() != op.Accepted {
		l.t.Fatalf("start %s: %s %v %v", kind, res.Outcome(), res.Causes(), err)
	}
	id := res.Run().ID
	for range 500 {
		l.deliver(id)
		c := l.claim(id)
		if c == nil {
			run, err := l.Store.Run(l.t.Context(), l.access().Scope, id)
			if err != nil {
				l.t.Fatal(err)
			}
			return run
		}
		l.moved += time.Duration(max(0, l.Int(`SELECT COALESCE(waiting_until, 0) - interlock_now() FROM runs WHERE id = $1`, id)))*time.Microsecond + time.Second
		dbtest.SetClockOffset(l.t, l.DB, l.moved)
		l.sim.Waited()
	}
	c := l.claim(id)
	l.t.Fatalf("%s does not end: %s in its try %d, waits for %q", kind, c.State, c.Dispatch, l.Text(`SELECT waiting_for FROM runs WHERE id = $1`, id))
	return op.Run{}
}

// ready returns the parameters of the column's operation.
func (l *faultLab) ready() string {
	l.t.Helper()
	if l.parameters != "" {
		return l.parameters
	}
	l.empty()
	l.furnish("changed since", false)
	l.Exec(`DELETE FROM mappings`)
	preview := fmt.Sprintf(`{"backup":%q}`, l.backup)
	if l.kind == op.PolicyRestorePreview {
		return preview
	}
	if run := l.runs(op.PolicyRestorePreview, preview); run.Outcome != op.RunSucceeded {
		l.t.Fatalf("the preview is %s", run.Outcome)
	}
	list, _, err := l.w.plans.List(l.t.Context(), l.access(), "", "", 1)
	if err != nil || len(list) != 1 || list[0].Counts[restore.Create] != 2 || list[0].Counts[restore.Update] != 1 {
		l.t.Fatalf("planned %+v, %v", list, err)
	}
	in := catalogue.RestoreParameters{Plan: list[0].Hash, Acknowledged: []string{}, Confirm: "Tenant kestrel"}
	for _, w := range list[0].Head.Warnings {
		in.Acknowledged = append(in.Acknowledged, string(w))
	}
	raw, err := json.Marshal(in)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(raw)
}

// meets runs the operation with a fault and returns the cell of the table. times is how
// often the fault fires, 0 always.
func (l *faultLab) meets(f operationtest.Fault, times int) string {
	l.t.Helper()
	parameters := l.ready()
	before := l.facts()
	l.sim.Fault(l.t, graphsim.Fault{Method: l.method, Path: l.path, Times: times, Action: f.Action})
	last := l.sim.LastCall(l.t)
	run := l.runs(l.kind, parameters)
	calls, err := l.sim.Calls(l.t.Context(), last, "")
	if err != nil {
		l.t.Fatal(err)
	}
	met, n := false, 0
	for _, c := range calls {
		met = met || c.Fault != ""
		if strings.HasPrefix(c.Path, "/v1.0/") || strings.HasPrefix(c.Path, "/beta/") {
			n++
		}
	}
	if n > mostCalls {
		l.t.Errorf("%s: %d calls", f.Name, n)
	}
	if !met {
		l.t.Errorf("%s: no call meets it", f.Name)
	}
	if err := l.sim.ClearFaults(l.t.Context(), ""); err != nil {
		l.t.Fatal(err)
	}
	l.sim.Calm()
	items := l.itemsOf(run)
	for _, wrong := range slices.Concat(l.saysWhatIsStored(run, items), l.keepsWhatItHad(run, items, before)) {
		l.t.Errorf("%s, %s, fires %d times (0 is always): %s", l.title, f.Name, times, wrong)
	}
	return cell(run, items, n)
}

// itemsOf returns the items of a run.
func (l *faultLab) itemsOf(run op.Run) []op.Item {
	l.t.Helper()
	items, _, err := l.Store.Items(l.t.Context(), l.access().Scope, run.ID, "", 200)
	if err != nil {
		l.t.Fatal(err)
	}
	return items
}

// manyCalls is what cells count up to, and mostCalls what no run exceeds: twelve hours with
// a try every four minutes.
const manyCalls, mostCalls = 200, 3000

// cell is a run in a few words: how it ended, its items, its calls of Graph and its tries.
func cell(run op.Run, items []op.Item, calls int) string {
	counts := map[string]int{}
	for _, it := range items {
		text := strings.ReplaceAll(string(it.Result), "_", " ")
		if it.Reason != "" {
			text += " (`" + string(it.Reason) + "`)"
		}
		counts[text]++
	}
	text := string(run.Outcome)
	if run.Cause != nil && run.Outcome == op.RunFailed {
		text += " `" + string(run.Cause.Code) + "`"
	}
	for _, key := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], strings.Compare(a, b)) }) {
		text += fmt.Sprintf(", %d %s", counts[key], key)
	}
	switch {
	case calls > manyCalls: // how many depends on how long the machine takes for each try
		text += fmt.Sprintf("; more than %d calls", manyCalls)
	case calls == 1:
		text += "; 1 call"
	default:
		text += fmt.Sprintf("; %d calls", calls)
	}
	if run.Dispatch > 1 {
		text += fmt.Sprintf(" in %d tries", run.Dispatch)
	}
	return text
}

// texts returns the lines of a query.
func (l *faultLab) texts(sql string) (all []string) {
	l.t.Helper()
	err := l.DB.Read(l.t.Context(), func(ctx context.Context, tx db.Tx) error {
		rows, err := tx.Query(ctx, sql)
		if err != nil {
			return err
		}
		defer rows.Close()
		for all = nil; rows.Next(); {
			var line string
			if err := rows.Scan(&line); err != nil {
				return err
			}
			all = append(all, line)
		}
		return rows.Err()
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}
