package graphsim

import (
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// claims are those of an access token for Microsoft Graph, in the form of its version 1.0 tokens.
type claims struct {
	Audience   string   `json:"aud"`
	Issuer     string   `json:"iss"`
	IssuedAt   int64    `json:"iat"`
	NotBefore  int64    `json:"nbf"`
	Expiry     int64    `json:"exp"`
	AppName    string   `json:"app_displayname"`
	AppID      string   `json:"appid"`
	AuthMethod string   `json:"appidacr"` // 1 secret, 2 certificate
	Provider   string   `json:"idp"`
	IDType     string   `json:"idtyp"` // app, or user
	ObjectID   string   `json:"oid"`
	Roles      []string `json:"roles,omitempty"` // docs: absent, not empty, when nothing is granted
	Scopes     string   `json:"scp,omitempty"`
	Subject    string   `json:"sub"`
	Tenant     string   `json:"tid"`
	UniqueName string   `json:"unique_name,omitempty"`
	ID         string   `json:"uti"`
	Version    string   `json:"ver"`
	Generation int      `json:"sim_generation"` // ours: a token of an older generation is challenged
}

// tokenError is the service's own message about an unusable token.
type tokenError string

func (e tokenError) Error() string { return string(e) }

const (
	errTokenMissing   tokenError = "Access token is empty."
	errTokenMalformed tokenError = "CompactToken validation failed with reason code: 80049228."
	errTokenExpired   tokenError = "Lifetime validation failed, the token is expired."
	errTokenAudience  tokenError = "Access token validation failure. Invalid audience."
)

// issue signs cl as a token that is good for tokenLife from now.
func (k *keyring) issue(cl claims, now time.Time) (string, error) {
	cl.Issuer = "https://sts.windows.net/" + cl.Tenant + "/"
	cl.Provider = cl.Issuer
	cl.IssuedAt, cl.NotBefore, cl.Expiry = now.Unix(), now.Unix(), now.Add(tokenLife).Unix()
	cl.ID, cl.Version = uuid.NewString(), "1.0"
	return k.signJWT(cl)
}

func (k *keyring) signJWT(payload any) (string, error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: k.sign, KeyID: k.kid}},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t", k.kid))
	if err != nil {
		return "", fmt.Errorf("graphsim: signer: %w", err)
	}
	return jwt.Signed(signer).Claims(payload).Serialize()
}

// verify reads an access token. The errors are the messages of the service.
func (k *keyring) verify(raw string, now time.Time) (*claims, error) {
	tok, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, errTokenMalformed
	}
	var cl claims
	if err := tok.Claims(&k.sign.PublicKey, &cl); err != nil {
		return nil, errTokenMalformed
	}
	if now.Unix() >= cl.Expiry {
		return &cl, errTokenExpired
	}
	return &cl, nil
}
