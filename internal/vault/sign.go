package vault

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
)

// NewSigningKey returns a new Ed25519 key for [NewSigner].
func NewSigningKey() Secret {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // docs: never fails
	return NewSecret(base64.StdEncoding.EncodeToString(seed))
}

// Signer signs with Ed25519. It can't be printed.
type Signer struct{ key func() ed25519.PrivateKey } // a closure, as in Secret

// NewSigner returns a signer that uses a key from [NewSigningKey].
func NewSigner(s Secret) (Signer, error) {
	seed, err := base64.StdEncoding.DecodeString(s.Reveal())
	if err != nil || len(seed) != ed25519.SeedSize {
		return Signer{}, errors.New("vault: not a signing key")
	}
	key := ed25519.NewKeyFromSeed(seed)
	return Signer{func() ed25519.PrivateKey { return key }}, nil
}

// Public is the public key that checks the signatures, in base64.
func (s Signer) Public() string {
	public, _ := s.key().Public().(ed25519.PublicKey) // the type is documented
	return base64.StdEncoding.EncodeToString(public)
}

// Sign returns the signature of data, in base64.
func (s Signer) Sign(data []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(s.key(), data))
}

// Signed reports whether signature is a signature of data made with the key whose
// public half is given. Both are base64.
func Signed(public string, data []byte, signature string) bool {
	key, err1 := base64.StdEncoding.DecodeString(public)
	sig, err2 := base64.StdEncoding.DecodeString(signature)
	return err1 == nil && err2 == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, data, sig)
}
