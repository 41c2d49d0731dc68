package graph_test

import (
	"fmt"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// TestComplianceReportsAgree: the summary counts the states of the devices, the overview of each
// policy its reports on devices, and a device reports what the policies report of it. Names and
// types are those of the published library.
func TestComplianceReportsAgree(t *testing.T) {
	spec := simtest.Spec()
	spec.Policies, spec.Devices = 200, 80
	s := simtest.Start(t, graphsim.Config{Seed: 1}, spec)
	tok := s.Token()

	states, failing := map[string]int{}, map[string]bool{} // failing: devices that are not compliant, by name
	devices, _ := s.All(tok, "/v1.0/deviceManagement/managedDevices?$select=id,deviceName,complianceState,operatingSystem")
	for _, d := range devices {
		states[d["complianceState"].(string)]++
		if st := d["complianceState"]; st == "noncompliant" || st == "inGracePeriod" {
			failing[d["deviceName"].(string)] = false
		}
	}
	summary := s.OK(tok, "/v1.0/deviceManagement/deviceCompliancePolicyDeviceStateSummary")
	for state, name := range map[string]string{
		"compliant": "compliantDeviceCount", "noncompliant": "nonCompliantDeviceCount", "inGracePeriod": "inGracePeriodCount", "unknown": "unknownDeviceCount",
	} {
		if got := int(summary[name].(float64)); got != states[state] || got == 0 {
			t.Errorf("%s is %d, and %d devices are %s", name, got, states[state], state)
		}
	}

	reported := map[string]string{} // status by policy and device
	policies, _ := s.All(tok, "/beta/deviceManagement/deviceCompliancePolicies")
	for _, p := range policies {
		path := "/v1.0/deviceManagement/deviceCompliancePolicies/" + p["id"].(string)
		counts := map[string]int{}
		statuses, _ := s.All(tok, path+"/deviceStatuses?$top=7")
		for _, st := range statuses {
			status, device := st["status"].(string), st["deviceDisplayName"].(string)
			counts[status]++
			reported[p["id"].(string)+device] = status
			if _, ok := failing[device]; status == "nonCompliant" {
				if !ok {
					t.Errorf("%s fails %v and is compliant", device, p["displayName"])
				}
				failing[device] = true
			}
		}
		overview := s.OK(tok, path+"/deviceStatusOverview")
		for status, name := range map[string]string{"compliant": "successCount", "nonCompliant": "failedCount", "unknown": "pendingCount"} {
			if got := int(overview[name].(float64)); got != counts[status] {
				t.Errorf("%v: %s is %d, and %d reports are %s", p["displayName"], name, got, counts[status], status)
			}
		}
		if s.OK(tok, path+"/deviceStatuses?$top=3")["value"] == nil {
			t.Error("a list without a value")
		}
	}
	one := 0
	for _, d := range devices {
		for _, st := range simtest.Values(s.OK(tok, "/v1.0/deviceManagement/managedDevices/"+d["id"].(string)+"/deviceCompliancePolicyStates")) {
			if got, want := st["state"], reported[st["id"].(string)+d["deviceName"].(string)]; got != want {
				t.Errorf("%v is %v in %v by its own report, and %v by the policy's", d["deviceName"], got, st["displayName"], want)
			}
			one++
		}
		if d["operatingSystem"] == "Windows" && !failing[d["deviceName"].(string)] && d["complianceState"] == "noncompliant" {
			t.Errorf("%v is not compliant and fails no policy", d["deviceName"])
		}
	}
	if one != len(reported) || one == 0 {
		t.Errorf("devices report on %d policies, policies on %d devices", one, len(reported))
	}
	for path, want := range map[string]int{
		"/v1.0/deviceManagement/deviceCompliancePolicies/none/deviceStatusOverview":                       404,
		"/v1.0/deviceManagement/managedDevices/none/deviceCompliancePolicyStates":                         404,
		"/v1.0/deviceManagement/deviceCompliancePolicyDeviceStateSummary?$select=nothing":                 400,
		"/beta/deviceManagement/deviceCompliancePolicyDeviceStateSummary?$select=id":                      200,
		fmt.Sprintf("/v1.0/deviceManagement/deviceCompliancePolicies/%v/userStatuses", policies[0]["id"]): 400,
	} {
		if a := s.Get(tok, path); a.Status != want {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

// TestComplianceReportsFitThePublishedTypes checks names and types of the reports.
func TestComplianceReportsFitThePublishedTypes(t *testing.T) {
	var types betaTypes
	simtest.ReadShared(t, "schema/beta-types.json", &types)
	types.unknown = map[string]int{}
	spec := simtest.Spec()
	spec.Policies = 200
	s := simtest.Start(t, graphsim.Config{Seed: 1}, spec)
	tok := s.Token()
	policy := simtest.Values(s.OK(tok, "/beta/deviceManagement/deviceCompliancePolicies"))[0]["id"].(string)
	device := simtest.Values(s.OK(tok, "/beta/deviceManagement/managedDevices"))[0]["id"].(string)
	var found []string
	found = append(found, types.check("overview", "DeviceComplianceDeviceOverview", s.OK(tok, "/beta/deviceManagement/deviceCompliancePolicies/"+policy+"/deviceStatusOverview"))...)
	for path, typ := range map[string]string{
		"/beta/deviceManagement/deviceCompliancePolicies/" + policy + "/deviceStatuses":     "DeviceComplianceDeviceStatus",
		"/beta/deviceManagement/managedDevices/" + device + "/deviceCompliancePolicyStates": "DeviceCompliancePolicyState",
	} {
		for i, o := range simtest.Values(s.OK(tok, path)) {
			found = append(found, types.check(fmt.Sprintf("%s[%d]", typ, i), typ, o)...)
		}
	}
	for _, bad := range found {
		t.Error(bad)
	}
	if len(types.unknown) > 0 {
		t.Errorf("the library lacks %v", types.unknown)
	}
}
