package estate

import (
	"fmt"
	"math/rand/v2"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

func etag(rng *rand.Rand) odata.Field {
	return odata.F("version", fmt.Sprintf(`"%08x-0000-0d00-0000-%08x0000"`, rng.Uint32(), rng.Uint32()))
}

func appProtection(platform string) func(int, *rand.Rand) *seed {
	return func(n int, rng *rand.Rand) *seed {
		created, modified := timesOf(rng)
		bundle := odata.F("packageId", "com.microsoft.office.outlook")
		kind, label := "androidManagedAppProtection", "Android"
		if platform == "ios" {
			kind, label, bundle = "iosManagedAppProtection", "iOS", odata.F("bundleId", "com.microsoft.Office.Outlook")
		}
		identifier := odata.Object{odata.F("@odata.type", "#microsoft.graph."+platform+"MobileAppIdentifier"), bundle}
		return &seed{
			Body: odata.Object{
				odata.F("@odata.type", "#microsoft.graph."+kind),
				odata.F("displayName", title(n, label, "App Protection")),
				described(""), created, modified,
				odata.F("roleScopeTagIds", rawScope),
				odata.F("id", rawNull),
				etag(rng),
				odata.F("periodOfflineBeforeAccessCheck", "PT12H"),
				odata.F("periodOnlineBeforeAccessCheck", "PT30M"),
				odata.F("allowedInboundDataTransferSources", "managedApps"),
				odata.F("allowedOutboundDataTransferDestinations", "managedApps"),
				odata.F("organizationalCredentialsRequired", rawFalse),
				odata.F("dataBackupBlocked", rawTrue),
				odata.F("deviceComplianceRequired", rawTrue),
				odata.F("saveAsBlocked", rawTrue),
				odata.F("periodOfflineBeforeWipeIsEnforced", "P90D"),
				odata.F("pinRequired", rawTrue),
				odata.F("maximumPinRetries", 5),
				odata.F("minimumPinLength", 6),
				odata.F("pinCharacterSet", "numeric"),
				odata.F("printBlocked", rawFalse),
				odata.F("isAssigned", rawFalse),
				odata.F("deployedAppCount", 1),
			},
			navs: map[string][]odata.Object{"apps": {{odata.F("id", "com.microsoft.office.outlook."+platform), odata.F("version", "1"), odata.F("mobileAppIdentifier", identifier)}}},
		}
	}
}

func targetedAppConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("@odata.type", "#microsoft.graph.targetedManagedAppConfiguration"),
		odata.F("displayName", title(n, "Mobile", "Edge Settings")),
		described(""), created, modified,
		odata.F("roleScopeTagIds", rawScope),
		odata.F("id", rawNull),
		etag(rng),
		odata.F("deployedAppCount", 2),
		odata.F("isAssigned", rawFalse),
		odata.F("targetedAppManagementLevels", "unspecified"),
		odata.F("appGroupType", "selectedPublicApps"),
		odata.F("customSettings", []odata.Object{{odata.F("name", "com.microsoft.intune.mam.managedbrowser.homepage"), odata.F("value", "https://intranet.example")}}),
	}}
}

func deviceAppConfiguration(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("@odata.type", "#microsoft.graph.iosMobileAppConfiguration"),
		odata.F("id", rawNull),
		odata.F("targetedMobileApps", []string{}),
		odata.F("roleScopeTagIds", rawScope),
		created, described(""), modified,
		odata.F("displayName", title(n, "iOS", "Outlook Account Setup")),
		odata.F("version", 1),
		odata.F("encodedSettingXml", rawNull),
		odata.F("settings", []odata.Object{{odata.F("appConfigKey", "com.microsoft.outlook.EmailProfile.AccountType"), odata.F("appConfigKeyType", "stringType"), odata.F("appConfigKeyValue", "ModernAuth")}}),
	}}
}
