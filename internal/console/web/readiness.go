package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Explained describes causes in the words of a blocked start.
func (v *Visit) Explained(t tenancy.Tenant, c *tenancy.Connection, causes []op.Cause, now time.Time) []op.Explained {
	if len(causes) == 0 {
		return nil
	}
	return op.Describe(op.BlockedResult(v.Facts(t, c, now), causes, nil)).Reasons
}

// Facts returns the subject of a text, and its reader. c may be nil.
func (v *Visit) Facts(t tenancy.Tenant, c *tenancy.Connection, at time.Time) op.Facts {
	facts := op.Facts{
		Workspace: v.Workspace(), Tenant: op.Tenant{ID: t.ID, Slug: t.Slug, Name: t.Name}, At: at,
		MayMend: v.May(tenancy.ManageConnections), Reader: v.Actor.ID(),
	}
	if c != nil {
		target := store.TargetOf(*c)
		facts.Target = &target
	}
	return facts
}

// Report returns what is known about a connection. c is nil when the tenant has no
// default connection.
func (v *Visit) Report(t tenancy.Tenant, c *tenancy.Connection, causes []op.Cause, now time.Time) (ui.Report, error) {
	r := ui.Report{Workspace: v.Workspace(), Connection: c, Causes: v.Explained(t, c, causes, now), Now: now}
	if c == nil {
		return r, nil
	}
	found, err := v.Store.Verification(v.R.Context(), v.Tenant, c.ID)
	if errors.Is(err, op.ErrNotFound) {
		return r, nil
	} else if err != nil {
		return ui.Report{}, err
	}
	r.Verified = &found
	var checks []catalogue.Check
	if err := json.Unmarshal(found.Checks, &checks); err != nil {
		return ui.Report{}, fmt.Errorf("report of connection %s: %w", c.ID, err)
	}
	for _, check := range checks {
		checked := ui.Checked{Check: check}
		if check.Reason != "" {
			told := op.Found(v.Facts(t, c, found.At), op.Cause{Code: check.Reason, Args: check.Args})
			if checked.Words = told.Detail; check.Result == catalogue.CheckFailed {
				checked.Next, checked.Fix = told.Next, told.Fix
			}
		}
		r.Checks = append(r.Checks, checked)
	}
	return r, nil
}
