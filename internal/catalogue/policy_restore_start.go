package catalogue

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// RestoreParameters are the parameters of a restore: the preview that it executes, and
// what its starter confirms. There are no others.
type RestoreParameters struct {
	Plan         string   `json:"plan" doc:"Hash of the preview."`
	Acknowledged []string `json:"acknowledged" doc:"Codes of the warnings of the preview, all of them."`
	Confirm      string   `json:"confirm" doc:"Name of the tenant, as it is shown."`
}

// restoreExample are parameters that are valid but name no plan.
var restoreExample = json.RawMessage(`{"plan":"` + strings.Repeat("0", 64) + `","acknowledged":[],"confirm":"Kestrel Logistics"}`)

// ParseRestore decodes canonical parameters of a restore.
func ParseRestore(canonical json.RawMessage) (in RestoreParameters, err error) {
	err = json.Unmarshal(canonical, &in)
	return in, err
}

// canonicalRestore is the [Definition.Canonical] of a restore.
func canonicalRestore(raw json.RawMessage) (json.RawMessage, error) {
	var in RestoreParameters
	if err := DecodeParameters(raw, &in); err != nil {
		return nil, err
	}
	if sum, err := hex.DecodeString(in.Plan); err != nil || len(sum) != 32 || in.Plan != strings.ToLower(in.Plan) {
		return nil, &op.FieldError{Field: "parameters.plan", Detail: "must be the hash of a preview: 64 hexadecimal digits in lower case"}
	}
	for i, code := range in.Acknowledged {
		if !op.IsWarning(code) {
			return nil, &op.FieldError{Field: fmt.Sprintf("parameters.acknowledged[%d]", i), Detail: "is not the code of a warning"}
		}
	}
	if in.Confirm == "" {
		return nil, &op.FieldError{Field: "parameters.confirm", Detail: "must be the name of the tenant"}
	}
	if len(in.Confirm) > 400 {
		return nil, &op.FieldError{Field: "parameters.confirm", Detail: fmt.Sprintf("has %d bytes, at most %d are allowed", len(in.Confirm), 400)}
	}
	slices.Sort(in.Acknowledged)
	in.Acknowledged = slices.Compact(in.Acknowledged)
	if in.Acknowledged == nil {
		in.Acknowledged = []string{}
	}
	return json.Marshal(in)
}

// confirmRestore is the [Definition.Confirm] of a restore.
func confirmRestore(canonical json.RawMessage, t tenancy.Tenant) error {
	in, err := ParseRestore(canonical)
	if err == nil && in.Confirm != t.Name {
		err = &op.FieldError{Field: "parameters.confirm", Detail: "is not the name of this tenant"}
	}
	return err
}

// executed is the [restore.Staleness] of a plan that a run has executed.
const executed restore.Staleness = "executed"

// Stale returns why the plan can't be executed on a connection; none if it can.
func (p StoredPlan) Stale(now time.Time, connection string, version int64, directory string) (codes []string) {
	all := restore.Stale(
		restore.Plan{At: p.At, Target: restore.Target{Connection: p.Connection, Version: p.Version, Directory: p.Directory}},
		restore.Facts{Now: now, Connection: connection, Version: version, Directory: directory, Written: p.Written, Remapped: p.Remapped},
	)
	if p.Executed {
		all = append([]restore.Staleness{executed}, all...)
	}
	for _, s := range all {
		codes = append(codes, string(s))
	}
	return codes
}

// Approved reports whether someone other than the author and the starter approves the
// plan now.
func (p StoredPlan) Approved(starter string, now time.Time) bool {
	return slices.ContainsFunc(p.Approvals, func(a Approval) bool {
		return a.Person.ID != p.Author && a.Person.ID != starter && a.Expires.After(now) && !a.Withdrawn
	})
}

// restoreRequires is the [Definition.Requires] of a restore. A run that has begun
// continues although its plan has become old: each of its steps compares the target with
// what the preview observed.
func restoreRequires(ctx context.Context, q Question, s Stored) ([]op.Cause, error) {
	if q.Parameters == nil { // nobody has chosen a preview yet
		return []op.Cause{{Code: op.PreviewMissing}}, nil
	}
	in, err := ParseRestore(q.Parameters)
	if err != nil {
		return nil, err
	}
	p, err := s.Plan(ctx, q.Tenant.ID, in.Plan)
	if errors.Is(err, op.ErrNotFound) {
		return []op.Cause{{Code: op.PreviewMissing}}, nil
	} else if err != nil {
		return nil, err
	}
	var causes []op.Cause
	if !q.Begun {
		there, err := s.Backup(ctx, q.Tenant.WorkspaceID, q.Starter, p.Set)
		if err != nil {
			return nil, err
		}
		if !there {
			causes = append(causes, op.Cause{Code: op.BackupMissing})
		}
	}
	c := q.Target.Connection
	stale := p.Stale(q.Now, c.ID, c.Version, c.DirectoryID)
	if q.Begun {
		stale = slices.DeleteFunc(stale, func(code string) bool {
			return code != string(restore.ConnectionChanged) && code != string(restore.DirectoryChanged)
		})
	}
	if len(stale) > 0 {
		causes = append(causes, op.Cause{Code: op.PreviewStale, Args: op.Args{"stale": stale[0], "previewed_at": when(&p.At)}})
	}
	var open []string
	for _, w := range p.Warnings {
		if !slices.Contains(in.Acknowledged, string(w)) {
			open = append(open, string(w))
		}
	}
	if len(open) > 0 {
		causes = append(causes, op.Cause{Code: op.WarningsOpen, Args: op.Args{"count": strconv.Itoa(len(open)), "warnings": strings.Join(open, listed)}})
	}
	if p.MustApprove && !q.Begun && !p.Approved(q.Starter, q.Now) {
		names, err := s.Approvers(ctx, q.Tenant.ID, p.Author, q.Starter)
		if err != nil {
			return nil, err
		}
		causes = append(causes, op.Cause{Code: op.ApprovalMissing, Args: op.Args{"approvers": strings.Join(names, listed)}})
	}
	if missing := Missing(writing(p.Writes), c.Permissions); len(missing) > 0 && c.PermissionsAt != nil {
		causes = append(causes, op.Cause{Code: op.PermissionMissing, Args: op.Args{"count": strconv.Itoa(len(missing)), "permissions": strings.Join(missing, listed)}})
	}
	return causes, nil
}

// writing returns the permissions that writing policies of the types needs, each once.
func writing(types []string) (needs []Permission) {
	for _, key := range types {
		for _, p := range writePermissions(key) {
			if !slices.ContainsFunc(needs, func(n Permission) bool { return n.AnyOf[0] == p.AnyOf[0] }) {
				needs = append(needs, p)
			}
		}
	}
	return needs
}

// writePermissions returns what writing policies of a type needs. docs: the permissions
// of each call, as of September 2026.
func writePermissions(key string) []Permission {
	write := func(name, what string) Permission { return Permission{AnyOf: []string{name}, For: "write " + what} }
	switch areaOf(key) {
	case conditionalAccess:
		if key == string(policy.AuthenticationStrength) {
			return []Permission{write("Policy.ReadWrite.AuthenticationMethod", "authentication strengths")}
		}
		// observed: a policy with applications can't be written without reading them.
		return []Permission{write("Policy.ReadWrite.ConditionalAccess", "conditional access"), {AnyOf: []string{"Application.Read.All"}, For: "write conditional access"}}
	case scripts:
		return []Permission{write("DeviceManagementScripts.ReadWrite.All", "scripts")}
	case intuneRoles:
		return []Permission{write("DeviceManagementRBAC.ReadWrite.All", "role definitions and scope tags")}
	case apps:
		return []Permission{write("DeviceManagementApps.ReadWrite.All", "app policies")}
	case enrollment:
		return []Permission{write("DeviceManagementServiceConfig.ReadWrite.All", "enrollment settings and templates")}
	}
	return []Permission{write("DeviceManagementConfiguration.ReadWrite.All", "policies")}
}

// areaOf returns the area that a type of policy belongs to; nil for an unknown type.
func areaOf(key string) *area {
	for _, t := range inventoryTypes {
		if t.key == key {
			return t.area
		}
	}
	return nil
}

// restorePermissions are all permissions that restores need, so that an administrator is
// asked for them. Which of them a restore needs follows from its plan.
var restorePermissions = func() []Permission {
	var keys []string
	for _, t := range policy.Types() {
		if t.Backup == "" {
			keys = append(keys, t.Key)
		}
	}
	return writing(keys)
}()
