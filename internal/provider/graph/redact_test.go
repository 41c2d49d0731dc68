package graph

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	const secret = `s3cr~et/+"value=&Ü`
	quoted, _ := json.Marshal(secret)
	r := redact(secret)
	for _, echo := range []string{
		secret,
		strings.Trim(string(quoted), `"`),
		url.QueryEscape(secret),
		url.PathEscape(secret),
		strings.ToLower(url.QueryEscape(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"eyJhbGciOiJQUzI1NiJ9.eyJhdWQiOiJodHRwcyJ9.c2lnbmF0dXJl",
		"eyJhbGciOiJQUzI1NiJ9.",
	} {
		got := r.text("the secret '" + echo + "' is wrong")
		if got != "the secret '[redacted]' is wrong" {
			t.Errorf("%s\nbecame %s", echo, got)
		}
	}
	if got := redact("").text("nothing to hide\r\n"); got != "nothing to hide  " {
		t.Errorf("%q", got)
	}
	if got := r.text(strings.Repeat("ü", 1000)); utf8.RuneCountInString(got) != maxMessage {
		t.Errorf("%d runes", utf8.RuneCountInString(got))
	}
	// A secret on the edge of the cut is gone, not cut in two.
	if got := r.text(strings.Repeat("x", maxMessage-3) + secret); strings.Contains(got, "s3") {
		t.Errorf("%q", got)
	}
}
