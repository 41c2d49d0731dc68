package console

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveTokens() {
	c.editor(Route{Path: op.TokensRoute, Object: Workspace, Needs: tenancy.ManageOwnTokens}, c.tokens, c.createToken)
	c.serve(Route{Method: http.MethodPost, Path: op.TokenRevokeRoute, Object: Workspace, Needs: tenancy.ManageOwnTokens}, meant(c.revokeToken))
}

// tokenDays is how long a token lasts when nobody says.
const tokenDays = "90"

func (c *Console) tokens(v *visit) (page, error) {
	return c.tokenPage(v, view.Form{Values: url.Values{"ttl": {tokenDays}}}, "", access.Token{})
}

// tokenPage is the page of the reader's tokens; secret is that of the one that was
// just made, or empty.
func (c *Console) tokenPage(v *visit, form view.Form, secret string, made access.Token) (page, error) {
	frame, err := v.frame("API tokens", view.Tokens)
	if err != nil {
		return page{}, err
	}
	frame.Crumbs = v.crumbs()[:1]
	frame.Lead = "What acts for you: programs with a token, and browsers that you signed in with."
	p := view.TokenPage{Workspace: v.workspace(), New: form, Secret: secret, Made: made.Name, Now: frame.Now}
	p.New.Action, p.New.Fields = op.TokensPath(v.workspace()), view.TokenFields(v.actor.Grants().List())
	if v.r.URL.Query().Get(done) == "revoke" {
		p.Done = "It was ended."
	}
	list, err := c.door.Tokens(v.r.Context(), v.actor)
	if err != nil {
		return page{}, err
	}
	for _, t := range list {
		if t.Kind == access.SignInSession {
			p.Sessions = append(p.Sessions, t)
		} else {
			p.Tokens = append(p.Tokens, t)
		}
	}
	return page{frame: frame, body: view.TokensPage(p)}, nil
}

// createToken answers with the page that tells the secret: it is at no address.
func (c *Console) createToken(v *visit) error {
	f := v.r.PostForm
	days, err := strconv.Atoi(f.Get("ttl"))
	if err != nil {
		days = 0 // which is refused like any other that is too short
	}
	var only []tenancy.Capability
	for _, name := range f["only"] {
		only = append(only, tenancy.Capability(name))
	}
	secret, made, err := c.door.CreateToken(v.r.Context(), v.actor, f.Get("name"), time.Duration(days)*24*time.Hour, only)
	if err != nil {
		return v.unsaved(err, func(refusal *httpx.Problem) (page, error) {
			return c.tokenPage(v, view.Form{Values: f, Refusal: refusal}, "", access.Token{})
		})
	}
	p, err := c.tokenPage(v, view.Form{Values: url.Values{"ttl": {tokenDays}}}, secret, made)
	if err != nil {
		return err
	}
	return v.showOnce(http.StatusOK, p)
}

func (c *Console) revokeToken(v *visit) error {
	if err := c.door.RevokeToken(v.r.Context(), v.actor, v.r.PathValue("token")); err != nil {
		return err
	}
	return v.changed(op.TokensPath(v.workspace()), "revoke")
}
