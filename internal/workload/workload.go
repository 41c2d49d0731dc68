// Package workload reads the token that identifies this server as a workload. The platform
// issues the token and renews it in a file, as Kubernetes does with a projected service
// account token. Microsoft Entra accepts it in place of a secret for every app
// registration that trusts its issuer and subject (docs: workload identity federation).
package workload

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// maxToken is the largest token that is read, in bytes; real ones are under 4 KiB.
const maxToken = 64 << 10

// Identity is the identity of this server. The token does not say which workspace uses
// it, so only the workspaces that the administrator names may. It is safe for concurrent
// use. The nil Identity has no token.
type Identity struct {
	file       string
	workspaces []string
}

// New returns the identity whose token is in file, for the workspaces with these slugs. It
// returns nil when file is empty. It does not read the file.
func New(file string, workspaces []string) (*Identity, error) {
	switch {
	case file == "" && len(workspaces) == 0:
		return nil, nil // the nil Identity is the one without a token
	case file == "":
		return nil, errors.New("workspaces are named for a workload identity, and no token file")
	case len(workspaces) == 0:
		return nil, errors.New("a token file is named, and no workspace that may use it")
	}
	return &Identity{file: file, workspaces: slices.Clone(workspaces)}, nil
}

// Serves reports whether the workspace with that slug may use the identity.
func (i *Identity) Serves(workspace string) bool {
	return i != nil && slices.Contains(i.workspaces, workspace)
}

// Token is the token as it is now, with the claims that an app registration must trust.
type Token struct {
	Text     string // secret
	Issuer   string
	Subject  string
	Audience string
	Expires  time.Time // zero: the token does not say
}

// String returns the claims without the token, so that it can't be logged.
func (t Token) String() string { return t.Issuer + " " + t.Subject + " " + t.Audience }

// GoString is String.
func (t Token) GoString() string { return t.String() }

// Token reads the token. Its errors are clauses about "the token", such as "can't be
// read"; they contain neither the token nor the file's name. A token that has expired at
// now is an error.
func (i *Identity) Token(now time.Time) (Token, error) {
	if i == nil {
		return Token{}, errors.New("is not set up")
	}
	f, err := os.Open(i.file)
	if err != nil {
		return Token{}, errors.New("can’t be read from its file")
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	switch {
	case err != nil:
		return Token{}, errors.New("can’t be read from its file")
	case len(raw) > maxToken:
		return Token{}, fmt.Errorf("has more than %d bytes", maxToken)
	}
	t, err := parse(strings.TrimSpace(string(raw)))
	if err == nil && !t.Expires.IsZero() && !now.Before(t.Expires) {
		err = fmt.Errorf("expired at %s and was not renewed", t.Expires.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return Token{}, err
	}
	return t, nil
}

// parse reads the claims of a signed token. Its signature is for Microsoft Entra to check.
func parse(text string) (Token, error) {
	notJWT := errors.New("is not a JSON Web Token")
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Token{}, notJWT
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Token{}, notJWT
	}
	var claims struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience audience `json:"aud"`
		Expires  float64  `json:"exp"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return Token{}, notJWT
	}
	for name, value := range map[string]string{"iss": claims.Issuer, "sub": claims.Subject, "aud": string(claims.Audience)} {
		if value == "" {
			return Token{}, fmt.Errorf("has no claim %q", name)
		}
	}
	t := Token{Text: text, Issuer: claims.Issuer, Subject: claims.Subject, Audience: string(claims.Audience)}
	if claims.Expires > 0 {
		t.Expires = time.Unix(int64(claims.Expires), 0)
	}
	return t, nil
}

// audience is a string, or a list of which the first counts. docs: Microsoft Entra takes
// tokens with one audience only.
type audience string

// UnmarshalJSON implements [json.Unmarshaler].
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience(one)
		return nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	if len(list) > 0 {
		*a = audience(list[0])
	}
	return nil
}
