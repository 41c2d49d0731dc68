package catalogue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Target is what a start would use: the connection, or nil with what is known
// about why there is none.
type Target struct {
	Connection *tenancy.Connection
	Count      int // connections that the tenant has
}

// Question asks whether an operation can run for a tenant.
type Question struct {
	Tenant     tenancy.Tenant
	Target     Target
	Parameters json.RawMessage // canonical; nil: the defaults
	Phase      op.Phase
	Now        time.Time
	Starter    string // id of the person who starts or started the run; empty: nobody in particular
	Begun      bool   // an earlier dispatch of the run has begun
}

// Stored is what prerequisites are judged by, as it stands in the transaction that
// judges.
type Stored interface {
	// Dataset tells how far a dataset of the connection is, by its stored name.
	Dataset(ctx context.Context, name string) (Dataset, error)
	// Plan returns what is stored of a plan for the tenant with that id;
	// [op.ErrNotFound] for a plan of another tenant, and for one that doesn't exist.
	Plan(ctx context.Context, tenant, hash string) (StoredPlan, error)
	// Backup reports whether a workspace has the backup with that id and the person may see
	// the tenant that it is from.
	Backup(ctx context.Context, workspace, person, id string) (bool, error)
	// Approvers returns the names of those who may approve a plan for the tenant, except
	// the people with the ids in except: by name, five at most.
	Approvers(ctx context.Context, tenant string, except ...string) ([]string, error)
}

// Judge returns everything that blocks the run that q asks about, in the order in
// which operators are told; nothing when it can run. It looks at stored facts only.
// The gate and the re-check at execution both call it, so that the same trouble has
// the same code and the same words. An error comes from stored.
func (d *Definition) Judge(ctx context.Context, q Question, stored Stored) ([]op.Cause, error) {
	causes := d.judge(q)
	if d.Requires == nil || q.Target.Connection == nil {
		return causes, nil
	}
	more, err := d.Requires(ctx, q, stored)
	if err != nil {
		return nil, fmt.Errorf("prerequisites of %s: %w", d.Kind, err)
	}
	for i := range more {
		more[i].Phase = q.Phase
	}
	named(more, q)
	return append(causes, more...), nil
}

// judge is Judge without the prerequisites that need more than tenant and
// connection.
func (d *Definition) judge(q Question) []op.Cause {
	t, target, phase, now := q.Tenant, q.Target, q.Phase, q.Now
	var causes []op.Cause
	add := func(code op.Reason, args op.Args) {
		causes = append(causes, op.Cause{Code: code, Phase: phase, Args: args})
	}
	c := target.Connection
	switch {
	case c != nil:
		if !c.Enabled {
			add(op.ConnectionDisabled, op.Args{"actor": c.DisabledBy, "disabled_on": when(c.DisabledAt)})
		}
	case target.Count == 0:
		add(op.ConnectionMissing, nil)
	default:
		add(op.ConnectionDefaultMissing, op.Args{"count": strconv.Itoa(target.Count)})
	}
	switch t.Status {
	case tenancy.TenantArchived:
		add(op.TenantArchived, op.Args{"archived_on": when(t.ArchivedAt)})
	case tenancy.TenantOnboarding:
		if d.Blockers.Verification { // verification is a step of onboarding
			add(op.TenantNotActive, op.Args{"step": t.OnboardingStep, "owner": t.Owner})
		}
	case tenancy.TenantActive:
	}
	if c == nil {
		return causes
	}

	b := d.Blockers
	if b.Identity && c.ActualDirectoryID != "" && c.ActualDirectoryID != c.DirectoryID {
		add(op.TenantMismatch, op.Args{"actual_directory": c.ActualDirectoryID, "expected_directory": c.DirectoryID})
	}
	if b.Credential {
		kind := c.Credential.Words()
		switch {
		case c.Credential == "":
			add(op.CredentialMissing, nil)
		case c.CredentialExpiresAt != nil && !c.CredentialExpiresAt.After(now):
			add(op.CredentialExpired, op.Args{"credential_kind": kind, "expired_on": when(c.CredentialExpiresAt)})
		case c.CredentialState == tenancy.CredentialUnreadable:
			add(op.CredentialUnreadable, op.Args{"credential_kind": kind})
		case c.SignInRefusal != "":
			add(op.Reason(c.SignInRefusal), op.Args{
				"credential_kind": kind, "checked_at": when(c.SignInRefusedAt), "expected_directory": c.DirectoryID, "provider_said": "true",
			})
		case c.CredentialState == tenancy.CredentialInvalid:
			add(op.CredentialInvalid, op.Args{"credential_kind": kind, "checked_at": when(c.CredentialCheckedAt)})
		}
	}
	consented := true
	if b.Consent {
		consented = false
		switch c.Consent {
		case tenancy.ConsentMissing:
			add(op.ConsentMissing, nil)
		case tenancy.ConsentPending:
			add(op.ConsentPending, op.Args{"opened_on": when(c.ConsentAt)})
		case tenancy.ConsentRevoked:
			add(op.ConsentRevoked, op.Args{"revoked_on": when(c.ConsentAt)})
		case tenancy.ConsentGranted, tenancy.ConsentUnknown:
			consented = true
		}
	}
	// What is granted is known from a token only, and means nothing without consent.
	if b.Permissions && consented && c.PermissionsAt != nil {
		if missing := Missing(d.Needed(q.Parameters), c.Permissions); len(missing) > 0 {
			add(op.PermissionMissing, op.Args{"count": strconv.Itoa(len(missing)), "permissions": strings.Join(missing, listed)})
		}
	}
	if b.Verification {
		switch c.Verification {
		case tenancy.VerificationMissing:
			add(op.VerificationMissing, nil)
		case tenancy.VerificationFailed:
			// Its cause, where it is still in the way, is on the list already.
			if !slices.ContainsFunc(causes, func(k op.Cause) bool { return string(k.Code) == c.VerificationReason }) {
				add(op.VerificationFailed, op.Args{"verified_ago": when(c.VerifiedAt), "verification_reason": c.VerificationReason})
			}
		case tenancy.VerificationOK:
			if b.MaxAge > 0 && c.VerifiedAt != nil && now.Sub(*c.VerifiedAt) > b.MaxAge {
				add(op.VerificationStale, op.Args{"verified_on": when(c.VerifiedAt), "max_age": b.MaxAge.String()})
			}
		}
	}
	named(causes, q)
	return causes
}

// named adds the names that the sentences of causes need.
func named(causes []op.Cause, q Question) {
	for i := range causes {
		if causes[i].Args == nil {
			causes[i].Args = op.Args{}
		}
		causes[i].Args["tenant"] = q.Tenant.Name
		if c := q.Target.Connection; c != nil {
			causes[i].Args["connection"], causes[i].Args["provider"] = c.Name, c.Provider
		}
	}
}

// when writes a time as [op.Args] keep it; empty when it is not known.
func when(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// JudgeReadiness returns everything that blocks a baseline operation on t, each
// reason once, in the order of [All]. It is what a tenant's readiness is judged by:
// operations that are not baseline change nothing in it.
func JudgeReadiness(t tenancy.Tenant, target Target, now time.Time) []op.Cause {
	var causes []op.Cause
	var lacking []string // permissions, of all operations
	for _, d := range baseline() {
		for _, c := range d.judge(Question{Tenant: t, Target: target, Phase: op.Admission, Now: now}) {
			if c.Code == op.PermissionMissing {
				for name := range strings.SplitSeq(c.Args["permissions"], listed) {
					if !slices.Contains(lacking, name) {
						lacking = append(lacking, name)
					}
				}
			}
			if !slices.ContainsFunc(causes, func(k op.Cause) bool { return k.Code == c.Code }) {
				causes = append(causes, c)
			}
		}
	}
	for _, c := range causes {
		if c.Code == op.PermissionMissing {
			c.Args["count"], c.Args["permissions"] = strconv.Itoa(len(lacking)), strings.Join(lacking, listed)
		}
	}
	return causes
}

// baseline returns the operations that a tenant's readiness is judged by.
func baseline() []*Definition {
	return slices.DeleteFunc(All(), func(d *Definition) bool { return !d.Baseline })
}

// Turns returns the moments from which on [JudgeReadiness] may say something else
// about a connection although nothing was changed: its credential or the last
// verification runs out.
func Turns(c tenancy.Connection) []time.Time {
	var turns []time.Time
	if c.CredentialExpiresAt != nil {
		turns = append(turns, *c.CredentialExpiresAt)
	}
	for _, d := range baseline() {
		if d.Blockers.MaxAge > 0 && c.VerifiedAt != nil {
			turns = append(turns, c.VerifiedAt.Add(d.Blockers.MaxAge+time.Microsecond))
		}
	}
	return turns
}

// listed stands between names in a sentence.
const listed = ", "

// verificationGood is how long a verification vouches for a connection. The
// permissions that the gate judges by are known from it; a month is short enough
// to notice a consent that was trimmed, and long enough not to be in the way.
const verificationGood = 30 * 24 * time.Hour
