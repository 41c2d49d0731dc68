package catalogue

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// Limits of names and ids. A longer name is cut; a longer id is not usable.
const (
	maxName = 256 // runes
	maxID   = 256 // bytes
)

// newRow makes a row of an object from the provider, which it keeps byte for byte. The
// property that holds the name depends on the type. The flaw may be set for a row that
// can be stored.
func newRow(raw json.RawMessage) (Row, flaw) {
	var o struct {
		ID          text `json:"id"`
		Type        text `json:"@odata.type"`
		DisplayName text `json:"displayName"`
		Name        text `json:"name"`
		DeviceName  text `json:"deviceName"`
		FileName    text `json:"fileName"`
		OfDevice    text `json:"deviceDisplayName"`
		Modified    text `json:"lastModifiedDateTime"`
		Changed     text `json:"modifiedDateTime"`
		Synced      text `json:"lastSyncDateTime"`
		Reported    text `json:"lastReportedDateTime"`
	}
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) || json.Unmarshal(raw, &o) != nil {
		return Row{}, flaw{reason: op.ObjectMalformed}
	}
	id := string(o.ID)
	if !usableID(id) {
		return Row{}, flaw{reason: op.ObjectWithoutID}
	}
	row := Row{
		ID:         id,
		Name:       clean(string(cmp.Or(o.DisplayName, o.Name, o.DeviceName, o.FileName, o.OfDevice))),
		Type:       clean(string(o.Type)),
		ModifiedAt: clean(string(cmp.Or(o.Modified, o.Changed, o.Synced, o.Reported))),
		Data:       raw,
	}
	if row.Name == "" {
		return row, flaw{reason: op.ObjectWithoutName}
	}
	return row, flaw{}
}

// textOf returns a text property of a row's object; empty when it has none.
func textOf(r Row, name string) string {
	var o map[string]json.RawMessage
	var s text
	_ = json.Unmarshal(r.Data, &o) // what came is shown as far as it can be
	_ = json.Unmarshal(o[name], &s)
	return string(s)
}

// day is the date of a moment as the provider wrote it; anything else stays as it is.
func day(moment string) string {
	t, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		return moment
	}
	return op.Day(t)
}

// text is a JSON string; any other value is read as empty.
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = text(s)
	}
	return nil
}

// usableID reports whether an id can be stored.
func usableID(id string) bool { return id != "" && len(id) <= maxID && id == clean(id) }

// unreadable returns the error for an object that does not have the documented shape.
func unreadable(what string, err error) *provider.Error {
	return &provider.Error{Reason: op.ProviderFault, Note: fmt.Sprintf("%s can't be read: %v", what, err), At: time.Now()}
}

// clean returns s without control characters, which no database keeps and no
// page shows, cut at [maxName].
func clean(s string) string {
	n := 0
	return strings.Map(func(c rune) rune {
		if n++; n > maxName || unicode.IsControl(c) {
			return -1
		}
		return c
	}, s)
}

// object is a JSON object with its properties in their order, each value byte
// for byte.
type object []property

type property struct {
	name  string
	value json.RawMessage
}

// UnmarshalJSON reads an object; anything else is an error.
func (o *object) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not an object")
	}
	*o = nil
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		p := property{name: name.(string)} // the grammar has nothing else here
		if err := dec.Decode(&p.value); err != nil {
			return err
		}
		*o = append(*o, p)
	}
	return nil
}

// raw writes the object again. It is no MarshalJSON: that would be compacted and
// escaped, and no longer what the provider wrote.
func (o object) raw() json.RawMessage {
	out := []byte{'{'}
	for i, p := range o {
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(p.name) // a string can't fail
		out = append(append(out, name...), ':')
		out = append(out, p.value...)
	}
	return append(out, '}')
}

// take removes the property and returns its value; nil when there is none.
func (o *object) take(name string) json.RawMessage {
	for i, p := range *o {
		if p.name == name {
			*o = append((*o)[:i:i], (*o)[i+1:]...)
			return p.value
		}
	}
	return nil
}
