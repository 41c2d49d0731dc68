package catalogue

import (
	"encoding/json"
	"fmt"
)

// compliance is what the last snapshot read. Its parts become visible together.
var compliance = DatasetInfo{
	Name:  "compliance",
	Title: "Compliance",
	Tab:   "Compliance",
	Lead:  "Devices and compliance policies of {tenant}, as of the last snapshot.",
	Icon:  "check",
	Item:  "object",
	Items: "objects",
	Columns: []Column{
		{Title: "Name"},
		{Title: "Compliance", Text: complianceWords},
		{Title: "User or policy", Text: complianceDetail},
		{Title: "Last report", Text: func(r Row) string { return day(r.ModifiedAt) }},
	},
	Note: func(r Row) string { return r.ID },
	Sort: []SortKey{ByPart, ByName},
	Parts: []DatasetPart{
		{"devices", "Devices"},
		{"failures", "Failures"},
		{"policies", "Compliance policies"},
	},
	TypeHelp: "One type only. failures: the devices that fail a policy, one for each of them.",
	NotRead:  Empty{"No snapshot yet", "Devices and policies appear here once a compliance snapshot was taken through the default connection."},
	None:     Empty{"Nothing to show", "The last snapshot found no devices and no compliance policies."},
}

// failedPolicy is the property that a failure's row has beside what the provider sent: the
// policy that reported it.
const failedPolicy = "@interlock.policy"

// deviceWords are the compliance states of devices. docs: complianceState.
var deviceWords = map[string]string{
	"compliant": "Compliant", "noncompliant": "Not compliant", "inGracePeriod": "In grace period", "conflict": "Conflict", "error": "Error",
	"configManager": "Managed by Configuration Manager", "unknown": "Unknown",
}

// failingWords are the states in which a device fails a policy. docs: complianceStatus.
var failingWords = map[string]string{"nonCompliant": "Not compliant", "error": "Error", "conflict": "Conflict"}

func complianceWords(r Row) string {
	words := deviceWords
	switch r.Part {
	case "policies":
		c, _ := PolicyCountsOf(r)
		return fmt.Sprintf("%d of %d failing", c.Failing(), c.Devices())
	case "failures":
		words = failingWords
	}
	if text, ok := words[r.Type]; ok {
		return text
	}
	return r.Type // what came is shown as far as it can be
}

func complianceDetail(r Row) string {
	if r.Part != "failures" {
		return textOf(r, "userPrincipalName")
	}
	var o struct {
		Policy struct {
			Name string `json:"displayName"`
		} `json:"@interlock.policy"`
	}
	_ = json.Unmarshal(r.Data, &o) // what came is shown as far as it can be
	return o.Policy.Name
}

// PolicyCounts are the devices that a compliance policy reports on, by state.
type PolicyCounts struct {
	Compliant     int64 `json:"compliant"`
	Noncompliant  int64 `json:"noncompliant"`
	Error         int64 `json:"error"`
	Conflict      int64 `json:"conflict"`
	Pending       int64 `json:"pending"`
	NotApplicable int64 `json:"not_applicable"`
}

// Failing returns the number of devices that fail the policy.
func (c PolicyCounts) Failing() int64 { return c.Noncompliant + c.Error + c.Conflict }

// Devices returns the number of devices that the policy applies to.
func (c PolicyCounts) Devices() int64 { return c.Compliant + c.Failing() + c.Pending }

// PolicyCountsOf returns the counts of a row of the part "policies"; false when they can't
// be read.
func PolicyCountsOf(r Row) (c PolicyCounts, ok bool) {
	var o struct {
		Overview struct { // docs: deviceComplianceDeviceOverview; v1.0 has no conflictCount
			Success       *int64 `json:"successCount"`
			Failed        *int64 `json:"failedCount"`
			Error         int64  `json:"errorCount"`
			Conflict      int64  `json:"conflictCount"`
			Pending       int64  `json:"pendingCount"`
			NotApplicable int64  `json:"notApplicableCount"`
		} `json:"deviceStatusOverview"`
	}
	v := &o.Overview
	if json.Unmarshal(r.Data, &o) != nil || v.Success == nil || v.Failed == nil {
		return PolicyCounts{}, false
	}
	return PolicyCounts{*v.Success, *v.Failed, v.Error, v.Conflict, v.Pending, v.NotApplicable}, true
}
