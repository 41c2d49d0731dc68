package vault

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// Place is where a text belongs that the root key seals itself, without a
// workspace's keyset between them: what belongs to a person, who may be in several
// workspaces. Moved elsewhere the text does not open.
type Place struct {
	Owner   string // id of the person or session
	Field   string // what it is, such as "totp"
	Version string // which one of it, such as the id of its row
}

func (p Place) bytes() ([]byte, error) {
	b := []byte("interlock root 1")
	for _, part := range []struct{ name, value string }{{"owner", p.Owner}, {"field", p.Field}, {"version", p.Version}} {
		if part.value == "" {
			return nil, fmt.Errorf("vault: the place of a sealed text lacks its %s", part.name)
		}
		b = binary.BigEndian.AppendUint64(b, uint64(len(part.value)))
		b = append(b, part.value...)
	}
	return b, nil
}

// A text sealed by a root key is "d1.ID.CIPHERTEXT", with the root key's id.
const directFormat = "d1"

// Seal encrypts s for one place by the root key itself.
func (r *Root) Seal(s Secret, place Place) (string, error) {
	data, err := place.bytes()
	if err != nil {
		return "", err
	}
	text := s.Reveal()
	if text == "" || len(text) > MaxDirect {
		return "", fmt.Errorf("vault: the text has %d bytes, want 1 to %d", len(text), MaxDirect)
	}
	sealed, err := r.keys[0].aead().Encrypt([]byte(text), data)
	if err != nil {
		return "", fmt.Errorf("vault: seal: %w", err)
	}
	return strings.Join([]string{directFormat, r.ID(), base64.RawURLEncoding.EncodeToString(sealed)}, "."), nil
}

// MaxDirect is the largest text that a root key seals itself, in bytes.
const MaxDirect = 128 << 10

// Unseal decrypts what [Root.Seal] made for a place, or returns [ErrUnreadable]. It
// returns a [WrongKeyError] when none of the root keys has sealed it.
func (r *Root) Unseal(sealed string, place Place) (Secret, error) {
	data, err := place.bytes()
	if err != nil {
		return Secret{}, err
	}
	id := SealedBy(sealed)
	if id == "" {
		return Secret{}, ErrUnreadable
	}
	for _, key := range r.keys {
		if key.id != id {
			continue
		}
		text, err := base64.RawURLEncoding.Strict().DecodeString(strings.Split(sealed, ".")[2])
		if err != nil {
			return Secret{}, ErrUnreadable
		}
		plain, err := key.aead().Decrypt(text, data)
		if err != nil {
			return Secret{}, ErrUnreadable
		}
		return NewSecret(string(plain)), nil
	}
	return Secret{}, &WrongKeyError{Want: id, Have: r.IDs()}
}

// Reseal seals a text anew by the current root key. Once every text is sealed anew
// and every keyset is rewrapped the previous root key can be destroyed.
func (r *Root) Reseal(sealed string, place Place) (string, error) {
	s, err := r.Unseal(sealed, place)
	if err != nil {
		return "", err
	}
	return r.Seal(s, place)
}

// SealedBy names the root key that sealed a text; empty if it is none.
func SealedBy(sealed string) string {
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != directFormat || parts[1] == "" {
		return ""
	}
	return parts[1]
}
