package ui

import (
	"net/url"
	"strings"

	"github.com/interlock-dev/interlock/internal/httpx"
)

// Form is a form: its fields in order, and the values and problem of the last try.
type Form struct {
	Action  string // where it is sent
	Fields  []Field
	Values  url.Values     // by field name; secrets are never shown again
	Refusal *httpx.Problem // why it was refused; nil: it was not sent
}

// Field is one field of a form.
type Field struct {
	Name, Label, Hint string
	Kind              string // type of the input, or "select", "textarea", "checks"; empty: text
	Options           []Option
	Max               int // characters; 0: no limit in the browser
	Optional          bool
	Fill              string // value of autocomplete; empty: off
}

func (f Field) fill() string {
	if f.Fill == "" {
		return "off"
	}
	return f.Fill
}

func (f Field) secret() bool { return f.Kind == "password" || f.Kind == "textarea" }

// value is what the field shows.
func (f Form) value(d Field) string {
	if d.secret() {
		return ""
	}
	return f.Values.Get(d.Name)
}

// Wrong returns what is wrong with a field; empty: nothing.
func (f Form) Wrong(name string) string {
	if f.Refusal == nil {
		return ""
	}
	for _, w := range f.Refusal.Errors {
		if field, _, _ := strings.Cut(w.Field, "["); field == name {
			return Upper(w.Detail) + "."
		}
	}
	return ""
}

// Misfits returns a link to each invalid field, with what is wrong with it.
func (f Form) Misfits() (list []Link) {
	for _, d := range f.Fields {
		if w := f.Wrong(d.Name); w != "" {
			list = append(list, Link{Text: d.Label + " " + strings.ToLower(w[:1]) + w[1:], Href: "#" + d.Name})
		}
	}
	return list
}

// describedBy returns the ids of the field's hint and error.
func (f Form) describedBy(d Field) string {
	var ids []string
	if d.Hint != "" {
		ids = append(ids, d.Name+"-hint")
	}
	if f.Wrong(d.Name) != "" {
		ids = append(ids, d.Name+"-error")
	}
	return strings.Join(ids, " ")
}
