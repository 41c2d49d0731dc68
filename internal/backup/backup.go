// Package backup stores backups of policies: sets of items, and the contents that they
// share. Contents are kept once for each workspace, compressed, byte for byte as the
// provider wrote them. A set is visible as a whole or not at all, and never changes once
// it is visible. It belongs to a tenant and a directory, so that it outlives its
// connection.
package backup

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
)

// Origin says where a set comes from.
type Origin string

// The origins.
const (
	FromRun    Origin = "run"
	FromUpload Origin = "upload"
)

// Set is one backup.
type Set struct {
	ID         string
	Tenant     string // id
	Directory  string // GUID of the source; empty for files that don't name it
	Run        string // id; empty for an upload
	Origin     Origin
	Tool       string // of an upload: what wrote the files
	Layout     string
	AsOf       time.Time // when reading began
	Types      []TypeRead
	Complete   bool // every type was read, and every policy with all of its parts
	Items      int64
	Incomplete int64 // items that lack a part
	Size       int64 // of all contents, in bytes
	Pinned     bool
}

// TypeRead says how a type of a set was read.
type TypeRead struct {
	Type   string    `json:"type"` // key of the policy type
	Items  int64     `json:"items"`
	Reason op.Reason `json:"reason,omitempty"` // why it is incomplete; empty if it is complete
	Absent bool      `json:"absent,omitempty"` // the tenant doesn't have the service: there is nothing to back up
}

// Missing is a part of an item that could not be read. The object itself is the part
// "object".
type Missing struct {
	Part   string    `json:"part"`
	Reason op.Reason `json:"reason"`
	Why    string    `json:"why,omitempty"` // the provider's words
}

// String names the part and says why it is missing.
func (m Missing) String() string {
	return m.Part + ": " + cmp.Or(m.Why, string(m.Reason))
}

// Item is one policy of a set, without its contents.
type Item struct {
	Type       string
	ID         string
	Name       string
	ModifiedAt string // as the provider wrote it
	Hash       string // of the normal form
	Missing    []Missing
}

// unreadable reports whether the object itself could not be read as a policy. What there
// is of it is kept, and can't be compared or restored.
func (i Item) unreadable() bool {
	return slices.ContainsFunc(i.Missing, func(m Missing) bool { return m.Part == object })
}

// Contents are an item with its contents.
type Contents struct {
	Item
	Policy policy.Item
}

// assignments is the part under which assignments are stored; the object has the empty
// part. In [Missing] it is called object.
const (
	assignments = "assignments"
	object      = "object"
	names       = "names" // the display names in it, as JSON; no part of the policy
)

// parts are the contents of an item by their part.
func (c Contents) parts() map[string]json.RawMessage {
	all := map[string]json.RawMessage{"": c.Policy.Body}
	for key, data := range c.Policy.Parts {
		all[key] = data
	}
	if c.Policy.Assignments != nil {
		all[assignments] = c.Policy.Assignments
	}
	if len(c.Policy.Names) > 0 {
		if text, err := json.Marshal(c.Policy.Names); err == nil { // texts always can be
			all[names] = text
		}
	}
	return all
}

// size is the size of an item's contents, in bytes.
func (c Contents) size() (n int) {
	for _, data := range c.parts() {
		n += len(data)
	}
	return n
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Coders are safe for concurrent use when used as a whole, without a stream.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic("backup: " + err.Error()) // only for wrong options
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*policy.MaxBytes))
		if err != nil {
			panic("backup: " + err.Error())
		}
		return d
	})
)

var errDamaged = errors.New("the stored content is damaged")

// unpack returns a content, and an error if it is not what hash says.
func unpack(data []byte, hash string) ([]byte, error) {
	text, err := decoder().DecodeAll(data, nil)
	if err != nil || hashOf(text) != hash {
		return nil, errDamaged
	}
	return text, nil
}
