package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) servePlans() {
	serve(s, Route{
		ID: "list-plans", Method: http.MethodGet, Path: "/tenants/{tenant}/plans", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "List the previews of restores, newest first",
	}, s.planList)
	serve(s, Route{
		ID: "get-plan", Method: http.MethodGet, Path: "/tenants/{tenant}/plans/{plan}", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "Get a preview of a restore, with its warnings, its approvals and whether it can be executed",
	}, s.plan)
	serve(s, Route{
		ID: "list-plan-steps", Method: http.MethodGet, Path: "/tenants/{tenant}/plans/{plan}/steps", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "List the steps of a preview: what changes, what will be called, or why nothing will",
	}, s.planSteps)
	serve(s, Route{
		ID: "approve-plan", Method: http.MethodPost, Path: "/tenants/{tenant}/plans/{plan}/approve", Object: Tenant, Needs: tenancy.ApproveRestores, Conflicts: true,
		Summary: "Approve the execution of a preview by somebody else, for 24 hours at most",
	}, s.approvePlan)
	serve(s, Route{
		ID: "list-mappings", Method: http.MethodGet, Path: "/tenants/{tenant}/mappings", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "List which objects of other directories correspond to objects of the tenant",
	}, s.mappings)
	serve(s, Route{
		ID: "set-mapping", Method: http.MethodPut, Path: "/tenants/{tenant}/mappings", Object: Tenant, Needs: catalogue.MayPreview, Conflicts: true,
		Summary: "Say which object of the tenant corresponds to an object of another directory",
	}, s.setMapping)
	serve(s, Route{
		ID: "remove-mapping", Method: http.MethodDelete, Path: "/tenants/{tenant}/mappings/{mapping}", Object: Tenant, Needs: catalogue.MayPreview, Success: http.StatusNoContent, Conflicts: true,
		Summary: "Remove a mapping; stored previews don't change",
	}, s.removeMapping)
	serve(s, Route{
		ID: "get-restore-policy", Method: http.MethodGet, Path: "/workspace/restore-policy", Object: Workspace, Needs: tenancy.View,
		Summary: "Get whether restores need the approval of a second person",
	}, s.restorePolicy)
	serve(s, Route{
		ID: "set-restore-policy", Method: http.MethodPut, Path: "/workspace/restore-policy", Object: Workspace, Needs: tenancy.ManageMembers,
		Summary: "Change whether restores need the approval of a second person",
	}, s.setRestorePolicy)
}

// PlanID names the plan of a route.
type PlanID struct {
	TenantID
	Plan string `path:"plan" maxLength:"64" doc:"Hash of the preview."`
}

// Plan is a preview of a restore without its steps.
type Plan struct {
	Hash            string           `json:"hash" doc:"Identifies the preview and everything in it. A restore names it."`
	Run             string           `json:"run" doc:"Code of the run that made it."`
	Author          op.Person        `json:"author"`
	At              time.Time        `json:"at" doc:"When reading the tenant started."`
	Backup          string           `json:"backup"`
	SourceDirectory string           `json:"source_directory" doc:"Directory that the backup is from; empty for a backup from files."`
	Directory       string           `json:"directory"`
	Connection      string           `json:"connection" doc:"Id of the connection that it was made for."`
	Steps           int              `json:"steps"`
	Counts          map[string]int   `json:"counts" doc:"Steps by action."`
	Complete        bool             `json:"complete" doc:"Whether the whole target could be read."`
	Applicable      bool             `json:"applicable" doc:"Whether it changes anything."`
	Errored         bool             `json:"errored" doc:"Whether it leaves out policies that were selected."`
	Warnings        []PlanWarning    `json:"warnings" nullable:"false" doc:"To be acknowledged by whoever executes it."`
	Unread          []restore.Unread `json:"unread" nullable:"false" doc:"What could not be read."`
	Mappings        []PlanMapping    `json:"mappings" nullable:"false" doc:"Mappings that it uses."`
	Executed        bool             `json:"executed" doc:"Whether a run executes it or has executed it."`
}

// PlanWarning is an effect that must be acknowledged.
type PlanWarning struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// PlanMapping is a mapping that a plan uses.
type PlanMapping struct {
	Kind   policy.Kind `json:"kind"`
	Source string      `json:"source"`
	Target string      `json:"target"`
}

func planOf(s plans.Summary) Plan {
	out := Plan{
		Hash: s.Hash, Run: s.Run, Author: s.Author, At: s.Head.At, Backup: s.Head.Set, SourceDirectory: s.Head.SourceDirectory,
		Directory: s.Head.Target.Directory, Connection: s.Head.Target.Connection, Steps: s.Steps(), Counts: make(map[string]int),
		Complete: s.Head.Complete(), Applicable: s.Applicable(), Errored: s.Errored(), Unread: s.Head.Unread, Executed: s.ExecutedBy != "",
		Warnings: each(s.Head.Warnings, func(c restore.WarningCode) PlanWarning { return PlanWarning{string(c), op.Warning(string(c), "")} }),
		Mappings: each(s.Head.Mappings, func(m restore.Mapping) PlanMapping { return PlanMapping{m.Kind, m.Source, m.Target} }),
	}
	for _, action := range op.PlanActions() {
		out.Counts[action] = s.Counts[restore.Action(action)]
	}
	return out
}

func (s *server) planList(ctx context.Context, in *struct {
	TenantID
	Run string `query:"run" maxLength:"40" doc:"Only the preview of the run with this code."`
	Paging
},
) (*list[Plan], error) {
	all, next, err := s.plans.List(ctx, at(ctx).tenant, in.Run, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(each(all, planOf), next), nil
}

// PlanDetail is a preview with what a start would be judged by.
type PlanDetail struct {
	Plan
	Parameters       any            `json:"parameters,omitempty" doc:"Parameters of the preview. Start a preview with them to preview the same restore again."`
	Stale            []PlanWarning  `json:"stale" nullable:"false" doc:"Why it can't be executed any more; empty if it can."`
	ApprovalRequired bool           `json:"approval_required" doc:"Whether the workspace requires the approval of a second person."`
	Approvals        []PlanApproval `json:"approvals" nullable:"false"`
}

// PlanApproval is one person's approval.
type PlanApproval struct {
	Person  op.Person `json:"person"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires_at"`
	Void    bool      `json:"void" doc:"Whether it counts no longer: it has expired, the preview is out of date, or the person may no longer approve."`
}

func (s *server) plan(ctx context.Context, in *PlanID) (*one[PlanDetail], error) {
	d, err := s.plans.Plan(ctx, at(ctx).tenant, in.Plan)
	if err != nil {
		return nil, err
	}
	out := PlanDetail{
		Plan: planOf(d.Summary), ApprovalRequired: d.Facts.MustApprove,
		Stale: each(d.Stale, func(code string) PlanWarning {
			return PlanWarning{code, op.Stale(code, op.Args{"tenant": at(ctx).tenant.Tenant.Name, "previewed_at": d.Facts.At.Format(time.RFC3339)})}
		}),
		Approvals: each(d.Facts.Approvals, func(a catalogue.Approval) PlanApproval {
			return PlanApproval{Person: a.Person, At: a.At, Expires: a.Expires, Void: len(d.Stale) > 0 || a.Withdrawn || !a.Expires.After(d.Now)}
		}),
	}
	if d.Parameters != nil {
		out.Parameters = d.Parameters
	}
	return &one[PlanDetail]{Body: out}, nil
}

// PlanStep is one step of a preview.
type PlanStep struct {
	N          int              `json:"n"`
	Type       string           `json:"type"`
	TypeName   string           `json:"type_name"`
	Source     string           `json:"source" doc:"Id of the policy in the backup."`
	Name       string           `json:"name"`
	Action     string           `json:"action" enum:"create,update,unchanged,conflict,unresolvable,not_supported"`
	ActionName string           `json:"action_name"`
	Target     string           `json:"target,omitempty" doc:"Id of the policy in the tenant."`
	Calls      []PlanCall       `json:"calls" nullable:"false" doc:"Calls in their order. Bodies can hold secrets and are not shown."`
	Diff       []PlanChange     `json:"diff" nullable:"false" doc:"Properties that differ. Secrets are masked."`
	Warnings   []PlanWarning    `json:"warnings" nullable:"false"`
	Blocks     []PlanWarning    `json:"blocks" nullable:"false" doc:"Why nothing is called."`
	Notes      []PlanWarning    `json:"notes" nullable:"false"`
	Candidates []restore.Object `json:"candidates" nullable:"false" doc:"Policies of the tenant to choose from."`
}

// PlanCall is one call of a step.
type PlanCall struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// PlanChange is a property in which the tenant and the backup differ.
type PlanChange struct {
	Path    string          `json:"path"`
	Name    string          `json:"name"`
	Op      policy.Op       `json:"op" enum:"added,removed,changed"`
	Old     json.RawMessage `json:"old,omitempty"`
	New     json.RawMessage `json:"new,omitempty"`
	OldName string          `json:"old_name,omitempty"`
	NewName string          `json:"new_name,omitempty"`
	Switch  bool            `json:"switch,omitempty" doc:"Whether it turns something on or off."`
}

func stepOf(s restore.Step) PlanStep {
	out := PlanStep{
		N: s.N, Type: s.Type, TypeName: singularOf(s.Type), Source: s.Source, Name: s.Name, Action: string(s.Action), ActionName: op.PlanAction(string(s.Action)),
		Target: s.Target, Candidates: s.Candidates,
		Calls: each(s.Calls, func(c restore.Call) PlanCall { return PlanCall{c.Method, c.Path} }),
		Diff:  each(s.Diff, func(c policy.Change) PlanChange { return PlanChange(c) }),
		Warnings: each(s.Warnings, func(w restore.Warning) PlanWarning {
			return PlanWarning{string(w.Code), op.Warning(string(w.Code), w.Detail)}
		}),
		Blocks: each(s.Blocks, func(b restore.Block) PlanWarning {
			return PlanWarning{string(b.Code), op.Block(string(b.Code), b.Detail)}
		}),
		Notes: each(s.Notes, func(n restore.Note) PlanWarning {
			return PlanWarning{string(n.Code), op.PlanNote(string(n.Code), n.Detail)}
		}),
	}
	if out.Candidates == nil {
		out.Candidates = []restore.Object{}
	}
	return out
}

func (s *server) planSteps(ctx context.Context, in *struct {
	PlanID
	Action string `query:"action" enum:"create,update,unchanged,conflict,unresolvable,not_supported" doc:"Only steps with this action."`
	Paging
},
) (*list[PlanStep], error) {
	steps, next, err := s.plans.Steps(ctx, at(ctx).tenant, in.Plan, restore.Action(in.Action), in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(each(steps, stepOf), next), nil
}

func (s *server) approvePlan(ctx context.Context, in *PlanID) (*one[PlanDetail], error) {
	v := at(ctx)
	if err := s.plans.Approve(ctx, v.actor, v.tenant.Tenant.ID, in.Plan); err != nil {
		return nil, err
	}
	return s.plan(ctx, in)
}

// Mapping is a recorded mapping.
type Mapping plans.Mapping

func (s *server) mappings(ctx context.Context, in *struct {
	TenantID
	Paging
},
) (*list[Mapping], error) {
	all, next, err := s.plans.Mappings(ctx, at(ctx).tenant, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(each(all, func(m plans.Mapping) Mapping { return Mapping(m) }), next), nil
}

func (s *server) setMapping(ctx context.Context, in *struct {
	TenantID
	Body struct {
		Kind            string `json:"kind" doc:"Kind of the object: a type of policy, groups, users, servicePrincipals, termsOfUse or mobileApps."`
		SourceDirectory string `json:"source_directory,omitempty" doc:"GUID of the directory of the backup; empty for a backup from files."`
		Source          string `json:"source" doc:"Id of the object in that directory."`
		Target          string `json:"target" doc:"Id of the object in the tenant."`
	} `nameHint:"SetMapping"`
},
) (*one[Mapping], error) {
	v := at(ctx)
	m, err := s.plans.SetMapping(ctx, v.actor, v.tenant.Tenant.ID, restore.Mapping{
		Kind: policy.Kind(in.Body.Kind), SourceDirectory: in.Body.SourceDirectory, Source: in.Body.Source, Target: in.Body.Target,
	})
	if err != nil {
		return nil, err
	}
	return &one[Mapping]{Body: Mapping(m)}, nil
}

func (s *server) removeMapping(ctx context.Context, in *struct {
	TenantID
	Mapping string `path:"mapping" doc:"Id."`
},
) (*none, error) {
	v := at(ctx)
	return nil, s.plans.RemoveMapping(ctx, v.actor, v.tenant.Tenant.ID, in.Mapping)
}

// RestorePolicy is what a workspace requires of restores.
type RestorePolicy struct {
	Approval bool `json:"approval" doc:"Whether a second person must approve a preview before it is executed."`
}

func (s *server) restorePolicy(ctx context.Context, _ *none) (*one[RestorePolicy], error) {
	p, err := s.plans.Policy(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &one[RestorePolicy]{Body: RestorePolicy(p)}, nil
}

func (s *server) setRestorePolicy(ctx context.Context, in *struct {
	Body RestorePolicy
},
) (*one[RestorePolicy], error) {
	if err := s.plans.SetPolicy(ctx, at(ctx).actor, plans.Policy(in.Body)); err != nil {
		return nil, err
	}
	return s.restorePolicy(ctx, nil)
}
