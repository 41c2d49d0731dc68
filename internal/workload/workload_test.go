package workload_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/workload"
)

func jwt(claims string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func TestToken(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	const good = `{"iss":"https://issuer.example","sub":"system:serviceaccount:ops:interlock","aud":["api://AzureADTokenExchange"],"exp":1800000600}`
	for _, c := range []struct{ name, file, says string }{
		{"good", jwt(good) + "\n", ""},
		{"one audience, no expiry", jwt(`{"iss":"i","sub":"s","aud":"a"}`), ""},
		{"expired", jwt(strings.Replace(good, "1800000600", "1800000000", 1)), "expired at 2027-01-15T08:00:00Z"},
		{"no subject", jwt(`{"iss":"i","aud":"a"}`), `has no claim "sub"`},
		{"no audience", jwt(`{"iss":"i","sub":"s","aud":[]}`), `has no claim "aud"`},
		{"an audience that is none", jwt(`{"iss":"i","sub":"s","aud":{}}`), "not a JSON Web Token"},
		{"empty", "", "not a JSON Web Token"},
		{"two parts", "canary.canary", "not a JSON Web Token"},
		{"no base64", "eyJ.canary!.x", "not a JSON Web Token"},
		{"too large", strings.Repeat("x", 64<<10+1), "more than 65536 bytes"},
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := workload.New(file, []string{"lattice"})
		if err != nil {
			t.Fatal(err)
		}
		token, err := id.Token(now)
		if c.says == "" {
			if err != nil || token.Text != strings.TrimSpace(c.file) || token.Issuer == "" || token.Subject == "" || token.Audience == "" {
				t.Errorf("%s: %v, %v", c.name, token, err)
			}
			if text := fmt.Sprintf("%v %+v %#v", token, token, token); strings.Contains(text, "eyJ") {
				t.Errorf("%s: it prints the token: %s", c.name, text)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	missing, err := workload.New(filepath.Join(t.TempDir(), "none"), []string{"lattice"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Token(now); err == nil || err.Error() != "can’t be read from its file" {
		t.Error("no file:", err)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	id, err := workload.New("token", []string{"lattice"})
	if err != nil || !id.Serves("lattice") || id.Serves("harbour") {
		t.Errorf("%v, %v", id, err)
	}
	none, err := workload.New("", nil)
	if err != nil || none.Serves("lattice") || none.Serves("") {
		t.Errorf("without a file: %v", err)
	}
	if _, err := none.Token(time.Now()); err == nil || err.Error() != "is not set up" {
		t.Error(err)
	}
	if _, err := workload.New("token", nil); err == nil {
		t.Error("a token that every workspace may use")
	}
	if _, err := workload.New("", []string{"lattice"}); err == nil {
		t.Error("workspaces without a token")
	}
}
