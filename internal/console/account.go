package console

import (
	"net/http"
	"net/url"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// serveAccount serves what people change of their own accounts.
func (c *Console) serveAccount() {
	c.editor(Route{Path: op.AccountRoute, Object: Self}, c.account, c.rename)
	c.serve(Route{Method: http.MethodPost, Path: op.AccountPasswordRoute, Object: Self}, c.changePassword)
}

// accountDone tells of the change that led to the page.
var accountDone = map[string]string{
	"name":     "Your name was changed.",
	"password": "Your password was changed. Your other sessions have ended.",
}

func (c *Console) account(v *visit) (page, error) { return c.accountPage(v, nil, nil) }

// accountPage is the page of the reader's own account. name and password are why such
// a change was not made, or nil.
func (c *Console) accountPage(v *visit, name, password *httpx.Problem) (page, error) {
	frame, err := v.frame("Your account", "")
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()[:1]
	p := view.AccountPage{
		Reader:   v.actor,
		Name:     view.Form{Action: op.AccountRoute, Fields: view.NameFields(), Refusal: name, Values: url.Values{"name": {v.actor.Name()}}},
		Password: view.Form{Action: op.AccountPasswordRoute, Fields: view.PasswordFields(), Refusal: password},
		Done:     accountDone[v.r.URL.Query().Get(done)],
	}
	if name != nil {
		p.Name.Values = v.r.PostForm
	}
	return page{frame: frame, body: view.Account(p)}, nil
}

func (c *Console) rename(v *visit) error {
	if err := c.door.Rename(v.r.Context(), v.actor, v.r.PostForm.Get("name")); err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.accountPage(v, refusal, nil) })
	}
	return v.changed(op.AccountRoute, "name")
}

func (c *Console) changePassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	f, ctx := v.r.PostForm, v.r.Context()
	err := c.door.ChangePassword(ctx, v.actor, access.NewPassword{
		Current: f.Get("current_password"), Password: f.Get("password"), Remote: httpx.Of(ctx).Remote,
	})
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) { return c.accountPage(v, nil, refusal) })
	}
	return v.changed(op.AccountRoute, "password")
}
