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

// tokenShape matches a signed token: what we sign in with, and what we are given.
var tokenShape = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*`)

// redactor takes secrets out of texts that a provider wrote. Providers have been
// seen to echo what they were sent.
type redactor struct{ secrets []string }

// redact knows the secret in every spelling in which an echo may come. A secret
// that is too short to be one is not looked for: it would blot out the text.
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

// text returns s without secrets and control characters, cut at [maxMessage].
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
