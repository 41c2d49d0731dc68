package graph

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// compliance serves the compliance reports of Intune, under both versions; nil when the path is
// not one of them.
func (s *Service) compliance(c *wire.Call, path []string) *wire.Reply {
	if !strings.EqualFold(path[0], "deviceManagement") || len(path) < 2 {
		return nil
	}
	roles, report := estate.Intune("Configuration"), ""
	switch {
	case len(path) == 2 && strings.EqualFold(path[1], "deviceCompliancePolicyDeviceStateSummary"):
		report = "deviceCompliancePolicyDeviceStateSummary"
	case len(path) == 4 && strings.EqualFold(path[1], "deviceCompliancePolicies") && strings.EqualFold(path[3], "deviceStatusOverview"):
		report = "deviceStatusOverview"
	case len(path) == 4 && strings.EqualFold(path[1], "deviceCompliancePolicies") && strings.EqualFold(path[3], "deviceStatuses"):
		report = "deviceStatuses"
	case len(path) == 4 && strings.EqualFold(path[1], "managedDevices") && strings.EqualFold(path[3], "deviceCompliancePolicyStates"):
		roles, report = estate.Intune("Configuration", "ManagedDevices"), "deviceCompliancePolicyStates"
	default:
		return nil
	}
	if re := s.admit(c, roles); re != nil {
		return re
	}
	q, err := odata.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return c.QueryError(err)
	}
	t := c.Tenant
	t.Touch()
	t.RLock()
	defer t.RUnlock()
	if len(path) == 2 {
		return oneReport(c, "deviceManagement/"+report, q, t.ComplianceSummary())
	}
	col := estate.Collections["devicemanagement/"+strings.ToLower(path[1])]
	it := t.Item(col, path[2])
	if it == nil {
		return itemNotFound(c, col, path[2])
	}
	place := fmt.Sprintf("%s('%s')/%s", col.Path, it.ID, report)
	switch report {
	case "deviceStatusOverview":
		return oneReport(c, place, q, t.StatusOverview(it))
	case "deviceStatuses":
		return reports(c, place, q, t.DeviceStatuses(it))
	}
	return reports(c, place, q, t.PolicyStates(it))
}

// oneReport answers with one report.
func oneReport(c *wire.Call, place string, q *odata.Query, o odata.Object) *wire.Reply {
	if name := odata.UnknownSelect(o, q.Select); name != "" {
		return c.QueryError(odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s'.", name))
	}
	return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL(place, q)+"/$entity")}, odata.PickFields(o, q.Select)...))
}

// reports answers with a page of reports. The page size is assumed.
func reports(c *wire.Call, place string, q *odata.Query, all []odata.Object) *wire.Reply {
	size := estate.IntunePage
	if q.Top > 0 {
		size = min(size, q.Top)
	}
	from := min(q.Skip, len(all))
	to := min(from+size, len(all))
	if c.Empty {
		to = from
	}
	out := odata.Object{odata.F("@odata.context", c.ContextURL(place, q))}
	if to < len(all) || c.Empty {
		options := url.Values{}
		if q.Top > 0 {
			options.Set("$top", strconv.Itoa(q.Top))
		}
		next := c.Link(options, "$skip", strconv.Itoa(to))
		if c.Empty { // the next page starts at the same position, with another URL
			next += "&_=" + c.RequestID
		}
		out = append(out, odata.F("@odata.nextLink", next))
	}
	page := make([]odata.Object, 0, to-from)
	for _, o := range all[from:to] {
		page = append(page, odata.PickFields(o, q.Select))
	}
	return c.Entity(append(out, odata.F("value", page)))
}
