package estate

import (
	"encoding/base64"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// This file has policies of types of which a tenant has a few. They are the same in every
// tenant, so that what refers to them finds them.

// enoughPolicies is the number of policies from which a tenant has those of this file as well.
const enoughPolicies = 100

// Scope tags and contexts that generated policies refer to.
const (
	tagID     = "101"
	contextID = "c1"
)

// rareSeeds returns the policies by lower-case collection path.
func rareSeeds() map[string][]*seed {
	const at = "2025-01-20T10:15:30.1234567Z"
	created, modified := odata.F("createdDateTime", at), odata.F("lastModifiedDateTime", at)
	out := map[string][]*seed{}
	add := func(path, name string, body odata.Object, navs map[string][]odata.Object) {
		if body.Index("id") < 0 {
			body = append(odata.Object{odata.F("id", rawNull)}, body...)
		}
		key := strings.ToLower(path)
		out[key] = append(out[key], &seed{name: "rare " + name, Body: body, navs: navs})
	}
	content := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

	add("deviceManagement/roleScopeTags", "tag", odata.Object{odata.F("id", tagID), odata.F("displayName", "Branch offices"), described("Devices outside of headquarters."), odata.F("isBuiltIn", rawFalse)}, nil)
	add("deviceManagement/roleDefinitions", "role", odata.Object{
		odata.F("@odata.type", "#microsoft.graph.deviceAndAppManagementRoleDefinition"), odata.F("displayName", "Branch administrator"), described("Maintains devices of a branch."),
		odata.F("isBuiltInRoleDefinition", rawFalse), odata.F("isBuiltIn", rawFalse), odata.F("roleScopeTagIds", []string{tagID}),
		odata.F("rolePermissions", []odata.Object{{odata.F("resourceActions", []odata.Object{{
			odata.F("allowedResourceActions", []string{"Microsoft.Intune_ManagedDevices_Read", "Microsoft.Intune_ManagedDevices_Update", "Microsoft.Intune_RemoteTasks_RebootNow"}), odata.F("notAllowedResourceActions", []string{}),
		}})}}),
	}, nil)
	add("deviceManagement/reusablePolicySettings", "certificate", odata.Object{
		odata.F("displayName", "Signing certificate of the intranet"), described(""), odata.F("settingDefinitionId", "device_vendor_msft_policy_privilegemanagement_reusablesettings_certificatefile"),
		created, modified, odata.F("version", 1), odata.F("referencingConfigurationPolicyCount", 0),
		odata.F("settingInstance", odata.Object{
			odata.F("@odata.type", "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance"),
			odata.F("settingDefinitionId", "device_vendor_msft_policy_privilegemanagement_reusablesettings_certificatefile"), odata.F("settingInstanceTemplateReference", rawNull),
			odata.F("simpleSettingValue", odata.Object{
				odata.F("@odata.type", "#microsoft.graph.deviceManagementConfigurationStringSettingValue"), odata.F("settingValueTemplateReference", rawNull),
				odata.F("value", content("a certificate for demonstrations")),
			}),
		}),
	}, map[string][]odata.Object{"referencingConfigurationPolicies": {}})
	add("deviceManagement/deviceComplianceScripts", "script", odata.Object{
		odata.F("publisher", "IT Operations"), odata.F("version", "1"), odata.F("displayName", "Backup agent is running"), described(""),
		odata.F("detectionScriptContent", content("@{ BackupAgent = (Get-Service backup).Status -eq 'Running' } | ConvertTo-Json -Compress\r\n")), created, modified,
		odata.F("runAsAccount", "system"), odata.F("enforceSignatureCheck", rawFalse), odata.F("runAs32Bit", rawFalse), odata.F("roleScopeTagIds", rawScope),
	}, nil)
	add("deviceManagement/deviceCustomAttributeShellScripts", "attribute", odata.Object{
		odata.F("customAttributeName", "Battery cycles"), odata.F("customAttributeType", "integer"), odata.F("displayName", "Battery cycles"), described(""),
		odata.F("scriptContent", content("#!/bin/zsh\nioreg -r -c AppleSmartBattery | awk '/\"CycleCount\"/ {print $3}'\n")), created, modified,
		odata.F("runAsAccount", "system"), odata.F("fileName", "battery-cycles.sh"), odata.F("roleScopeTagIds", rawScope),
	}, nil)
	add("deviceManagement/managementConditions", "network", odata.Object{
		odata.F("@odata.type", "#microsoft.graph.networkIPv4ConfigurationManagementCondition"), odata.F("uniqueName", "headquarters"), odata.F("displayName", "Headquarters"), described(""),
		created, odata.F("modifiedDateTime", at), odata.F("eTag", "1"), odata.F("applicablePlatforms", []string{"android"}), odata.F("ipV4Prefix", "192.0.2.0/24"),
		odata.F("ipV4Gateway", "192.0.2.1"), odata.F("ipV4DHCPServer", "192.0.2.2"), odata.F("ipV4DNSServerList", []string{"192.0.2.3"}), odata.F("dnsSuffixList", []string{"hq.example"}),
	}, nil)
	add("deviceManagement/groupPolicyUploadedDefinitionFiles", "admx", odata.Object{
		odata.F("displayName", "intranet.admx"), described(""), odata.F("languageCodes", []string{"en-US"}), odata.F("targetPrefix", "intranet"), odata.F("targetNamespace", "Example.Policies.Intranet"),
		odata.F("policyType", "admxIngested"), odata.F("revision", "1.0"), odata.F("fileName", "intranet.admx"), modified, odata.F("status", "available"), odata.F("content", rawNull),
		odata.F("uploadDateTime", at), odata.F("defaultLanguageCode", "en-US"),
		odata.F("groupPolicyUploadedLanguageFiles", []odata.Object{{odata.F("fileName", "intranet.adml"), odata.F("languageCode", "en-US"), odata.F("content", rawNull), odata.F("id", "f0a7c2b4-55aa-4b8e-9e5a-2d7d4a6c9101"), modified}}),
	}, nil)
	add("deviceAppManagement/windowsManagedAppProtections", "windows", odata.Object{
		odata.F("@odata.type", "#microsoft.graph.windowsManagedAppProtection"),
		odata.F("displayName", "Win - App Protection - Browser"), described(""), created, modified, odata.F("roleScopeTagIds", rawScope), odata.F("version", `"6b010000-0000-0d00-0000-678e00000000"`),
		odata.F("isAssigned", rawFalse), odata.F("deployedAppCount", 1), odata.F("printBlocked", rawFalse), odata.F("allowedInboundDataTransferSources", "allApps"),
		odata.F("allowedOutboundClipboardSharingLevel", "anyDestinationAnySource"), odata.F("allowedOutboundDataTransferDestinations", "allApps"),
		odata.F("appActionIfUnableToAuthenticateUser", rawNull), odata.F("maximumAllowedDeviceThreatLevel", "notConfigured"), odata.F("mobileThreatDefenseRemediationAction", "block"),
		odata.F("minimumRequiredOsVersion", "10.0.22631"), odata.F("periodOfflineBeforeWipeIsEnforced", "P90D"), odata.F("periodOfflineBeforeAccessCheck", "PT12H"),
	}, map[string][]odata.Object{"apps": {{odata.F("id", "com.microsoft.edge.windows"), odata.F("version", "1"), odata.F("mobileAppIdentifier", odata.Object{odata.F("@odata.type", "#microsoft.graph.windowsAppIdentifier"), odata.F("windowsAppId", "com.microsoft.edge")})}}})
	add("deviceManagement/windowsQualityUpdatePolicies", "hotpatch", odata.Object{
		odata.F("displayName", "Win - Hotpatch - Production"), described(""), created, modified, odata.F("roleScopeTagIds", rawScope), odata.F("hotpatchEnabled", rawTrue), odata.F("approvalSettings", []odata.Object{}),
	}, nil)
	add("deviceAppManagement/policySets", "set", odata.Object{
		odata.F("displayName", "First day"), described("What a new device gets."), created, modified, odata.F("status", "success"), odata.F("errorCode", "noError"),
		odata.F("guidedDeploymentTags", []string{}), odata.F("roleScopeTags", rawScope),
	}, map[string][]odata.Object{"items": {{
		odata.F("@odata.type", "#microsoft.graph.deviceConfigurationPolicySetItem"), odata.F("id", "6f0d1a7c-9a43-4d0d-8f14-3a1f2b5c7d01"), created, modified,
		odata.F("payloadId", "6f0d1a7c-9a43-4d0d-8f14-3a1f2b5c7d02"), odata.F("itemType", rawNull), odata.F("displayName", "Custom OMA-URI"), odata.F("status", "success"), odata.F("errorCode", "noError"), odata.F("guidedDeploymentTags", []string{}),
	}}})
	add("deviceManagement/termsAndConditions", "terms", odata.Object{
		odata.F("displayName", "Use of company devices"), described(""), odata.F("title", "Use of company devices"), odata.F("bodyText", "Company devices are for work."),
		odata.F("acceptanceStatement", "I agree."), odata.F("version", 1), created, modified, odata.F("roleScopeTagIds", rawScope),
	}, nil)
	strong := strength("", "Security key of the company", "Security keys that IT hands out.", "custom", []string{"fido2"}, []odata.Object{{
		odata.F("@odata.type", "#microsoft.graph.fido2CombinationConfiguration"), odata.F("id", "96f4a9b5-8a1e-4f0e-9a7c-1d2e3f4a5b6c"),
		odata.F("appliesToCombinations", []string{"fido2"}), odata.F("allowedAAGUIDs", []string{"de1e552d-db1d-4423-a619-566b625cdc84"}),
	}})
	add("identity/conditionalAccess/authenticationStrength/policies", "strength", strong.Body.With("id", rawNull), strong.navs)
	add("identity/conditionalAccess/authenticationContextClassReferences", "context", odata.Object{
		odata.F("id", contextID), odata.F("displayName", "Confidential sites"), described("Asked for by sites with confidential content."), odata.F("isAvailable", rawTrue),
	}, nil)
	add("identity/conditionalAccess/namedLocations", "countries", odata.Object{
		odata.F("@odata.type", "#microsoft.graph.countryNamedLocation"), odata.F("displayName", "Countries with offices"), odata.F("createdDateTime", at), odata.F("modifiedDateTime", at),
		odata.F("countriesAndRegions", []string{"DE", "AT", "CH"}), odata.F("includeUnknownCountriesAndRegions", rawFalse), odata.F("countryLookupMethod", "clientIpAddress"),
	}, nil)
	return out
}
