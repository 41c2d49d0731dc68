package estate

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// This file generates policies. The seed determines all of it.

// defaultPolicies is the number of policies of a tenant whose spec does not give one.
const defaultPolicies = 300

// policyKind is one generated type of policy.
type policyKind struct {
	path   string
	weight int // of 100
	make   func(n int, rng *rand.Rand) *seed
}

// generatePolicy returns policy i of a seed: the same at every call.
func generatePolicy(seedNumber uint64, i int) (path string, sd *seed) {
	rng := rand.New(rand.NewPCG(seedNumber, uint64(i)))
	kind := policyKinds[kindAt(i)]
	sd = kind.make(i, rng)
	sd.name = "generated " + strconv.Itoa(i)
	return kind.path, sd
}

// kindAt spreads the kinds evenly, so that a few policies have many types.
func kindAt(i int) int {
	slot := i * 61 % 100 // 61 and 100 are coprime: every slot comes once in a hundred
	for k, kind := range policyKinds {
		if slot -= kind.weight; slot < 0 {
			return k
		}
	}
	return 0
}

var policyKinds = []policyKind{
	{"deviceManagement/configurationPolicies", 41, settingsCatalogPolicy},
	{"deviceManagement/deviceConfigurations", 17, deviceConfiguration},
	{"deviceManagement/deviceCompliancePolicies", 6, compliancePolicy},
	{"deviceManagement/deviceManagementScripts", 4, windowsScript},
	{"identity/conditionalAccess/policies", 4, conditionalAccessPolicy},
	{"deviceManagement/deviceHealthScripts", 3, healthScript},
	{"deviceManagement/groupPolicyConfigurations", 3, groupPolicy},
	{"deviceManagement/assignmentFilters", 3, assignmentFilter},
	{"deviceManagement/deviceShellScripts", 2, shellScript},
	{"deviceManagement/deviceEnrollmentConfigurations", 2, enrollmentConfiguration},
	{"deviceManagement/windowsAutopilotDeploymentProfiles", 2, autopilotProfile},
	{"deviceAppManagement/iosManagedAppProtections", 2, appProtection("ios")},
	{"deviceAppManagement/androidManagedAppProtections", 2, appProtection("android")},
	{"deviceAppManagement/targetedManagedAppConfigurations", 2, targetedAppConfiguration},
	{"deviceAppManagement/mobileAppConfigurations", 1, deviceAppConfiguration},
	{"deviceManagement/intents", 1, intent},
	{"deviceManagement/windowsFeatureUpdateProfiles", 1, featureUpdate},
	{"deviceManagement/windowsQualityUpdateProfiles", 1, qualityUpdate},
	{"deviceManagement/windowsDriverUpdateProfiles", 1, driverUpdate},
	{"identity/conditionalAccess/namedLocations", 1, namedLocation},
	{"deviceManagement/notificationMessageTemplates", 1, notificationTemplate},
}

var (
	rings      = []string{"Pilot", "UAT", "Production", "Executives", "Kiosk", "Shared Devices"}
	winTopics  = []string{"BitLocker", "Defender Antivirus", "Windows Hello for Business", "Attack Surface Reduction", "Edge Security", "Firewall", "Local Admin Password", "OneDrive Known Folder Move", "Power Options", "Delivery Optimization", "Windows Update", "Credential Guard", "Device Control", "Telemetry", "Start Menu", "Office Macros"}
	macTopics  = []string{"FileVault", "Gatekeeper", "Platform SSO", "Firewall", "Software Update", "Login Window", "Restrictions"}
	definition = []string{
		"device_vendor_msft_policy_config_defender_allowrealtimemonitoring", "device_vendor_msft_policy_config_defender_puaprotection",
		"device_vendor_msft_policy_config_defender_cloudblocklevel", "device_vendor_msft_bitlocker_requiredeviceencryption",
		"device_vendor_msft_bitlocker_allowwarningforotherdiskencryption", "device_vendor_msft_policy_config_update_activehoursend",
		"device_vendor_msft_policy_config_system_allowtelemetry", "device_vendor_msft_policy_config_deviceguard_enablevirtualizationbasedsecurity",
		"device_vendor_msft_policy_config_experience_allowcortana", "device_vendor_msft_policy_config_power_unattendedsleeptimeoutonbattery",
		"device_vendor_msft_policy_config_deliveryoptimization_dodownloadmode", "device_vendor_msft_policy_config_localpoliciessecurityoptions_accounts_enableguestaccountstatus",
		"vendor_msft_firewall_mdmstore_domainprofile_enablefirewall", "vendor_msft_firewall_mdmstore_publicprofile_enablefirewall",
		"device_vendor_msft_laps_policies_backupdirectory", "device_vendor_msft_policy_config_smartscreen_enablesmartscreeninshell",
	}
)

// upTo returns a random duration below d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(max(1, int64(d))))
}

// timesOf returns creation and change times with the service's seven fraction digits.
func timesOf(rng *rand.Rand) (created, modified odata.Field) {
	const form = "2006-01-02T15:04:05.0000000Z"
	at := Epoch.Add(-upTo(rng, 800*day))
	return odata.F("createdDateTime", at.Format(form)), odata.F("lastModifiedDateTime", at.Add(upTo(rng, Epoch.Sub(at))).Format(form))
}

func title(n int, area, topic string) string {
	return fmt.Sprintf("%s - %s - %s v%d.%d", area, topic, rings[n/3%len(rings)], 1+n/97, n%7)
}

func described(text string) odata.Field { return odata.F("description", text) }

// simpleSettings returns n settings of the settings catalogue.
func simpleSettings(n, from int) []odata.Object {
	out := make([]odata.Object, n)
	for i := range out {
		def := definition[(from+i)%len(definition)]
		if i >= len(definition) {
			def += "_" + strconv.Itoa(i/len(definition))
		}
		out[i] = odata.Object{odata.F("id", strconv.Itoa(i)), odata.F("settingInstance", odata.Object{
			odata.F("@odata.type", "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance"),
			odata.F("settingDefinitionId", def),
			odata.F("settingInstanceTemplateReference", rawNull),
			odata.F("choiceSettingValue", odata.Object{
				odata.F("settingValueTemplateReference", rawNull), odata.F("value", def+"_"+strconv.Itoa(i%3)), odata.F("children", []odata.Object{}),
			}),
		})}
	}
	return out
}

func settingsCatalogPolicy(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	platform, tech, area, topics := "windows10", "mdm", "Win", winTopics
	if n%5 == 4 {
		platform, tech, area, topics = "macOS", "mdm,appleRemoteManagement", "MacOS", macTopics
	}
	topic := topics[rng.IntN(len(topics))]
	size := 1 + rng.IntN(18)
	if n%37 == 0 {
		size = 60 // more than one page of settings
	}
	template := odata.Object{odata.F("templateId", rawEmpty), odata.F("templateFamily", "none"), odata.F("templateDisplayName", rawNull), odata.F("templateDisplayVersion", rawNull)}
	return &seed{
		Body: odata.Object{
			created,
			odata.F("creationSource", rawNull),
			described("Baseline for " + topic), modified,
			odata.F("name", title(n, area, topic)),
			odata.F("platforms", platform),
			odata.F("priorityMetaData", rawNull),
			odata.F("roleScopeTagIds", rawScope),
			odata.F("settingCount", size),
			odata.F("technologies", tech),
			odata.F("isAssigned", rawFalse),
			odata.F("id", rawNull),
			odata.F("templateReference", template),
		},
		navs: map[string][]odata.Object{"settings": simpleSettings(size, n)},
	}
}

func deviceConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	head := func(kind, name string) odata.Object {
		return odata.Object{
			odata.F("@odata.type", "#microsoft.graph."+kind),
			odata.F("id", rawNull),
			modified,
			odata.F("roleScopeTagIds", rawScope),
			odata.F("supportsScopeTags", rawTrue),
			odata.F("deviceManagementApplicabilityRuleOsEdition", rawNull),
			odata.F("deviceManagementApplicabilityRuleOsVersion", rawNull),
			odata.F("deviceManagementApplicabilityRuleDeviceMode", rawNull),
			created, described(""),
			odata.F("displayName", name),
			odata.F("version", 1+rng.IntN(9)),
		}
	}
	var body odata.Object
	switch n % 4 {
	case 0:
		oma := []odata.Object{{
			odata.F("@odata.type", "#microsoft.graph.omaSettingInteger"),
			odata.F("displayName", "Telemetry level"),
			odata.F("description", rawEmpty),
			odata.F("omaUri", "./Device/Vendor/MSFT/Policy/Config/System/AllowTelemetry"),
			odata.F("isEncrypted", rawFalse),
			odata.F("secretReferenceValueId", rawNull),
			odata.F("value", 1),
		}}
		if n%80 == 8 { // the value is shown only by getOmaSettingPlainTextValue
			oma = append(oma, odata.Object{
				odata.F("@odata.type", "#microsoft.graph.omaSettingString"),
				odata.F("displayName", "Key of the wireless network"),
				odata.F("description", rawEmpty),
				odata.F("omaUri", "./Vendor/MSFT/WiFi/Profile/Branch/WlanXml"),
				odata.F("isEncrypted", rawTrue),
				odata.F("secretReferenceValueId", uuid.NewSHA1(uuid.NameSpaceOID, []byte("oma"+strconv.Itoa(n))).String()),
				odata.F("value", "****"),
			})
		}
		body = append(head("windows10CustomConfiguration", title(n, "Win", "Custom OMA-URI")), odata.F("omaSettings", oma))
	case 1:
		body = append(head("windowsUpdateForBusinessConfiguration", title(n, "Win", "Update Ring")),
			odata.F("deliveryOptimizationMode", "userDefined"), odata.F("prereleaseFeatures", "userDefined"),
			odata.F("automaticUpdateMode", "autoInstallAtMaintenanceTime"), odata.F("microsoftUpdateServiceAllowed", rawTrue), odata.F("driversExcluded", rawFalse),
			odata.F("qualityUpdatesDeferralPeriodInDays", rng.IntN(15)), odata.F("featureUpdatesDeferralPeriodInDays", 30*rng.IntN(5)),
			odata.F("qualityUpdatesPaused", rawFalse), odata.F("featureUpdatesPaused", rawFalse), odata.F("deadlineForQualityUpdatesInDays", 3))
	case 2:
		body = append(head("iosGeneralDeviceConfiguration", title(n, "iOS", "Device Restrictions")),
			odata.F("accountBlockModification", rawFalse), odata.F("airDropBlocked", rawTrue), odata.F("appStoreRequirePassword", rawTrue),
			odata.F("cameraBlocked", rawFalse), odata.F("passcodeRequired", rawTrue), odata.F("passcodeMinimumLength", 6), odata.F("safariBlocked", rawFalse))
	default:
		body = append(head("macOSCustomConfiguration", title(n, "MacOS", "Custom Profile")),
			odata.F("payloadName", "Interlock custom profile"), odata.F("payloadFileName", "custom.mobileconfig"), odata.F("deploymentChannel", "deviceChannel"),
			odata.F("payload", base64.StdEncoding.EncodeToString([]byte(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict/></plist>`))))
	}
	return &seed{Body: body}
}

func compliancePolicy(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	kind, name, extra := "windows10CompliancePolicy", title(n, "Win", "Compliance"), odata.Object{
		odata.F("passwordRequired", rawTrue),
		odata.F("passwordMinimumLength", 8+rng.IntN(5)),
		odata.F("osMinimumVersion", "10.0.22631.0"),
		odata.F("bitLockerEnabled", rawTrue),
		odata.F("secureBootEnabled", rawTrue),
		odata.F("codeIntegrityEnabled", rawFalse),
		odata.F("storageRequireEncryption", rawTrue),
		odata.F("activeFirewallRequired", rawTrue),
	}
	switch n % 3 {
	case 1:
		kind, name, extra = "macOSCompliancePolicy", title(n, "MacOS", "Compliance"), odata.Object{
			odata.F("passwordRequired", rawTrue), odata.F("systemIntegrityProtectionEnabled", rawTrue), odata.F("storageRequireEncryption", rawTrue), odata.F("firewallEnabled", rawTrue), odata.F("osMinimumVersion", "14.5"),
		}
	case 2:
		kind, name, extra = "iosCompliancePolicy", title(n, "iOS", "Compliance"), odata.Object{
			odata.F("passcodeRequired", rawTrue), odata.F("passcodeMinimumLength", 6), odata.F("securityBlockJailbrokenDevices", rawTrue), odata.F("osMinimumVersion", "17.0"),
		}
	}
	actions := []odata.Object{{
		odata.F("id", uuid.NewSHA1(uuid.NameSpaceOID, []byte("rule"+strconv.Itoa(n))).String()),
		odata.F("ruleName", rawNull),
		odata.F("scheduledActionConfigurations", []odata.Object{{
			odata.F("id", uuid.NewSHA1(uuid.NameSpaceOID, []byte("action"+strconv.Itoa(n))).String()),
			odata.F("gracePeriodHours", 24*rng.IntN(4)),
			odata.F("actionType", "block"),
			odata.F("notificationTemplateId", "00000000-0000-0000-0000-000000000000"),
			odata.F("notificationMessageCCList", []string{}),
		}}),
	}}
	body := odata.Object{
		odata.F("@odata.type", "#microsoft.graph."+kind),
		odata.F("roleScopeTagIds", rawScope),
		odata.F("id", rawNull),
		created, described(""), modified,
		odata.F("displayName", name),
		odata.F("version", 1+rng.IntN(6)),
	}
	return &seed{Body: append(body, extra...), navs: map[string][]odata.Object{"scheduledActionsForRule": actions}}
}

func groupPolicy(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{
		Body: odata.Object{
			created,
			odata.F("displayName", title(n, "Win", "Administrative Template Office")),
			described(""),
			odata.F("roleScopeTagIds", rawScope),
			odata.F("policyConfigurationIngestionType", "builtIn"),
			odata.F("id", rawNull),
			modified,
		},
		navs: map[string][]odata.Object{"definitionValues": definitionValues(n, created, modified)},
	}
}

// definitionValues returns one value of a definition, and the values of its presentations.
func definitionValues(n int, created, modified odata.Field) []odata.Object {
	d := groupPolicyDefinition(n % len(administrativeTemplates))
	values := []odata.Object{}
	for _, p := range d.navs["presentations"] {
		values = append(values, odata.Object{
			odata.F("@odata.type", "#microsoft.graph.groupPolicyPresentationValueText"), modified, created,
			odata.F("id", uuid.NewSHA1(uuid.NameSpaceOID, []byte("presentation"+strconv.Itoa(n))).String()),
			odata.F("value", "https://intranet.example"), odata.F("presentation", p),
		})
	}
	return []odata.Object{{
		created,
		odata.F("enabled", rawTrue),
		odata.F("configurationType", "policy"),
		odata.F("id", uuid.NewSHA1(uuid.NameSpaceOID, []byte("definition"+strconv.Itoa(n))).String()),
		modified,
		odata.F("definition", d.Body), odata.F("presentationValues", values),
	}}
}

func assignmentFilter(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	m := deviceModels[n%len(deviceModels)]
	platform := map[string]string{"Windows": "windows10AndLater", "macOS": "macOS", "iOS": "iOS", "Android": "androidForWork"}[m.os]
	return &seed{Body: odata.Object{
		odata.F("id", rawNull),
		created, modified,
		odata.F("displayName", m.os+" - "+m.maker+" "+strconv.Itoa(n)),
		described("Devices made by " + m.maker),
		odata.F("platform", platform),
		odata.F("rule", fmt.Sprintf(`(device.manufacturer -eq "%s")`, m.maker)),
		odata.F("roleScopeTags", rawScope),
		odata.F("payloads", []odata.Object{}),
		odata.F("assignmentFilterManagementType", "devices"),
	}}
}

func enrollmentConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("@odata.type", "#microsoft.graph.windows10EnrollmentCompletionPageConfiguration"),
		odata.F("id", "00000000-0000-0000-0000-000000000000_Windows10EnrollmentCompletionPageConfiguration"),
		odata.F("displayName", title(n, "Win", "Enrollment Status Page")),
		described(""),
		odata.F("priority", 1+n%9),
		created, modified,
		odata.F("version", 1),
		odata.F("roleScopeTagIds", rawScope),
		odata.F("deviceEnrollmentConfigurationType", "windows10EnrollmentCompletionPageConfiguration"),
		odata.F("showInstallationProgress", rawTrue),
		odata.F("blockDeviceSetupRetryByUser", rawFalse),
		odata.F("allowDeviceResetOnInstallFailure", rawTrue),
		odata.F("allowLogCollectionOnInstallFailure", rawTrue),
		odata.F("customErrorMessage", "Call the service desk."),
		odata.F("installProgressTimeoutInMinutes", 60),
		odata.F("allowDeviceUseOnInstallFailure", rawFalse),
		odata.F("selectedMobileAppIds", []string{}),
		odata.F("trackInstallProgressForAutopilotOnly", rawTrue),
	}}
}

func autopilotProfile(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("@odata.type", "#microsoft.graph.azureADWindowsAutopilotDeploymentProfile"),
		odata.F("id", rawNull),
		odata.F("displayName", title(n, "Win", "Autopilot User Driven")),
		described(""),
		odata.F("language", "os-default"),
		odata.F("locale", "os-default"),
		created, modified,
		odata.F("extractHardwareHash", rawFalse),
		odata.F("hardwareHashExtractionEnabled", rawFalse),
		odata.F("deviceNameTemplate", "NB-%SERIAL%"),
		odata.F("deviceType", "windowsPc"),
		odata.F("enableWhiteGlove", rawTrue),
		odata.F("preprovisioningAllowed", rawTrue),
		odata.F("roleScopeTagIds", rawScope),
		odata.F("managementServiceAppId", rawNull),
		odata.F("outOfBoxExperienceSettings", odata.Object{
			odata.F("hidePrivacySettings", rawTrue),
			odata.F("hideEULA", rawTrue),
			odata.F("userType", "standard"),
			odata.F("deviceUsageType", "singleUser"),
			odata.F("skipKeyboardSelectionPage", rawTrue),
			odata.F("hideEscapeLink", rawTrue),
		}),
	}}
}

func intent(n int, rng *rand.Rand) *seed {
	_, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("id", rawNull),
		odata.F("displayName", title(n, "Win", "Security Baseline (legacy)")),
		described(""),
		odata.F("isAssigned", rawFalse),
		odata.F("isMigratingToConfigurationPolicy", rawNull),
		modified,
		odata.F("templateId", baselineID),
		odata.F("roleScopeTagIds", rawScope),
	}, navs: intentParts(n)}
}

// intentParts returns the settings of an intent, and the category that lists them.
func intentParts(n int) map[string][]odata.Object {
	settings := []odata.Object{{
		odata.F("@odata.type", "#microsoft.graph.deviceManagementBooleanSettingInstance"),
		odata.F("id", uuid.NewSHA1(uuid.NameSpaceOID, []byte("intent"+strconv.Itoa(n))).String()),
		odata.F("definitionId", "deviceConfiguration--windows10EndpointProtectionConfiguration_bitLockerEncryptDevice"), odata.F("valueJson", "true"), odata.F("value", rawTrue),
	}}
	category := odata.Object{odata.F("id", "b1a1a1a1-3a5e-4d0c-9a61-"+baselineID[24:]), odata.F("displayName", "General"), odata.F("hasRequiredSetting", rawFalse), odata.F("settings", settings)}
	return map[string][]odata.Object{"settings": settings, "categories": {category}}
}

func namedLocation(n int, rng *rand.Rand) *seed {
	at := odata.Raw(Epoch.Add(-upTo(rng, 300*day)).Format("2006-01-02T15:04:05.0000000Z"))
	return &seed{Body: odata.Object{
		odata.F("@odata.type", "#microsoft.graph.ipNamedLocation"),
		odata.F("id", rawNull),
		odata.F("displayName", "Office "+sites[n%len(sites)]),
		odata.F("modifiedDateTime", at),
		odata.F("createdDateTime", at),
		odata.F("isTrusted", rawTrue),
		odata.F("ipRanges", []odata.Object{{odata.F("@odata.type", "#microsoft.graph.iPv4CidrRange"), odata.F("cidrAddress", fmt.Sprintf("203.0.113.%d/32", n%250))}}),
	}}
}

func notificationTemplate(n int, rng *rand.Rand) *seed {
	_, modified := timesOf(rng)
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("message"+strconv.Itoa(n))).String()
	return &seed{
		Body: odata.Object{
			odata.F("id", rawNull),
			modified,
			odata.F("displayName", title(n, "All", "Noncompliance notice")),
			described(""),
			odata.F("defaultLocale", "en-us"),
			odata.F("brandingOptions", "includeCompanyLogo,includeCompanyName"),
			odata.F("roleScopeTagIds", rawScope),
		},
		navs: map[string][]odata.Object{"localizedNotificationMessages": {{
			odata.F("id", id+"_en-us"),
			modified,
			odata.F("locale", "en-us"),
			odata.F("subject", "Your device needs attention"),
			odata.F("messageTemplate", "Please open Company Portal and follow the steps."),
			odata.F("isDefault", rawTrue),
		}}},
	}
}

func conditionalAccessPolicy(n int, rng *rand.Rand) *seed {
	created, _ := timesOf(rng)
	name := []string{"Require MFA for all users", "Block legacy authentication", "Require compliant device", "Block unknown platforms", "Require MFA for admins", "Sign-in frequency for guests"}[n%6]
	all, none := odata.Raw([]string{"All"}), odata.Raw([]string{})
	control := "mfa"
	if strings.HasPrefix(name, "Block") {
		control = "block"
	}
	return &seed{Body: odata.Object{
		odata.F("id", rawNull),
		odata.F("displayName", fmt.Sprintf("CA%03d - %s", 1+n, name)),
		created,
		odata.F("modifiedDateTime", rawNull),
		odata.F("state", []string{"enabled", "enabledForReportingButNotEnforced", "disabled"}[rng.IntN(3)]),
		odata.F("sessionControls", rawNull),
		odata.F("conditions", odata.Object{
			odata.F("userRiskLevels", none),
			odata.F("signInRiskLevels", none),
			odata.F("clientAppTypes", []string{"all"}),
			odata.F("platforms", rawNull),
			odata.F("locations", rawNull),
			odata.F("applications", odata.Object{odata.F("includeApplications", all), odata.F("excludeApplications", none), odata.F("includeUserActions", none)}),
			odata.F("users", odata.Object{odata.F("includeUsers", all), odata.F("excludeUsers", none), odata.F("includeGroups", none), odata.F("excludeGroups", none), odata.F("includeRoles", none), odata.F("excludeRoles", none)}),
		}),
		odata.F("grantControls", odata.Object{odata.F("operator", "OR"), odata.F("builtInControls", []string{control}), odata.F("customAuthenticationFactors", none), odata.F("termsOfUse", none)}),
	}}
}

// builtInRoles are Intune's roles in every tenant (docs: built-in roles; ids from the service's list).
var builtInRoles = []struct{ id, name, description string }{
	{"c1d9fcbb-cba5-40b0-bf6b-527006585f4b", "Application Manager", "Manages mobile and managed applications and reads device information."},
	{"c56d53a2-73d0-4502-b6bd-4a9d3dba28d5", "Endpoint Security Manager", "Manages security and compliance features such as security baselines."},
	{"9e0cc482-82df-4ab2-a24c-0c23a3f52e1e", "Help Desk Operator", "Performs remote tasks on users and devices and can assign applications or policies."},
	{"fb2603eb-3c87-4be3-8b5b-d58a5b4a0bc0", "Intune Role Administrator", "Manages custom Intune roles and adds assignments for built-in ones."},
	{"0bd113fe-6be5-400c-a28f-ae5553f9c0be", "Policy and Profile manager", "Manages compliance policy, configuration profiles and Apple enrollment."},
	{"fa1d7878-e8cb-41a1-8254-0142355c9f84", "Read Only Operator", "Views user, device, enrollment, configuration and application information."},
	{"2f9f4f7e-2d13-427b-adf2-361a1eef7ae8", "School Administrator", "Manages apps and settings for its own groups."},
}

// fixedSeeds returns the entities of every tenant, whatever else is loaded or generated.
func fixedSeeds() map[string][]*seed {
	out := map[string][]*seed{
		"devicemanagement/rolescopetags": {{name: "default", Body: odata.Object{
			odata.F("id", "0"), odata.F("displayName", "Default"), described(""), odata.F("isBuiltIn", rawTrue),
		}}},
	}
	for _, r := range builtInRoles {
		permissions := odata.Raw([]odata.Object{{odata.F("resourceActions", []odata.Object{{
			odata.F("allowedResourceActions", []string{"Microsoft.Intune_Organization_Read", "Microsoft.Intune_DeviceConfigurations_Read"}), odata.F("notAllowedResourceActions", []string{}),
		}})}})
		out["devicemanagement/roledefinitions"] = append(out["devicemanagement/roledefinitions"], &seed{name: r.name, Body: odata.Object{
			odata.F("@odata.type", "#microsoft.graph.deviceAndAppManagementRoleDefinition"),
			odata.F("id", r.id),
			odata.F("displayName", r.name),
			described(r.description),
			odata.F("isBuiltInRoleDefinition", rawTrue),
			odata.F("isBuiltIn", rawTrue),
			odata.F("roleScopeTagIds", []string{}),
			odata.F("rolePermissions", permissions),
		}})
	}
	builtInSeeds(out)
	return out
}
