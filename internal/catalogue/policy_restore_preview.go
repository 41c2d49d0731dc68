package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

var _ = Register(&Definition{
	Kind:    PolicyRestorePreview,
	Version: 1,
	Place:   60,
	Words: op.KindWords{
		Name: "Restore preview", Does: "Reads a tenant and plans which policies a restore would change.",
		Start: "Preview restore", Item: "type", Items: "types",
	},
	Icon:        "search",
	Capability:  MayPreview,
	Allows:      "Preview restores",
	Roles:       []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Optional:    []Permission{policies.permission, apps.permission, enrollment.permission, scripts.permission, intuneRoles.permission, conditionalAccess.permission, directoryGroups.permission, userRead, directoryRoleRead, applicationRead, termsOfUseRead},
	Blockers:    AllBlockers(),
	Requires:    previewRequires,
	Canonical:   canonicalPreview,
	Parameters:  PreviewParameters{},
	Input:       true,
	Example:     json.RawMessage(`{"backup":"00000000-0000-0000-0000-000000000000"}`),
	QueueLimit:  2 * time.Hour,
	RunLimit:    readLimit,
	CallLimit:   30 * time.Second,
	MaxDispatch: 3,
	Recovery:    Again,
	SignsIn:     true,
	Interactive: true,
	Learns:      true,
	Run:         previewRun,
})

// previewRequires is the [Definition.Requires] of a preview.
func previewRequires(ctx context.Context, q Question, s Stored) ([]op.Cause, error) {
	if q.Parameters == nil { // nobody has chosen a backup yet
		return []op.Cause{{Code: op.BackupMissing}}, nil
	}
	var in PreviewParameters
	if err := json.Unmarshal(q.Parameters, &in); err != nil {
		return nil, err
	}
	there, err := s.Backup(ctx, q.Tenant.WorkspaceID, q.Starter, in.Backup)
	if err != nil || there {
		return nil, err
	}
	return []op.Cause{{Code: op.BackupMissing}}, nil
}

// previewRun is the [Definition.Run] of a preview.
func previewRun(ctx context.Context, env *Env) error {
	var in PreviewParameters
	if err := json.Unmarshal(env.Parameters, &in); err != nil {
		return err
	}
	set, err := env.Backups.Set(ctx, in.Backup)
	if errors.Is(err, op.ErrNotFound) { // removed since the run began
		return (&previewing{env: env}).refuse(ctx, "the backup was removed")
	} else if err != nil {
		return err
	}
	return previewRestore(ctx, env, in, set)
}

// PreviewParameters are the parameters of a preview.
type PreviewParameters struct {
	Backup   string           `json:"backup" doc:"Id of the backup. A backup of another tenant of the workspace serves as a baseline."`
	Items    []string         `json:"items,omitempty" doc:"Policies to restore, each as type/id. Default: all policies of the backup."`
	Choices  []PreviewChoice  `json:"choices,omitempty" doc:"Decisions about policies that an earlier preview could not decide."`
	Mappings []PreviewMapping `json:"mappings,omitempty" doc:"Objects of the tenant that take the place of objects of the backup. They are recorded for later previews."`
}

// PreviewChoice is a decision about one policy.
type PreviewChoice struct {
	Item       string `json:"item" doc:"The policy, as type/id."`
	Target     string `json:"target,omitempty" doc:"Id of the policy to update."`
	New        bool   `json:"new,omitempty" doc:"Create a new policy although others have its name."`
	Undelete   string `json:"undelete,omitempty" doc:"Id of the deleted policy to bring back."`
	Overwrite  bool   `json:"overwrite,omitempty" doc:"Remove settings that the backup doesn't have."`
	Unassigned bool   `json:"unassigned,omitempty" doc:"Restore the policy without its assignments if a group is missing."`
}

// PreviewMapping says which object of the tenant takes the place of one of the backup.
type PreviewMapping struct {
	Kind   string `json:"kind" doc:"Kind of the object: a type of policy, groups, users, servicePrincipals, termsOfUse or mobileApps."`
	Source string `json:"source" doc:"Id of the object in the backup."`
	Target string `json:"target" doc:"Id of the object in the tenant."`
}

// maxItems limits the items, choices and mappings of one preview, each.
const maxItems = 5000

// keyOf parses "type/id".
func keyOf(field, text string) (restore.Key, error) {
	t, id, ok := strings.Cut(text, "/")
	switch {
	case !ok || id == "" || len(id) > maxMapped:
		return restore.Key{}, &op.FieldError{Field: field, Detail: "must be a policy as type/id, such as configurationPolicies/7b1c…"}
	case policy.Lookup(t) == nil:
		return restore.Key{}, &op.FieldError{Field: field, Detail: fmt.Sprintf("names the type %.60q, which does not exist", t)}
	}
	return restore.Key{Type: t, ID: id}, nil
}

// canonicalPreview is the [Definition.Canonical] of a preview.
func canonicalPreview(raw json.RawMessage) (json.RawMessage, error) {
	var in PreviewParameters
	if err := DecodeParameters(raw, &in); err != nil {
		return nil, err
	}
	in.Backup = strings.ToLower(in.Backup)
	if !uuidForm.MatchString(in.Backup) {
		return nil, &op.FieldError{Field: "parameters.backup", Detail: "must be the id of a backup"}
	}
	for name, n := range map[string]int{"items": len(in.Items), "choices": len(in.Choices), "mappings": len(in.Mappings)} {
		if n > maxItems {
			return nil, &op.FieldError{Field: "parameters." + name, Detail: fmt.Sprintf("has %d entries, at most %d are allowed", n, maxItems)}
		}
	}
	for i, item := range in.Items {
		if _, err := keyOf(fmt.Sprintf("parameters.items[%d]", i), item); err != nil {
			return nil, err
		}
	}
	chosen := make(map[string]bool)
	for i, c := range in.Choices {
		field := fmt.Sprintf("parameters.choices[%d].item", i)
		if _, err := keyOf(field, c.Item); err != nil {
			return nil, err
		}
		if chosen[c.Item] {
			return nil, &op.FieldError{Field: field, Detail: "has a choice already"}
		}
		chosen[c.Item] = true
	}
	mapped := make(map[string]bool)
	for i, m := range in.Mappings {
		field := fmt.Sprintf("parameters.mappings[%d]", i)
		err := CheckMapping(restore.Mapping{Kind: policy.Kind(m.Kind), Source: m.Source, Target: m.Target})
		var wrong *op.FieldError
		if errors.As(err, &wrong) {
			return nil, &op.FieldError{Field: field + "." + wrong.Field, Detail: wrong.Detail}
		}
		if key := m.Kind + "/" + m.Source; mapped[key] {
			return nil, &op.FieldError{Field: field, Detail: "maps an object that is mapped already"}
		} else {
			mapped[key] = true
		}
	}
	slices.Sort(in.Items)
	in.Items = slices.Compact(in.Items)
	slices.SortFunc(in.Choices, func(a, b PreviewChoice) int { return strings.Compare(a.Item, b.Item) })
	slices.SortFunc(in.Mappings, func(a, b PreviewMapping) int { return strings.Compare(a.Kind+"/"+a.Source, b.Kind+"/"+b.Source) })
	return json.Marshal(in)
}

// previewRestore reads the tenant as it is now and stores the plan of a restore. It
// changes nothing at the provider.
func previewRestore(ctx context.Context, env *Env, in PreviewParameters, set restore.Set) error {
	opts := restore.Options{
		Target: restore.Target{
			Tenant: env.Run.Tenant.ID, Connection: env.Run.Target.ConnectionID, Version: env.Run.Target.Version, Directory: env.Directory, Root: graphRoot(env),
		},
		Choices: make(map[restore.Key]restore.Choice),
	}
	for _, item := range in.Items {
		key, err := keyOf("items", item)
		if err != nil {
			return err
		}
		opts.Selection = append(opts.Selection, key)
	}
	for _, c := range in.Choices {
		key, err := keyOf("choices", c.Item)
		if err != nil {
			return err
		}
		opts.Choices[key] = restore.Choice{Target: c.Target, New: c.New, Undelete: c.Undelete, Overwrite: c.Overwrite, Unassigned: c.Unassigned}
	}
	mappings, err := env.Plans.Mappings(ctx, set.Directory, env.Directory)
	if err != nil {
		return err
	}
	mappings, own := override(mappings, in.Mappings, set.Directory, env.Directory)

	p := &previewing{env: env, observing: observing{
		env: env, crosses: set.Directory != env.Directory, mappings: make(map[restore.Need]string), choices: opts.Choices,
		o: restore.Observed{Directory: env.Directory, At: env.Now(), Unread: make(map[string]string), Known: make(map[policy.Kind][]restore.Object)},
	}}
	for _, m := range mappings {
		p.mappings[restore.Need{Kind: m.Kind, Source: m.Source}] = m.Target
	}
	for _, item := range set.Items {
		if opts.Selection == nil || slices.Contains(opts.Selection, item.Key()) {
			p.chosen = append(p.chosen, item)
		}
	}
	if err := p.observe(ctx); err != nil {
		return err
	}
	plan, err := restore.Build(set, p.o, mappings, opts)
	if err != nil { // the selection, a choice or a mapping can't be meant: the error names the item
		return p.refuse(ctx, err.Error())
	}
	for _, m := range own {
		if err := env.Plans.Map(ctx, m, MappedByPerson); err != nil {
			return err
		}
	}
	hash, err := env.Plans.Keep(ctx, plan)
	if err != nil {
		return err
	}
	return env.Report.Event(ctx, "Stored preview "+hash)
}

// override returns the recorded mappings with those of the parameters in their place, and
// the latter.
func override(recorded []restore.Mapping, asked []PreviewMapping, source, target string) (all, own []restore.Mapping) {
	for _, m := range asked {
		own = append(own, restore.Mapping{Kind: policy.Kind(m.Kind), SourceDirectory: source, Source: m.Source, TargetDirectory: target, Target: m.Target})
	}
	for _, m := range recorded {
		if !slices.ContainsFunc(own, func(o restore.Mapping) bool { return o.Kind == m.Kind && o.Source == m.Source }) {
			all = append(all, m)
		}
	}
	return append(all, own...), own
}

// previewing is one dispatch of a preview.
type previewing struct {
	observing
	env    *Env
	counts op.Counts
}

// observe reads what the plan needs. What can't be read makes the plan incomplete, and
// its steps say so; a refusal of the whole connection ends the run.
func (p *previewing) observe(ctx context.Context) error {
	byType := make(map[string][]restore.Item)
	for _, item := range p.chosen {
		byType[item.Key().Type] = append(byType[item.Key().Type], item)
	}
	types := slices.Sorted(maps.Keys(byType))
	references := p.references()
	p.counts.Total = int64(len(types) + len(references))
	if err := p.env.Report.Progress(ctx, p.counts); err != nil {
		return err
	}
	for _, t := range policy.Types() {
		chosen := byType[t.Key]
		if chosen == nil {
			continue
		}
		err := p.readType(ctx, t, chosen)
		if err == nil && t.Deleted.Path != "" {
			err = p.deleted(ctx, t)
		}
		if err := p.tell(ctx, t.Key, t.Plural, int64(len(chosen)), neededFor(policy.Kind(t.Key)), err, []string{t.Key}); err != nil {
			return err
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(references)) {
		err := p.look(ctx, kind, references[kind])
		if err := p.tell(ctx, "reference/"+string(kind), kindWords(kind), int64(len(references[kind])), neededFor(kind), err, p.referring(kind)); err != nil {
			return err
		}
	}
	if err := p.tellUnread(ctx, "administrators", p.administrators(ctx)); err != nil {
		return err
	}
	return p.tellUnread(ctx, "approvals", p.approval(ctx, types))
}

// tellUnread notes that something could not be read that no step depends on.
func (p *previewing) tellUnread(ctx context.Context, key string, failure error) error {
	if failure == nil {
		return nil
	}
	if endsRun(failure) {
		return failure
	}
	reason, _, _ := told(p.env, failure, Permission{})
	p.o.Unread[key] = string(reason)
	return ctx.Err()
}

// refuse ends the run as failed, because no plan can be made. The plan counts as an item.
func (p *previewing) refuse(ctx context.Context, detail string) error {
	p.counts.Total++
	p.counts.Failed++
	args := op.Args{"detail": detail}
	item := op.Item{Key: "plan", Name: "Plan", Result: op.ItemFailed, Reason: op.RestoreRefused, Args: args, At: p.env.Now()}
	if err := p.env.Report.Item(ctx, item); err != nil {
		return err
	}
	if err := p.env.Report.Progress(ctx, p.counts); err != nil {
		return err
	}
	return &RunError{Reason: op.RestoreRefused, Args: args}
}

// referring are the types of the chosen policies that refer to a kind.
func (p *previewing) referring(kind policy.Kind) []string {
	types := make(map[string]bool)
	for _, item := range p.chosen {
		for _, ref := range item.Policy.References() {
			if ref.Kind == kind {
				types[item.Key().Type] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(types))
}

func kindWords(kind policy.Kind) string {
	if t := policy.Lookup(string(kind)); t != nil {
		return t.Plural
	}
	return strings.ToUpper(lookups[kind].words[:1]) + lookups[kind].words[1:]
}

// tell reports what was read. After a failure the types that depend on it count as
// unread.
func (p *previewing) tell(ctx context.Context, key, name string, count int64, needs Permission, failure error, depend []string) error {
	item := op.Item{Key: key, Name: name, Result: op.ItemDone, Counts: op.Counts{Done: count, Total: count}, At: p.env.Now()}
	var broken *policy.ItemError
	switch {
	case failure == nil:
		p.counts.Done++
	case errors.As(failure, &broken): // an object that can't be understood
		item.Result, item.Reason, item.Args = op.ItemFailed, op.ObjectMalformed, names(p.env)
	case endsRun(failure):
		return failure
	default:
		item.Result = op.ItemFailed
		item.Reason, item.Args, item.Evidence = told(p.env, failure, needs)
	}
	if failure != nil {
		p.counts.Failed++
		item.Counts = op.Counts{}
		for _, t := range depend {
			p.o.Unread[t] = name + ": " + string(item.Reason)
		}
	}
	if err := p.env.Report.Item(ctx, item); err != nil {
		return err
	}
	return p.env.Report.Progress(ctx, p.counts)
}

// graphRoot is the address of the service that plans name in links to objects.
func graphRoot(env *Env) string {
	if c, ok := env.Provider.(interface{ Root() string }); ok {
		return c.Root()
	}
	return "https://graph.microsoft.com"
}
