package estate

import (
	"slices"
	"strconv"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// This file has what Microsoft puts into every tenant.

// strengths are the authentication strengths of every tenant (docs: built-in authentication
// strengths, with their ids).
var strengths = []struct {
	id, name, description string
	combinations          []string
}{
	{
		"00000000-0000-0000-0000-000000000002", "Multifactor authentication", "Combinations of methods that satisfy strong authentication, such as a password + SMS",
		[]string{
			"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush", "temporaryAccessPassOneTime", "temporaryAccessPassMultiUse",
			"password,microsoftAuthenticatorPush", "password,softwareOath", "password,hardwareOath", "password,sms", "password,voice", "federatedMultiFactor",
		},
	},
	{
		"00000000-0000-0000-0000-000000000003", "Passwordless MFA", "Passwordless methods that satisfy strong authentication, such as Passwordless sign-in with the Microsoft Authenticator",
		[]string{"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor", "deviceBasedPush"},
	},
	{
		"00000000-0000-0000-0000-000000000004", "Phishing-resistant MFA", "Phishing-resistant, passwordless methods for the strongest authentication, such as a FIDO2 security key",
		[]string{"windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"},
	},
}

func strength(id, name, description, kind string, combinations []string, configurations []odata.Object) *seed {
	at := odata.Raw("2021-12-01T00:00:00Z")
	return &seed{
		name: id,
		Body: odata.Object{
			odata.F("id", id), odata.F("createdDateTime", at), odata.F("modifiedDateTime", at), odata.F("displayName", name), described(description),
			odata.F("policyType", kind), odata.F("requirementsSatisfied", "mfa"), odata.F("allowedCombinations", combinations),
		},
		navs: map[string][]odata.Object{"combinationConfigurations": configurations},
	}
}

// enrollmentDefaults returns the enrollment configurations of every tenant. Their ids end with
// _Default and more, they have the lowest priority, and nobody can delete them (docs).
func enrollmentDefaults() []*seed {
	make := func(suffix, kind, enum, description string, more odata.Object) *seed {
		head := odata.Object{
			odata.F("@odata.type", "#microsoft.graph."+kind),
			odata.F("id", "00000000-0000-0000-0000-000000000000_"+suffix),
			odata.F("displayName", "All users and all devices"), described(description), odata.F("priority", 0),
			odata.F("createdDateTime", rawZeroTime), odata.F("lastModifiedDateTime", rawZeroTime),
			odata.F("version", 0), odata.F("roleScopeTagIds", []string{}), odata.F("deviceEnrollmentConfigurationType", enum),
		}
		return &seed{name: suffix, Body: append(head, more...), navs: map[string][]odata.Object{"assignments": {}}}
	}
	open := odata.Object{
		odata.F("platformBlocked", rawFalse), odata.F("personalDeviceEnrollmentBlocked", rawFalse), odata.F("osMinimumVersion", rawEmpty),
		odata.F("osMaximumVersion", rawEmpty), odata.F("blockedManufacturers", []string{}), odata.F("blockedSkus", []string{}),
	}
	var platforms odata.Object
	for _, name := range []string{"iosRestriction", "windowsRestriction", "windowsHomeSkuRestriction", "windowsMobileRestriction", "androidRestriction", "androidForWorkRestriction", "macRestriction", "macOSRestriction"} {
		platforms = append(platforms, odata.F(name, open))
	}
	return []*seed{
		make("DefaultLimit", "deviceEnrollmentLimitConfiguration", "limit", "This is the default Device Limit Restriction applied with the lowest priority to all users regardless of group membership.",
			odata.Object{odata.F("limit", 5)}),
		make("DefaultPlatformRestrictions", "deviceEnrollmentPlatformRestrictionsConfiguration", "platformRestrictions", "This is the default Device Type Restriction applied with the lowest priority to all users regardless of group membership.", platforms),
		make("DefaultWindowsHelloForBusiness", "deviceEnrollmentWindowsHelloForBusinessConfiguration", "windowsHelloForBusiness", "This is the default Windows Hello for Business configuration applied with the lowest priority to all users regardless of group membership.",
			odata.Object{
				odata.F("pinMinimumLength", 6), odata.F("pinMaximumLength", 127), odata.F("pinUppercaseCharactersUsage", "disallowed"), odata.F("pinLowercaseCharactersUsage", "disallowed"),
				odata.F("pinSpecialCharactersUsage", "disallowed"), odata.F("state", "notConfigured"), odata.F("securityDeviceRequired", rawFalse), odata.F("unlockWithBiometricsEnabled", rawTrue),
				odata.F("remotePassportEnabled", rawTrue), odata.F("pinPreviousBlockCount", 0), odata.F("pinExpirationInDays", 0), odata.F("enhancedBiometricsState", "notConfigured"),
				odata.F("securityKeyForSignIn", "notConfigured"), odata.F("enhancedSignInSecurity", 0),
			}),
		make("DefaultWindows10EnrollmentCompletionPageConfiguration", "windows10EnrollmentCompletionPageConfiguration", "windows10EnrollmentCompletionPageConfiguration", "This is the default enrollment status screen configuration applied with the lowest priority to all users and all devices regardless of group membership.",
			odata.Object{
				odata.F("showInstallationProgress", rawFalse), odata.F("blockDeviceSetupRetryByUser", rawTrue), odata.F("allowDeviceResetOnInstallFailure", rawFalse),
				odata.F("allowLogCollectionOnInstallFailure", rawFalse), odata.F("customErrorMessage", rawEmpty), odata.F("installProgressTimeoutInMinutes", 0),
				odata.F("allowDeviceUseOnInstallFailure", rawFalse), odata.F("selectedMobileAppIds", []string{}), odata.F("trackInstallProgressForAutopilotOnly", rawFalse),
			}),
	}
}

// baselineID is the template of the generated intents.
const baselineID = "d1174162-1dd2-4976-affc-6667049ab0ae"

// template returns a template of the old form of endpoint security.
func template(id, name, kind, subtype string) *seed {
	return &seed{
		name: id,
		Body: odata.Object{
			odata.F("@odata.type", "#microsoft.graph."+kind), odata.F("id", id), odata.F("displayName", name), described(""),
			odata.F("versionInfo", "2105"), odata.F("isDeprecated", rawFalse), odata.F("intentCount", 0), odata.F("templateType", kind[:len(kind)-len("Template")]),
			odata.F("platformType", "windows10AndLater"), odata.F("templateSubtype", subtype), odata.F("publishedDateTime", Stamp(Epoch.Add(-900*day))),
		},
		navs: map[string][]odata.Object{"categories": {{odata.F("id", "b1a1a1a1-3a5e-4d0c-9a61-"+id[24:]), odata.F("displayName", "General"), odata.F("hasRequiredSetting", rawFalse)}}},
	}
}

// policyTemplate returns a template of the settings catalogue.
func policyTemplate(base string, version int, family, name string, lifecycle string) *seed {
	id := base + "_" + strconv.Itoa(version)
	return &seed{
		name: id,
		Body: odata.Object{
			odata.F("id", id), odata.F("baseId", base), odata.F("version", version), odata.F("displayName", name), described(""),
			odata.F("displayVersion", "Version "+strconv.Itoa(version)), odata.F("lifecycleState", lifecycle), odata.F("platforms", "windows10"), odata.F("technologies", "mdm,microsoftSense"),
			odata.F("templateFamily", family), odata.F("allowUnmanagedSettings", rawFalse), odata.F("settingTemplateCount", 2), odata.F("disableEntraGroupPolicyAssignment", rawFalse),
		},
		navs: map[string][]odata.Object{"settingTemplates": {
			settingTemplate("0", definition[0]),
			settingTemplate("1", definition[1]),
		}},
	}
}

func settingTemplate(id, definitionID string) odata.Object {
	return odata.Object{odata.F("id", id), odata.F("settingInstanceTemplate", odata.Object{
		odata.F("@odata.type", "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstanceTemplate"),
		odata.F("settingInstanceTemplateId", "a1a1a1a1-0000-4000-8000-00000000000"+id), odata.F("settingDefinitionId", definitionID), odata.F("isRequired", rawFalse),
	})}
}

// administrativeTemplates are settings of Group Policy: names of the generator, in the form of
// the service.
var administrativeTemplates = []struct{ id, class, name, category, label string }{
	{"5a1b0c11-0b7e-4b6e-8a44-9d2c7a3e0001", "user", "Block macros in files from the internet", `\Office\Security Settings`, ""},
	{"5a1b0c11-0b7e-4b6e-8a44-9d2c7a3e0002", "machine", "Home page of the browser", `\Browser\Startup`, "Address of the page"},
	{"5a1b0c11-0b7e-4b6e-8a44-9d2c7a3e0003", "machine", "Folder for synchronised files", `\Sync\Folders`, "Path"},
}

func groupPolicyDefinition(i int) *seed {
	d := administrativeTemplates[i]
	at := odata.F("lastModifiedDateTime", Stamp(Epoch.Add(-700*day)))
	presentations := []odata.Object{}
	if d.label != "" {
		presentations = append(presentations, odata.Object{
			odata.F("@odata.type", "#microsoft.graph.groupPolicyPresentationTextBox"), odata.F("id", presentationID(d.id)), odata.F("label", d.label), at,
			odata.F("defaultValue", rawEmpty), odata.F("required", rawTrue), odata.F("maxLength", 1023),
		})
	}
	return &seed{
		name: d.id,
		Body: odata.Object{
			odata.F("id", d.id), odata.F("classType", d.class), odata.F("displayName", d.name), odata.F("explainText", d.name+"."), odata.F("categoryPath", d.category),
			odata.F("supportedOn", "Windows 11"), odata.F("policyType", "admxBacked"), odata.F("hasRelatedDefinitions", rawFalse), odata.F("groupPolicyCategoryId", d.id[:35]+"c"),
			odata.F("minDeviceCspVersion", "5.0"), odata.F("minUserCspVersion", "5.0"), odata.F("version", "1.0"), at,
		},
		navs: map[string][]odata.Object{"presentations": presentations},
	}
}

func presentationID(definitionID string) string { return definitionID[:24] + "b" + definitionID[25:] }

// builtInSeeds adds to out what Microsoft puts into every tenant besides roles and scope tag.
func builtInSeeds(out map[string][]*seed) {
	for _, s := range strengths {
		out["identity/conditionalaccess/authenticationstrength/policies"] = append(out["identity/conditionalaccess/authenticationstrength/policies"],
			strength(s.id, s.name, s.description, "builtIn", slices.Clone(s.combinations), []odata.Object{}))
	}
	out["devicemanagement/deviceenrollmentconfigurations"] = enrollmentDefaults()
	out["devicemanagement/templates"] = []*seed{
		template(baselineID, "Disk encryption", "securityBaselineTemplate", "diskEncryption"),
		template("034ccd46-190c-4afc-adf1-ad7cc11262eb", "MDM Security Baseline for Windows 10 and later", "securityBaselineTemplate", "none"),
	}
	out["devicemanagement/configurationpolicytemplates"] = []*seed{
		policyTemplate("804339ad-1553-4478-a742-138fb5807418", 1, "endpointSecurityAntivirus", "Microsoft Defender Antivirus", "active"),
		policyTemplate("46ddfc50-d10f-4867-b852-9434254b3bff", 1, "endpointSecurityDiskEncryption", "BitLocker", "active"),
		policyTemplate("46ddfc50-d10f-4867-b852-9434254b3bff", 0, "endpointSecurityDiskEncryption", "BitLocker", "deprecated"),
	}
	for i := range administrativeTemplates {
		out["devicemanagement/grouppolicydefinitions"] = append(out["devicemanagement/grouppolicydefinitions"], groupPolicyDefinition(i))
	}
}
