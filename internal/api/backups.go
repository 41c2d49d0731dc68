package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/backup"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveBackups() {
	serve(s, Route{
		ID: "list-backups", Method: http.MethodGet, Path: "/tenants/{tenant}/backups", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "List the backups of a tenant, newest first, with how long each is kept",
	}, s.backupList)
	serve(s, Route{
		ID: "get-backup", Method: http.MethodGet, Path: "/tenants/{tenant}/backups/{backup}", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "Get a backup, with its policies by type and what could not be read",
	}, s.backup)
	serve(s, Route{
		ID: "list-backup-items", Method: http.MethodGet, Path: "/tenants/{tenant}/backups/{backup}/items", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "List the policies of a backup, by name",
	}, s.backupItems)
	serve(s, Route{
		ID: "get-backup-item", Method: http.MethodGet, Path: "/tenants/{tenant}/backups/{backup}/items/{type}/{object}", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "Get a policy of a backup as it was read; secrets are masked",
	}, s.backupItem)
	serve(s, Route{
		ID: "list-policy-versions", Method: http.MethodGet, Path: "/tenants/{tenant}/policies/{type}/{object}/versions", Object: Tenant, Needs: tenancy.ViewBackups,
		Summary: "List the versions of a policy in the backups of a tenant, newest first, with what changed",
	}, s.policyVersions)
	serve(s, Route{
		ID: "pin-backup", Method: http.MethodPut, Path: "/tenants/{tenant}/backups/{backup}/pin", Object: Tenant, Needs: catalogue.MayBackUp, Conflicts: true,
		Summary: "Pin a backup, so that it is never removed",
	}, s.pinBackup)
	serve(s, Route{
		ID: "unpin-backup", Method: http.MethodDelete, Path: "/tenants/{tenant}/backups/{backup}/pin", Object: Tenant, Needs: catalogue.MayBackUp, Conflicts: true,
		Summary: "Unpin a backup: from then on the keep rules decide",
	}, s.unpinBackup)
	serve(s, Route{
		ID: "get-keep-rules", Method: http.MethodGet, Path: "/workspace/keep-rules", Object: Workspace, Needs: tenancy.View,
		Summary: "Get how long the backups of the workspace's tenants are kept",
	}, s.keepRules)
	serve(s, Route{
		ID: "set-keep-rules", Method: http.MethodPut, Path: "/workspace/keep-rules", Object: Workspace, Needs: tenancy.ManageMembers,
		Summary: "Change how long backups are kept; applies to a tenant from its next backup on",
	}, s.setKeepRules)
}

// BackupID names the backup of a route.
type BackupID struct {
	TenantID
	Backup string `path:"backup" doc:"Id."`
}

// Backup is a backup without its policies.
type Backup struct {
	ID         string        `json:"id"`
	Run        string        `json:"run" doc:"Code of the run that took it; empty for an upload, or if the run is no longer on record."`
	By         *op.Person    `json:"by" doc:"Who started the run."`
	Origin     backup.Origin `json:"origin" enum:"run,upload"`
	Tool       string        `json:"tool" doc:"Of an upload: what wrote the files."`
	Directory  string        `json:"directory_id" doc:"GUID of the directory it is from; empty for files that don't name it."`
	AsOf       time.Time     `json:"as_of" doc:"When reading began."`
	Complete   bool          `json:"complete" doc:"Whether every type and every policy was read with all parts."`
	Policies   int64         `json:"policies"`
	Incomplete int64         `json:"incomplete" doc:"Policies that lack a part. They can't be restored."`
	Size       int64         `json:"size" doc:"Of all contents, in bytes, before compression."`
	Pinned     bool          `json:"pinned"`
	Kept       Kept          `json:"kept"`
}

// Kept says how long a backup is kept. That can change with every backup of the tenant.
type Kept struct {
	Until *time.Time `json:"until" doc:"Null while it is pinned, among the newest or the last of a type, and if no rule keeps it."`
	Rules []string   `json:"rules" nullable:"false" enum:"pinned,newest,last,daily,monthly" doc:"The rules that keep it, the strongest first; empty: it is removed with the tenant's next backup."`
	Text  string     `json:"text"`
}

func backupOf(b backup.Summary) Backup {
	out := Backup{
		ID: b.ID, Run: b.Code, Origin: b.Origin, Tool: b.Tool, Directory: b.Directory, AsOf: b.AsOf, Complete: b.Complete,
		Policies: b.Items, Incomplete: b.Incomplete, Size: b.Size, Pinned: b.Pinned,
		Kept: Kept{Rules: append([]string{}, b.Kept.By...), Text: op.Kept(b.Kept.By, b.Kept.Until)},
	}
	if b.By.ID != "" {
		out.By = &b.By
	}
	if !b.Kept.Until.IsZero() {
		out.Kept.Until = &b.Kept.Until
	}
	return out
}

func (s *server) backupList(ctx context.Context, in *struct {
	TenantID
	Run        string `query:"run" maxLength:"40" doc:"Id or code of a run: only the backup that it took."`
	Origin     string `query:"origin" enum:"run,upload"`
	Pinned     bool   `query:"pinned" doc:"Only pinned ones."`
	Incomplete bool   `query:"incomplete" doc:"Only incomplete ones."`
	Paging
},
) (*list[Backup], error) {
	f := backup.Filter{Run: in.Run, Origin: backup.Origin(in.Origin), Pinned: in.Pinned, Incomplete: in.Incomplete}
	all, next, err := s.backups.List(ctx, at(ctx).tenant, f, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(each(all, backupOf), next), nil
}

// BackupDetail is a backup with how its types were read.
type BackupDetail struct {
	Backup
	Types []BackupType `json:"types" nullable:"false" doc:"In the order of a restore."`
}

// BackupType says how a type was read.
type BackupType struct {
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Policies int64     `json:"policies"`
	Complete bool      `json:"complete"`
	Absent   bool      `json:"absent" doc:"The tenant doesn't have the service, so there is nothing to back up."`
	Reason   op.Reason `json:"reason,omitempty" doc:"Why it is incomplete or absent."`
	Why      string    `json:"why,omitempty" doc:"The same in words."`
}

func (s *server) backup(ctx context.Context, in *BackupID) (*one[BackupDetail], error) {
	b, err := s.backups.Backup(ctx, at(ctx).tenant, in.Backup)
	if err != nil {
		return nil, err
	}
	return &one[BackupDetail]{BackupDetail{backupOf(b), each(b.Types, func(t backup.TypeRead) BackupType {
		out := BackupType{Type: t.Type, Name: pluralOf(t.Type), Policies: t.Items, Complete: t.Reason == "" || t.Absent, Absent: t.Absent, Reason: t.Reason}
		if t.Reason != "" {
			out.Why = op.Unread(t.Reason)
		}
		return out
	})}}, nil
}

// pluralOf and singularOf name a policy type; the key itself when this version doesn't
// know it.
func pluralOf(key string) string {
	if t := policy.Lookup(key); t != nil {
		return t.Plural
	}
	return key
}

func singularOf(key string) string {
	if t := policy.Lookup(key); t != nil {
		return t.Singular
	}
	return key
}

// BackupItem is a policy of a backup without its contents.
type BackupItem struct {
	Type       string          `json:"type"`
	TypeName   string          `json:"type_name"`
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	ModifiedAt string          `json:"modified_at" doc:"As the provider wrote it; empty for a type that doesn't say."`
	Missing    []MissingOfItem `json:"missing" nullable:"false" doc:"Parts that could not be read. With any, the policy can't be restored."`
}

// MissingOfItem is a part of a policy that could not be read.
type MissingOfItem struct {
	Part   string    `json:"part" doc:"\"object\" is the policy itself."`
	Reason op.Reason `json:"reason"`
	Why    string    `json:"why"`
	Said   string    `json:"said,omitempty" doc:"The provider's words."`
}

func backupItemOf(i backup.Item) BackupItem {
	return BackupItem{
		Type: i.Type, TypeName: singularOf(i.Type), ID: i.ID, Name: i.Name, ModifiedAt: i.ModifiedAt,
		Missing: each(i.Missing, func(m backup.Missing) MissingOfItem {
			return MissingOfItem{m.Part, m.Reason, op.Unread(m.Reason), m.Why}
		}),
	}
}

func (s *server) backupItems(ctx context.Context, in *struct {
	BackupID
	Type       string `query:"type" maxLength:"100" doc:"Key of a policy type."`
	Query      string `query:"q" doc:"Part of the name."`
	Incomplete bool   `query:"incomplete" doc:"Only those that lack a part."`
	Paging
},
) (*list[BackupItem], error) {
	f := backup.ItemFilter{Type: in.Type, Search: in.Query, Incomplete: in.Incomplete}
	all, next, err := s.backups.Items(ctx, at(ctx).tenant, in.Backup, f, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(each(all, backupItemOf), next), nil
}

// PolicyID names a policy of a route.
type PolicyID struct {
	Type   string `path:"type" maxLength:"100" doc:"Key of the policy type."`
	Object string `path:"object" maxLength:"300" doc:"Id that the provider gave the policy."`
}

// BackupItemDetail is a policy of a backup with its contents.
type BackupItemDetail struct {
	BackupItem
	Secrets int             `json:"secrets" doc:"How many secrets are masked. The file of the policy has them."`
	Policy  json.RawMessage `json:"policy" doc:"What was read, with parts and assignments as properties; null if it can't be read as a policy."`
}

func (s *server) backupItem(ctx context.Context, in *struct {
	BackupID
	PolicyID
},
) (*one[BackupItemDetail], error) {
	c, err := s.backups.Contents(ctx, at(ctx).tenant, in.Backup, in.Type, in.Object)
	if err != nil {
		return nil, err
	}
	out := BackupItemDetail{BackupItem: backupItemOf(c.Item), Policy: json.RawMessage("null")}
	d, err := policy.Normalise(c.Policy)
	var unreadable *policy.ItemError // the item says so: its secrets can't be found
	if err != nil && !errors.As(err, &unreadable) {
		return nil, err
	}
	if err == nil {
		out.Policy, out.Secrets = d.Shown()
	}
	return &one[BackupItemDetail]{out}, nil
}

// PolicyVersion is a policy as it was in one or more backups in a row.
type PolicyVersion struct {
	How        string       `json:"how" enum:"added,changed,removed" doc:"Against the version before. Of the oldest one: added."`
	Name       string       `json:"name"`
	Backup     string       `json:"backup" doc:"Id of the first backup with this version."`
	AsOf       time.Time    `json:"as_of" doc:"Of that backup."`
	Until      time.Time    `json:"until" doc:"Of the last backup with this version."`
	Backups    int          `json:"backups" doc:"How many have this version."`
	ModifiedAt string       `json:"modified_at" doc:"As the provider wrote it. Providers don't say who changed a policy."`
	Changes    []PlanChange `json:"changes" nullable:"false" doc:"Properties that differ from the version before. Secrets are masked."`
	Text       string       `json:"text" doc:"The same as text, one line for each property."`
}

func (s *server) policyVersions(ctx context.Context, in *struct {
	TenantID
	PolicyID
	Paging
},
) (*list[PolicyVersion], error) {
	all, next, err := s.backups.Versions(ctx, at(ctx).tenant, in.Type, in.Object, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(each(all, func(v backup.Version) PolicyVersion {
		return PolicyVersion{
			How: string(v.How), Name: v.Item.Name, Backup: v.Set, AsOf: v.AsOf, Until: v.Until, Backups: v.Backups, ModifiedAt: v.Item.ModifiedAt,
			Changes: each(v.Changes, func(c policy.Change) PlanChange { return PlanChange(c) }), Text: policy.Text(v.Changes),
		}
	}), next), nil
}

func (s *server) pinBackup(ctx context.Context, in *BackupID) (*one[Backup], error) {
	return s.pin(ctx, in, true)
}

func (s *server) unpinBackup(ctx context.Context, in *BackupID) (*one[Backup], error) {
	return s.pin(ctx, in, false)
}

func (s *server) pin(ctx context.Context, in *BackupID, pinned bool) (*one[Backup], error) {
	v := at(ctx)
	b, err := s.backups.Pin(ctx, v.actor, v.tenant.Tenant.ID, in.Backup, pinned)
	if err != nil {
		return nil, err
	}
	return &one[Backup]{backupOf(b)}, nil
}

// KeepRules say how long the backups of a tenant are kept.
type KeepRules backup.Rules

func (s *server) keepRules(ctx context.Context, _ *none) (*one[KeepRules], error) {
	r, err := s.backups.Rules(ctx, at(ctx).actor)
	if err != nil {
		return nil, err
	}
	return &one[KeepRules]{KeepRules(r)}, nil
}

func (s *server) setKeepRules(ctx context.Context, in *struct{ Body KeepRules }) (*one[KeepRules], error) {
	if err := s.backups.SetRules(ctx, at(ctx).actor, backup.Rules(in.Body)); err != nil {
		return nil, err
	}
	return s.keepRules(ctx, nil)
}
