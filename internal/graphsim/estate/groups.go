package estate

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// Group is a directory group. The members of a generated group are computed until they are
// changed, so that thousands of groups cost little.
type Group struct {
	ord         int // position in the tenant; id and members derive from it
	ID          string
	DisplayName string
	description string
	rule        string // of a dynamic group
	unified     bool   // a Microsoft 365 group with a mailbox
	devices     bool   // members are devices
	created     time.Time
	deleted     time.Time // zero while it exists
	purged      bool
	generated   int         // number of computed members while members is nil
	members     []MemberRef // explicit members, after a change
}

// MemberRef refers to a user or device of the tenant by number, or to an entry of world.foreign.
type MemberRef uint32

const (
	deviceMember  MemberRef = 1 << 30
	foreignMember MemberRef = 1 << 31
	memberIndex             = deviceMember - 1
)

// foreign is a member that was added by its id.
type foreign struct{ id, kind string }

// UserCount is the number of generated users. It is a prime, so that a stride through them meets
// nobody twice, and is larger than the largest generated group.
const UserCount = 2503

// Alive reports whether the group is neither deleted nor purged.
func (g *Group) Alive() bool { return g.deleted.IsZero() && !g.purged }

// MemberCount returns the number of members without listing them.
func (g *Group) MemberCount() int {
	if g.members != nil {
		return len(g.members)
	}
	return g.generated
}

// MemberAt returns member i.
func (g *Group) MemberAt(i int) MemberRef {
	if g.members != nil {
		return g.members[i]
	}
	m := MemberRef((g.ord*97 + i*(g.ord%41+1)) % UserCount)
	if g.devices {
		m |= deviceMember
	}
	return m
}

// explicit turns computed members into a list that can be changed.
func (g *Group) explicit() {
	if g.members != nil {
		return
	}
	list := make([]MemberRef, g.generated)
	for i := range list {
		list[i] = g.MemberAt(i)
	}
	g.members = list
}

// MemberID returns the id of a member. The caller holds the tenant's lock.
func (t *Tenant) MemberID(m MemberRef) string {
	switch {
	case m&foreignMember != 0:
		return t.World.foreign[m&memberIndex].id
	case m&deviceMember != 0:
		return t.fastID('d', uint32(m&memberIndex))
	}
	return t.fastID('u', uint32(m))
}

// MemberKind returns user, device or group. The caller holds the tenant's lock.
func (t *Tenant) MemberKind(m MemberRef) string {
	switch {
	case m&foreignMember != 0:
		return t.World.foreign[m&memberIndex].kind
	case m&deviceMember != 0:
		return "device"
	}
	return "user"
}

// fastID derives the id of a numbered user or device without hashing: a delta round holds
// tens of thousands of them.
func (t *Tenant) fastID(kind byte, n uint32) string {
	b := t.ns
	x := (uint64(n)+1)*0x9E3779B97F4A7C15 ^ uint64(kind)*0xC2B2AE3D27D4EB4F
	binary.BigEndian.PutUint64(b[0:8], binary.BigEndian.Uint64(b[0:8])^x)
	binary.BigEndian.PutUint32(b[10:14], binary.BigEndian.Uint32(b[10:14])^n*2654435761)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return b.String()
}

// GroupObject returns a group with the default properties of the service.
func (t *Tenant) GroupObject(g *Group) odata.Object {
	null, none := odata.Raw(nil), odata.Raw([]string{})
	kinds := []string{}
	mail, nick, visibility, proxies := null, fmt.Sprintf("g%06d", g.ord), null, none
	if g.unified {
		kinds = append(kinds, "Unified")
		mail, visibility = odata.Raw(nick+"@"+t.Domain), odata.Raw("Private")
		proxies = odata.Raw([]string{"SMTP:" + nick + "@" + t.Domain})
	}
	rule, processing := null, null
	if g.rule != "" {
		kinds = append(kinds, "DynamicMembership")
		rule, processing = odata.Raw(g.rule), odata.Raw("On")
	}
	description := null
	if g.description != "" {
		description = odata.Raw(g.description)
	}
	deleted := null
	if !g.deleted.IsZero() {
		deleted = odata.Raw(Stamp(g.deleted))
	}
	return odata.Object{
		odata.F("id", g.ID),
		odata.F("deletedDateTime", deleted),
		odata.F("classification", null),
		odata.F("createdDateTime", Stamp(g.created)),
		odata.F("description", description),
		odata.F("displayName", g.DisplayName),
		odata.F("expirationDateTime", null),
		odata.F("groupTypes", kinds),
		odata.F("isAssignableToRole", null),
		odata.F("mail", mail),
		odata.F("mailEnabled", g.unified),
		odata.F("mailNickname", nick),
		odata.F("membershipRule", rule),
		odata.F("membershipRuleProcessingState", processing),
		odata.F("onPremisesLastSyncDateTime", null),
		odata.F("onPremisesSecurityIdentifier", null),
		odata.F("onPremisesSyncEnabled", null),
		odata.F("preferredDataLocation", null),
		odata.F("preferredLanguage", null),
		odata.F("proxyAddresses", proxies),
		odata.F("renewedDateTime", Stamp(g.created)),
		odata.F("resourceBehaviorOptions", none),
		odata.F("resourceProvisioningOptions", none),
		odata.F("securityEnabled", !g.unified),
		odata.F("securityIdentifier", fmt.Sprintf("S-1-12-1-%d-%d-%d-%d", 1000000+g.ord, len(t.Domain), g.ord*7919, g.ord+1)),
		odata.F("theme", null),
		odata.F("visibility", visibility),
		odata.F("onPremisesProvisioningErrors", none),
	}
}

// MemberObject returns a member as an entry of a list of directory objects. The caller holds the
// tenant's lock.
func (t *Tenant) MemberObject(m MemberRef) odata.Object {
	id, kind := t.MemberID(m), t.MemberKind(m)
	o := odata.Object{odata.F("@odata.type", "#microsoft.graph."+kind), odata.F("id", id)}
	switch {
	case m&foreignMember != 0:
		return append(o, odata.F("displayName", kind+" "+id[:8]))
	case kind == "device":
		n := int(m & memberIndex)
		return append(o, odata.F("displayName", deviceName(n)), odata.F("accountEnabled", true), odata.F("operatingSystem", deviceModels[n%len(deviceModels)].os))
	}
	given, family := PersonName(int(m))
	return append(o,
		odata.F("businessPhones", []string{}), odata.F("displayName", given+" "+family),
		odata.F("givenName", given), odata.F("jobTitle", nil), odata.F("mail", t.UserName(int(m))),
		odata.F("mobilePhone", nil), odata.F("officeLocation", nil), odata.F("preferredLanguage", nil),
		odata.F("surname", family), odata.F("userPrincipalName", t.UserName(int(m))))
}
