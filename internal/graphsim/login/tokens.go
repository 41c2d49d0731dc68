package login

import (
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// tokenLife is how long a token is valid. expires_in is one second less (observed).
const tokenLife = time.Hour

// issue returns a token with the claims, valid for tokenLife from now.
func (k *Keyring) issue(cl wire.Claims, now time.Time) (string, error) {
	cl.Issuer = "https://sts.windows.net/" + cl.Tenant + "/"
	cl.Provider = cl.Issuer
	cl.IssuedAt, cl.NotBefore, cl.Expiry = now.Unix(), now.Unix(), now.Add(tokenLife).Unix()
	cl.ID, cl.Version = uuid.NewString(), "1.0"
	return k.signJWT(cl)
}

func (k *Keyring) signJWT(payload any) (string, error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: k.sign, KeyID: k.kid}},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t", k.kid))
	if err != nil {
		return "", fmt.Errorf("graphsim: signer: %w", err)
	}
	return jwt.Signed(signer).Claims(payload).Serialize()
}

// Verify verifies an access token. Its errors are the messages of the service. For an expired
// token it also returns the claims.
func (k *Keyring) Verify(raw string, now time.Time) (*wire.Claims, error) {
	tok, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, wire.ErrTokenMalformed
	}
	var cl wire.Claims
	if err := tok.Claims(&k.sign.PublicKey, &cl); err != nil {
		return nil, wire.ErrTokenMalformed
	}
	if now.Unix() >= cl.Expiry {
		return &cl, wire.ErrTokenExpired
	}
	return &cl, nil
}
