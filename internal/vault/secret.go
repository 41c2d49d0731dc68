package vault

import (
	"fmt"
	"log/slog"
)

// Secret is a value that can't be printed. It is a closure, because fmt reads
// the unexported fields of a struct without asking its methods (observed: a
// Secret with a String method inside another struct's unexported field is
// printed by %v in full). The zero Secret is empty.
type Secret struct{ reveal func() string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Reveal returns the value. Only the client of a provider may call it, to send
// it where it belongs, and package access, for what people prove themselves with.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// What all the ways to show a Secret show instead.
const redacted = "[secret]"

// Format prints a placeholder for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) } // the state keeps the error

// MarshalText encodes a placeholder, in JSON and XML too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue logs a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
