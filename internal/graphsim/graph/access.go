package graph

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Conditional access writes its error code into the text (observed: 1001, 1007, 1054). The other
// codes and texts are assumed.

// checkAccess judges a conditional access policy.
func checkAccess(w *write) error {
	if w.item == nil {
		for _, name := range []string{"displayName", "state", "conditions"} {
			if empty(w.tree[name]) {
				return bad("1007: The policy needs the property '%s'.", name)
			}
		}
	}
	if w.next.Body.Value("sessionControls/disableResilienceDefaults") == false { // observed: refused
		return bad("1007: The value 'false' of disableResilienceDefaults is not supported.")
	}
	users := []string{"conditions", "users"}
	for _, name := range []string{"includeGroups", "excludeGroups"} {
		for _, id := range w.ids(append(users, name)...) {
			if !w.t.HasGroup(id) {
				return bad("1054: Invalid group value: %s.", id)
			}
		}
	}
	for _, name := range []string{"includeUsers", "excludeUsers"} {
		for _, id := range w.ids(append(users, name)...) {
			if _, err := uuid.Parse(id); err != nil && !slices.Contains([]string{"All", "None", "GuestsOrExternalUsers"}, id) {
				return bad("1053: Invalid user value: %s.", id)
			}
		}
	}
	for _, name := range []string{"includeLocations", "excludeLocations"} {
		for _, id := range w.ids("conditions", "locations", name) {
			if !slices.Contains([]string{"All", "AllTrusted", noFilter}, id) && !w.t.Has("identity/conditionalAccess/namedLocations", id) {
				return bad("1040: NetworkNamedLocation with id %s does not exist in the directory.", id)
			}
		}
	}
	strength, _ := w.next.Body.Value("grantControls/authenticationStrength/id").(string)
	if strength != "" && !builtInStrength(strength) && !w.t.Has("identity/conditionalAccess/authenticationStrength/policies", strength) {
		return bad("1078: The authentication strength %s does not exist.", strength)
	}
	return nil
}

// builtInStrength reports whether an authentication strength exists in every tenant (docs:
// multifactor, passwordless, phishing-resistant).
func builtInStrength(id string) bool {
	return strings.HasPrefix(id, "00000000-0000-0000-0000-00000000000") && len(id) == 36 && strings.ContainsAny(id[35:], "234")
}

// checkLocation judges a named location. observed (Microsoft365DSC#3658): a country location needs
// countryLookupMethod, and only an IP location takes isTrusted.
func checkLocation(w *write) error {
	kind := strings.TrimPrefix(w.next.Body.Text("@odata.type"), "#microsoft.graph.")
	if w.item == nil && empty(w.tree["displayName"]) {
		return bad("1007: The location needs the property 'displayName'.")
	}
	switch kind {
	case "countryNamedLocation":
		if w.tree["isTrusted"] != nil {
			return bad("1007: The property 'isTrusted' is supported for IP locations only.")
		}
		if w.next.Body.Text("countryLookupMethod") == "" {
			return bad("1007: The location needs the property 'countryLookupMethod'.")
		}
		if empty(w.next.Body.Value("countriesAndRegions")) {
			return bad("1007: The location needs the property 'countriesAndRegions'.")
		}
	case "ipNamedLocation":
		ranges, _ := w.next.Body.Value("ipRanges").([]any)
		if len(ranges) == 0 {
			return bad("1007: The location needs the property 'ipRanges'.")
		}
		for _, r := range ranges {
			o, _ := r.(map[string]any)
			cidr, ok := o["cidrAddress"].(string)
			if _, err := netip.ParsePrefix(cidr); ok && err != nil {
				return bad("1007: Invalid IP range: %s.", cidr)
			}
		}
	}
	return nil
}

// keptFor is how long deleted policies and locations can be restored (docs).
const keptFor = 30 * 24 * time.Hour

// bins holds the collections of deleted items, each with the collection that they come from.
var bins = func() map[string]string {
	out := map[string]string{}
	for path, how := range writable {
		if how.bin != "" {
			out[how.bin] = path
		}
	}
	return out
}()

// throwAway keeps the item with the deleted ones.
func (w *write) throwAway() {
	bin := estate.Collections[strings.ToLower(w.how.bin)]
	d := w.t.Edit(w.col, w.item)
	d.Body = d.Body.With("deletedDateTime", estate.Stamp(w.c.At))
	w.t.Adopt(bin, d)
}

// bin serves POST {deletedItems}/{id}/restore and DELETE {deletedItems}/{id} (docs).
func (s *Service) bin(c *wire.Call, bin *estate.Collection, path []string) *wire.Reply {
	restore := len(path) == 2 && strings.EqualFold(path[1], "restore")
	method := http.MethodDelete
	if restore {
		method = http.MethodPost
	}
	if re := open(c, method); re != nil {
		return re
	}
	home := estate.Collections[strings.ToLower(bins[bin.Path])]
	w := &write{c: c, t: c.Tenant, col: home, how: writable[home.Path]}
	if re := w.authorize(); re != nil {
		return re
	}
	if !restore && len(path) != 1 {
		return c.NoSegment(path[len(path)-1])
	}
	w.t.Touch()
	w.t.Lock()
	defer w.t.Unlock()
	it := w.t.Latest(bin, path[0])
	if it == nil {
		return c.DirectoryNotFound(path[0])
	}
	if at, err := time.Parse(time.RFC3339, it.Body.Text("deletedDateTime")); err == nil && c.At.Sub(at) > keptFor {
		return c.DirectoryNotFound(path[0])
	}
	d := w.t.Edit(bin, it)
	d.Body = d.Body.Without(func(n string) bool { return n == "deletedDateTime" })
	w.next, w.id = d, d.ID
	if !c.Discard {
		w.t.Remove(bin, it, time.Time{})
		if restore {
			w.t.Adopt(home, d)
			w.t.Count(home, estate.Writes{Updated: 1})
		}
	}
	if !restore {
		return nothing(http.StatusNoContent)
	}
	re, err := w.entity(http.StatusOK)
	if err != nil {
		return c.QueryError(err)
	}
	return re
}
