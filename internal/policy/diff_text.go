package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
)

// shownRunes is the most characters of a value in a line of text.
const shownRunes = 200

// Text returns one readable line for each change.
func Text(changes []Change) string {
	var b strings.Builder
	for _, c := range changes {
		old, value := shown(c.Old, c.OldName), shown(c.New, c.NewName)
		switch c.Op {
		case Added:
			fmt.Fprintf(&b, "+ %s: %s\n", c.Name, value)
		case Removed:
			fmt.Fprintf(&b, "- %s: %s\n", c.Name, old)
		case Changed:
			fmt.Fprintf(&b, "~ %s: %s → %s\n", c.Name, old, value)
		}
	}
	return b.String()
}

func shown(value json.RawMessage, name string) string {
	if name == "" {
		name = string(value)
		var s string
		if json.Unmarshal(value, &s) == nil && s != "" {
			name = s
		}
	}
	name = strings.Join(strings.Fields(name), " ")
	if utf8.RuneCountInString(name) > shownRunes {
		name = string([]rune(name)[:shownRunes]) + "…"
	}
	return name
}

// Unified returns a unified diff of the indented normal forms of two policies of one
// type; empty if they are equal. Secrets are not shown: one that differs reads
// [ShownOther].
func Unified(a, b Document) string {
	if a.t == b.t && a.Assigned() != b.Assigned() {
		a, b = a.Without("assignments"), b.Without("assignments")
	}
	before, after := a.hidden(), b.hidden()
	known := make(map[string]bool)
	concealedIn(before, func(c concealed) concealed {
		known[c.text] = true
		return c
	})
	concealedIn(after, func(c concealed) concealed {
		if !known[c.text] {
			c.shown = ShownOther
		}
		return c
	})
	return string(diff.Diff(a.file(), indent(before), b.file(), indent(after)))
}

// concealedIn applies change to every secret below v.
func concealedIn(v any, change func(concealed) concealed) {
	objects(v, func(object map[string]any) {
		for _, name := range names(object) {
			if c, ok := object[name].(concealed); ok {
				object[name] = change(c)
			}
		}
	})
}

// file is the file name of the policy in the header of a unified diff.
func (d Document) file() string {
	return d.t.Key + "/" + strings.Join(strings.Fields(d.Name()), " ")
}

// indent formats a tree for a line diff. A tree that is deeper than any real policy gets
// line breaks only: its indentation would grow with the square of its depth.
func indent(tree map[string]any) []byte {
	text, deep := encode(tree), false
	walk(tree, nil, func(at *place, _ any) { deep = deep || at.deep() })
	if deep {
		return append(bytes.ReplaceAll(text, []byte(`,"`), []byte(",\n\"")), '\n')
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		panic(fmt.Sprintf("policy: a canonical text that is no JSON: %v", err))
	}
	b.WriteByte('\n')
	return b.Bytes()
}
