package tenancy

import "strings"

// GroupType is the type of a directory group as Microsoft Entra tells them apart;
// empty when what the provider sent does not tell. Groups whose members a rule
// chooses have types of their own: see [GroupType.ByRule].
type GroupType string

// The types that groups can be asked for by. [DynamicGroup] stands for every group
// whose members a rule chooses.
const (
	SecurityGroup     GroupType = "security"
	Microsoft365Group GroupType = "microsoft_365"
	MailSecurityGroup GroupType = "mail_enabled_security"
	DistributionGroup GroupType = "distribution"
	DynamicGroup      GroupType = "dynamic"
)

// GroupTypes returns the types that groups can be asked for by.
func GroupTypes() []GroupType {
	return []GroupType{SecurityGroup, Microsoft365Group, MailSecurityGroup, DistributionGroup, DynamicGroup}
}

// ByRule returns the type of a group like t whose members are chosen by a rule, such as
// "dynamic_security".
func (t GroupType) ByRule() GroupType {
	if t == "" {
		return DynamicGroup
	}
	return DynamicGroup + "_" + t
}

// Plain returns the type without how members come into the group, and whether a
// rule chooses them.
func (t GroupType) Plain() (plain GroupType, byRule bool) {
	rest, byRule := strings.CutPrefix(string(t), string(DynamicGroup))
	return GroupType(strings.TrimPrefix(rest, "_")), byRule
}

// Covers returns the types that the filter t stands for; none for a type that is not a
// filter.
func (t GroupType) Covers() []GroupType {
	switch t {
	case SecurityGroup, Microsoft365Group, MailSecurityGroup, DistributionGroup:
		return []GroupType{t, t.ByRule()}
	case DynamicGroup:
		return []GroupType{t, SecurityGroup.ByRule(), Microsoft365Group.ByRule(), MailSecurityGroup.ByRule(), DistributionGroup.ByRule()}
	}
	return nil
}

// groupWords are the names that Entra's own console has for the types.
var groupWords = map[GroupType]string{
	SecurityGroup:     "Security",
	Microsoft365Group: "Microsoft 365",
	MailSecurityGroup: "Mail-enabled security",
	DistributionGroup: "Distribution",
	DynamicGroup:      "Dynamic membership",
}

// Words returns the type's name for people.
func (t GroupType) Words() string {
	if w, ok := groupWords[t]; ok {
		return w
	}
	return "Not known"
}
