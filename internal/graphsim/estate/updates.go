package estate

import (
	"math/rand/v2"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

func featureUpdate(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("id", rawNull),
		odata.F("displayName", title(n, "Win", "Feature Update 24H2")),
		described(""),
		odata.F("featureUpdateVersion", "Windows 11, version 24H2"),
		created, modified,
		odata.F("roleScopeTagIds", rawScope),
		odata.F("deployableContentDisplayName", "Windows 11, version 24H2"),
		odata.F("endOfSupportDate", "2027-10-12T00:00:00Z"),
		odata.F("installLatestWindows10OnWindows11IneligibleDevice", rawFalse),
		odata.F("installFeatureUpdatesOptional", rawFalse),
		odata.F("rolloutSettings", rawNull),
	}}
}

func qualityUpdate(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("id", rawNull),
		odata.F("displayName", title(n, "Win", "Expedited Quality Update")),
		described(""), created, modified,
		odata.F("roleScopeTagIds", rawScope),
		odata.F("releaseDateDisplayName", "2025.02 B"),
		odata.F("deployableContentDisplayName", "2025.02 B SecurityUpdates for Windows 11"),
		odata.F("expeditedUpdateSettings", odata.Object{odata.F("qualityUpdateRelease", "2025-02-11T00:00:00Z"), odata.F("daysUntilForcedReboot", 1)}),
	}}
}

func driverUpdate(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	return &seed{Body: odata.Object{
		odata.F("id", rawNull),
		odata.F("displayName", title(n, "Win", "Drivers")),
		described(""),
		odata.F("approvalType", "automatic"),
		odata.F("deviceReporting", rng.IntN(90)),
		odata.F("newUpdates", rng.IntN(12)),
		odata.F("deploymentDeferralInDays", rng.IntN(14)),
		created, modified,
		odata.F("roleScopeTagIds", rawScope),
		odata.F("inventorySyncStatus", odata.Object{odata.F("lastSuccessfulSyncDateTime", Stamp(Epoch)), odata.F("driverInventorySyncState", "success")}),
	}}
}
