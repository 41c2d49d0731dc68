package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/policy"
)

// kind finds the type of an object by its content: by its @odata.type, by the collection
// that its context or address names, then by its properties. If it finds none, it says
// why.
func kind(object map[string]json.RawMessage, from source) (*policy.Type, string) {
	entity := text(object, "@odata.type")
	if entity != "" && !strings.HasPrefix(entity, "#") {
		entity = "#" + entity
	}
	if t := ofEntity(entity); t != nil {
		return t, ""
	}
	foreign := ""
	for _, address := range []string{text(object, "@odata.context"), text(object, "@odata.id"), text(object, "@odata.editLink"), from.context} {
		collection := collection(address)
		if collection == "" {
			continue
		}
		if i := slices.IndexFunc(policy.Types(), func(t *policy.Type) bool { return strings.EqualFold(t.Path, collection) }); i >= 0 {
			return policy.Types()[i], ""
		}
		foreign = collection
	}
	switch {
	case entity != "" && entity != "#":
		return nil, fmt.Sprintf("has the type %.100s, which Interlock does not back up", strings.TrimPrefix(entity, "#microsoft.graph."))
	case foreign != "":
		return nil, fmt.Sprintf("is of the collection %.100s, which Interlock does not back up", foreign)
	}
	if linux(object) {
		return policy.Lookup("compliancePolicies"), ""
	}
	for _, s := range shapes {
		if s.fits(object) {
			return policy.Lookup(s.key), ""
		}
	}
	if t := policy.Lookup(from.hint); t != nil && t.Entity != "" {
		return t, ""
	}
	return nil, "does not say which type of policy it is"
}

// patterns are the types of collections that hold several, without "#microsoft.graph.".
// docs: the derived types of the collection's type. The first pattern that fits counts.
var patterns = []struct {
	name *regexp.Regexp
	key  string
}{
	{regexp.MustCompile(`(?i)^(iosMobileApp|androidForWorkMobileApp|androidManagedStoreApp)Configuration$`), "mobileAppConfigurations"},
	{regexp.MustCompile(`(?i)^(\w*Enrollment\w*|deviceComanagementAuthority)Configuration$|^deviceEnrollmentPlatformRestriction$`), "deviceEnrollmentConfigurations"},
	{regexp.MustCompile(`(?i)^(ip|country|compliantNetwork|privateLink|serviceTag)NamedLocation$`), "namedLocations"},
	{regexp.MustCompile(`(?i)^(activeDirectory|azureAD)WindowsAutopilotDeploymentProfile$`), "windowsAutopilotDeploymentProfiles"},
	{regexp.MustCompile(`(?i)^\w+ManagementCondition$`), "managementConditions"},
	{regexp.MustCompile(`(?i)^(android|aosp|ios|macOS|windows|default)\w*CompliancePolicy$`), "deviceCompliancePolicies"},
	{regexp.MustCompile(`(?i)^(android|aosp|apple|ios|mac|windows|shared|edition|vpn|eas|unsupported)\w*(Configuration|ConfigurationBase|ConfigurationInterface|CertificateProfile|CertificateProfileBase|RootCertificate|EasEmailProfileBase)$`), "deviceConfigurations"},
}

// ofEntity is the type of objects with an @odata.type, or nil.
func ofEntity(entity string) *policy.Type {
	name, ok := strings.CutPrefix(entity, "#microsoft.graph.")
	if !ok {
		return nil
	}
	for _, t := range policy.Types() {
		if entity == t.Entity || slices.Contains(t.Aliases, entity) || slices.ContainsFunc(t.Subtypes, func(s policy.Subtype) bool { return s.Entity == entity }) {
			return t
		}
	}
	for _, p := range patterns {
		if p.name.MatchString(name) {
			return policy.Lookup(p.key)
		}
	}
	return nil
}

var (
	keys    = regexp.MustCompile(`\([^)]*\)`)
	version = regexp.MustCompile(`(?i)^https?://[^/]+/(v1\.0|beta)/`)
)

// collection is the path of the collection in an @odata.context or an address of an
// object, such as "deviceManagement/configurationPolicies".
func collection(address string) string {
	if address == "" {
		return ""
	}
	_, rest, isContext := strings.Cut(address, "$metadata#")
	if !isContext {
		rest = version.ReplaceAllString(address, "")
	}
	keyed := keys.ReplaceAllString(rest, "\x00")
	keyed = strings.TrimSuffix(keyed, "/$entity")
	parts := strings.Split(keyed, "/")
	if isContext {
		for i := range parts {
			parts[i] = strings.TrimSuffix(parts[i], "\x00")
		}
		for len(parts) > 0 && (strings.HasPrefix(parts[len(parts)-1], "microsoft.graph.") || parts[len(parts)-1] == "") {
			parts = parts[:len(parts)-1]
		}
		return strings.Join(parts, "/")
	}
	for i, p := range parts { // up to the first key
		if name, ok := strings.CutSuffix(p, "\x00"); ok {
			return strings.Join(append(parts[:i:i], name), "/")
		}
	}
	if len(parts) > 1 {
		return strings.Join(parts[:len(parts)-1], "/") // the last part is a key
	}
	return ""
}

// shape recognises a type by properties that only its objects have: lists of a collection
// with one type come without @odata.type.
type shape struct {
	key   string
	names []string
}

var shapes = []shape{
	{"conditionalAccessPolicies", []string{"conditions", "displayName"}},
	{"configurationPolicies", []string{"settings", "platforms", "templateReference"}},
	{"configurationPolicies", []string{"settings", "technologies", "name"}},
	{"configurationPolicies", []string{"settings", "platforms", "name"}},
	{"reusablePolicySettings", []string{"settingDefinitionId", "settingInstance"}},
	{"groupPolicyConfigurations", []string{"policyConfigurationIngestionType"}},
	{"groupPolicyConfigurations", []string{"definitionValues"}},
	{"groupPolicyConfigurations", []string{"added", "updated", "deletedIds"}},
	{"assignmentFilters", []string{"rule", "platform"}},
	{"roleDefinitions", []string{"rolePermissions"}},
	{"notificationMessageTemplates", []string{"brandingOptions"}},
	{"notificationMessageTemplates", []string{"localizedNotificationMessages"}},
	{"authenticationStrengths", []string{"allowedCombinations", "displayName"}},
	{"deviceCustomAttributeShellScripts", []string{"scriptContent", "customAttributeName"}},
	{"deviceShellScripts", []string{"scriptContent", "executionFrequency"}},
	{"deviceManagementScripts", []string{"scriptContent", "enforceSignatureCheck"}},
	{"deviceHealthScripts", []string{"detectionScriptContent", "remediationScriptContent"}},
	{"deviceComplianceScripts", []string{"detectionScriptContent", "publisher"}},
	{"windowsFeatureUpdateProfiles", []string{"featureUpdateVersion"}},
	{"windowsQualityUpdateProfiles", []string{"expeditedUpdateSettings"}},
	{"windowsQualityUpdatePolicies", []string{"hotpatchEnabled"}},
	{"windowsDriverUpdateProfiles", []string{"approvalType", "displayName"}},
	{"intents", []string{"templateId", "settingsDelta"}},
	{"intents", []string{"templateId", "isMigratingToConfigurationPolicy"}},
	{"targetedManagedAppConfigurations", []string{"customSettings", "appGroupType"}},
	{"policySets", []string{"guidedDeploymentTags"}},
}

// fits reports whether an object has the shape.
func (s shape) fits(object map[string]json.RawMessage) bool {
	return !slices.ContainsFunc(s.names, func(name string) bool {
		value, ok := object[name]
		return !ok || name == "settings" && !bytes.HasPrefix(value, []byte("["))
	})
}

// linux reports whether an object with settings is a compliance policy for Linux. A
// settings catalog policy has a reference to a template, even if to none.
func linux(object map[string]json.RawMessage) bool {
	return bytes.HasPrefix(object["settings"], []byte("[")) && object["templateReference"] == nil && strings.EqualFold(text(object, "technologies"), "linuxMdm")
}
