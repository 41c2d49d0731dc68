package graphsim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// world is what a tenant holds besides its identity: groups with their change log, and
// the shelves of its collections.
type world struct {
	origin  string // names the state at sequence zero; the same in every process
	log     string // names this change log; new in every process and after every reset
	groups  []*group
	byID    map[string]*group
	foreign []foreign
	changes []change
	shelves map[string]*shelf // by lower-case collection path
}

// touch builds the world on first use.
func (t *tenant) touch() {
	t.mu.RLock()
	built := t.world != nil
	t.mu.RUnlock()
	if built {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.world == nil {
		t.world = t.newWorld()
	}
}

// amount reads a count of a spec: 0 is the default, negative is none.
func amount(n, standard int) int { return max(0, cmp.Or(n, standard)) }

func (t *tenant) newWorld() *world {
	sizes, _ := json.Marshal([]any{t.id, t.srv.cfg.Seed, t.srv.seeds.digest, t.spec.Groups}) // plain values can't fail
	sum := sha256.Sum256(sizes)
	w := &world{
		origin:  hex.EncodeToString(sum[:8]),
		log:     t.srv.boot + uuid.NewString()[:8],
		shelves: map[string]*shelf{},
	}
	w.groups = t.srv.seeds.groups(t, amount(t.spec.Groups, defaultGroups))
	w.byID = make(map[string]*group, len(w.groups))
	for _, g := range w.groups {
		w.byID[g.id] = g
	}
	policies := t.srv.seeds.policies(t.spec.Policies)
	for _, col := range collectionList {
		key := strings.ToLower(col.path)
		sh := &shelf{}
		switch col.path {
		case "deviceManagement/managedDevices":
			sh.build = func() []*item { return t.devices(amount(t.spec.Devices, defaultDevices)) }
		case "deviceAppManagement/mobileApps":
			sh.build = func() []*item { return t.items(col, t.srv.seeds.apps(amount(t.spec.MobileApps, defaultMobileApps))) }
		default:
			sh.build = func() []*item { return t.items(col, policies[key]) }
		}
		w.shelves[key] = sh
	}
	return w
}

// items gives every seed an id of this tenant, in the shape that the collection uses.
func (t *tenant) items(col *collection, seeds []*seed) []*item {
	out := make([]*item, 0, len(seeds))
	for _, sd := range seeds {
		out = append(out, &item{id: t.itemID(col, sd), seed: sd})
	}
	return out
}

// itemID keeps what is not a GUID about an id: T_ and A_ before it, a suffix behind it, and the
// ids that are the same in every tenant (all recorded).
func (t *tenant) itemID(col *collection, sd *seed) string {
	id := t.derive(col.path, sd.name)
	loaded := sd.body.text("id")
	switch {
	case loaded != "" && (strings.HasSuffix(col.path, "roleScopeTags") || string(sd.body.get("isBuiltIn")) == "true"):
		return loaded
	case strings.HasSuffix(col.path, "roleScopeTags"): // they are numbered
		number := uuid.MustParse(id).ID()%1_000_000 + 1
		return strconv.FormatUint(uint64(number), 10)
	case strings.Contains(col.path, "ManagedAppProtections"):
		return "T_" + id
	case strings.Contains(col.path, "targetedManagedAppConfigurations"):
		return "A_" + id
	}
	if at := strings.IndexByte(loaded, '_'); at == 36 {
		return id + loaded[at:]
	}
	return id
}
