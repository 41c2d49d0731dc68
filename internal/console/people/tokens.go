package people

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func serveTokens(s *web.Site) {
	s.Editor(web.Route{Path: op.TokensRoute, Object: web.Workspace, Needs: tenancy.ManageOwnTokens}, showTokens, createToken)
	s.Handle(web.Route{Method: http.MethodPost, Path: op.TokenRevokeRoute, Object: web.Workspace, Needs: tenancy.ManageOwnTokens}, web.Meant(revokeToken))
}

// tokenDays is the default lifetime of a token, in days.
const tokenDays = "90"

func showTokens(v *web.Visit) (web.Page, error) {
	return tokenPage(v, ui.Form{Values: url.Values{"ttl": {tokenDays}}}, "", access.Token{})
}

// tokenPage is the page of the reader's tokens. secret is the new token's, or empty.
func tokenPage(v *web.Visit, form ui.Form, secret string, made access.Token) (web.Page, error) {
	frame, err := v.Frame("API tokens", ui.Tokens)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs()[:1]
	frame.Lead = "Tokens and sessions that can act on your behalf."
	p := tokenList{Workspace: v.Workspace(), New: form, Secret: secret, Made: made.Name, Now: frame.Now}
	p.New.Action, p.New.Fields = op.TokensPath(v.Workspace()), tokenFields(v.Actor.Grants().List())
	if v.Done() == "revoke" {
		p.Done = "Ended."
	}
	list, err := v.Door.Tokens(v.R.Context(), v.Actor)
	if err != nil {
		return web.Page{}, err
	}
	for _, t := range list {
		if t.Kind == access.SignInSession {
			p.Sessions = append(p.Sessions, t)
		} else {
			p.Tokens = append(p.Tokens, t)
		}
	}
	return web.Page{Frame: frame, Body: tokensBody(p)}, nil
}

// createToken shows the token's secret, on a page that has no address.
func createToken(v *web.Visit) error {
	f := v.R.PostForm
	days, err := strconv.Atoi(f.Get("ttl"))
	if err != nil {
		days = 0 // refused as too short
	}
	var only []tenancy.Capability
	for _, name := range f["only"] {
		only = append(only, tenancy.Capability(name))
	}
	secret, made, err := v.Door.CreateToken(v.R.Context(), v.Actor, f.Get("name"), time.Duration(days)*24*time.Hour, only)
	if err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) {
			return tokenPage(v, ui.Form{Values: f, Refusal: refusal}, "", access.Token{})
		})
	}
	p, err := tokenPage(v, ui.Form{Values: url.Values{"ttl": {tokenDays}}}, secret, made)
	if err != nil {
		return err
	}
	return v.ShowOnce(http.StatusOK, p)
}

func revokeToken(v *web.Visit) error {
	if err := v.Door.RevokeToken(v.R.Context(), v.Actor, v.R.PathValue("token")); err != nil {
		return err
	}
	return v.Saved(op.TokensPath(v.Workspace()), "revoke")
}

// tokenList is the page of the reader's own tokens and sessions.
type tokenList struct {
	Workspace string // slug
	Tokens    []access.Token
	Sessions  []access.Token
	New       ui.Form
	Secret    string // of a new token, shown only once; empty: none
	Made      string // its name
	Done      string // confirms a change; empty: none
	Now       time.Time
}

// tokenFields returns the fields of a new token. may are its owner's capabilities.
func tokenFields(may []tenancy.Capability) []ui.Field {
	return []ui.Field{
		{Name: "name", Label: "Name", Hint: "What the token is for, such as “Nightly report”.", Max: 80},
		{Name: "ttl", Label: "Lasts", Kind: "select", Options: []ui.Option{
			{Value: "30", Text: "30 days"}, {Value: "90", Text: "90 days"}, {Value: "365", Text: "365 days"},
		}},
		{Name: "only", Label: "Permissions", Hint: "Leave unchecked to allow everything you can do, now and later.", Kind: "checks", Options: capabilityOptions(may)},
	}
}

func capabilityOptions(list []tenancy.Capability) (options []ui.Option) {
	for _, c := range list {
		options = append(options, ui.Option{Value: string(c), Text: c.Words()})
	}
	return options
}

func endVerb(t access.Token) string {
	if t.Kind == access.SignInSession {
		return "End"
	}
	return "Revoke"
}

// mayDo says what a token can do, or when a session was opened.
func mayDo(t access.Token, now time.Time) string {
	if t.Kind == access.SignInSession {
		return "Signed in " + op.Moment(t.CreatedAt, now)
	}
	if len(t.Only) == 0 {
		return "Everything you can do"
	}
	words := make([]string, len(t.Only))
	for i, c := range t.Only {
		words[i] = c.Words()
	}
	return "Only: " + strings.Join(words, ", ")
}
