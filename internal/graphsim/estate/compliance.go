package estate

import (
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// This file derives what compliance reports say from the devices and the compliance policies
// of a tenant, so that all reports agree: the summary counts the states of the devices, and a
// device that is not compliant fails at least one policy of its platform, if there is one.

const (
	devicesKey    = "devicemanagement/manageddevices"
	complianceKey = "devicemanagement/devicecompliancepolicies"
)

// summaryOf holds, by complianceState of a device, the property of the summary that counts it
// (docs: deviceCompliancePolicyDeviceStateSummary).
var summaryOf = map[string]string{
	"compliant": "compliantDeviceCount", "noncompliant": "nonCompliantDeviceCount", "inGracePeriod": "inGracePeriodCount",
	"configManager": "configManagerCount", "conflict": "conflictDeviceCount", "error": "errorDeviceCount",
}

// ComplianceSummary returns the counts of the tenant's devices by state. The caller holds the
// tenant's lock.
func (t *Tenant) ComplianceSummary() odata.Object {
	counts := map[string]int{}
	for _, device := range t.World.shelves[devicesKey].all() {
		name, ok := summaryOf[device.Body.Text("complianceState")]
		if !ok {
			name = "unknownDeviceCount"
		}
		counts[name]++
	}
	out := odata.Object{odata.F("id", t.Derive("complianceSummary", ""))}
	for _, name := range []string{
		"inGracePeriodCount", "configManagerCount", "unknownDeviceCount", "notApplicableDeviceCount", "compliantDeviceCount",
		"remediatedDeviceCount", "nonCompliantDeviceCount", "errorDeviceCount", "conflictDeviceCount",
	} {
		out = append(out, odata.F(name, counts[name]))
	}
	return out
}

// platformOf returns the operating system that a compliance policy is for, or empty.
func platformOf(policy *Item) string {
	kind := strings.ToLower(policy.Body.Text("@odata.type"))
	for _, p := range []struct{ part, os string }{{"windows", "Windows"}, {"macos", "macOS"}, {"ios", "iOS"}, {"android", "Android"}, {"aosp", "Android"}} {
		if strings.Contains(kind, "graph."+p.part) {
			return p.os
		}
	}
	return ""
}

// policiesFor returns the compliance policies that apply to devices with an operating system:
// those for it that are assigned to somebody.
func (t *Tenant) policiesFor(os string) (found []*Item) {
	col := Collections[complianceKey]
	for _, policy := range t.listed(complianceKey) {
		if platformOf(policy) == os && len(t.Nav(col, policy, "assignments")) > 0 {
			found = append(found, policy)
		}
	}
	return found
}

// statusIn returns the status of a device in the policy at position i of its policies
// (docs: complianceStatus). A device fails the first of them, or each, as its id says.
func statusIn(device, policy *Item, i int) string {
	switch device.Body.Text("complianceState") {
	case "compliant":
		return "compliant"
	case "noncompliant", "inGracePeriod":
		h := fnv.New32a()
		_, _ = h.Write([]byte(device.ID + policy.ID)) // never fails
		if i == 0 || h.Sum32()%3 == 0 {
			return "nonCompliant"
		}
		return "compliant"
	}
	return "unknown"
}

// DeviceStatuses returns the report of a compliance policy on each device that it applies to
// (docs: deviceComplianceDeviceStatus, whose id is opaque). The caller holds the tenant's lock.
func (t *Tenant) DeviceStatuses(policy *Item) []odata.Object {
	out := []odata.Object{}
	i := slices.Index(t.policiesFor(platformOf(policy)), policy)
	if i < 0 {
		return out // it is not assigned
	}
	for _, device := range t.World.shelves[devicesKey].all() {
		if platformOf(policy) != device.Body.Text("operatingSystem") {
			continue
		}
		grace := "0001-01-01T00:00:00Z"
		if device.Body.Text("complianceState") == "inGracePeriod" {
			grace = Stamp(Epoch.Add(72 * time.Hour))
		}
		out = append(out, odata.Object{
			odata.F("id", t.Derive("deviceStatus", policy.ID+device.ID)),
			odata.F("deviceDisplayName", device.Body.Text("deviceName")),
			odata.F("userName", device.Body.Text("userDisplayName")),
			odata.F("deviceModel", device.Body.Text("model")),
			odata.F("platform", 0),
			odata.F("complianceGracePeriodExpirationDateTime", grace),
			odata.F("status", statusIn(device, policy, i)),
			odata.F("lastReportedDateTime", device.Body.Text("lastSyncDateTime")),
			odata.F("userPrincipalName", device.Body.Text("userPrincipalName")),
		})
	}
	return out
}

// StatusOverview returns the counts of [Tenant.DeviceStatuses] (docs:
// deviceComplianceDeviceOverview). The caller holds the tenant's lock.
func (t *Tenant) StatusOverview(policy *Item) odata.Object {
	counts := map[string]int{}
	for _, status := range t.DeviceStatuses(policy) {
		counts[status.Text("status")]++
	}
	return odata.Object{
		odata.F("id", t.Derive("deviceStatusOverview", policy.ID)),
		odata.F("pendingCount", counts["unknown"]),
		odata.F("notApplicableCount", 0),
		odata.F("successCount", counts["compliant"]),
		odata.F("errorCount", 0),
		odata.F("failedCount", counts["nonCompliant"]),
		odata.F("lastUpdateDateTime", Stamp(Epoch)),
		odata.F("configurationVersion", policy.Body.Get("version")),
	}
}

// PolicyStates returns the states of a device in the compliance policies that apply to it (docs:
// deviceCompliancePolicyState). The caller holds the tenant's lock.
func (t *Tenant) PolicyStates(device *Item) []odata.Object {
	out := []odata.Object{}
	for i, policy := range t.policiesFor(device.Body.Text("operatingSystem")) {
		out = append(out, odata.Object{
			odata.F("id", policy.ID),
			odata.F("displayName", policy.Body.Text("displayName")),
			odata.F("version", policy.Body.Get("version")),
			odata.F("platformType", "all"),
			odata.F("state", statusIn(device, policy, i)),
			odata.F("settingCount", 1),
			odata.F("settingStates", []odata.Object{}),
		})
	}
	return out
}
