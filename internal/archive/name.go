package archive

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/interlock-dev/interlock/internal/policy"
)

// maxName is the most bytes of a file's name without its ending. Windows accepts paths of
// 260 characters.
const maxName = 120

// reserved are the names of devices. docs: Windows reserves them with any ending, too.
var reserved = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)[ ]*(\.|$)`)

// safe turns a policy's name into a file name that Windows, macOS and Linux accept.
func safe(name string) string {
	name = norm.NFC.String(strings.ToValidUTF8(name, "_"))
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"/\|?*`, r) || !unicode.IsGraphic(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	name = strings.TrimRight(strings.TrimLeftFunc(name, unicode.IsSpace), ". \u00a0")
	name = strings.TrimRightFunc(name, unicode.IsSpace)
	if reserved.MatchString(name) {
		name = "_" + name
	}
	if name == "" {
		return "unnamed"
	}
	return name
}

// names gives out file names that differ even without regard to case.
type names map[string]bool

// take returns the path of a file in a folder. A name that is taken gets the policy's id,
// as IntuneCD and IntuneManagement write it, and then a number.
func (n names) take(folder, name, id string) string {
	base := safe(name)
	for i := 1; ; i++ {
		stem := base
		switch {
		case i == 2:
			stem += "__" + safe(id)
		case i > 2:
			stem += "__" + safe(id) + "_" + strconv.Itoa(i)
		}
		path := folder + "/" + stem + ".json"
		if key := fold(path); !n[key] {
			n[key] = true
			return path
		}
	}
}

// fold is equal for paths, as [safe] makes them, that a file system without regard to case confuses.
func fold(path string) string { return cases.Fold().String(path) }

// folders are the folders that IntuneCD reads, where it knows the type. IntuneManagement
// imports from any folder.
var folders = map[string]string{
	"assignmentFilters":                  "Filters",
	"conditionalAccessPolicies":          "Conditional Access",
	"compliancePolicies":                 "Compliance Policies/Policies",
	"configurationPolicies":              "Settings Catalog",
	"deviceCompliancePolicies":           "Compliance Policies/Policies",
	"deviceComplianceScripts":            "Compliance Policies/Scripts",
	"deviceConfigurations":               "Device Configurations",
	"deviceCustomAttributeShellScripts":  "Custom Attributes",
	"deviceEnrollmentConfigurations":     "Enrollment Configurations",
	"deviceHealthScripts":                "Proactive Remediations",
	"deviceManagementScripts":            "Scripts/Powershell",
	"deviceShellScripts":                 "Scripts/Shell",
	"groupPolicyConfigurations":          "Group Policy Configurations",
	"intents":                            "Management Intents",
	"androidManagedAppProtections":       "App Protection",
	"iosManagedAppProtections":           "App Protection",
	"windowsManagedAppProtections":       "App Protection",
	"targetedManagedAppConfigurations":   "App Protection",
	"mobileAppConfigurations":            "App Configuration",
	"notificationMessageTemplates":       "Compliance Policies/Message Templates",
	"reusablePolicySettings":             "Compliance Policies/Scripts",
	"roleDefinitions":                    "Roles",
	"roleScopeTags":                      "Scope Tags",
	"windowsAutopilotDeploymentProfiles": "Enrollment Profiles/Windows",
	"windowsDriverUpdateProfiles":        "Driver Updates",
	"windowsFeatureUpdateProfiles":       "Feature Updates",
	"windowsQualityUpdateProfiles":       "Quality Updates",
}

// folder is where the policies of a type are.
func folder(t *policy.Type) string {
	if f, ok := folders[t.Key]; ok {
		return f
	}
	return safe(t.Plural)
}
