package people

import (
	"net/http"
	"net/url"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// serveAccount adds the page of the reader's own account.
func serveAccount(s *web.Site) {
	s.Editor(web.Route{Path: op.AccountRoute, Object: web.Self}, showAccount, rename)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.AccountPasswordRoute, Object: web.Self}, changePassword)
}

// accountDone confirms the change that led to the page.
var accountDone = map[string]string{
	"name":     "Name changed.",
	"password": "Password changed. Your other sessions have ended.",
}

func showAccount(v *web.Visit) (web.Page, error) { return accountPage(v, nil, nil) }

// accountPage is the page of the reader's own account. name and password are why that
// change was refused, or nil.
func accountPage(v *web.Visit, name, password *httpx.Problem) (web.Page, error) {
	frame, err := v.Frame("Your account", "")
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs()[:1]
	p := account{
		Reader:   v.Actor,
		Name:     ui.Form{Action: op.AccountRoute, Fields: nameFields(), Refusal: name, Values: url.Values{"name": {v.Actor.Name()}}},
		Password: ui.Form{Action: op.AccountPasswordRoute, Fields: passwordFields(), Refusal: password},
		Done:     accountDone[v.Done()],
	}
	if name != nil {
		p.Name.Values = v.R.PostForm
	}
	return web.Page{Frame: frame, Body: accountBody(p)}, nil
}

func rename(v *web.Visit) error {
	if err := v.Door.Rename(v.R.Context(), v.Actor, v.R.PostForm.Get("name")); err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return accountPage(v, refusal, nil) })
	}
	return v.Saved(op.AccountRoute, "name")
}

func changePassword(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	f, ctx := v.R.PostForm, v.R.Context()
	err := v.Door.ChangePassword(ctx, v.Actor, access.NewPassword{
		Current: f.Get("current_password"), Password: f.Get("password"), Remote: httpx.Of(ctx).Remote,
	})
	if err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return accountPage(v, nil, refusal) })
	}
	return v.Saved(op.AccountRoute, "password")
}

// account is the page of the reader's own account.
type account struct {
	Reader   access.Actor
	Name     ui.Form
	Password ui.Form
	Done     string // confirms a change; empty: none
}

// nameFields are the fields of one's own name.
func nameFields() []ui.Field {
	return []ui.Field{{Name: "name", Label: "Name", Hint: "As others see it.", Max: 120, Fill: "name"}}
}

// passwordFields are the fields of a change of one's own password.
func passwordFields() []ui.Field {
	return []ui.Field{
		{Name: "current_password", Label: "Current password", Kind: "password", Max: 512, Fill: "current-password"},
		passwordField("password"),
	}
}
