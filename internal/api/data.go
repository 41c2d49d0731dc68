package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveData() {
	for _, set := range catalogue.Datasets() {
		s.serveDataset(set)
	}
	serve(s, Route{
		ID: "get-group", Method: http.MethodGet, Path: "/tenants/{tenant}/groups/{group}", Object: Tenant, Needs: tenancy.View,
		Summary: "Get a directory group",
	}, s.group)
	serve(s, Route{
		ID: "list-group-members", Method: http.MethodGet, Path: "/tenants/{tenant}/groups/{group}/members", Object: Tenant, Needs: tenancy.View,
		Summary: "List the members of a directory group, by id. Members that are groups have names; q matches part of such a name, or a whole id",
	}, s.groupMembers)
	serve(s, Route{
		ID: "list-compliance-policies", Method: http.MethodGet, Path: "/tenants/{tenant}/compliance/policies", Object: Tenant, Needs: tenancy.View,
		Summary: "Compliance policies of the last snapshot, by name, with the number of devices in each state",
	}, s.compliancePolicies)
	serve(s, Route{
		ID: "list-compliance-history", Method: http.MethodGet, Path: "/tenants/{tenant}/compliance/history", Object: Tenant, Needs: tenancy.View,
		Summary: fmt.Sprintf("The last %d compliance snapshots as counts, newest first", mirror.KeptMoments),
	}, s.complianceHistory)
	serve(s, Route{
		ID: "get-verification", Method: http.MethodGet, Path: "/tenants/{tenant}/verification", Object: Tenant, Needs: tenancy.View,
		Summary: "Get the last verification of a connection",
	}, s.verification)
}

// Through is the connection that data was read through.
type Through struct {
	TenantID
	Connection string `query:"connection" doc:"Id or name. Default: the tenant's default connection."`
}

// DataRequest filters the data that was read from a directory.
type DataRequest struct {
	Through
	Query string `query:"q" maxLength:"200" doc:"Part of the name."`
	Paging
}

func (r DataRequest) filter() mirror.Filter {
	return mirror.Filter{Connection: r.Connection, Query: r.Query, Cursor: r.Cursor, Limit: r.Limit}
}

// GroupID names the group of a route.
type GroupID struct {
	Group string `path:"group" doc:"Id of the object in the directory."`
}

func (s *server) group(ctx context.Context, in *struct {
	Through
	GroupID
},
) (*one[mirror.Record], error) {
	groups, _, err := catalogue.LookupDataset(catalogue.Groups)
	if err != nil {
		return nil, err
	}
	g, err := s.mirror.Object(ctx, at(ctx).tenant, groups, in.Connection, in.Group)
	if err != nil {
		return nil, err
	}
	return &one[mirror.Record]{Body: g}, nil
}

func (s *server) groupMembers(ctx context.Context, in *struct {
	DataRequest
	GroupID
},
) (*list[mirror.Record], error) {
	groups, _, err := catalogue.LookupDataset(catalogue.Groups)
	if err != nil {
		return nil, err
	}
	members, next, err := s.mirror.Members(ctx, at(ctx).tenant, groups, in.Group, in.filter())
	if err != nil {
		return nil, err
	}
	return page(members, next), nil
}

// Verification is what the last verification of a connection found.
type Verification struct {
	Connection op.Target            `json:"connection"`
	Verdict    tenancy.Verification `json:"verdict"`
	Reason     op.Reason            `json:"reason,omitempty"`
	Checks     []Check              `json:"checks" nullable:"false"`
	At         time.Time            `json:"at"`
	Run        *op.RunRef           `json:"run"`
}

// Check is one step of a verification.
type Check struct {
	Key    string    `json:"key"`
	Name   string    `json:"name"`
	Result string    `json:"result" enum:"ok,failed,inconclusive,not_reached,not_applicable"`
	Reason op.Reason `json:"reason,omitempty"`
	Detail string    `json:"detail" doc:"What was found, or why the check failed."`
	Next   string    `json:"next,omitempty" doc:"What to do next."`

	Evidence *op.Evidence `json:"evidence,omitempty" doc:"The provider's response."`
}

func (s *server) verification(ctx context.Context, in *Through) (*one[Verification], error) {
	v := at(ctx)
	r, err := s.store.Verification(ctx, v.tenant, in.Connection)
	if err != nil {
		return nil, err
	}
	out := Verification{Connection: r.Connection, Verdict: r.Verdict, Reason: r.Reason, Checks: []Check{}, At: r.At, Run: r.Run}
	var checks []catalogue.Check
	if err := json.Unmarshal(r.Checks, &checks); err != nil {
		return nil, err
	}
	t := v.tenant.Tenant
	facts := op.Facts{
		Workspace: v.actor.WorkspaceSlug(), Tenant: op.Tenant{ID: t.ID, Slug: t.Slug, Name: t.Name}, Operation: op.ConnectionVerify,
		Target: &r.Connection, At: r.At, MayMend: v.mayMend(), Reader: v.actor.ID(),
	}
	for _, k := range checks {
		check := Check{Key: k.Key, Name: k.Name, Result: string(k.Result), Reason: k.Reason, Detail: k.Detail, Evidence: k.Evidence}
		if k.Reason != "" {
			found := op.Found(facts, op.Cause{Code: k.Reason, Args: k.Args})
			check.Detail = found.Detail
			if k.Result == catalogue.CheckFailed {
				check.Next = found.Fix.Behind(found.Next)
			}
		}
		out.Checks = append(out.Checks, check)
	}
	return &one[Verification]{Body: out}, nil
}
