package graphsim

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// group is a directory group. Membership of a generated group is a formula until it is
// changed, so that thousands of groups cost little.
type group struct {
	ord         int // place in the tenant; ids and membership derive from it
	id          string
	displayName string
	description string
	rule        string // of a dynamic group
	unified     bool   // a Microsoft 365 group, with a mailbox
	devices     bool   // members are devices
	created     time.Time
	deleted     time.Time // zero while it lives
	purged      bool
	generated   int      // how many generated members it has while members is nil
	members     []member // explicit membership, once changed
}

// member points at a user or device of the tenant by number, or at an entry of world.foreign.
type member uint32

const (
	deviceMember  member = 1 << 30
	foreignMember member = 1 << 31
	memberIndex          = deviceMember - 1
)

// foreign is a member that was added by id.
type foreign struct{ id, kind string }

// userCount is the number of generated users: a prime, so that a stride through them meets
// nobody twice, and more than the largest generated group has members.
const userCount = 2503

func (g *group) alive() bool { return g.deleted.IsZero() && !g.purged }

// memberCount is the number of members, without listing them.
func (g *group) memberCount() int {
	if g.members != nil {
		return len(g.members)
	}
	return g.generated
}

// memberAt returns the i-th member.
func (g *group) memberAt(i int) member {
	if g.members != nil {
		return g.members[i]
	}
	m := member((g.ord*97 + i*(g.ord%41+1)) % userCount)
	if g.devices {
		m |= deviceMember
	}
	return m
}

// explicit turns generated membership into a list that can be changed.
func (g *group) explicit() {
	if g.members != nil {
		return
	}
	list := make([]member, g.generated)
	for i := range list {
		list[i] = g.memberAt(i)
	}
	g.members = list
}

// memberID and memberKind resolve a member. The caller holds the tenant's lock.
func (t *tenant) memberID(m member) string {
	switch {
	case m&foreignMember != 0:
		return t.world.foreign[m&memberIndex].id
	case m&deviceMember != 0:
		return t.fastID('d', uint32(m&memberIndex))
	}
	return t.fastID('u', uint32(m))
}

func (t *tenant) memberKind(m member) string {
	switch {
	case m&foreignMember != 0:
		return t.world.foreign[m&memberIndex].kind
	case m&deviceMember != 0:
		return "device"
	}
	return "user"
}

// fastID derives the id of a numbered user or device without hashing: a delta round
// names tens of thousands of them.
func (t *tenant) fastID(kind byte, n uint32) string {
	b := t.ns
	x := (uint64(n)+1)*0x9E3779B97F4A7C15 ^ uint64(kind)*0xC2B2AE3D27D4EB4F
	binary.BigEndian.PutUint64(b[0:8], binary.BigEndian.Uint64(b[0:8])^x)
	binary.BigEndian.PutUint32(b[10:14], binary.BigEndian.Uint32(b[10:14])^n*2654435761)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return b.String()
}

// groupObject shows a group with the default properties of the service. Generated
// domains differ by tenant, so mail does too.
func (t *tenant) groupObject(g *group) object {
	null, none := rawJSON(nil), rawJSON([]string{})
	kinds := []string{}
	mail, nick, visibility, proxies := null, fmt.Sprintf("g%06d", g.ord), null, none
	if g.unified {
		kinds = append(kinds, "Unified")
		mail, visibility = rawJSON(nick+"@"+t.domain), rawJSON("Private")
		proxies = rawJSON([]string{"SMTP:" + nick + "@" + t.domain})
	}
	rule, processing := null, null
	if g.rule != "" {
		kinds = append(kinds, "DynamicMembership")
		rule, processing = rawJSON(g.rule), rawJSON("On")
	}
	description := null
	if g.description != "" {
		description = rawJSON(g.description)
	}
	deleted := null
	if !g.deleted.IsZero() {
		deleted = rawJSON(stamp(g.deleted))
	}
	return object{
		{"id", rawJSON(g.id)},
		{"deletedDateTime", deleted},
		{"classification", null},
		{"createdDateTime", rawJSON(stamp(g.created))},
		{"description", description},
		{"displayName", rawJSON(g.displayName)},
		{"expirationDateTime", null},
		{"groupTypes", rawJSON(kinds)},
		{"isAssignableToRole", null},
		{"mail", mail},
		{"mailEnabled", rawJSON(g.unified)},
		{"mailNickname", rawJSON(nick)},
		{"membershipRule", rule},
		{"membershipRuleProcessingState", processing},
		{"onPremisesLastSyncDateTime", null},
		{"onPremisesSecurityIdentifier", null},
		{"onPremisesSyncEnabled", null},
		{"preferredDataLocation", null},
		{"preferredLanguage", null},
		{"proxyAddresses", proxies},
		{"renewedDateTime", rawJSON(stamp(g.created))},
		{"resourceBehaviorOptions", none},
		{"resourceProvisioningOptions", none},
		{"securityEnabled", rawJSON(!g.unified)},
		{"securityIdentifier", rawJSON(fmt.Sprintf("S-1-12-1-%d-%d-%d-%d", 1000000+g.ord, len(t.domain), g.ord*7919, g.ord+1))},
		{"theme", null},
		{"visibility", visibility},
		{"onPremisesProvisioningErrors", none},
	}
}

const (
	directoryPage    = 100
	directoryPageMax = 999
)

// groups answers /groups and everything below it.
func (s *Server) groups(c *call, rest []string, q *query) *reply {
	switch {
	case len(rest) == 0:
		return s.listGroups(c, q)
	case len(rest) == 1 && strings.EqualFold(rest[0], "delta"):
		return s.groupsDelta(c, q)
	}
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	g := t.world.byID[strings.ToLower(rest[0])]
	if g == nil || !g.alive() {
		return c.directoryNotFound(rest[0])
	}
	if len(rest) == 1 {
		o := t.groupObject(g)
		if name := unknownSelect(o, q.sel, "members"); name != "" {
			return c.queryError(unknownGroupProperty(name))
		}
		o, err := c.expandMembers(pickFields(o, q.sel), g, q)
		if err != nil {
			return c.queryError(err)
		}
		return c.entity(append(object{{"@odata.context", rawJSON(c.context("groups", q) + "/$entity")}}, o...))
	}
	switch nav := strings.ToLower(rest[1]); {
	case nav != "members" && nav != "transitivemembers":
		return c.noSegment(rest[1])
	case len(rest) == 2:
		return s.listMembers(c, g, "", q)
	case len(rest) == 3:
		return s.listMembers(c, g, strings.ToLower(rest[2]), q)
	}
	return c.noSegment(rest[3])
}

func unknownGroupProperty(name string) error {
	return badQuery("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.group'.", name)
}

// directoryPaging reads $top and the $skiptoken of a directory list.
func (c *call) directoryPaging(q *query, path string) (pos, size int, re *reply) {
	size = directoryPage
	if q.top > directoryPageMax {
		return 0, 0, c.graphError(http.StatusBadRequest, "Request_BadRequest",
			fmt.Sprintf("Invalid page size specified: '%d'. Must be between 1 and %d inclusive.", q.top, directoryPageMax))
	}
	if q.top > 0 {
		size = q.top
	}
	if q.skip > 0 {
		return 0, 0, c.graphError(http.StatusBadRequest, "Request_BadRequest", "'$skip' is not supported by the service.")
	}
	if q.skipToken != "" {
		cur, err := c.open(q.skipToken, "skip", path)
		if err != nil {
			return 0, 0, c.graphError(http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request.")
		}
		pos = cur.Pos
	}
	return pos, size, nil
}

// directoryList is a page of a directory collection.
func (c *call) directoryList(context, path string, q *query, total, pos, size int, show func(i int) (object, error)) *reply {
	pos = min(pos, total)
	end := min(pos+size, total)
	if c.empty {
		end = pos
	}
	page := make([]object, 0, end-pos)
	for i := pos; i < end; i++ {
		o, err := show(i)
		if err != nil {
			return c.queryError(err)
		}
		page = append(page, o)
	}
	out := object{{"@odata.context", rawJSON(context)}}
	if q.count {
		out = append(out, field{"@odata.count", rawJSON(total)})
	}
	if end < total || c.empty {
		next := c.link(q.options(), "$skiptoken", c.seal(cursor{Kind: "skip", Path: path, Pos: end}))
		out = append(out, field{"@odata.nextLink", rawJSON(next)})
	}
	return c.entity(append(out, field{"value", rawJSON(page)}))
}

func (s *Server) listGroups(c *call, q *query) *reply {
	pos, size, re := c.directoryPaging(q, "groups")
	if re != nil {
		return re
	}
	eventual := strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual")
	if q.filter != nil && q.filter.advanced && !(eventual && q.count) || len(q.orderBy) > 0 && q.filter != nil && !eventual {
		return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for property of resource 'Group'.")
	}
	q.count = q.count && eventual
	t := c.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	found := make([]*group, 0, len(t.world.groups))
	for _, g := range t.world.groups {
		if g.alive() && (q.filter == nil || q.filter.matches(t.groupObject(g))) {
			found = append(found, g)
		}
	}
	for _, o := range slices.Backward(q.orderBy) {
		if o.path != "displayName" {
			return c.graphError(http.StatusBadRequest, "Request_UnsupportedQuery", "Sorting not supported for current query.")
		}
		slices.SortStableFunc(found, func(a, b *group) int {
			n := strings.Compare(strings.ToLower(a.displayName), strings.ToLower(b.displayName))
			if o.desc {
				n = -n
			}
			return n
		})
	}
	if name := unknownSelect(t.groupObject(&group{}), q.sel, "members"); name != "" {
		return c.queryError(unknownGroupProperty(name))
	}
	return c.directoryList(c.context("groups", q), "groups", q, len(found), pos, size, func(i int) (object, error) {
		return c.expandMembers(pickFields(t.groupObject(found[i]), q.sel), found[i], q)
	})
}

// expandedMembers is how many members $expand shows at most (docs: 20).
const expandedMembers = 20

func (c *call) expandMembers(o object, g *group, q *query) (object, error) {
	for _, e := range q.expand {
		if e.name != "members" {
			return nil, unknownGroupProperty(e.name)
		}
		list := []object{}
		for i := range min(g.memberCount(), expandedMembers) {
			list = append(list, c.tenant.memberObject(g.memberAt(i)))
		}
		o = append(o, field{"members", rawJSON(list)})
	}
	return o, nil
}

func (s *Server) listMembers(c *call, g *group, kind string, q *query) *reply {
	path := "groups/" + g.id + "/members/" + kind
	pos, size, re := c.directoryPaging(q, path)
	if re != nil {
		return re
	}
	t := c.tenant // locked by groups
	total, at := g.memberCount(), g.memberAt
	if kind != "" {
		var some []member
		for i := range total {
			if m := at(i); strings.EqualFold(t.memberKind(m), kind) {
				some = append(some, m)
			}
		}
		total, at = len(some), func(i int) member { return some[i] }
	}
	q.count = q.count && strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual")
	context := c.base + "/" + c.version() + "/$metadata#directoryObjects"
	return c.directoryList(context, path, q, total, pos, size, func(i int) (object, error) {
		return pickFields(t.memberObject(at(i)), q.sel), nil
	})
}

// memberObject shows a member in a list of directory objects.
func (t *tenant) memberObject(m member) object {
	id, kind := t.memberID(m), t.memberKind(m)
	o := object{{"@odata.type", rawJSON("#microsoft.graph." + kind)}, {"id", rawJSON(id)}}
	switch {
	case m&foreignMember != 0:
		return append(o, field{"displayName", rawJSON(kind + " " + id[:8])})
	case kind == "device":
		n := int(m & memberIndex)
		return append(o, field{"displayName", rawJSON(deviceName(n))}, field{"accountEnabled", rawJSON(true)}, field{"operatingSystem", rawJSON(deviceModels[n%len(deviceModels)].os)})
	}
	given, family := personName(int(m))
	return append(o,
		field{"businessPhones", rawJSON([]string{})}, field{"displayName", rawJSON(given + " " + family)},
		field{"givenName", rawJSON(given)}, field{"jobTitle", rawJSON(nil)}, field{"mail", rawJSON(t.userName(int(m)))},
		field{"mobilePhone", rawJSON(nil)}, field{"officeLocation", rawJSON(nil)}, field{"preferredLanguage", rawJSON(nil)},
		field{"surname", rawJSON(family)}, field{"userPrincipalName", rawJSON(t.userName(int(m)))})
}
