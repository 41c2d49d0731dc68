package vault

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/interlock-dev/interlock/internal/durable"
)

// rootSize is the size of a root key in bytes: AES-256.
const rootSize = 32

// Root wraps and unwraps the keysets of workspaces. It can't be printed and is safe for
// concurrent use.
type Root struct{ keys []rootKey } // the first wraps and unwraps, the others unwrap only

type rootKey struct {
	id   string
	aead func() tink.AEAD // a closure, as in Secret
}

// WrongKeyError reports that a keyset or text was sealed by a root key that was not given.
type WrongKeyError struct {
	Want string   // id of the key that sealed it
	Have []string // ids of the keys that were given
}

// Error names both keys by their ids.
func (e *WrongKeyError) Error() string {
	return fmt.Sprintf("wrong root key: the data was sealed with key %s, but the key given is %s", e.Want, strings.Join(e.Have, ", "))
}

// GenerateRoot returns a new root key and stores it nowhere. It is for tests and
// temporary servers; see [CreateRoot] for a key that is kept.
func GenerateRoot() (*Root, error) { return ParseRoot(newKey()) }

func newKey() string {
	key := make([]byte, rootSize)
	_, _ = rand.Read(key) // docs: never fails
	return base64.StdEncoding.EncodeToString(key)
}

// ParseRoot parses root keys from a key file or an environment variable: 32 bytes
// each, in base64, separated by line ends or commas. Lines that start with # are
// comments. The first key wraps; the others, from before a rotation, only unwrap.
func ParseRoot(text string) (*Root, error) {
	r := &Root{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for field := range strings.SplitSeq(line, ",") {
			field = strings.TrimSpace(field)
			if field == "" {
				continue
			}
			n := len(r.keys) + 1
			key, err := base64.StdEncoding.DecodeString(field)
			if err != nil {
				return nil, fmt.Errorf("root key %d is not base64", n) // without the cause, which quotes the key
			}
			if len(key) != rootSize {
				return nil, fmt.Errorf("root key %d has %d bytes, want %d", n, len(key), rootSize)
			}
			aead, err := subtle.NewAESGCM(key)
			if err != nil {
				return nil, fmt.Errorf("root key %d: %w", n, err)
			}
			r.keys = append(r.keys, rootKey{idOf(key), func() tink.AEAD { return aead }})
		}
	}
	if len(r.keys) == 0 {
		return nil, errors.New("there is no root key")
	}
	return r, nil
}

// idOf returns an id of a key that reveals nothing about the key.
func idOf(key []byte) string {
	sum := sha256.Sum256(append([]byte("interlock root key id\x00"), key...))
	return base32.StdEncoding.EncodeToString(sum[:])[:8]
}

// LoadRoot reads a key file. It refuses a file that others can read or that its group
// can change. A missing file is an [fs.ErrNotExist].
func LoadRoot(path string) (*Root, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("root key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("root key file %s has mode %04o and is open to others: chmod 600 it", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("root key file: %w", err)
	}
	r, err := ParseRoot(string(text))
	if err != nil {
		return nil, fmt.Errorf("root key file %s: %w", path, err)
	}
	return r, nil
}

// CreateRoot writes a new root key to a file that only its owner can read. The file
// must not exist yet. Without it, stored credentials can never be opened again.
func CreateRoot(path string) (*Root, error) {
	text := newKey()
	// After a power cut there must be neither half a key nor data that no key opens.
	err := durable.CreateFile(path, []byte("# Root key of Interlock. Keep a copy elsewhere: credentials can't be opened without it.\n"+text+"\n"), 0o600)
	if err != nil {
		return nil, fmt.Errorf("root key file: %w", err)
	}
	return ParseRoot(text)
}

// ID is the id of the key that wraps. It is safe to show.
func (r *Root) ID() string { return r.keys[0].id }

// Has reports whether r has the key with that id.
func (r *Root) Has(id string) bool { return slices.Contains(r.IDs(), id) }

// IDs are the ids of all keys, the one that wraps first.
func (r *Root) IDs() []string {
	all := make([]string, len(r.keys))
	for i, k := range r.keys {
		all[i] = k.id
	}
	return all
}

// AddRoot adds a new root key to a key file and returns its id. The key comes first, so
// that it wraps from the next server start on; with standby it comes last and only
// unwraps. The other keys stay.
func AddRoot(path string, standby bool) (id string, err error) {
	text := newKey()
	r, err := ParseRoot(text)
	if err != nil {
		return "", err
	}
	return r.ID(), edit(path, func(lines []string) ([]string, error) {
		if standby {
			return append(lines, text), nil
		}
		return append([]string{text}, lines...), nil
	})
}

// RemoveRoot removes a root key from a key file. What that key sealed can never be
// opened again. It refuses to remove the key that wraps.
func RemoveRoot(path, id string) error {
	return edit(path, func(lines []string) ([]string, error) {
		for i, line := range lines {
			r, err := ParseRoot(line)
			switch {
			case err != nil || r.ID() != id:
			case i == 0:
				return nil, fmt.Errorf("root key %s seals new data and can't be removed", id)
			default:
				return slices.Delete(lines, i, i+1), nil
			}
		}
		return nil, fmt.Errorf("root key %s is not in %s", id, path)
	})
}

// edit rewrites a key file: its comments first, then its keys, one per line.
func edit(path string, change func(lines []string) ([]string, error)) error {
	if _, err := LoadRoot(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("root key file: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("root key file: %w", err)
	}
	var comments, keys []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			comments = append(comments, line)
			continue
		}
		for field := range strings.SplitSeq(line, ",") {
			if field = strings.TrimSpace(field); field != "" {
				keys = append(keys, field)
			}
		}
	}
	if keys, err = change(keys); err != nil {
		return err
	}
	if err := durable.WriteFile(path, []byte(strings.Join(append(comments, keys...), "\n")+"\n"), info.Mode().Perm()); err != nil {
		return fmt.Errorf("root key file: %w", err)
	}
	return nil
}
