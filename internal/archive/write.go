package archive

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
)

// Layout is the version of our layout: a folder for each type, a file for each policy, and
// a manifest.
const Layout = 1

// Manifest is the name of the file that describes an archive.
const Manifest = "interlock-backup.json"

// manifest is the content of that file.
type manifest struct {
	Format    string     `json:"format"`
	Layout    int        `json:"layout"`
	Set       string     `json:"set,omitempty"`
	Tenant    string     `json:"tenant,omitempty"`
	Directory string     `json:"directory,omitempty"`
	AsOf      time.Time  `json:"as_of"`
	Complete  bool       `json:"complete"`
	Types     []TypeMeta `json:"types,omitempty"`
	Items     []entry    `json:"items"`
}

const format = "interlock-backup"

// entry describes the file of one policy.
type entry struct {
	File    string   `json:"file"` // empty: the backup could not read the object
	Type    string   `json:"type"`
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"`
	SHA256  string   `json:"sha256"`            // of the file
	Edits   []edit   `json:"edits,omitempty"`   // that added the parts to the body
	Missing []string `json:"missing,omitempty"` // incomplete parts, with reasons

	Names map[string]string `json:"names,omitempty"` // display names of settings and choices, by their ids
}

// Writer writes a backup set as a zip file. It is for one goroutine. After an error the
// file is unusable.
type Writer struct {
	zip   *zip.Writer
	list  manifest
	names names
}

// NewWriter starts a zip file.
func NewWriter(w io.Writer, m Meta) *Writer {
	return &Writer{zip.NewWriter(w), manifest{format, Layout, m.Set, m.Tenant, m.Directory, m.AsOf.UTC(), m.Complete, m.Types, []entry{}}, names{fold(Manifest): true}}
}

// Add writes one policy: its body, with parts and assignments as properties of the object,
// where other tools look for them. Every byte of body, parts and assignments stays as it
// is. Secrets stay, too: whoever hands out the file checks that the reader may see them.
// A body that is no object is the whole file, and one that is empty has none: the manifest
// says that the policy is missing.
func (w *Writer) Add(item Item) error {
	t := policy.Lookup(item.Type)
	if t == nil {
		return fmt.Errorf("archive: there is no policy type %.100q", item.Type)
	}
	if len(item.Body) == 0 {
		w.list.Items = append(w.list.Items, entry{Type: item.Type, ID: item.ID, Name: item.Name, Missing: item.Missing})
		return nil
	}
	file, edits, err := join(item.Item)
	if err != nil {
		file, edits = item.Body, nil
	}
	path := w.names.take(folder(t), item.Name, item.ID)
	sum := sha256.Sum256(file)
	w.list.Items = append(w.list.Items, entry{path, item.Type, item.ID, item.Name, hex.EncodeToString(sum[:]), edits, item.Missing, item.Names})
	return w.write(path, file)
}

// Close writes the manifest and ends the zip file. It does not close what is below.
func (w *Writer) Close() error {
	data, err := json.MarshalIndent(w.list, "", "  ")
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if err := w.write(Manifest, append(data, '\n')); err != nil {
		return err
	}
	if err := w.zip.Close(); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

func (w *Writer) write(path string, data []byte) error {
	f, err := w.zip.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate, Modified: w.list.AsOf})
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		return fmt.Errorf("archive: %s: %w", path, err)
	}
	return nil
}

// edit is one step from a body to its file: the bytes from From to To replaced Was, and
// the value of a part begins at At and ends at End.
type edit struct {
	Part string `json:"part"`
	From int    `json:"from"`
	At   int    `json:"at"`
	End  int    `json:"end"`
	To   int    `json:"to"`
	Was  []byte `json:"was,omitempty"`
}

const assignments = "assignments"

// File returns the content of a policy's file: its body as it was sent, with parts and
// assignments as properties. Secrets stay in it.
func File(item policy.Item) ([]byte, error) {
	file, _, err := join(item)
	if err != nil {
		return nil, fmt.Errorf("archive: %s %.100q: %w", item.Type, item.ID, err)
	}
	return file, nil
}

// join makes the content of a file. [undo] is its inverse.
func join(item policy.Item) (file []byte, edits []edit, err error) {
	file = item.Body
	add := func(part string, value []byte) {
		if err != nil {
			return
		}
		var e edit
		if file, e, err = set(file, part, value); err == nil {
			edits = append(edits, e)
		}
	}
	for _, part := range slices.Sorted(maps.Keys(item.Parts)) {
		add(part, item.Parts[part])
	}
	if item.Assignments != nil {
		add(assignments, item.Assignments)
	}
	return file, edits, err
}

// set returns object with the value of a property replaced or added.
func set(object []byte, name string, value []byte) ([]byte, edit, error) {
	from, to, found, err := find(object, name)
	if err != nil {
		return nil, edit{}, err
	}
	e := edit{Part: name, From: from}
	text := value
	if found {
		e.At, e.Was = from, bytes.Clone(object[from:to])
	} else {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, edit{}, fmt.Errorf("%.100q: %w", name, err)
		}
		text = append(key, ':')
		if object[from-1] != '{' {
			text = append([]byte{','}, text...)
		}
		e.At = from + len(text)
		text = append(text, value...)
	}
	e.End, e.To = e.At+len(value), from+len(text)
	return slices.Concat(object[:from], text, object[to:]), e, nil
}

// find returns where the value of a property is, or else where the property can be added.
func find(object []byte, name string) (from, to int, found bool, err error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	open, err := dec.Token()
	if err != nil || open != json.Delim('{') {
		return 0, 0, false, fmt.Errorf("%w: it is not an object", policy.ErrInvalid)
	}
	end := int(dec.InputOffset())
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return 0, 0, false, fmt.Errorf("%w: %w", policy.ErrInvalid, err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return 0, 0, false, fmt.Errorf("%w: %w", policy.ErrInvalid, err)
		}
		end = int(dec.InputOffset())
		if key == name {
			from, to, found = end-len(value), end, true
		}
	}
	if _, err := dec.Token(); err != nil {
		return 0, 0, false, fmt.Errorf("%w: %w", policy.ErrInvalid, err)
	}
	if found {
		return from, to, true, nil
	}
	return end, end, false, nil
}

// undo takes the content of a file apart. It reports whether the edits fit the file.
func undo(file []byte, edits []edit, item *policy.Item) bool {
	body := file
	for _, e := range slices.Backward(edits) {
		if e.From < 0 || e.At < e.From || e.End < e.At || e.To < e.End || e.To > len(body) {
			return false
		}
		value := bytes.Clone(body[e.At:e.End])
		if e.Part == assignments {
			item.Assignments = value
		} else {
			if item.Parts == nil {
				item.Parts = make(map[string]json.RawMessage)
			}
			item.Parts[e.Part] = value
		}
		body = slices.Concat(body[:e.From], e.Was, body[e.To:])
	}
	item.Body = body
	return true
}
