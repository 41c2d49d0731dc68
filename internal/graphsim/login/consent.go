package login

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// page is the template of the pages for people: consent, sign-in, errors.
var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title>
<style>body{font:16px system-ui,sans-serif;max-width:36em;margin:4em auto;padding:0 1em}button{font:inherit;padding:.4em 1.2em;margin-right:.6em}code{font-size:.9em}</style>
</head><body><p>Graph simulator</p><h1>{{.Title}}</h1><p>{{.Text}}</p>
{{- with .Items}}<ul>{{range .}}<li><code>{{.}}</code></li>{{end}}</ul>{{end}}
{{- if .Buttons}}<form method="post">
{{- with .Choices}}<p><select name="{{$.Choice}}">{{range .}}<option value="{{.Value}}">{{.Label}}</option>{{end}}</select></p>{{end}}
{{- range .Buttons}}<button name="decision" value="{{.Value}}">{{.Label}}</button>{{end}}</form>{{end}}
</body></html>
`))

type pageData struct {
	Title, Text string
	Items       []string
	Choice      string
	Choices     []option
	Buttons     []option
}

type option struct{ Value, Label string }

func pageReply(status int, d pageData) *wire.Reply {
	var b bytes.Buffer
	if err := page.Execute(&b, d); err != nil {
		return wire.HTMLReply(http.StatusInternalServerError, "page: "+template.HTMLEscapeString(err.Error()))
	}
	return wire.HTMLReply(status, b.String())
}

// loginPageError returns an error page. The login service shows it instead of a redirect.
func loginPageError(number int, text string) *wire.Reply {
	return pageReply(http.StatusBadRequest, pageData{Title: "Sign in", Text: fmt.Sprintf("AADSTS%d: %s", number, text)})
}

// decision returns the decision of the person, or of _sim=accept or _sim=cancel in the URL; "" if
// there is none yet.
func decision(c *wire.Call) string {
	if d := c.URL.Query().Get("_sim"); d != "" {
		return d
	}
	if c.Method == http.MethodPost {
		return c.Params.Get("decision")
	}
	return ""
}

// registration returns the tenant, app and redirect URI of a page, or an error page.
func (s *Service) registration(c *wire.Call) (t *estate.Tenant, a *estate.App, back *url.URL, re *wire.Reply) {
	q := c.URL.Query()
	t = c.Tenant
	if t == nil { // common and organizations: the person chooses the tenant
		if t = s.Estate.Find(c.Params.Get("tenant")); t == nil {
			return nil, nil, nil, s.chooseTenant(c)
		}
	}
	t.RLock()
	defer t.RUnlock()
	if a = t.App(q.Get("client_id")); a == nil {
		return nil, nil, nil, loginPageError(700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'.", q.Get("client_id"), t.Spec.DisplayName))
	}
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || !slices.Contains(a.RedirectURIs, q.Get("redirect_uri")) {
		return nil, nil, nil, loginPageError(50011, fmt.Sprintf("The redirect URI '%s' specified in the request does not match the redirect URIs configured for the application '%s'.", q.Get("redirect_uri"), a.AppID))
	}
	return t, a, back, nil
}

func (s *Service) chooseTenant(c *wire.Call) *wire.Reply {
	d := pageData{Title: "Choose a directory", Text: "An account of which directory signs in?", Choice: "tenant", Buttons: []option{{"", "Next"}}}
	for _, t := range s.Estate.All() {
		t.RLock()
		if t.App(c.URL.Query().Get("client_id")) != nil {
			d.Choices = append(d.Choices, option{t.ID, t.Spec.DisplayName})
		}
		t.RUnlock()
	}
	return pageReply(http.StatusOK, d)
}

func backTo(u *url.URL, params url.Values) *wire.Reply {
	to := *u
	q := to.Query()
	for k, v := range params {
		if v[0] != "" {
			q[k] = v
		}
	}
	to.RawQuery = q.Encode()
	return wire.RedirectReply(to.String())
}

// adminConsent serves the consent page and the decision made on it.
func (s *Service) adminConsent(c *wire.Call, v2 bool) *wire.Reply {
	q := c.URL.Query()
	if v2 && graphScope(q.Get("scope")) == "" {
		return loginPageError(70011, "The provided value for the input parameter 'scope' is not valid. Application permissions need <resource>/.default.")
	}
	t, a, back, re := s.registration(c)
	if re != nil {
		return re
	}
	state := q.Get("state")
	switch decision := decision(c); {
	case decision == "accept":
		t.Lock()
		a.Consent(c.At, time.Duration(t.Spec.ConsentDelayMS)*time.Millisecond)
		t.Unlock()
		out := url.Values{"admin_consent": {"True"}, "tenant": {t.ID}, "state": {state}}
		if v2 {
			out.Set("scope", q.Get("scope"))
		}
		return backTo(back, out)
	case decision == "cancel" && v2: // docs: a refusal has admin_consent=True as well
		return backTo(back, url.Values{
			"admin_consent": {"True"}, "error": {"consent_required"}, "state": {state},
			"error_description": {fmt.Sprintf("AADSTS65004: The resource owner or authorization server denied the request.\r\nTrace ID: %s\r\nCorrelation ID: %s", c.RequestID, c.ClientRequestID)},
		})
	case decision == "cancel":
		return backTo(back, url.Values{"error": {"permission_denied"}, "error_description": {"The admin canceled the request"}, "state": {state}})
	}
	t.RLock()
	defer t.RUnlock()
	return pageReply(http.StatusOK, pageData{
		Title: "Permissions requested", Text: a.Name + " asks the administrator of " + t.Spec.DisplayName + " for these application permissions:",
		Items: a.Requested, Choice: "tenant", Choices: chosen(c, t), Buttons: []option{{"accept", "Accept"}, {"cancel", "Cancel"}},
	})
}

// chosen carries the chosen directory to the next page.
func chosen(c *wire.Call, t *estate.Tenant) []option {
	if c.Tenant != nil {
		return nil
	}
	return []option{{t.ID, t.Spec.DisplayName}}
}
