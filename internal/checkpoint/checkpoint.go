// Package checkpoint exports the heads of the audit trails to a file outside of the
// database, one signed line per export. A trail that was cut at its end is consistent in
// itself; only a comparison with a head that was kept elsewhere shows the cut.
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

// Head is the last entry of a workspace's audit trail.
type Head struct {
	Workspace string `json:"workspace"` // id
	Slug      string `json:"slug"`
	Seq       int64  `json:"seq"`  // of the entry
	Hash      string `json:"hash"` // of the entry
}

// Export is a signed record of the heads of all trails at one time.
type Export struct {
	Format    string    `json:"format"`
	At        time.Time `json:"at"`
	Heads     []Head    `json:"heads"`
	Key       string    `json:"key"` // public key, in base64
	Signature string    `json:"signature,omitempty"`
}

const format = "interlock audit heads 1"

// Limits of the files. The newest file has the path itself; older ones have a number
// appended.
const (
	maxFile  = 1 << 20 // bytes; then a new file begins
	keepOld  = 20      // older files that are kept
	fileMode = 0o640   // not secret: a log shipper in the group can read it
)

// signed returns the bytes that the signature covers.
func (e Export) signed() ([]byte, error) {
	e.Signature = ""
	return json.Marshal(e)
}

// Append signs heads and appends them to the file at path. When the file would become
// larger than 1 MiB, it starts a new one and keeps 20 older files.
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

// ErrForged is returned for a line that is damaged or that the expected key did not sign.
var ErrForged = errors.New("the export of the audit heads was tampered with")

// Read returns all exports in the file at path and in its older files, oldest first. It
// returns [ErrForged] for a line that is damaged or not signed by the key public, and
// [fs.ErrNotExist] when there is no file.
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
