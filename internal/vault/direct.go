package vault

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// Place binds a text that the root key seals directly, without a workspace keyset:
// data of a person, who can belong to several workspaces. A sealed text that is moved
// to another place can't be opened.
type Place struct {
	Owner   string // id of the person or session
	Field   string // kind of data, such as "totp"
	Version string // which value of that kind, such as the id of its row
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

// A text sealed by a root key has the form "d1.ID.CIPHERTEXT"; ID is the root key's id.
const directFormat = "d1"

// Seal encrypts s for one place with the current root key. It refuses an empty secret
// and one of more than [MaxDirect] bytes.
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

// MaxDirect is the largest text that a root key seals directly, in bytes.
const MaxDirect = 128 << 10

// Unseal decrypts a text that [Root.Seal] sealed for the same place. It returns a
// [WrongKeyError] when none of the root keys sealed the text, and [ErrUnreadable] when
// the text is damaged or belongs to another place.
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

// Reseal seals a text again with the current root key. When every text is resealed and
// every keyset is rewrapped, the previous root key can be destroyed.
func (r *Root) Reseal(sealed string, place Place) (string, error) {
	s, err := r.Unseal(sealed, place)
	if err != nil {
		return "", err
	}
	return r.Seal(s, place)
}

// SealedBy returns the id of the root key that sealed a text; empty if the text is not
// a sealed one.
func SealedBy(sealed string) string {
	parts := strings.Split(sealed, ".")
	if len(parts) != 3 || parts[0] != directFormat || parts[1] == "" {
		return ""
	}
	return parts[1]
}
