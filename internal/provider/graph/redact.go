package graph

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

const (
	redacted   = "[redacted]"
	maxMessage = 300 // runes of a provider's text that are kept
)

// tokenShape matches signed tokens: access tokens, and assertions that we sign in with.
var tokenShape = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*`)

// redactor removes secrets from texts of a provider. observed: providers echo what they
// were sent.
type redactor struct{ secrets []string }

// redact returns a redactor that knows the secret in every encoding that an echo may have.
// A secret of less than 4 bytes is ignored: removing it would garble the text.
func redact(secret string) redactor {
	if len(secret) < 4 {
		return redactor{}
	}
	quoted, _ := json.Marshal(secret) // a string can't fail
	var r redactor
	for _, spelling := range []string{
		secret,
		strings.Trim(string(quoted), `"`),
		url.QueryEscape(secret),
		url.PathEscape(secret),
		strings.ToLower(url.QueryEscape(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
	} {
		r.secrets = append(r.secrets, spelling, redacted)
	}
	return r
}

// text returns s without secrets and control characters, at most [maxMessage] runes.
func (r redactor) text(s string) string {
	s = strings.NewReplacer(r.secrets...).Replace(s)
	s = tokenShape.ReplaceAllString(s, redacted)
	n := 0
	return strings.Map(func(c rune) rune {
		switch n++; {
		case n > maxMessage:
			return -1
		case unicode.IsControl(c):
			return ' '
		default:
			return c
		}
	}, s)
}
