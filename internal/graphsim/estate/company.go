package estate

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// This file generates the people, groups and devices of a mid-sized European business.
// The seed determines all of it.

// TimeFormat is the format of generated times.
const TimeFormat = "2006-01-02T15:04:05Z"

// Stamp formats a time as [TimeFormat] in UTC.
func Stamp(t time.Time) string { return t.UTC().Format(TimeFormat) }

// Epoch is the creation time of generated things. It is fixed, so that a restart changes nothing.
var Epoch = time.Date(2025, time.March, 3, 8, 30, 0, 0, time.UTC)

const day = 24 * time.Hour

var (
	givenNames  = strings.Fields("Anna Ben Carla David Elif Finn Greta Hamza Ines Jonas Karin Luca Mia Noah Olga Paul Qadira Rosa Samir Tess Umut Vera Wim Xenia Yusuf Zoe Amira Björn Chloe Dario Emma Femke Gael Helene Ivan Jana Kofi Lena Marek Nadia Oskar Petra Ravi Sofia Tomas Ulla Victor Wanda Yara Zeno Agnes Bruno Clara")
	familyNames = strings.Fields("Becker Novak Rossi Jansen Dubois Garcia Kowalski Larsen Meyer Nilsson Okafor Petrov Quinn Richter Silva Tanaka Ulrich Vogel Weber Xu Yilmaz Zimmermann Andersson Bauer Costa Dietrich Eriksen Fischer Gruber Hoffmann Ivanova Jung Keller Lindqvist Moreau Nagy Olsen Popescu Romano Schulz Thomsen Urban Virtanen Wagner Yildiz Zeman")
	sites       = strings.Fields("Berlin Hamburg Munich Vienna Zurich Amsterdam Brussels Paris Lyon Madrid Lisbon Milan Warsaw Prague Copenhagen Stockholm Oslo Helsinki Dublin London Leeds Boston Austin Toronto Singapore Sydney")
	departments = []string{"Finance", "Controlling", "Human Resources", "Sales", "Marketing", "Legal", "Procurement", "Logistics", "Production", "Quality", "Research", "Engineering", "IT Operations", "Service Desk", "Security", "Facility Management", "Customer Care", "Works Council", "Executive Office", "Apprentices"}
	purposes    = []string{"All Staff", "Managers", "Contractors", "File Share Read", "File Share Write", "VPN Users", "Printer Access", "Mailbox Delegates", "Project Team", "License E3", "License F3", "Kiosk Accounts", "Remote Workers", "Wi-Fi Access", "Intranet Editors"}
)

// PersonName returns the name of generated user n.
func PersonName(n int) (given, family string) {
	return givenNames[n%len(givenNames)], familyNames[n/len(givenNames)%len(familyNames)]
}

// UserName returns the sign-in name of generated user n. It has plain letters, and a number if another
// user has the same name.
func (t *Tenant) UserName(n int) string {
	given, family := PersonName(n)
	name := strings.ToLower(given + "." + family)
	name = strings.NewReplacer("ö", "oe", "é", "e").Replace(name)
	if round := n / (len(givenNames) * len(familyNames)); round > 0 {
		name += strconv.Itoa(round + 1)
	}
	return name + "@" + t.Domain
}

// groupNames generates names of department, site and purpose in random order.
type groupNames struct {
	order []int
	at    int
}

func newGroupNames(rng *rand.Rand) *groupNames {
	return &groupNames{order: rng.Perm(len(departments) * len(sites) * len(purposes))}
}

// next returns the name of group i. Every eleventh group is dynamic.
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

// Values of many entities, encoded once.
var (
	rawNull, rawTrue, rawFalse = odata.Raw(nil), odata.Raw(true), odata.Raw(false)
	rawEmpty, rawScope         = odata.Raw(""), odata.Raw([]string{"0"})
	rawZeroTime                = odata.Raw("0001-01-01T00:00:00Z") // recorded: means never
)

// devices generates the managed devices of a tenant.
func (t *Tenant) devices(n int) []*Item {
	rng := rand.New(rand.NewPCG(t.estate.seeds.seed, uint64(t.ns.ID())+1))
	out := make([]*Item, 0, n)
	for i := range n {
		m := deviceModels[i%len(deviceModels)]
		user := i * 13 % UserCount
		given, family := PersonName(user)
		state := "compliant"
		switch rng.IntN(12) {
		case 0, 1:
			state = "noncompliant"
		case 2:
			state = "inGracePeriod"
		case 3:
			state = "unknown"
		}
		enrolled := Epoch.Add(-upTo(rng, 400*day)).Truncate(time.Second)
		synced := Epoch.Add(-upTo(rng, 9*day)).Truncate(time.Second)
		disk := int64(256+256*rng.IntN(3)) << 30
		owner := "company"
		if m.os == "Android" && i%3 == 0 {
			owner = "personal"
		}
		out = append(out, &Item{ID: t.Derive("managedDevice", strconv.Itoa(i)), seed: &seed{Body: odata.Object{
			odata.F("id", rawNull),
			odata.F("userId", t.fastID('u', uint32(user))),
			odata.F("deviceName", deviceName(i)),
			odata.F("managedDeviceOwnerType", owner),
			odata.F("enrolledDateTime", Stamp(enrolled)),
			odata.F("lastSyncDateTime", Stamp(synced)),
			odata.F("operatingSystem", m.os),
			odata.F("complianceState", state),
			odata.F("jailBroken", "Unknown"),
			odata.F("managementAgent", "mdm"),
			odata.F("osVersion", m.version),
			odata.F("easActivated", rawTrue),
			odata.F("easDeviceId", rawEmpty),
			odata.F("easActivationDateTime", rawZeroTime),
			odata.F("azureADRegistered", rawTrue),
			odata.F("deviceEnrollmentType", "windowsAzureADJoin"),
			odata.F("activationLockBypassCode", rawNull),
			odata.F("emailAddress", t.UserName(user)),
			odata.F("azureADDeviceId", t.fastID('d', uint32(i))),
			odata.F("deviceRegistrationState", "registered"),
			odata.F("deviceCategoryDisplayName", "Unassigned"),
			odata.F("isSupervised", m.os == "iOS"),
			odata.F("exchangeLastSuccessfulSyncDateTime", rawZeroTime),
			odata.F("exchangeAccessState", "none"),
			odata.F("exchangeAccessStateReason", "none"),
			odata.F("remoteAssistanceSessionUrl", rawNull),
			odata.F("isEncrypted", rng.IntN(10) > 0),
			odata.F("userPrincipalName", t.UserName(user)),
			odata.F("model", m.model),
			odata.F("manufacturer", m.maker),
			odata.F("imei", rawEmpty),
			odata.F("complianceGracePeriodExpirationDateTime", "9999-12-31T23:59:59Z"),
			odata.F("serialNumber", fmt.Sprintf("PF%06X", 0x4a0000+i*7919)),
			odata.F("phoneNumber", rawEmpty),
			odata.F("androidSecurityPatchLevel", rawEmpty),
			odata.F("userDisplayName", given+" "+family),
			odata.F("wiFiMacAddress", rawEmpty),
			odata.F("subscriberCarrier", rawEmpty),
			odata.F("meid", rawEmpty),
			odata.F("totalStorageSpaceInBytes", disk),
			odata.F("freeStorageSpaceInBytes", disk/int64(2+rng.IntN(6))),
			odata.F("managedDeviceName", strings.ToLower(given)+"_"+m.os+"_"+strconv.Itoa(i)),
			odata.F("partnerReportedThreatState", "unknown"),
		}}})
	}
	return out
}
