package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	reader "github.com/interlock-dev/interlock/internal/provider/policies"
	"github.com/interlock-dev/interlock/internal/restore"
)

// observing reads what a plan is built on: the counterparts of the chosen policies, and
// everything that they refer to.
type observing struct {
	env      *Env
	chosen   []restore.Item
	crosses  bool                           // the backup is from another directory
	mappings map[restore.Need]string        // targets
	choices  map[restore.Key]restore.Choice //
	o        restore.Observed
}

// few is how many policies of a type are read one by one. For more, the whole type is
// read, ten policies in a round.
const few = 10

// readType reads the counterparts of the chosen policies of a type. Of the others it
// reads the names only.
func (r *observing) readType(ctx context.Context, t *policy.Type, chosen []restore.Item) error {
	if err := r.list(ctx, policy.Kind(t.Key), t); err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, o := range r.o.Known[policy.Kind(t.Key)] {
		there[o.ID] = true
	}
	want, whole := make(map[string]bool), false
	for _, item := range chosen {
		key := item.Key()
		if item.Policy.DefaultName() != "" {
			whole = true // a default is recognised by what it says
		}
		ids := []string{r.mappings[restore.Need{Kind: policy.Kind(t.Key), Source: key.ID}], r.choices[key].Target}
		if !r.crosses { // ids mean something in one directory only
			ids = append(ids, key.ID)
		}
		for _, id := range ids {
			if there[id] {
				want[id] = true
			}
		}
	}
	keep := func(read reader.Read) error {
		switch {
		case !whole && !want[read.Item.ID]:
			return nil
		case read.Policy.Type() == nil: // it could not be read, and may be a counterpart
			return unusable(t, read)
		}
		r.o.Items = append(r.o.Items, read.Policy)
		return nil
	}
	if whole || len(want) > few {
		return reader.Type(ctx, r.env.Provider, t, keep)
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		read, err := reader.One(ctx, r.env.Provider, t, id)
		switch {
		case errors.Is(err, reader.ErrNotFound): // deleted since it was listed
			r.forget(policy.Kind(t.Key), id)
		case err != nil:
			return err
		default:
			if err := keep(read); err != nil {
				return err
			}
		}
	}
	return nil
}

// unusable is the error of a policy that could not be read.
func unusable(t *policy.Type, read reader.Read) error {
	err := read.Missing[0].Err
	var pe *provider.Error
	if errors.As(err, &pe) {
		return err
	}
	return &policy.ItemError{Type: t.Key, ID: read.Item.ID, Err: err}
}

func (r *observing) forget(kind policy.Kind, id string) {
	r.o.Known[kind] = slices.DeleteFunc(r.o.Known[kind], func(o restore.Object) bool { return o.ID == id })
}

// list reads ids and names of all policies of a type, unless that was done before.
func (r *observing) list(ctx context.Context, kind policy.Kind, t *policy.Type) error {
	if r.o.Known[kind] != nil {
		return nil
	}
	objects, err := r.objects(ctx, t.ListPath(), t.Name)
	if err == nil {
		r.o.Known[kind] = objects
	}
	return err
}

// objects reads ids and names of a list. The list is never nil.
func (r *observing) objects(ctx context.Context, path, name string) ([]restore.Object, error) {
	all := []restore.Object{}
	for page, err := range provider.Walk(ctx, r.env.Provider, path) {
		if err != nil {
			return nil, err
		}
		for _, raw := range page.Items {
			if o := objectOf(raw, "id", name); o.ID != "" {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// objectOf reads id and name of an object; an empty id if it has none.
func objectOf(raw json.RawMessage, id, name string) restore.Object {
	var o map[string]json.RawMessage
	_ = json.Unmarshal(raw, &o) // what is no object has no id
	text := func(key string) (s string) {
		_ = json.Unmarshal(o[key], &s) // what is no text counts as missing
		return s
	}
	return restore.Object{ID: text(id), Name: text(name)}
}

// references are the kinds that the chosen policies refer to, with the ids to look for:
// those of the policies and of the mapped objects.
func (r *observing) references() map[policy.Kind]map[string]bool {
	kinds := make(map[policy.Kind]map[string]bool)
	for _, item := range r.chosen {
		for _, ref := range item.Policy.References() {
			if policy.Everywhere(ref.Kind, ref.ID) {
				continue
			}
			if kinds[ref.Kind] == nil {
				kinds[ref.Kind] = make(map[string]bool)
			}
			if !r.crosses || ref.Kind.Global() || !looksLikeID(ref.ID) {
				kinds[ref.Kind][ref.ID] = true
			}
			if target := r.mappings[restore.Need{Kind: ref.Kind, Source: ref.ID}]; target != "" {
				kinds[ref.Kind][target] = true
			}
		}
	}
	return kinds
}

func looksLikeID(s string) bool { return uuidForm.MatchString(strings.ToLower(s)) }

// A lookup is where objects of a kind are found by their ids. docs: v1.0.
type lookup struct {
	words  string
	list   string // path of the whole list, for kinds with few objects; else
	one    string // path of one object, up to its id
	after  string // the rest of that path
	id     string // property that is the id; empty: "id"
	byName string // path that finds objects by name, up to the name
	needs  Permission
}

var lookups = map[policy.Kind]lookup{
	policy.Groups: {
		words: "groups", one: "/v1.0/groups/", after: "?$select=id,displayName", byName: "/v1.0/groups?$select=id,displayName&$filter=displayName eq ",
		needs: directoryGroups.permission,
	},
	policy.Users:             {words: "users", one: "/v1.0/users/", after: "?$select=id,displayName", needs: userRead},
	policy.DirectoryRoles:    {words: "directory roles", list: "/v1.0/directoryRoleTemplates", needs: directoryRoleRead},
	policy.Applications:      {words: "applications", one: "/v1.0/servicePrincipals(appId='", after: "')?$select=id,appId,displayName", id: "appId", needs: applicationRead},
	policy.ServicePrincipals: {words: "service principals", one: "/v1.0/servicePrincipals/", after: "?$select=id,displayName", needs: applicationRead},
	policy.TermsOfUse:        {words: "terms of use", list: "/v1.0/identityGovernance/termsOfUse/agreements", needs: termsOfUseRead},
	policy.MobileApps:        {words: "apps", one: "/v1.0/deviceAppManagement/mobileApps/", after: "?$select=id,displayName", needs: apps.permission},
}

// What a preview reads beside policies: the objects that policies of conditional access
// name. Without one of these permissions the policies that name such objects can't be
// restored, and the preview says which permission is missing. docs: the permissions of
// each call, as of September 2026.
var (
	userRead          = Permission{For: "find the users that policies name", AnyOf: []string{"User.ReadBasic.All", "User.Read.All", "Directory.Read.All"}}
	directoryRoleRead = Permission{For: "find directory roles and administrators", AnyOf: []string{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All"}}
	applicationRead   = Permission{For: "find the applications that policies name", AnyOf: []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"}}
	termsOfUseRead    = Permission{For: "find the terms of use that policies name", AnyOf: []string{"Agreement.Read.All", "Agreement.ReadWrite.All"}}
)

// neededFor is what reading objects of a kind needs.
func neededFor(kind policy.Kind) Permission {
	if a := areaOf(string(kind)); a != nil {
		return a.permission
	}
	return lookups[kind].needs
}

// look reads which of the ids of a kind exist in the tenant.
func (r *observing) look(ctx context.Context, kind policy.Kind, ids map[string]bool) (err error) {
	if t := policy.Lookup(string(kind)); t != nil {
		return r.list(ctx, kind, t)
	}
	l := lookups[kind]
	if l.list != "" {
		r.o.Known[kind], err = r.objects(ctx, l.list, "displayName")
		return err
	}
	var paths []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		switch {
		case looksLikeID(id):
			paths = append(paths, l.one+url.PathEscape(id)+l.after)
		case l.byName != "": // observed: some export tools write names instead of ids
			quoted := "'" + strings.ReplaceAll(id, "'", "''") + "'"
			paths = append(paths, strings.ReplaceAll(l.byName, " ", "%20")+url.QueryEscape(quoted))
		}
	}
	found := []restore.Object{}
	if len(paths) > 0 {
		results, err := r.env.Provider.Batch(ctx, paths)
		if err != nil {
			return err
		}
		for _, result := range results {
			some, err := l.read(result)
			if err != nil {
				return err
			}
			found = append(found, some...)
		}
	}
	r.o.Known[kind] = found
	return nil
}

// read returns the objects of a result; none when the object does not exist.
func (l lookup) read(result provider.Result) ([]restore.Object, error) {
	var pe *provider.Error
	if errors.As(result.Err, &pe) && pe.Status == http.StatusNotFound {
		return nil, nil
	}
	if result.Err != nil {
		return nil, result.Err
	}
	id := "id"
	if l.id != "" {
		id = l.id
	}
	raws := []json.RawMessage{result.Body}
	if l.byName != "" && strings.HasPrefix(result.Path, "/v1.0/groups?") {
		page, err := result.Page()
		if err != nil {
			return nil, err
		}
		raws = page.Items
	}
	var found []restore.Object
	for _, raw := range raws {
		if o := objectOf(raw, id, "displayName"); o.ID != "" {
			found = append(found, o)
		}
	}
	return found, nil
}

// administrators reads the roles of the directory and who has them. docs: directoryRoles
// lists the roles that somebody has; roleTemplateId is the id that policies name.
func (r *observing) administrators(ctx context.Context) error {
	ids := make(map[string]bool)
	for page, err := range provider.Walk(ctx, r.env.Provider, "/v1.0/directoryRoles?$expand=members") {
		if err != nil {
			return err
		}
		for _, raw := range page.Items {
			var role struct {
				Template string `json:"roleTemplateId"`
				Members  []struct{ ID string }
			}
			if err := json.Unmarshal(raw, &role); err != nil {
				return &provider.Error{Reason: op.ProviderFault, Note: "a directory role can't be read"}
			}
			ids[role.Template] = true
			for _, m := range role.Members {
				ids[m.ID] = true
			}
		}
	}
	delete(ids, "")
	r.o.Administrators = slices.Sorted(maps.Keys(ids))
	return nil
}

// approval reads which types Microsoft's multi admin approval covers. docs: the value
// names an area of Intune; device actions are no policies. An area that this version does
// not know counts for every type of Intune.
func (r *observing) approval(ctx context.Context, types []string) error {
	for page, err := range provider.Walk(ctx, r.env.Provider, "/beta/deviceManagement/operationApprovalPolicies") {
		if err != nil {
			return err
		}
		for _, raw := range page.Items {
			area := objectOf(raw, "policyType", "displayName").ID
			for _, key := range types {
				if covers(area, key) && !slices.Contains(r.o.Approval, key) {
					r.o.Approval = append(r.o.Approval, key)
				}
			}
		}
	}
	slices.Sort(r.o.Approval)
	return nil
}

func covers(area, key string) bool {
	if strings.HasPrefix(area, "device") || areaOf(key) == conditionalAccess {
		return false
	}
	switch area {
	case "app":
		return areaOf(key) == apps
	case "script":
		return areaOf(key) == scripts
	case "role":
		return areaOf(key) == intuneRoles
	case "compliancePolicy":
		return strings.Contains(strings.ToLower(key), "compliance")
	}
	return true
}

// deleted reads what the service keeps of deleted policies of a type.
func (r *observing) deleted(ctx context.Context, t *policy.Type) error {
	for page, err := range provider.Walk(ctx, r.env.Provider, "/"+t.Deleted.Version+"/"+t.Deleted.Path) {
		if err != nil {
			return err
		}
		for _, raw := range page.Items {
			o := objectOf(raw, "id", t.Name)
			if o.ID != "" {
				r.o.Deleted = append(r.o.Deleted, restore.Deleted{Type: t.Key, ID: o.ID, Name: o.Name, State: objectOf(raw, "id", "state").Name})
			}
		}
	}
	return nil
}
