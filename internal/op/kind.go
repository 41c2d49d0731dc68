package op

import (
	"fmt"
	"strings"
)

// Kind is the key of a provider-backed operation, such as "inventory.sync".
type Kind string

// The kinds that code outside the catalogue names. An operation needs no constant
// here: package catalogue declares the operations.
const (
	ConnectionVerify    Kind = "connection.verify"
	InventorySync       Kind = "inventory.sync"
	DirectoryGroupsSync Kind = "directory.groups.sync"
)

// KindWords are the words of one operation. All of them are required.
type KindWords struct {
	Name  string // starts a sentence or is a title, such as "Inventory sync"
	Does  string // one sentence on what it does
	Start string // label of its start button, such as "Start sync"
	Item  string // what one item of a run is, such as "type"
	Items string // the same for several, such as "types"
}

// kinds are the words of the operations that were registered.
var kinds = make(map[Kind]KindWords)

// RegisterKind gives the presenter the words of an operation. It returns the error
// of [KindWords.Check]. Call it while the program initialises: it is not safe for
// concurrent use.
func RegisterKind(k Kind, w KindWords) error {
	if err := w.Check(k); err != nil {
		return err
	}
	kinds[k] = w
	return nil
}

// Check returns an error that names the missing field when w is incomplete, and an
// error when k has words already.
func (w KindWords) Check(k Kind) error {
	if _, ok := kinds[k]; ok {
		return fmt.Errorf("the kind %s has words already", k)
	}
	for _, f := range []struct{ field, value string }{
		{"Name", w.Name}, {"Does", w.Does}, {"Start", w.Start}, {"Item", w.Item}, {"Items", w.Items},
	} {
		if strings.TrimSpace(f.value) == "" {
			return fmt.Errorf("words: %s is missing", f.field)
		}
	}
	if !strings.HasSuffix(w.Does, ".") {
		return fmt.Errorf("words: Does must be a sentence that ends with a full stop, not %q", w.Does)
	}
	return nil
}

// Name returns the operation's name for the start of a sentence, such as "Inventory
// sync"; "The operation" for a kind that is not registered.
func (k Kind) Name() string {
	if w, ok := kinds[k]; ok {
		return w.Name
	}
	return upperFirst(neutral("operation"))
}

// Does returns one sentence that says what the operation does; empty for a kind that is
// not registered.
func (k Kind) Does() string { return kinds[k].Does }

// Start returns the label of the operation's start button; "Start" for a kind that
// is not registered.
func (k Kind) Start() string {
	if w, ok := kinds[k]; ok {
		return w.Start
	}
	return "Start"
}

// Work returns the completed items of c, such as "803 of 1,284 groups"; "None" for no
// items.
func (k Kind) Work(c Counts) string {
	one, more := "item", "items"
	if w, ok := kinds[k]; ok {
		one, more = w.Item, w.Items
	}
	switch {
	case c.Done == 0 && c.Total == 0:
		return "None"
	case c.Done == 1 && c.Total <= 1:
		return "1 " + one
	case c.Total <= c.Done:
		return Number(c.Done) + " " + more
	case c.Total == 1:
		return Number(c.Done) + " of 1 " + one
	}
	return Number(c.Done) + " of " + Number(c.Total) + " " + more
}
