// Package factortest has second factors for tests.
package factortest

import "github.com/descope/virtualwebauthn"

// attestationBytes is the length of a P-256 key in COSE (RFC 9053, section 7.1.1), with
// both coordinates whole.
const attestationBytes = 77

// NewPasskey makes a passkey. virtualwebauthn drops the leading zeros of a coordinate, which
// COSE forbids: one key in 128 is refused for that. Such keys are thrown away.
func NewPasskey() virtualwebauthn.Credential {
	for {
		if c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(c.Key.AttestationData()) == attestationBytes {
			return c
		}
	}
}
