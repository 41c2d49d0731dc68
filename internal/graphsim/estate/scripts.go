package estate

import (
	"encoding/base64"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

func script(text string) odata.Field {
	return odata.F("scriptContent", base64.StdEncoding.EncodeToString([]byte(text)))
}

func windowsScript(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	name := []string{"Remove consumer apps", "Set time zone", "Map network printers", "Rename local administrator", "Install language pack"}[n%5]
	return &seed{Body: odata.Object{
		odata.F("enforceSignatureCheck", rawFalse),
		odata.F("runAs32Bit", rawFalse),
		odata.F("id", rawNull),
		odata.F("displayName", title(n, "Win", name)),
		described(name),
		script("# " + name + "\r\nWrite-Output 'done'\r\n"), created, modified,
		odata.F("runAsAccount", "system"),
		odata.F("fileName", strings.ReplaceAll(name, " ", "-")+".ps1"),
		odata.F("roleScopeTagIds", rawScope),
	}}
}

func shellScript(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	name := []string{"Install Company Portal", "Set Dock", "Rename Mac"}[n%3]
	return &seed{Body: odata.Object{
		odata.F("executionFrequency", "P1D"),
		odata.F("retryCount", 3),
		odata.F("blockExecutionNotifications", rawTrue),
		odata.F("id", rawNull),
		odata.F("displayName", title(n, "MacOS", name)),
		described(name), script("#!/bin/zsh\n# " + name + "\nexit 0\n"), created, modified,
		odata.F("runAsAccount", "system"),
		odata.F("fileName", strings.ReplaceAll(name, " ", "-")+".sh"),
		odata.F("roleScopeTagIds", rawScope),
	}}
}

func healthScript(n int, rng *rand.Rand) *seed {
	created, modified := timesOf(rng)
	name := []string{"Stale Group Policy", "Low disk space", "Broken update client"}[n%3]
	detect := base64.StdEncoding.EncodeToString([]byte("# detect: " + name + "\r\nexit 1\r\n"))
	return &seed{Body: odata.Object{
		odata.F("id", rawNull),
		odata.F("publisher", "IT Operations"),
		odata.F("version", strconv.Itoa(1+n%4)),
		odata.F("displayName", title(n, "Win", name)),
		described(name),
		odata.F("detectionScriptContent", detect),
		odata.F("remediationScriptContent", detect),
		created, modified,
		odata.F("runAsAccount", "system"),
		odata.F("enforceSignatureCheck", rawFalse),
		odata.F("runAs32Bit", rawFalse),
		odata.F("roleScopeTagIds", rawScope),
		odata.F("isGlobalScript", n%3 == 0),
		odata.F("highestAvailableVersion", rawNull),
		odata.F("deviceHealthScriptType", "deviceHealthScript"),
		odata.F("detectionScriptParameters", []odata.Object{}),
		odata.F("remediationScriptParameters", []odata.Object{}),
	}}
}
