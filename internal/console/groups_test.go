package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

const groups = kestrel + "/groups"

// read puts rows into a dataset of a connection, as a run does. Rows with a parent
// are members of it.
func (w *world) read(tenant, connection, dataset string, rows ...mirror.Record) {
	w.t.Helper()
	key := mirror.Key{Workspace: w.Workspace, Tenant: tenant, Connection: connection, Name: dataset, Run: access.NewID()}
	w.Write(func(ctx context.Context, tx db.Tx) error {
		g, err := mirror.BeginRound(ctx, tx, key, true)
		if err != nil {
			return err
		}
		objects := slices.DeleteFunc(slices.Clone(rows), func(r mirror.Record) bool { return r.Parent != "" })
		if err := mirror.PutRows(ctx, tx, key, g, objects); err != nil {
			return err
		}
		var members []mirror.Member
		for _, r := range rows {
			if r.Parent != "" {
				members = append(members, mirror.Member{Group: r.Parent, Member: r.ID, Type: r.Type})
			}
		}
		if err := mirror.PutMembers(ctx, tx, g, members); err != nil {
			return err
		}
		_, err = mirror.CommitRound(ctx, tx, key, g, mirror.Committed{})
		return err
	})
}

func row(parent, id, name, data string) mirror.Record {
	return mirror.Record{Parent: parent, ID: id, Name: name, Type: "#microsoft.graph.user", Data: json.RawMessage(data)}
}

// TestGroups: the groups that a sync read, page by page, with their members.
func TestGroups(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, connection := w.ready("kestrel", nil)
		jonas := w.browser(w.Viewer)
		empty := jonas.get(groups).want(http.StatusOK)
		empty.says("#group-list", "No groups yet")
		empty.says(".head", "Needs “Sync directory groups”")

		rows := []mirror.Record{ofType(tenancy.Microsoft365Group.ByRule(), row("", "g-drivers", "Drivers", `{"membershipRule":"user.department -eq \"Depot\"","description":"All drivers"}`))}
		for i := range 59 {
			rows = append(rows, ofType(tenancy.SecurityGroup, row("", fmt.Sprintf("g%02d", i), fmt.Sprintf("Team %02d", i), `{}`)))
		}
		nested := row("g-drivers", "g01", "", "")
		nested.Type = "#microsoft.graph.group"
		w.read(tenant, connection, catalogue.Groups, append(rows, nested, row("g-drivers", "u2", "", ""), row("g00", "u1", "", ""))...)

		first := jonas.get(groups).want(http.StatusOK)
		first.says(".asof", "60 groups, as of")
		first.says("#groups tr:first-child", "Drivers DynamicMicrosoft 3652All drivers")
		first.says("#groups tr:nth-child(2)", "Team 00 AssignedSecurity1")
		next, ok := first.page.Find("a[rel=next]").Attr("href")
		if !ok {
			t.Fatal("there is no further page")
		}
		second := jonas.get(next).want(http.StatusOK)
		if got := first.page.Find("#groups tr").Length() + second.page.Find("#groups tr").Length(); got != 60 {
			t.Errorf("%d groups on two pages", got)
		}
		jonas.get(groups+"?q=team+0").says(".pager", "10 groups, by name")
		jonas.get(groups+"?q=nothing").says("#group-list", "No groups match these filters")

		one := jonas.get(groups + "/g-drivers").want(http.StatusOK)
		one.says("h1", "Drivers")
		one.says(".facts", `user.department -eq "Depot"`)
		one.says("#members tr:first-child", "Team 01 g01Group")
		one.says("#members tr:last-child", "u2 User")
		jonas.get(groups+"/g-drivers?q=team").says("#members", "Team 01")
		jonas.get(groups+"/g-drivers?q=u2").says("#members", "u2")
		jonas.get(groups+"/g-drivers?q=u").says("main", "No members match")
		if n := one.page.Find("#members tr").Length(); n != 2 {
			t.Errorf("%d members", n)
		}
		missing := jonas.get(groups + "/none").want(http.StatusNotFound)
		if string(missing.body) != string(jonas.get("/nowhere").body) {
			t.Error("a group that is not there has a page of its own")
		}
	})
}

// ofType gives a group its type.
func ofType(t tenancy.GroupType, r mirror.Record) mirror.Record {
	r.Type = string(t)
	return r
}

// TestGroupsOfAType: the choice is in the address, goes together with the name and
// from page to page, and can be taken back.
func TestGroupsOfAType(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		tenant, connection := w.ready("kestrel", nil)
		jonas := w.browser(w.Viewer)
		jonas.get(groups+"?type=security").says("#group-list", "No groups yet") // whatever is asked for
		rows := []mirror.Record{
			ofType(tenancy.DistributionGroup, row("", "news", "News", `{}`)), ofType(tenancy.MailSecurityGroup, row("", "alarm", "Alarm", `{}`)),
			ofType(tenancy.SecurityGroup.ByRule(), row("", "tablets", "Depot tablets", `{}`)), ofType("", row("", "strange", "Strange", `{}`)),
		}
		for i := range 60 {
			rows = append(rows, ofType(tenancy.SecurityGroup, row("", fmt.Sprintf("g%02d", i), fmt.Sprintf("Team %02d", i), `{}`)))
		}
		w.read(tenant, connection, catalogue.Groups, rows...)

		page := jonas.get(groups).want(http.StatusOK)
		page.says("label[for=f-type]", "Type")
		page.says("#f-type", "All typesSecurityMicrosoft 365Mail-enabled securityDistributionDynamic membership")
		page.says("#groups tr:contains('Strange')", "Not known")
		page.says("#groups tr:contains('Depot tablets')", "DynamicSecurity")
		page.says("#groups tr:contains('Alarm')", "AssignedMail-enabled security")

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
			page := jonas.get(groups + "?" + query).want(http.StatusOK)
			if got := page.text("#groups tr a"); got != want {
				t.Errorf("%s shows %q, want %q", query, got, want)
			}
			asked, _ := url.ParseQuery(query)
			if got := page.page.Find("#f-type option[selected]").AttrOr("value", "none"); got != asked.Get("type") {
				t.Errorf("%s: the choice shows %q", query, got)
			}
			if want != "" {
				continue
			}
			page.says("#group-list", "No groups match these filters")
			if got := page.page.Find("#group-list .empty a:contains('Clear filters')").AttrOr("href", ""); got != groups {
				t.Errorf("%s: the filters are cleared by %q", query, got)
			}
		}

		first := jonas.get(groups + "?type=security").want(http.StatusOK)
		seen := first.page.Find("#groups tr").Length()
		second := jonas.get(first.page.Find("a[rel=next]").AttrOr("href", "")).want(http.StatusOK)
		if seen += second.page.Find("#groups tr").Length(); seen != 61 || second.text("#f-type option[selected]") != "Security" {
			t.Errorf("%d groups on two pages of %q", seen, second.text("#f-type option[selected]"))
		}
		second.says("#groups tr:last-child", "Team 59")

		wrong := jonas.get(groups + "?type=unified").want(http.StatusUnprocessableEntity)
		wrong.says("main", "type must be one of security, microsoft_365, mail_enabled_security, distribution, dynamic")
	})
}

// TestSyncNow (T1): the button of the page starts the sync on the default
// connection that the page showed, and the answer stands on the page.
func TestSyncNow(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready("kestrel", nil)
		ana := w.browser(w.Operator)
		form, slot := "#start-"+dashed(op.DirectoryGroupsSync), "#answer-"+dashed(op.DirectoryGroupsSync)
		page := ana.get(groups)
		if got := ana.get(ana.press(page, form).leads(groups + "?attempt=")).result(slot); got.tag != "Accepted" {
			t.Errorf("shows %+v", got)
		}
		w.Exec(`UPDATE connections SET version = version + 1, rev = rev + 1`)
		got := ana.withScript().press(page, form, "key", "").want(http.StatusUnprocessableEntity)
		if strings.Contains(string(got.body), "Accepted") {
			t.Error("a form without a key was taken")
		}
		key := page.page.Find(form+" [name=key]").AttrOr("value", "")
		_, values := page.form(form)
		values.Set("key", key[:len(key)-4]+"AAAA")
		stale := ana.withScript().send(http.MethodPost, "/w/lattice/tenants/kestrel/start/"+string(op.DirectoryGroupsSync), values).want(http.StatusUnprocessableEntity)
		if got := stale.result(slot); got.tag != "Blocked" || !strings.Contains(got.facts, "target_changed") {
			t.Errorf("shows %+v", got)
		}
	})
}

// TestAttempts (M4, M5): every answer can be looked up, in the words that it was
// given in, by those who see its tenant.
func TestAttempts(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const list = "/w/lattice/operations/attempts"
		w.ready("kestrel", nil)
		ana := w.browser(w.Operator)
		ana.get(list).want(http.StatusOK).says("#attempt-list", "No start attempts yet")
		press := func(kind op.Kind) string {
			to := ana.press(ana.get(kestrel), "#start-"+dashed(kind)).leads(kestrel + "?attempt=")
			u, err := url.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			return u.Query().Get("attempt")
		}
		press(op.InventorySync)
		busy := press(op.ConnectionVerify)

		page := ana.get(list).want(http.StatusOK)
		if n := page.page.Find("#attempts tr").Length(); n != 2 {
			t.Fatalf("%d attempts", n)
		}
		page.says("#attempts tr:first-child", "Connection busy Connection is in use")
		page.says("#attempts tr:first-child", "Held by")
		page.says("#attempts tr:nth-child(2)", "Accepted")
		for filter, want := range map[string]int{"outcome=scope_busy": 1, "operation=inventory.sync": 1, "tenant=kestrel": 2, "by=me": 2, "outcome=blocked": 0, "tenant=none": 0} {
			if got := ana.get(list + "?" + filter).want(http.StatusOK).page.Find("#attempts tr").Length(); got != want {
				t.Errorf("%s: %d attempts, want %d", filter, got, want)
			}
		}

		there := ana.get(kestrel + "?attempt=" + busy).result("#answer-" + dashed(op.ConnectionVerify))
		kept := ana.get(list + "/" + busy).want(http.StatusOK)
		if got := kept.result("main .result"); got != there {
			t.Errorf("the record says %+v,\nthe page of the tenant %+v", got, there)
		}
		if n := kept.page.Find("main button").Length(); n != 0 {
			t.Errorf("%d buttons: a record starts nothing", n)
		}
		w.browser(w.Outsider).get("/w/northgate/operations/attempts/" + busy).want(http.StatusNotFound)
	})
}
