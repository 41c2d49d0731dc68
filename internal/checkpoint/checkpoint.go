// Package checkpoint keeps the heads of the audit trails outside of the database,
// in a file of signed lines. A trail whose end was cut off is whole in itself; it
// shows only against a head that was kept elsewhere.
package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Head is how far the audit trail of a workspace was.
type Head struct {
	Workspace string `json:"workspace"` // id
	Slug      string `json:"slug"`
	Seq       int64  `json:"seq"`
	Hash      string `json:"hash"`
}

// Export are the heads of all trails at one time, signed.
type Export struct {
	Format    string    `json:"format"`
	At        time.Time `json:"at"`
	Heads     []Head    `json:"heads"`
	Key       string    `json:"key"` // public, in base64
	Signature string    `json:"signature,omitempty"`
}

const format = "interlock audit heads 1"

// Limits of the files. The newest is at the path itself, older ones have numbers
// behind it.
const (
	maxFile  = 1 << 20 // bytes, after which a new file begins
	keepOld  = 20      // files besides the newest
	fileMode = 0o640   // nothing secret stands in it: whoever ships logs may read it
)

// signed is what the signature is of.
func (e Export) signed() ([]byte, error) {
	e.Signature = ""
	return json.Marshal(e)
}

// Append signs heads and adds them to the file at path.
func Append(path string, signer vault.Signer, at time.Time, heads []Head) error {
	e := Export{Format: format, At: at.UTC().Truncate(time.Microsecond), Heads: heads, Key: signer.Public()}
	if heads == nil {
		e.Heads = []Head{}
	}
	data, err := e.signed()
	if err != nil {
		return fmt.Errorf("export the heads of the audit trails: %w", err)
	}
	e.Signature = signer.Sign(data)
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("export the heads of the audit trails: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("export the heads of the audit trails: %w", err)
	}
	if len(text) > 0 && len(text)+len(line) > maxFile {
		if err := durable.Rotate(path, keepOld); err != nil {
			return fmt.Errorf("export the heads of the audit trails: %w", err)
		}
		text = nil
	}
	if err := durable.WriteFile(path, append(append(text, line...), '\n'), fileMode); err != nil {
		return fmt.Errorf("export the heads of the audit trails: %w", err)
	}
	return nil
}

// ErrForged is returned for a line that was not written so by the server whose key
// it is held against.
var ErrForged = errors.New("the export of the audit heads was tampered with")

// Read returns all exports of the file at path and of the older ones beside it,
// oldest first. A line that is damaged, or not signed by the key public, is
// [ErrForged]. Without a file it is an [fs.ErrNotExist].
func Read(path, public string) ([]Export, error) {
	var all []Export
	for n := keepOld; n >= 0; n-- {
		name := path
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		text, err := os.ReadFile(name)
		if n > 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("exported heads: %w", err)
		}
		number := 0
		for line := range bytes.Lines(text) {
			number++
			var e Export
			if json.Unmarshal(line, &e) != nil || e.Format != format {
				return nil, fmt.Errorf("%s, line %d is damaged: %w", name, number, ErrForged)
			}
			data, err := e.signed()
			if err != nil {
				return nil, fmt.Errorf("exported heads: %w", err)
			}
			if e.Key != public || !vault.Signed(public, data, e.Signature) {
				return nil, fmt.Errorf("%s, line %d is not signed by this server's key %s: %w", name, number, public, ErrForged)
			}
			all = append(all, e)
		}
	}
	return all, nil
}
