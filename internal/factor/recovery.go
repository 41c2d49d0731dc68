package factor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// RecoveryCodes is the number of codes that a person gets at once.
const RecoveryCodes = 10

// A recovery code has 16 characters of 5 bits. 80 random bits are too many to search,
// so that a plain hash is enough.
const recoveryLength = 16

// NewRecoveryCodes returns new codes in the form that people write down, such as
// "k3xq-7m2a-p5tw-b6nd".
func NewRecoveryCodes() []string {
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		text := strings.ToLower(rand.Text()[:recoveryLength])
		codes[i] = strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:]}, "-")
	}
	return codes
}

// HashRecoveryCode returns the hash that a code is stored and found by. Case, spaces
// and hyphens don't matter. It returns "" for a text that can't be a code.
func HashRecoveryCode(code string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-':
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, strings.TrimSpace(code))
	if len(plain) != recoveryLength {
		return ""
	}
	sum := sha256.Sum256([]byte("recovery\x00" + plain))
	return hex.EncodeToString(sum[:])
}
