package op_test

import (
	"strings"
	"testing"

	// The operations bring their words: with them here, every test of this package
	// reads what people read.
	_ "github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestRegisterKind: words that are incomplete or doubled are refused, and the error
// says what is wrong.
func TestRegisterKind(t *testing.T) {
	full := op.KindWords{Name: "Toy sync", Does: "Reads toys.", Start: "Start sync", Item: "toy", Items: "toys"}
	for want, change := range map[string]func(*op.KindWords){
		"words: Name is missing":    func(w *op.KindWords) { w.Name = "" },
		"words: Does is missing":    func(w *op.KindWords) { w.Does = " " },
		"words: Does must be a sen": func(w *op.KindWords) { w.Does = "Reads toys" },
		"words: Start is missing":   func(w *op.KindWords) { w.Start = "" },
		"words: Item is missing":    func(w *op.KindWords) { w.Item = "" },
		"words: Items is missing":   func(w *op.KindWords) { w.Items = "" },
	} {
		w := full
		change(&w)
		if err := op.RegisterKind("toy.sync", w); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := op.RegisterKind(op.InventorySync, full); err == nil || !strings.Contains(err.Error(), "has words already") {
		t.Errorf("a second registration: %v", err)
	}
}
