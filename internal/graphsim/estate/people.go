package estate

import "strings"

// Principals returns all users ("user") or devices ("device") of the directory. The devices of
// the directory are more than those that Intune manages.
func (t *Tenant) Principals(kind string) []MemberRef {
	out := make([]MemberRef, UserCount)
	for i := range out {
		out[i] = MemberRef(i)
		if kind == "device" {
			out[i] |= deviceMember
		}
	}
	return out
}

// Principal returns the user or device with an id or, of a user, with a sign-in name.
func (t *Tenant) Principal(kind, id string) (MemberRef, bool) {
	for _, m := range t.Principals(kind) {
		if strings.EqualFold(t.MemberID(m), id) || kind == "user" && strings.Contains(id, "@") && strings.EqualFold(t.UserName(int(m)), id) {
			return m, true
		}
	}
	return 0, false
}

// GroupsOf returns the groups that have a member. The caller holds the tenant's lock.
func (t *Tenant) GroupsOf(m MemberRef) []*Group {
	var out []*Group
	for _, g := range t.World.Groups {
		if !g.Alive() {
			continue
		}
		for i := range g.MemberCount() {
			if g.MemberAt(i) == m {
				out = append(out, g)
				break
			}
		}
	}
	return out
}

// Owners returns the owners of a group: one user, as its position in the tenant says.
func (g *Group) Owners() []MemberRef { return []MemberRef{MemberRef(g.ord * 31 % UserCount)} }
