// Package vault encrypts credentials at rest. Each workspace has its own keyset (Tink,
// AES-256-GCM). The keyset is stored in the database, wrapped by a root key that is
// kept outside of it. Each ciphertext is bound to one place and opens nowhere else.
// A copy of the database alone reveals nothing; the host has both.
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

// MaxSecret is the largest secret that can be sealed, in bytes. A certificate chain with
// its key takes about a tenth of it.
const MaxSecret = 64 << 10

// ErrUnreadable is returned for a ciphertext that another keyset sealed, that was sealed
// for another place, or that is damaged. These can't be told apart.
var ErrUnreadable = errors.New("vault: the ciphertext does not belong here, or is damaged")

// AAD is the place that a ciphertext is bound to. A ciphertext that is moved to another
// row can't be opened.
type AAD struct {
	Workspace, Tenant, Connection, Field string
	Version                              int64 // of the credential, from 1
}

// bytes encodes a, so that two different places never have the same bytes.
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
	old     int    // how many other keys it has, which only open
}

// A wrapped keyset has the form "1.ID.SEAL.MARK": the root key's id and two Tink keysets
// that it encrypted.
const wrappedFormat = "1"

// The associated data of the two keysets. It keeps one from being used as the other.
var (
	sealPurpose = []byte("interlock keyset 1: seal")
	markPurpose = []byte("interlock keyset 1: fingerprint")
)

// NewKeyset returns a new keyset and its wrapped form, which the caller stores.
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

// Open unwraps a stored keyset. It returns a [WrongKeyError] when none of the root keys
// wrapped it.
func (r *Root) Open(wrapped string) (*Keyset, error) {
	seal, mark, err := r.unwrap(wrapped)
	if err != nil {
		return nil, err
	}
	return newKeyset(seal, mark)
}

// Rewrap wraps a stored keyset again with the current root key. Ciphertexts stay valid.
// When every keyset is rewrapped, the previous root key can be destroyed.
func (r *Root) Rewrap(wrapped string) (string, error) {
	seal, mark, err := r.unwrap(wrapped)
	if err != nil {
		return "", err
	}
	return r.wrap(seal, mark)
}

// Rotate adds a new key to a stored keyset; the new key seals from then on. The old key
// still opens until [Root.Retire]. It is an error if a rotation is in progress.
func (r *Root) Rotate(wrapped string) (string, error) {
	return r.change(wrapped, func(m *keyset.Manager, h *keyset.Handle, template *tinkpb.KeyTemplate) error {
		if h.Len() > 1 {
			return errors.New("its rotation is still in progress")
		}
		id, err := m.Add(template)
		if err != nil {
			return err
		}
		return m.SetPrimary(id)
	})
}

// Retire removes every key of a stored keyset except the one that seals. What the
// removed keys sealed can never be opened again.
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

// WrappedBy returns the id of the root key that wrapped a keyset; empty if the text is
// not a wrapped keyset.
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

// ID is the id of the key that seals. It is safe to show.
func (k *Keyset) ID() string { return fmt.Sprintf("%08x", k.primary) }

// Rotating reports whether a rotation is in progress: the keyset has other keys besides
// the one that seals.
func (k *Keyset) Rotating() bool { return k.old > 0 }

// Current reports whether the key that seals now also sealed this text. The first
// [KeyPrefix] characters of the text are enough.
func (k *Keyset) Current(sealed string) bool {
	// docs: Tink's output starts with the byte 1 and the key's id in four bytes.
	prefix, err := base64.RawURLEncoding.DecodeString(sealed[:min(len(sealed), KeyPrefix)])
	return err == nil && len(prefix) > 4 && prefix[0] == 1 && binary.BigEndian.Uint32(prefix[1:]) == k.primary
}

// KeyPrefix is the number of characters at the start of a sealed text that identify the
// key.
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

// Seal encrypts s for one place. It refuses an empty secret and one of more than
// [MaxSecret] bytes. Sealing the same secret twice gives different texts.
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

// Open decrypts a text that was sealed for the same place. Otherwise it returns
// [ErrUnreadable].
func (k *Keyset) Open(sealed string, place AAD) (Secret, error) {
	data, err := place.bytes()
	if err != nil {
		return Secret{}, err
	}
	// Strict refuses a text that differs from the stored one in unused bits only.
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

// Fingerprint returns 16 bytes of an HMAC of s, in hex. Within one workspace, two equal
// secrets have the same fingerprint; it reveals nothing else. It changes with a rotation.
func (k *Keyset) Fingerprint(s Secret) (string, error) {
	const size = 16
	sum, err := k.mark().ComputePrimaryPRF([]byte(s.Reveal()), size)
	if err != nil {
		return "", fmt.Errorf("vault: fingerprint: %w", err)
	}
	return hex.EncodeToString(sum), nil
}
