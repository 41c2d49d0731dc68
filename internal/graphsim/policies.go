package graphsim

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// This file makes up policies and apps. Everything follows from the seed.

// defaultPolicies is how many policies a tenant has when its spec doesn't say.
const defaultPolicies = 300

// policyKind is one type of policy that the generator knows.
type policyKind struct {
	path   string
	weight int // of 100
	make   func(n int, rng *rand.Rand) *seed
}

// generatePolicy makes the i-th policy of a seed: the same one at every call.
func generatePolicy(seedNumber uint64, i int) (path string, sd *seed) {
	rng := rand.New(rand.NewPCG(seedNumber, uint64(i)))
	kind := policyKinds[kindAt(i)]
	sd = kind.make(i, rng)
	sd.name = "generated " + strconv.Itoa(i)
	return kind.path, sd
}

// kindAt spreads the kinds evenly: the first few policies are of many types already.
func kindAt(i int) int {
	slot := i * 61 % 100 // 61 is coprime with 100, so every slot comes once in a hundred
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

// upTo is a random part of d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(max(1, int64(d))))
}

// timesOf makes creation and change times with the seven fraction digits of the service.
func timesOf(rng *rand.Rand) (created, modified field) {
	const form = "2006-01-02T15:04:05.0000000Z"
	at := epoch.Add(-upTo(rng, 800*day))
	return field{"createdDateTime", rawJSON(at.Format(form))}, field{"lastModifiedDateTime", rawJSON(at.Add(upTo(rng, epoch.Sub(at))).Format(form))}
}

func title(n int, area, topic string) string {
	return fmt.Sprintf("%s - %s - %s v%d.%d", area, topic, rings[n/3%len(rings)], 1+n/97, n%7)
}

func described(text string) field { return field{"description", rawJSON(text)} }

// simpleSettings makes n settings of the settings catalogue.
func simpleSettings(n, from int) []object {
	out := make([]object, n)
	for i := range out {
		def := definition[(from+i)%len(definition)]
		if i >= len(definition) {
			def += "_" + strconv.Itoa(i/len(definition))
		}
		out[i] = object{{"id", rawJSON(strconv.Itoa(i))}, {"settingInstance", rawJSON(object{
			{"@odata.type", rawJSON("#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance")},
			{"settingDefinitionId", rawJSON(def)},
			{"settingInstanceTemplateReference", rawNull},
			{"choiceSettingValue", rawJSON(object{
				{"settingValueTemplateReference", rawNull}, {"value", rawJSON(def + "_" + strconv.Itoa(i%3))}, {"children", rawJSON([]object{})},
			})},
		})}}
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
	template := object{{"templateId", rawEmpty}, {"templateFamily", rawJSON("none")}, {"templateDisplayName", rawNull}, {"templateDisplayVersion", rawNull}}
	return &seed{
		body: object{
			created,
			{"creationSource", rawNull},
			described("Baseline for " + topic), modified,
			{"name", rawJSON(title(n, area, topic))},
			{"platforms", rawJSON(platform)},
			{"priorityMetaData", rawNull},
			{"roleScopeTagIds", rawScope},
			{"settingCount", rawJSON(size)},
			{"technologies", rawJSON(tech)},
			{"isAssigned", rawFalse},
			{"id", rawNull},
			{"templateReference", rawJSON(template)},
		},
		navs: map[string][]object{"settings": simpleSettings(size, n)},
	}
}

func deviceConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	head := func(kind, name string) object {
		return object{
			{"@odata.type", rawJSON("#microsoft.graph." + kind)},
			{"id", rawNull},
			modified,
			{"roleScopeTagIds", rawScope},
			{"supportsScopeTags", rawTrue},
			{"deviceManagementApplicabilityRuleOsEdition", rawNull},
			{"deviceManagementApplicabilityRuleOsVersion", rawNull},
			{"deviceManagementApplicabilityRuleDeviceMode", rawNull},
			created, described(""),
			{"displayName", rawJSON(name)},
			{"version", rawJSON(1 + rng.IntN(9))},
		}
	}
	var body object
	switch n % 4 {
	case 0:
		oma := []object{{
			{"@odata.type", rawJSON("#microsoft.graph.omaSettingInteger")},
			{"displayName", rawJSON("Telemetry level")},
			{"description", rawEmpty},
			{"omaUri", rawJSON("./Device/Vendor/MSFT/Policy/Config/System/AllowTelemetry")},
			{"isEncrypted", rawFalse},
			{"secretReferenceValueId", rawNull},
			{"value", rawJSON(1)},
		}}
		body = append(head("windows10CustomConfiguration", title(n, "Win", "Custom OMA-URI")), field{"omaSettings", rawJSON(oma)})
	case 1:
		body = append(head("windowsUpdateForBusinessConfiguration", title(n, "Win", "Update Ring")),
			field{"deliveryOptimizationMode", rawJSON("userDefined")}, field{"prereleaseFeatures", rawJSON("userDefined")},
			field{"automaticUpdateMode", rawJSON("autoInstallAtMaintenanceTime")}, field{"microsoftUpdateServiceAllowed", rawTrue}, field{"driversExcluded", rawFalse},
			field{"qualityUpdatesDeferralPeriodInDays", rawJSON(rng.IntN(15))}, field{"featureUpdatesDeferralPeriodInDays", rawJSON(30 * rng.IntN(5))},
			field{"qualityUpdatesPaused", rawFalse}, field{"featureUpdatesPaused", rawFalse}, field{"deadlineForQualityUpdatesInDays", rawJSON(3)})
	case 2:
		body = append(head("iosGeneralDeviceConfiguration", title(n, "iOS", "Device Restrictions")),
			field{"accountBlockModification", rawFalse}, field{"airDropBlocked", rawTrue}, field{"appStoreRequirePassword", rawTrue},
			field{"cameraBlocked", rawFalse}, field{"passcodeRequired", rawTrue}, field{"passcodeMinimumLength", rawJSON(6)}, field{"safariBlocked", rawFalse})
	default:
		body = append(head("macOSCustomConfiguration", title(n, "MacOS", "Custom Profile")),
			field{"payloadName", rawJSON("Interlock custom profile")}, field{"payloadFileName", rawJSON("custom.mobileconfig")}, field{"deploymentChannel", rawJSON("deviceChannel")},
			field{"payload", rawJSON(base64.StdEncoding.EncodeToString([]byte(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict/></plist>`)))})
	}
	return &seed{body: body}
}

func compliancePolicy(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	kind, name, extra := "windows10CompliancePolicy", title(n, "Win", "Compliance"), object{
		{"passwordRequired", rawTrue},
		{"passwordMinimumLength", rawJSON(8 + rng.IntN(5))},
		{"osMinimumVersion", rawJSON("10.0.22631.0")},
		{"bitLockerEnabled", rawTrue},
		{"secureBootEnabled", rawTrue},
		{"codeIntegrityEnabled", rawFalse},
		{"storageRequireEncryption", rawTrue},
		{"activeFirewallRequired", rawTrue},
	}
	switch n % 3 {
	case 1:
		kind, name, extra = "macOSCompliancePolicy", title(n, "MacOS", "Compliance"), object{
			{"passwordRequired", rawTrue}, {"systemIntegrityProtectionEnabled", rawTrue}, {"storageRequireEncryption", rawTrue}, {"firewallEnabled", rawTrue}, {"osMinimumVersion", rawJSON("14.5")},
		}
	case 2:
		kind, name, extra = "iosCompliancePolicy", title(n, "iOS", "Compliance"), object{
			{"passcodeRequired", rawTrue}, {"passcodeMinimumLength", rawJSON(6)}, {"securityBlockJailbrokenDevices", rawTrue}, {"osMinimumVersion", rawJSON("17.0")},
		}
	}
	actions := []object{{
		{"id", rawJSON(uuid.NewSHA1(uuid.NameSpaceOID, []byte("rule"+strconv.Itoa(n))).String())},
		{"ruleName", rawNull},
		{"scheduledActionConfigurations", rawJSON([]object{{
			{"id", rawJSON(uuid.NewSHA1(uuid.NameSpaceOID, []byte("action"+strconv.Itoa(n))).String())},
			{"gracePeriodHours", rawJSON(24 * rng.IntN(4))},
			{"actionType", rawJSON("block")},
			{"notificationTemplateId", rawJSON("00000000-0000-0000-0000-000000000000")},
			{"notificationMessageCCList", rawJSON([]string{})},
		}})},
	}}
	body := object{
		{"@odata.type", rawJSON("#microsoft.graph." + kind)},
		{"roleScopeTagIds", rawScope},
		{"id", rawNull},
		created, described(""), modified,
		{"displayName", rawJSON(name)},
		{"version", rawJSON(1 + rng.IntN(6))},
	}
	return &seed{body: append(body, extra...), navs: map[string][]object{"scheduledActionsForRule": actions}}
}

func script(text string) field {
	return field{"scriptContent", rawJSON(base64.StdEncoding.EncodeToString([]byte(text)))}
}

func windowsScript(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	name := []string{"Remove consumer apps", "Set time zone", "Map network printers", "Rename local administrator", "Install language pack"}[n%5]
	return &seed{body: object{
		{"enforceSignatureCheck", rawFalse},
		{"runAs32Bit", rawFalse},
		{"id", rawNull},
		{"displayName", rawJSON(title(n, "Win", name))},
		described(name),
		script("# " + name + "\r\nWrite-Output 'done'\r\n"), created, modified,
		{"runAsAccount", rawJSON("system")},
		{"fileName", rawJSON(strings.ReplaceAll(name, " ", "-") + ".ps1")},
		{"roleScopeTagIds", rawScope},
	}}
}

func shellScript(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	name := []string{"Install Company Portal", "Set Dock", "Rename Mac"}[n%3]
	return &seed{body: object{
		{"executionFrequency", rawJSON("P1D")},
		{"retryCount", rawJSON(3)},
		{"blockExecutionNotifications", rawTrue},
		{"id", rawNull},
		{"displayName", rawJSON(title(n, "MacOS", name))},
		described(name), script("#!/bin/zsh\n# " + name + "\nexit 0\n"), created, modified,
		{"runAsAccount", rawJSON("system")},
		{"fileName", rawJSON(strings.ReplaceAll(name, " ", "-") + ".sh")},
		{"roleScopeTagIds", rawScope},
	}}
}

func healthScript(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	name := []string{"Stale Group Policy", "Low disk space", "Broken update client"}[n%3]
	detect := base64.StdEncoding.EncodeToString([]byte("# detect: " + name + "\r\nexit 1\r\n"))
	return &seed{body: object{
		{"id", rawNull},
		{"publisher", rawJSON("IT Operations")},
		{"version", rawJSON(strconv.Itoa(1 + n%4))},
		{"displayName", rawJSON(title(n, "Win", name))},
		described(name),
		{"detectionScriptContent", rawJSON(detect)},
		{"remediationScriptContent", rawJSON(detect)},
		created, modified,
		{"runAsAccount", rawJSON("system")},
		{"enforceSignatureCheck", rawFalse},
		{"runAs32Bit", rawFalse},
		{"roleScopeTagIds", rawScope},
		{"isGlobalScript", rawJSON(n%3 == 0)},
		{"highestAvailableVersion", rawNull},
		{"deviceHealthScriptType", rawJSON("deviceHealthScript")},
		{"detectionScriptParameters", rawJSON([]object{})},
		{"remediationScriptParameters", rawJSON([]object{})},
	}}
}

func groupPolicy(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{
		body: object{
			created,
			{"displayName", rawJSON(title(n, "Win", "Administrative Template Office"))},
			described(""),
			{"roleScopeTagIds", rawScope},
			{"policyConfigurationIngestionType", rawJSON("builtIn")},
			{"id", rawNull},
			modified,
		},
		navs: map[string][]object{"definitionValues": {{
			created,
			{"enabled", rawTrue},
			{"configurationType", rawJSON("policy")},
			{"id", rawJSON(uuid.NewSHA1(uuid.NameSpaceOID, []byte("definition"+strconv.Itoa(n))).String())},
			modified,
		}}},
	}
}

func assignmentFilter(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	m := deviceModels[n%len(deviceModels)]
	platform := map[string]string{"Windows": "windows10AndLater", "macOS": "macOS", "iOS": "iOS", "Android": "androidForWork"}[m.os]
	return &seed{body: object{
		{"id", rawNull},
		created, modified,
		{"displayName", rawJSON(m.os + " - " + m.maker + " " + strconv.Itoa(n))},
		described("Devices made by " + m.maker),
		{"platform", rawJSON(platform)},
		{"rule", rawJSON(fmt.Sprintf(`(device.manufacturer -eq "%s")`, m.maker))},
		{"roleScopeTags", rawScope},
		{"payloads", rawJSON([]object{})},
		{"assignmentFilterManagementType", rawJSON("devices")},
	}}
}

func enrollmentConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{body: object{
		{"@odata.type", rawJSON("#microsoft.graph.windows10EnrollmentCompletionPageConfiguration")},
		{"id", rawJSON("00000000-0000-0000-0000-000000000000_Windows10EnrollmentCompletionPageConfiguration")},
		{"displayName", rawJSON(title(n, "Win", "Enrollment Status Page"))},
		described(""),
		{"priority", rawJSON(1 + n%9)},
		created, modified,
		{"version", rawJSON(1)},
		{"roleScopeTagIds", rawScope},
		{"deviceEnrollmentConfigurationType", rawJSON("windows10EnrollmentCompletionPageConfiguration")},
		{"showInstallationProgress", rawTrue},
		{"blockDeviceSetupRetryByUser", rawFalse},
		{"allowDeviceResetOnInstallFailure", rawTrue},
		{"allowLogCollectionOnInstallFailure", rawTrue},
		{"customErrorMessage", rawJSON("Call the service desk.")},
		{"installProgressTimeoutInMinutes", rawJSON(60)},
		{"allowDeviceUseOnInstallFailure", rawFalse},
		{"selectedMobileAppIds", rawJSON([]string{})},
		{"trackInstallProgressForAutopilotOnly", rawTrue},
	}}
}

func autopilotProfile(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{body: object{
		{"@odata.type", rawJSON("#microsoft.graph.azureADWindowsAutopilotDeploymentProfile")},
		{"id", rawNull},
		{"displayName", rawJSON(title(n, "Win", "Autopilot User Driven"))},
		described(""),
		{"language", rawJSON("os-default")},
		{"locale", rawJSON("os-default")},
		created, modified,
		{"extractHardwareHash", rawFalse},
		{"hardwareHashExtractionEnabled", rawFalse},
		{"deviceNameTemplate", rawJSON("NB-%SERIAL%")},
		{"deviceType", rawJSON("windowsPc")},
		{"enableWhiteGlove", rawTrue},
		{"preprovisioningAllowed", rawTrue},
		{"roleScopeTagIds", rawScope},
		{"managementServiceAppId", rawNull},
		{"outOfBoxExperienceSettings", rawJSON(object{
			{"hidePrivacySettings", rawTrue},
			{"hideEULA", rawTrue},
			{"userType", rawJSON("standard")},
			{"deviceUsageType", rawJSON("singleUser")},
			{"skipKeyboardSelectionPage", rawTrue},
			{"hideEscapeLink", rawTrue},
		})},
	}}
}

func etag(rng *rand.Rand) field {
	return field{"version", rawJSON(fmt.Sprintf(`"%08x-0000-0d00-0000-%08x0000"`, rng.Uint32(), rng.Uint32()))}
}

func appProtection(platform string) func(int, *rand.Rand) *seed {
	return func(n int, rng *rand.Rand) *seed {
		created, modified := timesOf(rng)
		bundle := field{"packageId", rawJSON("com.microsoft.office.outlook")}
		kind, label := "androidManagedAppProtection", "Android"
		if platform == "ios" {
			kind, label, bundle = "iosManagedAppProtection", "iOS", field{"bundleId", rawJSON("com.microsoft.Office.Outlook")}
		}
		identifier := object{{"@odata.type", rawJSON("#microsoft.graph." + platform + "MobileAppIdentifier")}, bundle}
		return &seed{
			body: object{
				{"@odata.type", rawJSON("#microsoft.graph." + kind)},
				{"displayName", rawJSON(title(n, label, "App Protection"))},
				described(""), created, modified,
				{"roleScopeTagIds", rawScope},
				{"id", rawNull},
				etag(rng),
				{"periodOfflineBeforeAccessCheck", rawJSON("PT12H")},
				{"periodOnlineBeforeAccessCheck", rawJSON("PT30M")},
				{"allowedInboundDataTransferSources", rawJSON("managedApps")},
				{"allowedOutboundDataTransferDestinations", rawJSON("managedApps")},
				{"organizationalCredentialsRequired", rawFalse},
				{"dataBackupBlocked", rawTrue},
				{"deviceComplianceRequired", rawTrue},
				{"saveAsBlocked", rawTrue},
				{"periodOfflineBeforeWipeIsEnforced", rawJSON("P90D")},
				{"pinRequired", rawTrue},
				{"maximumPinRetries", rawJSON(5)},
				{"minimumPinLength", rawJSON(6)},
				{"pinCharacterSet", rawJSON("numeric")},
				{"printBlocked", rawFalse},
				{"isAssigned", rawFalse},
				{"deployedAppCount", rawJSON(1)},
			},
			navs: map[string][]object{"apps": {{{"id", rawJSON("com.microsoft.office.outlook." + platform)}, {"version", rawJSON("1")}, {"mobileAppIdentifier", rawJSON(identifier)}}}},
		}
	}
}

func targetedAppConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{body: object{
		{"@odata.type", rawJSON("#microsoft.graph.targetedManagedAppConfiguration")},
		{"displayName", rawJSON(title(n, "Mobile", "Edge Settings"))},
		described(""), created, modified,
		{"roleScopeTagIds", rawScope},
		{"id", rawNull},
		etag(rng),
		{"deployedAppCount", rawJSON(2)},
		{"isAssigned", rawFalse},
		{"targetedAppManagementLevels", rawJSON("unspecified")},
		{"appGroupType", rawJSON("selectedPublicApps")},
		{"customSettings", rawJSON([]object{{{"name", rawJSON("com.microsoft.intune.mam.managedbrowser.homepage")}, {"value", rawJSON("https://intranet.example")}}})},
	}}
}

func deviceAppConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{body: object{
		{"@odata.type", rawJSON("#microsoft.graph.iosMobileAppConfiguration")},
		{"id", rawNull},
		{"targetedMobileApps", rawJSON([]string{})},
		{"roleScopeTagIds", rawScope},
		created, described(""), modified,
		{"displayName", rawJSON(title(n, "iOS", "Outlook Account Setup"))},
		{"version", rawJSON(1)},
		{"encodedSettingXml", rawNull},
		{"settings", rawJSON([]object{{{"appConfigKey", rawJSON("com.microsoft.outlook.EmailProfile.AccountType")}, {"appConfigKeyType", rawJSON("stringType")}, {"appConfigKeyValue", rawJSON("ModernAuth")}}})},
	}}
}

func intent(n int, rng *rand.Rand) *seed {
	_, modified := timesOf(rng)
	return &seed{body: object{
		{"id", rawNull},
		{"displayName", rawJSON(title(n, "Win", "Security Baseline (legacy)"))},
		described(""),
		{"isAssigned", rawFalse},
		{"isMigratingToConfigurationPolicy", rawNull},
		modified,
		{"templateId", rawJSON("d1174162-1dd2-4976-affc-6667049ab0ae")},
		{"roleScopeTagIds", rawScope},
	}, navs: map[string][]object{"settings": {}}}
}

func featureUpdate(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{body: object{
		{"id", rawNull},
		{"displayName", rawJSON(title(n, "Win", "Feature Update 24H2"))},
		described(""),
		{"featureUpdateVersion", rawJSON("Windows 11, version 24H2")},
		created, modified,
		{"roleScopeTagIds", rawScope},
		{"deployableContentDisplayName", rawJSON("Windows 11, version 24H2")},
		{"endOfSupportDate", rawJSON("2027-10-12T00:00:00Z")},
		{"installLatestWindows10OnWindows11IneligibleDevice", rawFalse},
		{"installFeatureUpdatesOptional", rawFalse},
		{"rolloutSettings", rawNull},
	}}
}

func qualityUpdate(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{body: object{
		{"id", rawNull},
		{"displayName", rawJSON(title(n, "Win", "Expedited Quality Update"))},
		described(""), created, modified,
		{"roleScopeTagIds", rawScope},
		{"releaseDateDisplayName", rawJSON("2025.02 B")},
		{"deployableContentDisplayName", rawJSON("2025.02 B SecurityUpdates for Windows 11")},
		{"expeditedUpdateSettings", rawJSON(object{{"qualityUpdateRelease", rawJSON("2025-02-11T00:00:00Z")}, {"daysUntilForcedReboot", rawJSON(1)}})},
	}}
}

func driverUpdate(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{body: object{
		{"id", rawNull},
		{"displayName", rawJSON(title(n, "Win", "Drivers"))},
		described(""),
		{"approvalType", rawJSON("automatic")},
		{"deviceReporting", rawJSON(rng.IntN(90))},
		{"newUpdates", rawJSON(rng.IntN(12))},
		{"deploymentDeferralInDays", rawJSON(rng.IntN(14))},
		created, modified,
		{"roleScopeTagIds", rawScope},
		{"inventorySyncStatus", rawJSON(object{{"lastSuccessfulSyncDateTime", rawJSON(stamp(epoch))}, {"driverInventorySyncState", rawJSON("success")}})},
	}}
}

func namedLocation(n int, rng *rand.Rand) *seed {
	at := rawJSON(epoch.Add(-upTo(rng, 300*day)).Format("2006-01-02T15:04:05.0000000Z"))
	return &seed{body: object{
		{"@odata.type", rawJSON("#microsoft.graph.ipNamedLocation")},
		{"id", rawNull},
		{"displayName", rawJSON("Office " + sites[n%len(sites)])},
		{"modifiedDateTime", at},
		{"createdDateTime", at},
		{"isTrusted", rawTrue},
		{"ipRanges", rawJSON([]object{{{"@odata.type", rawJSON("#microsoft.graph.iPv4CidrRange")}, {"cidrAddress", rawJSON(fmt.Sprintf("203.0.113.%d/32", n%250))}}})},
	}}
}

func notificationTemplate(n int, rng *rand.Rand) *seed {
	_, modified := timesOf(rng)
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("message"+strconv.Itoa(n))).String()
	return &seed{
		body: object{
			{"id", rawNull},
			modified,
			{"displayName", rawJSON(title(n, "All", "Noncompliance notice"))},
			described(""),
			{"defaultLocale", rawJSON("en-us")},
			{"brandingOptions", rawJSON("includeCompanyLogo,includeCompanyName")},
			{"roleScopeTagIds", rawScope},
		},
		navs: map[string][]object{"localizedNotificationMessages": {{
			{"id", rawJSON(id + "_en-us")},
			modified,
			{"locale", rawJSON("en-us")},
			{"subject", rawJSON("Your device needs attention")},
			{"messageTemplate", rawJSON("Please open Company Portal and follow the steps.")},
			{"isDefault", rawTrue},
		}}},
	}
}

func conditionalAccessPolicy(n int, rng *rand.Rand) *seed {
	created, _ := timesOf(rng)
	name := []string{"Require MFA for all users", "Block legacy authentication", "Require compliant device", "Block unknown platforms", "Require MFA for admins", "Sign-in frequency for guests"}[n%6]
	all, none := rawJSON([]string{"All"}), rawJSON([]string{})
	control := "mfa"
	if strings.HasPrefix(name, "Block") {
		control = "block"
	}
	return &seed{body: object{
		{"id", rawNull},
		{"displayName", rawJSON(fmt.Sprintf("CA%03d - %s", 1+n, name))},
		created,
		{"modifiedDateTime", rawNull},
		{"state", rawJSON([]string{"enabled", "enabledForReportingButNotEnforced", "disabled"}[rng.IntN(3)])},
		{"sessionControls", rawNull},
		{"conditions", rawJSON(object{
			{"userRiskLevels", none},
			{"signInRiskLevels", none},
			{"clientAppTypes", rawJSON([]string{"all"})},
			{"platforms", rawNull},
			{"locations", rawNull},
			{"applications", rawJSON(object{{"includeApplications", all}, {"excludeApplications", none}, {"includeUserActions", none}})},
			{"users", rawJSON(object{{"includeUsers", all}, {"excludeUsers", none}, {"includeGroups", none}, {"excludeGroups", none}, {"includeRoles", none}, {"excludeRoles", none}})},
		})},
		{"grantControls", rawJSON(object{{"operator", rawJSON("OR")}, {"builtInControls", rawJSON([]string{control})}, {"customAuthenticationFactors", none}, {"termsOfUse", none}})},
	}}
}

var appNames = []struct{ kind, name, publisher string }{
	{"win32LobApp", "7-Zip", "Igor Pavlov"},
	{"winGetApp", "Company Portal", "Microsoft Corporation"},
	{"officeSuiteApp", "Microsoft 365 Apps for Windows", "Microsoft"},
	{"iosStoreApp", "Microsoft Outlook", "Microsoft Corporation"},
	{"managedIOSStoreApp", "Microsoft Teams", "Microsoft Corporation"},
	{"androidManagedStoreApp", "Intune Company Portal", "Microsoft Corporation"},
	{"win32LobApp", "Notepad++", "Don Ho"},
	{"macOSMicrosoftEdgeApp", "Microsoft Edge for macOS", "Microsoft"},
	{"win32LobApp", "VLC media player", "VideoLAN"},
	{"webApp", "Intranet", "IT Operations"},
	{"win32LobApp", "Google Chrome", "Google"},
	{"macOSOfficeSuiteApp", "Microsoft 365 Apps for macOS", "Microsoft"},
	{"win32LobApp", "Adobe Acrobat Reader", "Adobe"},
	{"iosVppApp", "Adobe Scan", "Adobe"},
}

// generateApp makes the i-th mobile app of a seed.
func generateApp(seedNumber uint64, i int) *seed {
	rng := rand.New(rand.NewPCG(seedNumber, 1<<40|uint64(i)))
	created, modified := timesOf(rng)
	a := appNames[i%len(appNames)]
	name := a.name
	if round := i / len(appNames); round > 0 {
		name += " (" + sites[round%len(sites)] + ")"
	}
	return &seed{name: "generated app " + strconv.Itoa(i), body: object{
		{"@odata.type", rawJSON("#microsoft.graph." + a.kind)},
		{"id", rawNull},
		{"displayName", rawJSON(name)},
		described(name),
		{"publisher", rawJSON(a.publisher)},
		{"largeIcon", rawNull},
		created, modified,
		{"isFeatured", rawJSON(i%7 == 0)},
		{"privacyInformationUrl", rawNull},
		{"informationUrl", rawNull},
		{"owner", rawEmpty},
		{"developer", rawEmpty},
		{"notes", rawEmpty},
		{"uploadState", rawJSON(1)},
		{"publishingState", rawJSON("published")},
		{"isAssigned", rawFalse},
		{"roleScopeTagIds", rawScope},
		{"dependentAppCount", rawJSON(0)},
		{"supersedingAppCount", rawJSON(0)},
		{"supersededAppCount", rawJSON(0)},
	}}
}

// builtInRoles are the roles that Intune has in every tenant (docs: built-in roles; ids from the provider's own list).
var builtInRoles = []struct{ id, name, description string }{
	{"c1d9fcbb-cba5-40b0-bf6b-527006585f4b", "Application Manager", "Manages mobile and managed applications and reads device information."},
	{"c56d53a2-73d0-4502-b6bd-4a9d3dba28d5", "Endpoint Security Manager", "Manages security and compliance features such as security baselines."},
	{"9e0cc482-82df-4ab2-a24c-0c23a3f52e1e", "Help Desk Operator", "Performs remote tasks on users and devices and can assign applications or policies."},
	{"fb2603eb-3c87-4be3-8b5b-d58a5b4a0bc0", "Intune Role Administrator", "Manages custom Intune roles and adds assignments for built-in ones."},
	{"0bd113fe-6be5-400c-a28f-ae5553f9c0be", "Policy and Profile manager", "Manages compliance policy, configuration profiles and Apple enrollment."},
	{"fa1d7878-e8cb-41a1-8254-0142355c9f84", "Read Only Operator", "Views user, device, enrollment, configuration and application information."},
	{"2f9f4f7e-2d13-427b-adf2-361a1eef7ae8", "School Administrator", "Manages apps and settings for its own groups."},
}

// fixedSeeds are in every tenant, whatever else is loaded or generated.
func fixedSeeds() map[string][]*seed {
	out := map[string][]*seed{
		"devicemanagement/rolescopetags": {{name: "default", body: object{
			{"id", rawJSON("0")}, {"displayName", rawJSON("Default")}, described(""), {"isBuiltIn", rawTrue},
		}}},
	}
	for _, r := range builtInRoles {
		permissions := rawJSON([]object{{{"resourceActions", rawJSON([]object{{
			{"allowedResourceActions", rawJSON([]string{"Microsoft.Intune_Organization_Read", "Microsoft.Intune_DeviceConfigurations_Read"})}, {"notAllowedResourceActions", rawJSON([]string{})},
		}})}}})
		out["devicemanagement/roledefinitions"] = append(out["devicemanagement/roledefinitions"], &seed{name: r.name, body: object{
			{"@odata.type", rawJSON("#microsoft.graph.deviceAndAppManagementRoleDefinition")},
			{"id", rawJSON(r.id)},
			{"displayName", rawJSON(r.name)},
			described(r.description),
			{"isBuiltInRoleDefinition", rawTrue},
			{"isBuiltIn", rawTrue},
			{"roleScopeTagIds", rawJSON([]string{})},
			{"rolePermissions", permissions},
		}})
	}
	return out
}
