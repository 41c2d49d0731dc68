package estate

import (
	"math/rand/v2"
	"strconv"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

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

// generateApp returns mobile app i of a seed.
func generateApp(seedNumber uint64, i int) *seed {
	rng := rand.New(rand.NewPCG(seedNumber, 1<<40|uint64(i)))
	created, modified := timesOf(rng)
	a := appNames[i%len(appNames)]
	name := a.name
	if round := i / len(appNames); round > 0 {
		name += " (" + sites[round%len(sites)] + ")"
	}
	return &seed{name: "generated app " + strconv.Itoa(i), Body: odata.Object{
		odata.F("@odata.type", "#microsoft.graph."+a.kind),
		odata.F("id", rawNull),
		odata.F("displayName", name),
		described(name),
		odata.F("publisher", a.publisher),
		odata.F("largeIcon", rawNull),
		created, modified,
		odata.F("isFeatured", i%7 == 0),
		odata.F("privacyInformationUrl", rawNull),
		odata.F("informationUrl", rawNull),
		odata.F("owner", rawEmpty),
		odata.F("developer", rawEmpty),
		odata.F("notes", rawEmpty),
		odata.F("uploadState", 1),
		odata.F("publishingState", "published"),
		odata.F("isAssigned", rawFalse),
		odata.F("roleScopeTagIds", rawScope),
		odata.F("dependentAppCount", 0),
		odata.F("supersedingAppCount", 0),
		odata.F("supersededAppCount", 0),
	}}
}
