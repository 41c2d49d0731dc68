package data_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const (
	kestrel = "/w/lattice/tenants/kestrel"
	groups  = kestrel + "/groups"
)

func dashed(k op.Kind) string { return strings.ReplaceAll(string(k), ".", "-") }

// TestGroups: the groups of the last sync, page by page, with their members.
func TestGroups(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		tenant, connection := w.Ready("kestrel", nil)
		jonas := w.Browser(w.Viewer)
		empty := jonas.Get(groups).Want(http.StatusOK)
		empty.Says("#groups-list", "No groups yet")
		empty.Says(".head", "Needs “Sync directory groups”")

		rows := []mirror.Record{ofType(tenancy.Microsoft365Group.ByRule(), consoletest.Row("", "g-drivers", "Drivers", `{"membershipRule":"user.department -eq \"Depot\"","description":"All drivers"}`))}
		for i := range 59 {
			rows = append(rows, ofType(tenancy.SecurityGroup, consoletest.Row("", fmt.Sprintf("g%02d", i), fmt.Sprintf("Team %02d", i), `{}`)))
		}
		nested := consoletest.Row("g-drivers", "g01", "", "")
		nested.Type = "#microsoft.graph.group"
		w.Read(tenant, connection, catalogue.Groups, append(rows, nested, consoletest.Row("g-drivers", "u2", "", ""), consoletest.Row("g00", "u1", "", ""))...)

		first := jonas.Get(groups).Want(http.StatusOK)
		first.Says(".asof", "60 groups, as of")
		first.Says("#groups tr:first-child", "Drivers DynamicMicrosoft 3652All drivers")
		first.Says("#groups tr:nth-child(2)", "Team 00 AssignedSecurity1")
		next, ok := first.Page.Find("a[rel=next]").Attr("href")
		if !ok {
			t.Fatal("there is no further page")
		}
		second := jonas.Get(next).Want(http.StatusOK)
		if got := first.Page.Find("#groups tr").Length() + second.Page.Find("#groups tr").Length(); got != 60 {
			t.Errorf("%d groups on two pages", got)
		}
		jonas.Get(groups+"?q=team+0").Says(".pager", "10 groups, by name")
		jonas.Get(groups+"?q=nothing").Says("#groups-list", "No groups match these filters")

		one := jonas.Get(groups + "/g-drivers").Want(http.StatusOK)
		one.Says("h1", "Drivers")
		one.Says(".facts", `user.department -eq "Depot"`)
		one.Says("#members tr:first-child", "Team 01 g01Group")
		one.Says("#members tr:last-child", "u2 User")
		jonas.Get(groups+"/g-drivers?q=team").Says("#members", "Team 01")
		jonas.Get(groups+"/g-drivers?q=u2").Says("#members", "u2")
		jonas.Get(groups+"/g-drivers?q=u").Says("main", "No members match")
		if n := one.Page.Find("#members tr").Length(); n != 2 {
			t.Errorf("%d members", n)
		}
		missing := jonas.Get(groups + "/none").Want(http.StatusNotFound)
		if string(missing.Body) != string(jonas.Get("/nowhere").Body) {
			t.Error("a group that is not there has a page of its own")
		}
	})
}

// ofType gives a group its type.
func ofType(t tenancy.GroupType, r mirror.Record) mirror.Record {
	r.Type = string(t)
	return r
}

// TestGroupsOfAType: the type is in the address, combines with the name, is kept from page
// to page, and can be cleared.
func TestGroupsOfAType(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		tenant, connection := w.Ready("kestrel", nil)
		jonas := w.Browser(w.Viewer)
		jonas.Get(groups+"?type=security").Says("#groups-list", "No groups yet") // whatever is asked for
		rows := []mirror.Record{
			ofType(tenancy.DistributionGroup, consoletest.Row("", "news", "News", `{}`)), ofType(tenancy.MailSecurityGroup, consoletest.Row("", "alarm", "Alarm", `{}`)),
			ofType(tenancy.SecurityGroup.ByRule(), consoletest.Row("", "tablets", "Depot tablets", `{}`)), ofType("", consoletest.Row("", "strange", "Strange", `{}`)),
		}
		for i := range 60 {
			rows = append(rows, ofType(tenancy.SecurityGroup, consoletest.Row("", fmt.Sprintf("g%02d", i), fmt.Sprintf("Team %02d", i), `{}`)))
		}
		w.Read(tenant, connection, catalogue.Groups, rows...)

		page := jonas.Get(groups).Want(http.StatusOK)
		page.Says("label[for=f-type]", "Type")
		page.Says("#f-type", "All typesSecurityMicrosoft 365Mail-enabled securityDistributionDynamic membership")
		page.Says("#groups tr:contains('Strange')", "Not known")
		page.Says("#groups tr:contains('Depot tablets')", "DynamicSecurity")
		page.Says("#groups tr:contains('Alarm')", "AssignedMail-enabled security")

		for query, want := range map[string]string{
			"type=distribution":          "News",
			"type=mail_enabled_security": "Alarm",
			"type=dynamic":               "Depot tablets",
			"type=security&q=depot":      "Depot tablets",
			"type=security&q=team+07":    "Team 07",
			"type=microsoft_365":         "",
			"type=distribution&q=team":   "",
			"type=&q=news":               "News",
		} {
			page := jonas.Get(groups + "?" + query).Want(http.StatusOK)
			if got := page.Text("#groups tr a"); got != want {
				t.Errorf("%s shows %q, want %q", query, got, want)
			}
			asked, _ := url.ParseQuery(query)
			if got := page.Page.Find("#f-type option[selected]").AttrOr("value", "none"); got != asked.Get("type") {
				t.Errorf("%s: the choice shows %q", query, got)
			}
			if want != "" {
				continue
			}
			page.Says("#groups-list", "No groups match these filters")
			if got := page.Page.Find("#groups-list .empty a:contains('Clear filters')").AttrOr("href", ""); got != groups {
				t.Errorf("%s: the filters are cleared by %q", query, got)
			}
		}

		first := jonas.Get(groups + "?type=security").Want(http.StatusOK)
		seen := first.Page.Find("#groups tr").Length()
		second := jonas.Get(first.Page.Find("a[rel=next]").AttrOr("href", "")).Want(http.StatusOK)
		if seen += second.Page.Find("#groups tr").Length(); seen != 61 || second.Text("#f-type option[selected]") != "Security" {
			t.Errorf("%d groups on two pages of %q", seen, second.Text("#f-type option[selected]"))
		}
		second.Says("#groups tr:last-child", "Team 59")

		wrong := jonas.Get(groups + "?type=unified").Want(http.StatusUnprocessableEntity)
		wrong.Says("main", "type must be one of security, microsoft_365, mail_enabled_security, distribution, dynamic")
	})
}

// TestSyncNow (T1): the page's button starts the sync on the default connection that the
// page shows, and the answer is on the page.
func TestSyncNow(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		w.Ready("kestrel", nil)
		ana := w.Browser(w.Operator)
		form, slot := "#start-"+dashed(op.DirectoryGroupsSync), "#answer-"+dashed(op.DirectoryGroupsSync)
		page := ana.Get(groups)
		if got := ana.Get(ana.Press(page, form).Leads(groups + "?attempt=")).Result(slot); got.Tag != "Accepted" {
			t.Errorf("shows %+v", got)
		}
		w.Exec(`UPDATE connections SET version = version + 1, rev = rev + 1`)
		got := ana.WithScript().Press(page, form, "key", "").Want(http.StatusUnprocessableEntity)
		if strings.Contains(string(got.Body), "Accepted") {
			t.Error("a form without a key was taken")
		}
		key := page.Page.Find(form+" [name=key]").AttrOr("value", "")
		_, values := page.Form(form)
		values.Set("key", key[:len(key)-4]+"AAAA")
		stale := ana.WithScript().Send(http.MethodPost, "/w/lattice/tenants/kestrel/start/"+string(op.DirectoryGroupsSync), values).Want(http.StatusUnprocessableEntity)
		if got := stale.Result(slot); got.Tag != "Blocked" || !strings.Contains(got.Facts, "target_changed") {
			t.Errorf("shows %+v", got)
		}
	})
}

// TestInventory: the objects of the last sync, by type, and the button for a new sync.
func TestInventory(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		const path = kestrel + "/inventory"
		tenant, connection := w.Ready("kestrel", nil)
		ana := w.Browser(w.Operator)
		ana.Get(path).Want(http.StatusOK).Says("#inventory-list", "No inventory yet")
		w.Read(tenant, connection, "inventory/managedDevices", mirror.Record{ID: "d1", Name: "Laptop", ModifiedAt: "2026-11-03T10:00:00Z", Data: []byte(`{}`)})
		w.Read(tenant, connection, "inventory/mobileApps", consoletest.Row("", "a1", "Payroll", `{}`), consoletest.Row("", "a2", "Timesheet", `{}`))
		page := ana.Get(path)
		page.Says(".asof", "3 objects, as of")
		page.Says("#inventory tr:first-child", "Laptop d1Devices3 Nov 2026")
		page.Says("#f-type", "Apps (2)")
		if n := ana.Get(path + "?type=mobileApps").Page.Find("#inventory tr").Length(); n != 2 {
			t.Errorf("%d apps", n)
		}
		ana.Get(path+"?q=zzz").Says("#inventory-list", "No objects match these filters")
		form := "#start-" + dashed(op.InventorySync)
		if got := ana.Get(ana.Press(page, form).Leads(path + "?attempt=")).Result("#answer-" + dashed(op.InventorySync)); got.Tag != "Accepted" {
			t.Errorf("shows %+v", got)
		}
	})
}

// TestEveryDataset: each dataset of the catalogue has a page and a tab, with its words for a
// list that was never read, for an empty one, and for its rows.
func TestEveryDataset(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	tenant, connection := w.Ready("kestrel", nil)
	ana := w.Browser(w.Operator)
	for _, d := range catalogue.Datasets() {
		path := op.DatasetPath("lattice", "kestrel", d.Name)
		page := ana.Get(path).Want(http.StatusOK)
		page.Says("h1", d.Title)
		page.Says(".tabs [aria-current]", d.Tab)
		page.Says("#"+d.Name+"-list", d.NotRead.Title)
		if n := page.Page.Find("form[action*='/start/']").Length(); n != 1 {
			t.Errorf("%s offers %d starts", path, n)
		}
		stored := d.Name
		if len(d.Parts) > 0 {
			stored = d.Stored(d.Parts[0].Key)
		}
		w.Read(tenant, connection, stored)
		ana.Get(path).Says("#"+d.Name+"-list", d.None.Title)
		w.Read(tenant, connection, stored, consoletest.Row("", "x1", "One of them", `{}`))
		page = ana.Get(path)
		page.Says("#"+d.Name+" tr", "One of them")
		for _, c := range d.Columns {
			page.Says("table thead", c.Title)
		}
		page.Says(".pager", "1 "+d.Item+", "+d.Order())
		if n := page.Page.Find("#" + d.Name + " a").Length(); (n == 1) != d.Members {
			t.Errorf("%s leads to %d pages of its rows", path, n)
		}
	}
}

// TestRoles: the parts of a dataset are told apart, and the list can be filtered by part.
func TestRoles(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	tenant, connection := w.Ready("kestrel", nil)
	const path = kestrel + "/roles"
	w.Read(tenant, connection, "roles/definitions", consoletest.Row("", "r1", "Help desk", `{"isBuiltIn":true,"description":"Resets passcodes"}`))
	w.Read(tenant, connection, "roles/scope-tags", consoletest.Row("", "s1", "Depots", `{}`))
	ana := w.Browser(w.Operator)
	page := ana.Get(path).Want(http.StatusOK)
	page.Says("#roles", "Help desk r1Built-in roleResets passcodes")
	page.Says("#roles", "Depots s1Scope tag")
	page.Says("#f-type", "All typesRole definitions (1)Scope tags (1)")
	if got := ana.Get(path + "?type=scope-tags").Text("#roles tr b"); got != "Depots" {
		t.Errorf("narrowed to scope tags it shows %q", got)
	}
}
