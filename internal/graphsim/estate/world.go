package estate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// world holds the groups of a tenant, their change log, and the items of its collections.
type world struct {
	origin  string // identifies the state at sequence zero; the same in every process
	log     string // identifies this change log; new in every process and after every reset
	Groups  []*Group
	ByID    map[string]*Group
	foreign []foreign
	Changes []change
	shelves map[string]*shelf // by lower-case collection path
	writes  map[string]Writes // by collection path
}

// Touch builds groups and collections on first use.
func (t *Tenant) Touch() {
	t.RLock()
	built := t.World != nil
	t.RUnlock()
	if built {
		return
	}
	t.Lock()
	defer t.Unlock()
	if t.World == nil {
		t.World = t.newWorld()
	}
}

// amount returns the number for a count of a spec: 0 is the default, negative is none.
func amount(n, standard int) int { return max(0, cmp.Or(n, standard)) }

func (t *Tenant) newWorld() *world {
	sizes, _ := json.Marshal([]any{t.ID, t.estate.seeds.seed, t.estate.seeds.digest, t.Spec.Groups}) // plain values can't fail
	sum := sha256.Sum256(sizes)
	w := &world{
		origin:  hex.EncodeToString(sum[:8]),
		log:     t.estate.boot + uuid.NewString()[:8],
		shelves: map[string]*shelf{},
		writes:  map[string]Writes{},
	}
	w.Groups = t.estate.seeds.groups(t, amount(t.Spec.Groups, defaultGroups))
	w.ByID = make(map[string]*Group, len(w.Groups))
	for _, g := range w.Groups {
		w.ByID[g.ID] = g
	}
	policies := t.estate.seeds.policies(t.Spec.Policies)
	for _, col := range CollectionList {
		key := strings.ToLower(col.Path)
		sh := &shelf{}
		switch col.Path {
		case "deviceManagement/managedDevices":
			sh.build = func() []*Item { return t.devices(amount(t.Spec.Devices, defaultDevices)) }
		case "deviceAppManagement/mobileApps":
			sh.build = func() []*Item { return t.items(col, t.estate.seeds.apps(amount(t.Spec.MobileApps, defaultMobileApps))) }
		case "deviceManagement/roleAssignments":
			groups := w.Groups
			sh.build = func() []*Item { return append(t.roleAssignments(col, groups), t.items(col, policies[key])...) }
		case "identity/conditionalAccess/policies":
			groups := w.Groups
			sh.build = func() []*Item { return t.conditionalAccess(col, policies[key], groups) }
		default:
			sh.build = func() []*Item { return t.items(col, policies[key]) }
		}
		w.shelves[key] = sh
	}
	return w
}

// items returns the seeds as items with ids of this tenant.
func (t *Tenant) items(col *Collection, seeds []*seed) []*Item {
	out := make([]*Item, 0, len(seeds))
	for _, sd := range seeds {
		out = append(out, &Item{ID: t.itemID(col, sd), seed: sd})
	}
	return out
}

// itemID returns the id of a seed in this tenant. It keeps prefixes (T_, A_), suffixes, and the ids
// that are the same in every tenant (all recorded).
func (t *Tenant) itemID(col *Collection, sd *seed) string {
	id := t.Derive(col.Path, sd.name)
	loaded := sd.Body.Text("id")
	switch {
	case loaded != "" && keepsID(col, sd):
		return loaded
	case strings.HasSuffix(col.Path, "roleScopeTags"): // numbers
		number := uuid.MustParse(id).ID()%1_000_000 + 1
		return strconv.FormatUint(uint64(number), 10)
	case strings.Contains(col.Path, "ManagedAppProtections"):
		return "T_" + id
	case strings.Contains(col.Path, "targetedManagedAppConfigurations"):
		return "A_" + id
	}
	if at := strings.IndexByte(loaded, '_'); at == 36 {
		return id + loaded[at:]
	}
	return id
}

// keepsID reports whether a seed has the same id in every tenant.
func keepsID(col *Collection, sd *seed) bool {
	switch {
	case sd.keep, string(sd.Body.Get("isBuiltIn")) == "true", sd.Body.Text("policyType") == "builtIn":
		return true
	}
	return slices.ContainsFunc([]string{
		"roleScopeTags", "authenticationContextClassReferences", "deviceManagement/templates", "configurationPolicyTemplates", "groupPolicyDefinitions",
	}, func(suffix string) bool { return strings.HasSuffix(col.Path, suffix) })
}
