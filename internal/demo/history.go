package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// history makes one tenant look as if people had worked on it for two weeks: compliance
// snapshots with a trend, versions of a backup, one of them incomplete, a restore that was
// executed, and a preview that waits for a second person. It starts operations as people
// do, while an administrator of the simulated tenant changes policies. Only the snapshots
// of earlier days are written directly.
type history struct {
	*Demo
	tenant   place
	operator access.Actor
	owner    access.Actor // signed in just now
	ta       access.TenantAccess
}

// tell writes the history and notes that it was written.
func (d *Demo) tell(ctx context.Context, k kept) error {
	h := &history{Demo: d}
	for _, p := range places {
		if p.State == lived {
			h.tenant = p
		}
	}
	if err := h.people(ctx, k); err != nil {
		return fmt.Errorf("history of %s: %w", h.tenant.Name, err)
	}
	for _, chapter := range []func(context.Context) error{h.reads, h.snapshots, h.backups, h.restored, h.waiting} {
		if err := chapter(ctx); err != nil {
			return fmt.Errorf("history of %s: %w", h.tenant.Name, err)
		}
	}
	k.Told = true
	return d.remember(k)
}

func (h *history) people(ctx context.Context, k kept) (err error) {
	if h.operator, err = access.Authenticate(ctx, h.app.DB, k.user("operator").Token); err != nil {
		return err
	}
	u := k.user("owner")
	_, session, err := access.SignIn(ctx, h.app.DB, access.Limits{}, access.Credentials{Email: u.Email, Password: u.Password, Workspace: u.Workspace, Remote: "demo", Device: "Demo"})
	if err != nil {
		return err
	}
	h.owner = session.Actor
	return h.app.DB.Read(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		h.ta, err = access.Authorize(ctx, tx, h.owner, h.tenant.Slug, tenancy.View)
		return err
	})
}

// run starts an operation and returns its run once it has ended.
func (h *history) run(ctx context.Context, who access.Actor, kind op.Kind, parameters any) error {
	request := op.Request{Tenant: h.tenant.Slug, Kind: kind, Surface: op.SurfaceAPI}
	if parameters != nil {
		var err error
		if request.Parameters, err = json.Marshal(parameters); err != nil {
			return err
		}
	}
	res, err := h.app.Gate.Start(ctx, who, request)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	if res.Outcome() != op.Accepted {
		return fmt.Errorf("%s is answered %s %v", kind, res.Outcome(), res.Causes())
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		run, err := h.app.Store.Run(ctx, h.ta.Scope, res.Run().ID)
		if err != nil || run.State == op.Finished {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// puts stores a policy in the simulated tenant, or changes it.
func (h *history) puts(ctx context.Context, collection, name, more string) (id string, err error) {
	id = stable("policy", h.tenant.Slug, name)
	return h.simulator.Control().PutItem(ctx, h.tenant.directory(), collection, json.RawMessage(fmt.Sprintf(`{"id":%q,"displayName":%q,%s}`, id, name, more)))
}

// Operations that no other package names.
const (
	rolesSync op.Kind = "directory.roles.sync"
	snapshot  op.Kind = "compliance.snapshot"
	backUp    op.Kind = "policy.backup"
)

const (
	filters        = "deviceManagement/assignmentFilters"
	configurations = "deviceManagement/deviceConfigurations"
	roles          = "deviceManagement/roleDefinitions"
)

// reads runs the operations that read lists, the roles twice, so that a run shows what
// changed since the last one.
func (h *history) reads(ctx context.Context) error {
	for _, kind := range []op.Kind{op.ConnectionVerify, op.InventorySync, op.DirectoryGroupsSync, rolesSync} {
		if err := h.run(ctx, h.operator, kind, nil); err != nil {
			return err
		}
	}
	_, err := h.puts(ctx, roles, "Reception helpdesk", `"description":"Restarts and locates devices","isBuiltIn":false,"roleScopeTagIds":["0"],
		"rolePermissions":[{"resourceActions":[{"allowedResourceActions":["Microsoft.Intune_RemoteTasks_RebootNow"],"notAllowedResourceActions":[]}]}]`)
	if err == nil {
		err = h.run(ctx, h.operator, rolesSync, nil)
	}
	return err
}

// days is how many days of snapshots there are before today.
const days = 14

// snapshots writes those of earlier days, with fewer failing devices from day to day, and
// takes today's.
func (h *history) snapshots(ctx context.Context) error {
	key := mirror.Key{Workspace: h.ta.Workspace.ID, Tenant: h.ta.Tenant.ID}
	err := h.app.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT id FROM connections WHERE tenant_id = $1`, key.Tenant).Scan(&key.Connection); err != nil {
			return err
		}
		for ago := days; ago > 0; ago-- {
			key.Run = stable("snapshot", h.tenant.Slug, fmt.Sprint(ago))
			m := mirror.Moment{At: time.Now().AddDate(0, 0, -ago), Complete: ago != 5}
			m.Counts = catalogue.ComplianceCounts{Compliant: int64(19 - ago), Noncompliant: int64(8 + ago), Unknown: 3} // of 30 devices, as today
			if err := mirror.KeepMoment(ctx, tx, key, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = h.run(ctx, h.operator, snapshot, nil)
	}
	return err
}

// firstBackup is the backup that the restores are made from.
func (h *history) firstBackup(ctx context.Context) (id string, err error) {
	err = h.app.DB.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT id FROM backup_sets WHERE tenant_id = $1 AND state = 'kept' ORDER BY as_of LIMIT 1`, h.ta.Tenant.ID).Scan(&id)
	})
	return id, err
}

// The policies that people change.
const (
	kiosk  = "Reception kiosk"
	guests = "Guest Wi-Fi"
	corp   = "Corporate Windows devices"
)

func (h *history) custom(ctx context.Context, name, description string) (id string, err error) {
	return h.puts(ctx, configurations, name, fmt.Sprintf(`"@odata.type":"#microsoft.graph.windows10CustomConfiguration","description":%q,"roleScopeTagIds":["0"],"omaSettings":[],
		"assignments":[{"target":{"@odata.type":"#microsoft.graph.allDevicesAssignmentTarget"}}]`, description))
}

// backups makes a complete backup of the policies, which is pinned, a second one after some have changed,
// and one that lacks a part because the provider refused it.
func (h *history) backups(ctx context.Context) error {
	var changed string
	_, err := h.puts(ctx, filters, corp, `"platform":"windows10AndLater","rule":"(device.deviceOwnership -eq \"Corporate\")","roleScopeTags":["0"]`)
	if err == nil {
		changed, err = h.custom(ctx, kiosk, "One app, signs in by itself")
	}
	var gone string
	if err == nil {
		gone, err = h.custom(ctx, guests, "For the waiting rooms")
	}
	if err == nil {
		err = h.run(ctx, h.operator, backUp, nil)
	}
	if err != nil {
		return err
	}
	first, err := h.firstBackup(ctx)
	if err != nil {
		return err
	}
	if _, err := backup.New(h.app.DB).Pin(ctx, h.owner, h.tenant.Slug, first, true); err != nil {
		return err
	}
	if _, err := h.custom(ctx, kiosk, "Any app"); err != nil {
		return err
	}
	if _, err := h.custom(ctx, "Screen lock", "After five minutes"); err != nil {
		return err
	}
	if err := h.simulator.Control().DeleteItem(ctx, h.tenant.directory(), configurations, gone); err != nil {
		return err
	}
	if err := h.run(ctx, h.operator, backUp, nil); err != nil {
		return err
	}
	fault, err := h.simulator.Control().AddFault(ctx, graphsim.Fault{
		Path: "/*/" + configurations + "/" + changed + "/assignments", Tenant: h.tenant.directory(), Action: graphsim.Action{Kind: graphsim.ActForbidden},
	})
	if err != nil {
		return err
	}
	if err := h.run(ctx, h.operator, backUp, nil); err != nil {
		return err
	}
	return h.simulator.Control().ClearFaults(ctx, fault)
}

// preview plans a restore of the named policies from the first backup.
func (h *history) preview(ctx context.Context, items ...string) (plans.Summary, error) {
	id, err := h.firstBackup(ctx)
	if err != nil {
		return plans.Summary{}, err
	}
	in := catalogue.PreviewParameters{Backup: id, Items: items}
	if err := h.run(ctx, h.operator, op.PolicyRestorePreview, in); err != nil {
		return plans.Summary{}, err
	}
	list, _, err := h.app.Plans.List(ctx, h.ta, "", "", 1)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("the preview stored no plan")
	}
	if err != nil {
		return plans.Summary{}, err
	}
	return list[0], nil
}

func (h *history) item(collection, name string) string {
	return collection[len("deviceManagement/"):] + "/" + stable("policy", h.tenant.Slug, name)
}

// restored brings back what was changed and deleted.
func (h *history) restored(ctx context.Context) error {
	plan, err := h.preview(ctx, h.item(filters, corp), h.item(configurations, kiosk), h.item(configurations, guests))
	if err != nil {
		return err
	}
	in := catalogue.RestoreParameters{Plan: plan.Hash, Acknowledged: []string{}, Confirm: h.tenant.Name}
	for _, w := range plan.Head.Warnings {
		in.Acknowledged = append(in.Acknowledged, string(w))
	}
	err = h.run(ctx, h.owner, op.PolicyRestore, in)
	return err
}

// waiting previews another restore, which a second person has to approve from now on.
func (h *history) waiting(ctx context.Context) error {
	if err := h.app.Plans.SetPolicy(ctx, h.owner, plans.Policy{Approval: true}); err != nil {
		return err
	}
	if _, err := h.custom(ctx, kiosk, "Any app, and the settings"); err != nil {
		return err
	}
	_, err := h.preview(ctx, h.item(configurations, kiosk))
	return err
}
