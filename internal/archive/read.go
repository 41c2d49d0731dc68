package archive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/policy"
)

// maxFile is the most bytes of one file: a list of policies in UTF-16.
const maxFile = 4 * policy.MaxBytes

// reader gathers what an archive holds.
type reader struct {
	bundle   Bundle
	entries  map[string]entry // of our manifest, by path
	folder   string           // of our manifest
	found    map[string]bool  // paths of the manifest that are there
	tenant   string           // id of the tenant by IntuneManagement's table
	settings []settings
	tools    map[Tool]int
	versions bool
	values   int // JSON values that were looked at
}

// settings is a file beside a policy that holds a part of it.
type settings struct {
	path string
	list json.RawMessage
}

// read reads files in the order of their paths. With versions, the first of several
// policies with one id counts.
func read(files []file, skipped []Skipped, versions bool) (Bundle, error) {
	r := &reader{versions: versions, bundle: Bundle{Skipped: skipped}, entries: make(map[string]entry), found: make(map[string]bool), tools: make(map[Tool]int)}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.path, b.path) })
	for _, first := range []bool{true, false} { // what describes the other files comes first
		for _, f := range files {
			if describes(f.path) != first {
				continue
			}
			if why := unread(f); why != "" {
				r.skip(f.path, why)
				continue
			}
			data, err := load(f)
			if err != nil {
				return Bundle{}, err
			}
			if err := r.file(f.path, data); err != nil {
				return Bundle{}, err
			}
		}
	}
	return r.end()
}

func describes(name string) bool {
	return path.Base(name) == Manifest || path.Base(name) == migrationTable
}

// unread says why a file is not even opened; empty if it is.
func unread(f file) string {
	switch ext := strings.ToLower(path.Ext(f.path)); {
	case strings.HasPrefix(f.path, "__MACOSX/") || path.Base(f.path) == ".DS_Store":
		return "was added by macOS"
	case ext == ".zip":
		return "is an archive in the archive: upload it by itself"
	case ext == ".yaml" || ext == ".yml":
		return "is YAML: export as JSON"
	case ext != ".json":
		return "is not a JSON file"
	case f.size > maxFile:
		return fmt.Sprintf("is larger than %d MiB", maxFile>>20)
	}
	return ""
}

// load reads a whole file. It never reads more than the file's declared size.
func load(f file) ([]byte, error) {
	in, err := f.open()
	if err != nil {
		return nil, &FileError{f.path, fmt.Errorf("%w: %w", ErrDamaged, err)}
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, io.LimitReader(in, f.size+1))
	if err = errors.Join(err, in.Close()); err == nil && int64(out.Len()) > f.size {
		err = errors.New("it is longer than declared")
	}
	if err != nil {
		return nil, &FileError{f.path, fmt.Errorf("%w: %w", ErrDamaged, err)}
	}
	return out.Bytes(), nil
}

func (r *reader) skip(path, why string) {
	r.bundle.Skipped = append(r.bundle.Skipped, Skipped{path, why})
}

// file takes the policies of one file. Errors end the reading.
func (r *reader) file(name string, data []byte) error {
	data, err := decode(data)
	if err != nil {
		r.skip(name, err.Error())
		return nil
	}
	switch path.Base(name) {
	case Manifest:
		return r.manifest(name, data)
	case migrationTable:
		r.migration(name, data)
		return nil
	}
	if len(r.bundle.Directory) > 0 && r.tools[IntuneManagement] > 0 {
		data = bytes.ReplaceAll(data, []byte("%OrganizationId%"), []byte(r.bundle.Directory))
	}
	if e, ok := r.entries[name]; ok {
		r.found[name] = true
		r.ours(name, e, data)
		return nil
	}
	if r.value(name, data, source{}, 0); r.values > MaxFiles {
		return ErrTooMany
	}
	return nil
}

// manifest reads the description of our own archives.
func (r *reader) manifest(name string, data []byte) error {
	if r.bundle.Layout > 0 {
		return &FileError{name, ErrTwice}
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil || m.Format != format || m.Layout != Layout {
		return &FileError{name, ErrManifest}
	}
	r.bundle.Layout = m.Layout
	r.bundle.Meta = Meta{m.Set, m.Tenant, "", m.AsOf, m.Complete, m.Types}
	if id, err := uuid.Parse(m.Directory); err == nil {
		r.bundle.Directory = id.String()
	}
	if r.folder = path.Dir(name); r.folder == "." {
		r.folder = ""
	}
	for _, e := range m.Items {
		if e.File == "" {
			r.lacks(e.Type)
			r.skip(name+"#"+e.Type+"/"+e.ID, "lists a policy that the backup could not read: "+strings.Join(e.Missing, "; "))
			continue
		}
		r.entries[path.Join(r.folder, e.File)] = e
	}
	return nil
}

// ours takes a file of our own archive: the bytes of the backup, or what somebody made of
// them since.
func (r *reader) ours(name string, e entry, data []byte) {
	item := Item{Item: policy.Item{Type: e.Type, ID: e.ID, Names: e.Names}, Name: e.Name, File: name, Missing: e.Missing}
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) != e.SHA256 || !undo(data, e.Edits, &item.Item) {
		item.Parts, item.Assignments, item.Body = nil, nil, data
	}
	r.tools[Interlock]++
	if !r.take(item) {
		r.lacks(e.Type)
	}
}

// lacks notes that the archive does not have all policies of a type that its backup had.
func (r *reader) lacks(key string) {
	r.bundle.Complete = false
	i := slices.IndexFunc(r.bundle.Types, func(t TypeMeta) bool { return t.Type == key })
	if i < 0 {
		r.bundle.Types, i = append(r.bundle.Types, TypeMeta{Type: key}), len(r.bundle.Types)
	}
	r.bundle.Types[i].Complete = false
}

// noID is what tools write in place of an id.
const noID = "00000000-0000-0000-0000-000000000000"

// take adds a policy if it can be read, and reports whether it did.
func (r *reader) take(item Item) bool {
	d, err := policy.Normalise(item.Item)
	if err != nil {
		var bad *policy.ItemError
		if errors.As(err, &bad) {
			err = bad.Err
		}
		r.skip(item.File, err.Error())
		return false
	}
	if item.ID == "" {
		if item.ID = d.ID(); item.ID == "" || item.ID == noID {
			sum := sha256.Sum256([]byte(item.File))
			item.ID = "file-" + hex.EncodeToString(sum[:8])
		}
	}
	if !policy.ValidID(item.ID) {
		r.skip(item.File, "has an id that is too long, or has control characters")
		return false
	}
	item.Name = d.Name()
	r.bundle.Items = append(r.bundle.Items, item)
	return true
}

// source is what is known of a value from around it.
type source struct {
	context string // @odata.context of the list that it stands in
	hint    string // key of the type by CIPP's template
	name    string // by CIPP's template
	about   string // description, likewise
}

// maxNested is the most levels of JSON in strings and of lists in lists.
const maxNested = 4

// value takes the policies of a JSON value: an object, a list of several, an answer of the
// service with a list, JSON in a string, or a template of CIPP.
func (r *reader) value(name string, data []byte, from source, nested int) {
	data = bytes.TrimSpace(data)
	if r.values++; r.values > MaxFiles {
		return
	}
	if nested > maxNested {
		r.skip(name, "holds JSON in JSON too often")
		return
	}
	if len(data) == 0 {
		r.skip(name, "is empty")
		return
	}
	switch data[0] {
	case '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			r.skip(name, invalid(err))
			return
		}
		r.value(name, []byte(text), from, nested+1)
	case '[':
		if r.beside(name, data) {
			return
		}
		r.list(name, data, from, nested)
	case '{':
		if len(data) > policy.MaxBytes {
			r.skip(name, policy.ErrTooLarge.Error())
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(data, &object); err != nil {
			r.skip(name, invalid(err))
			return
		}
		r.object(name, data, object, from, nested)
	default:
		r.skip(name, "is not a JSON object")
	}
}

func (r *reader) list(name string, data []byte, from source, nested int) {
	dec := json.NewDecoder(bytes.NewReader(data))
	_, err := dec.Token()
	for i := 1; err == nil && dec.More(); i++ {
		var element json.RawMessage
		if err = dec.Decode(&element); err == nil {
			r.value(name+"#"+strconv.Itoa(i), element, from, nested+1)
		}
	}
	if err == nil {
		_, err = dec.Token()
	}
	if err != nil {
		r.skip(name, "is not taken to its end: "+invalid(err))
	}
}

func (r *reader) object(name string, data []byte, object map[string]json.RawMessage, from source, nested int) {
	if r.template(name, object, nested) || r.beside(name, data) {
		return
	}
	if list, ok := object["value"]; ok && bytes.HasPrefix(list, []byte("[")) && !slices.ContainsFunc(slices.Collect(maps.Keys(object)), func(k string) bool { return k != "value" && !strings.HasPrefix(k, "@") }) {
		from.context = cmp.Or(text(object, "@odata.context"), from.context)
		r.list(name, list, from, nested)
		return
	}
	t, why := kind(object, from)
	if t == nil {
		r.skip(name, why)
		return
	}
	r.recognise(name, object)
	r.take(Item{Item: policy.Item{Type: t.Key, Body: r.adapt(name, t, data, object, from)}, File: name})
}

// end joins parts to their policies and looks for policies that are there twice.
func (r *reader) end() (Bundle, error) {
	for _, s := range r.settings {
		r.join(s)
	}
	for _, name := range slices.Sorted(maps.Keys(r.entries)) {
		if !r.found[name] {
			r.lacks(r.entries[name].Type)
			r.skip(name, "is listed in the manifest and not in the archive")
		}
	}
	if err := r.unique(); err != nil {
		return Bundle{}, err
	}
	if len(r.bundle.Items) == 0 {
		return r.bundle, ErrNothing
	}
	r.bundle.Tool = r.tool()
	return r.bundle, nil
}

// unique leaves out copies of a policy. Two policies that differ and have one id end the
// reading: nobody but the person who packed them knows which one counts.
func (r *reader) unique() error {
	type key struct{ t, id string }
	seen := make(map[key]Item)
	kept := r.bundle.Items[:0]
	for _, item := range r.bundle.Items {
		k := key{item.Type, strings.ToLower(item.ID)}
		first, twice := seen[k]
		if !twice {
			seen[k] = item
			kept = append(kept, item)
			continue
		}
		a, errA := policy.Normalise(first.Item)
		b, errB := policy.Normalise(item.Item)
		switch {
		case errA == nil && errB == nil && a.Equal(b):
			r.skip(item.File, "is a copy of "+first.File)
		case r.versions:
			r.skip(item.File, "is another version of "+first.File)
		default:
			return &SameIDError{item.Type, item.ID, first.File, item.File}
		}
	}
	r.bundle.Items = kept
	return nil
}

// tool is what wrote most of the files.
func (r *reader) tool() Tool {
	if r.bundle.Layout > 0 {
		return Interlock
	}
	best := Files
	for _, t := range []Tool{IntuneManagement, CIPP, IntuneCD} {
		if r.tools[t] > r.tools[best] {
			best = t
		}
	}
	return best
}

// decode turns a file into UTF-8 without a mark of its byte order.
func decode(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return data[3:], nil
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return decode16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return decode16(data[2:], binary.BigEndian)
	case len(data) > 1 && data[0] != 0 && data[1] == 0: // JSON begins with an ASCII character
		return decode16(data, binary.LittleEndian)
	case len(data) > 1 && data[0] == 0 && data[1] != 0:
		return decode16(data, binary.BigEndian)
	}
	return data, nil
}

var errUTF16 = errors.New("is not valid UTF-16")

func decode16(data []byte, order binary.ByteOrder) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, errUTF16
	}
	out := make([]byte, 0, len(data)/2)
	for i := 0; i < len(data); i += 2 {
		c := rune(order.Uint16(data[i:]))
		if utf16.IsSurrogate(c) {
			if i += 2; i == len(data) {
				return nil, errUTF16
			}
			if c = utf16.DecodeRune(c, rune(order.Uint16(data[i:]))); c == utf8.RuneError {
				return nil, errUTF16
			}
		}
		out = utf8.AppendRune(out, c)
	}
	return out, nil
}

// invalid says what is wrong with JSON.
func invalid(err error) string {
	if strings.Contains(err.Error(), "exceeded max depth") { // encoding/json has no value for it
		return policy.ErrTooDeep.Error()
	}
	return fmt.Sprintf("%v: %.200v", policy.ErrInvalid, err)
}

// text is a string of an object; empty if there is none.
func text(object map[string]json.RawMessage, name string) (s string) {
	if json.Unmarshal(object[name], &s) != nil {
		return ""
	}
	return s
}
