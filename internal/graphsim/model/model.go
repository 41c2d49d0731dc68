// Package model holds the types of Microsoft Graph's beta version: their base types, their
// properties and the values of their enumerations. It checks objects against them as the
// service does. It knows nothing of calls and tenants.
//
// The types are facts of Microsoft's type library (MIT licence, see
// LICENSE.microsoft-graph-types.txt), in the version that graph-data names. The library does
// not say which types are abstract, and lacks some types; both are added here. newer.txt names
// the page of the Graph reference that each type comes from.
package model

import (
	_ "embed" // the types
	"strings"
	"sync"
)

//go:embed beta.txt
var library string

//go:embed newer.txt
var newer string

// abstract holds the types of which there are no instances, only of derived types. docs:
// their pages in the Graph reference say so. observed for deviceConfiguration.
var abstract = []string{
	"DeviceConfiguration", "DeviceCompliancePolicy", "DeviceEnrollmentConfiguration", "ManagedDeviceMobileAppConfiguration",
	"WindowsAutopilotDeploymentProfile", "NamedLocation", "MobileApp", "ManagedAppPolicy", "OmaSetting", "MobileAppIdentifier",
	"DeviceAndAppManagementAssignmentTarget", "DeviceHealthScriptRunSchedule", "IpRange", "AuthenticationCombinationConfiguration",
	"GroupPolicyPresentationValue", "DeviceManagementConfigurationSettingInstance", "DeviceManagementConfigurationSettingValue",
	"DeviceManagementConfigurationSimpleSettingValue",
}

// Type is an entity type or a complex type. It is immutable.
type Type struct {
	Name       string // such as DeviceConfiguration
	Base       *Type  // nil: none
	Abstract   bool
	derived    []*Type
	properties map[string]Property // own ones, by lower-case name
}

// Property is a property of a type.
type Property struct {
	Name string
	Type string // "string", "number", "boolean", the name of a type or an enumeration, or "any"
	List bool
}

type published struct {
	types map[string]*Type    // by lower-case name
	enums map[string][]string // by name
}

var beta = sync.OnceValue(func() published {
	p := published{types: map[string]*Type{}, enums: map[string][]string{}}
	bases := map[*Type]string{}
	for line := range strings.Lines(library + newer) {
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && words[0] == "enum":
			p.enums[words[1]] = words[2:]
		case len(words) > 2 && words[0] == "type":
			t := &Type{Name: words[1], properties: map[string]Property{}}
			for _, w := range words[3:] {
				name, typ, _ := strings.Cut(w, ":")
				typ, list := strings.CutSuffix(typ, "[]")
				t.properties[strings.ToLower(name)] = Property{name, typ, list}
			}
			p.types[strings.ToLower(t.Name)] = t
			bases[t] = words[2]
		}
	}
	for t, base := range bases {
		t.Base = p.types[strings.ToLower(base)]
		if t.Base != nil {
			t.Base.derived = append(t.Base.derived, t)
		}
	}
	for _, name := range abstract {
		p.types[strings.ToLower(name)].Abstract = true
	}
	return p
})

// Lookup returns a type by its name or its @odata.type, or nil.
func Lookup(name string) *Type {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "#"), "microsoft.graph.")
	return beta().types[strings.ToLower(name)]
}

// Is reports whether t is other or derived from it.
func (t *Type) Is(other *Type) bool {
	for ; t != nil; t = t.Base {
		if t == other {
			return true
		}
	}
	return false
}

// Property returns a property by its name, in any case, also of base types.
func (t *Type) Property(name string) (Property, bool) {
	name = strings.ToLower(name)
	for ; t != nil; t = t.Base {
		if p, ok := t.properties[name]; ok {
			return p, true
		}
	}
	return Property{}, false
}

// Anywhere returns a property by its name, in any case, also of base types and of types that are
// derived from t.
func (t *Type) Anywhere(name string) (Property, bool) {
	if p, ok := t.Property(name); ok {
		return p, true
	}
	for _, d := range t.derived {
		if p, ok := d.Anywhere(name); ok {
			return p, true
		}
	}
	return Property{}, false
}

// Values returns the values of an enumeration, or nil.
func Values(enumeration string) []string { return beta().enums[enumeration] }

// wire is the name of a type as in @odata.type, without its namespace.
func wire(name string) string { return strings.ToLower(name[:1]) + name[1:] }
