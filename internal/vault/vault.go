// Package vault seals credentials. Each workspace has a keyset of its own
// (AES-256-GCM of Tink), which is stored wrapped by a root key that is not in
// the database; each ciphertext opens only in the place that it was sealed for.
// Who has the database has nothing; who has the host has both.
package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// MaxSecret is the largest secret that is sealed, in bytes: a certificate chain
// with its key takes a tenth of it.
const MaxSecret = 64 << 10

// ErrUnreadable is returned for a ciphertext that was sealed by another keyset
// or for another place, or is damaged. Which of them can't be told.
var ErrUnreadable = errors.New("vault: the ciphertext does not belong here, or is damaged")

// AAD is the place that a ciphertext is bound to: moved into another row it
// does not open.
type AAD struct {
	Workspace, Tenant, Connection, Field string
	Version                              int64 // of the credential, from 1
}

// bytes tells different places apart whatever their names contain.
func (a AAD) bytes() ([]byte, error) {
	b := []byte("interlock credential 1")
	for _, part := range []struct{ name, value string }{
		{"workspace", a.Workspace}, {"tenant", a.Tenant}, {"connection", a.Connection}, {"field", a.Field},
	} {
		if part.value == "" {
			return nil, fmt.Errorf("vault: the place of a credential lacks its %s", part.name)
		}
		b = binary.BigEndian.AppendUint64(b, uint64(len(part.value)))
		b = append(b, part.value...)
	}
	if a.Version < 1 {
		return nil, fmt.Errorf("vault: the version of a credential is %d, want 1 or more", a.Version)
	}
	return binary.BigEndian.AppendUint64(b, uint64(a.Version)), nil
}

// Keyset seals and opens the credentials of one workspace. It can't be printed
// and is safe for concurrent use.
type Keyset struct {
	seal func() tink.AEAD // closures, as in Secret
	mark func() *prf.Set

	primary uint32 // id of the key that seals
	old     int    // keys besides it, which only open
}

// A wrapped keyset is "1.ID.SEAL.MARK": the root key's id and two Tink keysets
// encrypted by it.
const wrappedFormat = "1"

// The associated data of the two keysets, so that one can't pass for the other.
var (
	sealPurpose = []byte("interlock keyset 1: seal")
	markPurpose = []byte("interlock keyset 1: fingerprint")
)

// NewKeyset returns a new keyset and its wrapped form, which is stored.
func (r *Root) NewKeyset() (wrapped string, k *Keyset, err error) {
	seal, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", nil, fmt.Errorf("vault: new keyset: %w", err)
	}
	mark, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return "", nil, fmt.Errorf("vault: new keyset: %w", err)
	}
	if wrapped, err = r.wrap(seal, mark); err != nil {
		return "", nil, err
	}
	k, err = newKeyset(seal, mark)
	return wrapped, k, err
}

// Open unwraps a stored keyset. It returns a [WrongKeyError] when none of the
// root keys has wrapped it.
func (r *Root) Open(wrapped string) (*Keyset, error) {
	seal, mark, err := r.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	return newKeyset(seal, mark)
}

// Rewrap wraps a stored keyset by the current root key. Ciphertexts stay as
// they are. Once every keyset is rewrapped the previous root key can be destroyed.
func (r *Root) Rewrap(wrapped string) (string, error) {
	seal, mark, err := r.unwrap(wrapped)
	if err != nil {
		return "", err
	}
	return r.wrap(seal, mark)
}

// Rotate gives a stored keyset a new key, which seals from then on. The old one
// still opens, until [Root.Retire]. A keyset that is rotating is an error.
func (r *Root) Rotate(wrapped string) (string, error) {
	return r.change(wrapped, func(m *keyset.Manager, h *keyset.Handle, template *tinkpb.KeyTemplate) error {
		if h.Len() > 1 {
			return errors.New("its rotation is not finished")
		}
		id, err := m.Add(template)
		if err != nil {
			return err
		}
		return m.SetPrimary(id)
	})
}

// Retire destroys every key of a stored keyset but the one that seals. What the
// others have sealed can never be opened again.
func (r *Root) Retire(wrapped string) (string, error) {
	return r.change(wrapped, func(m *keyset.Manager, h *keyset.Handle, _ *tinkpb.KeyTemplate) error {
		info := h.KeysetInfo()
		for _, k := range info.GetKeyInfo() {
			if k.GetKeyId() == info.GetPrimaryKeyId() {
				continue
			}
			if err := m.Delete(k.GetKeyId()); err != nil {
				return err
			}
		}
		return nil
	})
}

// change applies do to both parts of a stored keyset.
func (r *Root) change(wrapped string, do func(*keyset.Manager, *keyset.Handle, *tinkpb.KeyTemplate) error) (string, error) {
	seal, mark, err := r.unwrap(wrapped)
	if err != nil {
		return "", err
	}
	for _, part := range []struct {
		handle   **keyset.Handle
		template *tinkpb.KeyTemplate
	}{{&seal, aead.AES256GCMKeyTemplate()}, {&mark, prf.HMACSHA256PRFKeyTemplate()}} {
		m := keyset.NewManagerFromHandle(*part.handle)
		err := do(m, *part.handle, part.template)
		if err == nil {
			*part.handle, err = m.Handle()
		}
		if err != nil {
			return "", fmt.Errorf("vault: change a keyset: %w", err)
		}
	}
	return r.wrap(seal, mark)
}

// WrappedBy names the root key of a stored keyset; empty if it is none.
func WrappedBy(wrapped string) string {
	parts := strings.Split(wrapped, ".")
	if len(parts) != 4 || parts[0] != wrappedFormat {
		return ""
	}
	return parts[1]
}

func newKeyset(seal, mark *keyset.Handle) (*Keyset, error) {
	a, err := aead.New(seal)
	if err != nil {
		return nil, fmt.Errorf("vault: keyset: %w", err)
	}
	p, err := prf.NewPRFSet(mark)
	if err != nil {
		return nil, fmt.Errorf("vault: keyset: %w", err)
	}
	info := seal.KeysetInfo()
	return &Keyset{
		seal: func() tink.AEAD { return a }, mark: func() *prf.Set { return p },
		primary: info.GetPrimaryKeyId(), old: len(info.GetKeyInfo()) - 1,
	}, nil
}

// ID names the key that seals, safe to show.
func (k *Keyset) ID() string { return fmt.Sprintf("%08x", k.primary) }

// Rotating reports whether the keyset has a key besides the one that seals: its
// rotation has begun and is not finished.
func (k *Keyset) Rotating() bool { return k.old > 0 }

// Current reports whether a sealed text, of which the first [KeyPrefix] characters
// are enough, was sealed by the key that seals now.
func (k *Keyset) Current(sealed string) bool {
	// docs: Tink's output prefix is the byte 1 and the id of the key in four bytes.
	prefix, err := base64.RawURLEncoding.DecodeString(sealed[:min(len(sealed), KeyPrefix)])
	return err == nil && len(prefix) > 4 && prefix[0] == 1 && binary.BigEndian.Uint32(prefix[1:]) == k.primary
}

// KeyPrefix is how many characters of a sealed text tell which key sealed it.
const KeyPrefix = 8

func (r *Root) wrap(seal, mark *keyset.Handle) (string, error) {
	parts := []string{wrappedFormat, r.ID()}
	for _, h := range []struct {
		handle  *keyset.Handle
		purpose []byte
	}{{seal, sealPurpose}, {mark, markPurpose}} {
		var out bytes.Buffer
		if err := h.handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), r.keys[0].aead(), h.purpose); err != nil {
			return "", fmt.Errorf("vault: wrap a keyset: %w", err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(out.Bytes()))
	}
	return strings.Join(parts, "."), nil
}

func (r *Root) unwrap(wrapped string) (seal, mark *keyset.Handle, err error) {
	id := WrappedBy(wrapped)
	if id == "" {
		return nil, nil, errors.New("vault: not a wrapped keyset")
	}
	for _, key := range r.keys {
		if key.id != id {
			continue
		}
		parts := strings.Split(wrapped, ".")
		if seal, err = readKeyset(parts[2], key.aead(), sealPurpose); err != nil {
			return nil, nil, err
		}
		mark, err = readKeyset(parts[3], key.aead(), markPurpose)
		return seal, mark, err
	}
	return nil, nil, &WrongKeyError{Want: id, Have: r.IDs()}
}

func readKeyset(text string, key tink.AEAD, purpose []byte) (*keyset.Handle, error) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("vault: the wrapped keyset is damaged")
	}
	h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(data)), key, purpose)
	if err != nil {
		return nil, fmt.Errorf("vault: the wrapped keyset is damaged: %w", err)
	}
	return h, nil
}

// Seal encrypts s for one place. The same secret gives another text each time.
func (k *Keyset) Seal(s Secret, place AAD) (string, error) {
	data, err := place.bytes()
	if err != nil {
		return "", err
	}
	text := s.Reveal()
	if text == "" || len(text) > MaxSecret {
		return "", fmt.Errorf("vault: the secret has %d bytes, want 1 to %d", len(text), MaxSecret)
	}
	sealed, err := k.seal().Encrypt([]byte(text), data)
	if err != nil {
		return "", fmt.Errorf("vault: seal: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open decrypts what was sealed for a place, or returns [ErrUnreadable].
func (k *Keyset) Open(sealed string, place AAD) (Secret, error) {
	data, err := place.bytes()
	if err != nil {
		return Secret{}, err
	}
	// Strict: a text that differs only in unused bits is not the one that was stored.
	text, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return Secret{}, ErrUnreadable
	}
	plain, err := k.seal().Decrypt(text, data)
	if err != nil {
		return Secret{}, ErrUnreadable
	}
	return NewSecret(string(plain)), nil
}

// Fingerprint tells whether a secret is the same as before, within one
// workspace, and nothing else of it: an HMAC, in hex.
func (k *Keyset) Fingerprint(s Secret) (string, error) {
	const size = 16
	sum, err := k.mark().ComputePrimaryPRF([]byte(s.Reveal()), size)
	if err != nil {
		return "", fmt.Errorf("vault: fingerprint: %w", err)
	}
	return hex.EncodeToString(sum), nil
}
