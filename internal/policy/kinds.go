package policy

// Kind is the kind of object that a reference names: the key of a type or one of the
// kinds below.
type Kind string

// Kinds that are also types.
const (
	ScopeTags              Kind = "roleScopeTags"
	Filters                Kind = "assignmentFilters"
	NotificationTemplates  Kind = "notificationMessageTemplates"
	ComplianceScripts      Kind = "deviceComplianceScripts"
	ReusableSettings       Kind = "reusablePolicySettings"
	NamedLocations         Kind = "namedLocations"
	AuthenticationStrength Kind = "authenticationStrengths"
	AuthenticationContexts Kind = "authenticationContexts"
)

// Kinds that are not types of policy. A restore never creates them.
const (
	Groups            Kind = "groups"
	Users             Kind = "users"
	DirectoryRoles    Kind = "directoryRoles"
	Applications      Kind = "applications"
	ServicePrincipals Kind = "servicePrincipals"
	TermsOfUse        Kind = "termsOfUse"
	MobileApps        Kind = "mobileApps"
)

// Global reports whether ids of the kind are the same in every directory. docs: template
// ids of roles and application (client) ids are.
func (k Kind) Global() bool { return k == DirectoryRoles || k == Applications }

// Principal reports whether policies apply to objects of the kind.
func (k Kind) Principal() bool {
	return k == Groups || k == Users || k == DirectoryRoles || k == ServicePrincipals
}

// noID stands for no object.
const noID = "00000000-0000-0000-0000-000000000000"

// everywhere are ids that exist in every directory.
var everywhere = map[Kind][]string{
	ScopeTags: {"0"}, // docs: Default
	AuthenticationStrength: { // docs: multifactor, passwordless, phishing-resistant
		"00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000003", "00000000-0000-0000-0000-000000000004",
	},
	NamedLocations: {noID}, // observed: the trusted IPs of multifactor authentication
}
