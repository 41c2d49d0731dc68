package ui

import (
	"net/url"
	"strings"

	"github.com/interlock-dev/interlock/internal/httpx"
)

// Form is a form with its fields in order, and what was typed into it when that
// could not be used.
type Form struct {
	Action  string // where it is sent
	Fields  []Field
	Values  url.Values     // by name of the field; a secret is never shown again
	Refusal *httpx.Problem // nil: it was not sent yet
}

// Field is one field of a form.
type Field struct {
	Name, Label, Hint string
	Kind              string // of the input; "select", "textarea" or "checks" for those; empty: text
	Options           []Option
	Max               int // characters; 0: as many as the server takes
	Optional          bool
	Fill              string // what browsers may fill it from; empty: nothing
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

// Wrong is what is wrong with the field with that name; empty: nothing.
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

// Misfits are the fields that can't be used, with a sentence each.
func (f Form) Misfits() (list []Link) {
	for _, d := range f.Fields {
		if w := f.Wrong(d.Name); w != "" {
			list = append(list, Link{Text: d.Label + " " + strings.ToLower(w[:1]) + w[1:], Href: "#" + d.Name})
		}
	}
	return list
}

// describedBy are the ids of what is said about the field.
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
