package graphsim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// This file makes up the people, groups and devices of a mid-sized European business.
// Everything follows from the seed.

const day = 24 * time.Hour

var (
	givenNames  = strings.Fields("Anna Ben Carla David Elif Finn Greta Hamza Ines Jonas Karin Luca Mia Noah Olga Paul Qadira Rosa Samir Tess Umut Vera Wim Xenia Yusuf Zoe Amira Björn Chloe Dario Emma Femke Gael Helene Ivan Jana Kofi Lena Marek Nadia Oskar Petra Ravi Sofia Tomas Ulla Victor Wanda Yara Zeno Agnes Bruno Clara")
	familyNames = strings.Fields("Becker Novak Rossi Jansen Dubois Garcia Kowalski Larsen Meyer Nilsson Okafor Petrov Quinn Richter Silva Tanaka Ulrich Vogel Weber Xu Yilmaz Zimmermann Andersson Bauer Costa Dietrich Eriksen Fischer Gruber Hoffmann Ivanova Jung Keller Lindqvist Moreau Nagy Olsen Popescu Romano Schulz Thomsen Urban Virtanen Wagner Yildiz Zeman")
	sites       = strings.Fields("Berlin Hamburg Munich Vienna Zurich Amsterdam Brussels Paris Lyon Madrid Lisbon Milan Warsaw Prague Copenhagen Stockholm Oslo Helsinki Dublin London Leeds Boston Austin Toronto Singapore Sydney")
	departments = []string{"Finance", "Controlling", "Human Resources", "Sales", "Marketing", "Legal", "Procurement", "Logistics", "Production", "Quality", "Research", "Engineering", "IT Operations", "Service Desk", "Security", "Facility Management", "Customer Care", "Works Council", "Executive Office", "Apprentices"}
	purposes    = []string{"All Staff", "Managers", "Contractors", "File Share Read", "File Share Write", "VPN Users", "Printer Access", "Mailbox Delegates", "Project Team", "License E3", "License F3", "Kiosk Accounts", "Remote Workers", "Wi-Fi Access", "Intranet Editors"}
)

func personName(n int) (given, family string) {
	return givenNames[n%len(givenNames)], familyNames[n/len(givenNames)%len(familyNames)]
}

// userName is the sign-in name of user n: plain letters, and a number past the first of a name.
func (t *tenant) userName(n int) string {
	given, family := personName(n)
	name := strings.ToLower(given + "." + family)
	name = strings.NewReplacer("ö", "oe", "é", "e").Replace(name)
	if round := n / (len(givenNames) * len(familyNames)); round > 0 {
		name += strconv.Itoa(round + 1)
	}
	return name + "@" + t.domain
}

// groupNames walks through department x site x purpose in an order of its own.
type groupNames struct {
	order []int
	at    int
}

func newGroupNames(rng *rand.Rand) *groupNames {
	return &groupNames{order: rng.Perm(len(departments) * len(sites) * len(purposes))}
}

// next names the i-th group; every eleventh is dynamic.
func (g *groupNames) next(i int) groupSeed {
	n := g.order[g.at%len(g.order)]
	round := g.at / len(g.order)
	g.at++
	dep, site, purpose := departments[n%len(departments)], sites[n/len(departments)%len(sites)], purposes[n/len(departments)/len(sites)]
	suffix := ""
	if round > 0 {
		suffix = fmt.Sprintf(" %d", round+1)
	}
	switch i % 22 {
	case 7:
		return groupSeed{
			name: "DYN-" + site + "-" + dep + "-Users" + suffix, description: "All enabled accounts of " + dep + " in " + site,
			rule: fmt.Sprintf(`(user.department -eq "%s") and (user.city -eq "%s") and (user.accountEnabled -eq true)`, dep, site),
		}
	case 18:
		return groupSeed{
			name: "DYN-" + site + "-Devices-" + deviceModels[n%len(deviceModels)].maker + "-" + strconv.Itoa(n) + suffix, description: "Managed devices in " + site,
			rule: fmt.Sprintf(`(device.deviceManufacturer -eq "%s") and (device.displayName -startsWith "%s")`, deviceModels[n%len(deviceModels)].maker, strings.ToUpper(site[:3])),
		}
	}
	return groupSeed{name: "SEC-" + site + "-" + dep + "-" + purpose + suffix, description: purpose + " of " + dep + ", " + site}
}

type deviceModel struct{ os, version, maker, model, kind string }

var deviceModels = []deviceModel{
	{"Windows", "10.0.26100.4351", "LENOVO", "ThinkPad T14 Gen 5", "windowsRT"},
	{"Windows", "10.0.22631.5472", "HP", "EliteBook 840 G10", "windowsRT"},
	{"iOS", "18.5", "Apple", "iPhone 15", "iPhone"},
	{"Windows", "10.0.26100.4061", "Dell Inc.", "Latitude 7450", "windowsRT"},
	{"macOS", "15.5 (24F74)", "Apple", "MacBook Pro 14", "macMDM"},
	{"Android", "15", "samsung", "SM-S921B", "androidEnterprise"},
	{"iOS", "17.7.2", "Apple", "iPad Air", "iPad"},
	{"Windows", "10.0.22631.5335", "Microsoft Corporation", "Surface Pro 9", "windowsRT"},
}

func deviceName(n int) string {
	return fmt.Sprintf("%s-%s-%05d", strings.ToUpper(sites[n%len(sites)][:3]), map[string]string{"Windows": "NB", "macOS": "MB", "iOS": "IP", "Android": "AN"}[deviceModels[n%len(deviceModels)].os], 10000+n*37)
}

// Values that many entities share are encoded once.
var (
	rawNull, rawTrue, rawFalse = rawJSON(nil), rawJSON(true), rawJSON(false)
	rawEmpty, rawScope         = rawJSON(""), rawJSON([]string{"0"})
	rawZeroTime                = rawJSON("0001-01-01T00:00:00Z") // recorded: stands for "never"
)

// devices makes the managed devices of a tenant.
func (t *tenant) devices(n int) []*item {
	rng := rand.New(rand.NewPCG(t.srv.seeds.seed, uint64(t.ns.ID())+1))
	out := make([]*item, 0, n)
	for i := range n {
		m := deviceModels[i%len(deviceModels)]
		user := i * 13 % userCount
		given, family := personName(user)
		state := "compliant"
		switch rng.IntN(12) {
		case 0, 1:
			state = "noncompliant"
		case 2:
			state = "inGracePeriod"
		case 3:
			state = "unknown"
		}
		enrolled := epoch.Add(-upTo(rng, 400*day)).Truncate(time.Second)
		synced := epoch.Add(-upTo(rng, 9*day)).Truncate(time.Second)
		disk := int64(256+256*rng.IntN(3)) << 30
		owner := "company"
		if m.os == "Android" && i%3 == 0 {
			owner = "personal"
		}
		out = append(out, &item{id: t.derive("managedDevice", strconv.Itoa(i)), seed: &seed{body: object{
			{"id", rawNull},
			{"userId", rawJSON(t.fastID('u', uint32(user)))},
			{"deviceName", rawJSON(deviceName(i))},
			{"managedDeviceOwnerType", rawJSON(owner)},
			{"enrolledDateTime", rawJSON(stamp(enrolled))},
			{"lastSyncDateTime", rawJSON(stamp(synced))},
			{"operatingSystem", rawJSON(m.os)},
			{"complianceState", rawJSON(state)},
			{"jailBroken", rawJSON("Unknown")},
			{"managementAgent", rawJSON("mdm")},
			{"osVersion", rawJSON(m.version)},
			{"easActivated", rawTrue},
			{"easDeviceId", rawEmpty},
			{"easActivationDateTime", rawZeroTime},
			{"azureADRegistered", rawTrue},
			{"deviceEnrollmentType", rawJSON("windowsAzureADJoin")},
			{"activationLockBypassCode", rawNull},
			{"emailAddress", rawJSON(t.userName(user))},
			{"azureADDeviceId", rawJSON(t.fastID('d', uint32(i)))},
			{"deviceRegistrationState", rawJSON("registered")},
			{"deviceCategoryDisplayName", rawJSON("Unassigned")},
			{"isSupervised", rawJSON(m.os == "iOS")},
			{"exchangeLastSuccessfulSyncDateTime", rawZeroTime},
			{"exchangeAccessState", rawJSON("none")},
			{"exchangeAccessStateReason", rawJSON("none")},
			{"remoteAssistanceSessionUrl", rawNull},
			{"isEncrypted", rawJSON(rng.IntN(10) > 0)},
			{"userPrincipalName", rawJSON(t.userName(user))},
			{"model", rawJSON(m.model)},
			{"manufacturer", rawJSON(m.maker)},
			{"imei", rawEmpty},
			{"complianceGracePeriodExpirationDateTime", rawJSON("9999-12-31T23:59:59Z")},
			{"serialNumber", rawJSON(fmt.Sprintf("PF%06X", 0x4a0000+i*7919))},
			{"phoneNumber", rawEmpty},
			{"androidSecurityPatchLevel", rawEmpty},
			{"userDisplayName", rawJSON(given + " " + family)},
			{"wiFiMacAddress", rawEmpty},
			{"subscriberCarrier", rawEmpty},
			{"meid", rawEmpty},
			{"totalStorageSpaceInBytes", rawJSON(disk)},
			{"freeStorageSpaceInBytes", rawJSON(disk / int64(2+rng.IntN(6)))},
			{"managedDeviceName", rawJSON(strings.ToLower(given) + "_" + m.os + "_" + strconv.Itoa(i))},
			{"partnerReportedThreatState", rawJSON("unknown")},
		}}})
	}
	return out
}
