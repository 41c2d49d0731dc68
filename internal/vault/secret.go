package vault

import (
	"fmt"
	"log/slog"
)

// Secret is a value that can't be printed. It holds a closure because fmt ignores the
// methods of a value in an unexported field (observed: %v prints such a Secret in full
// even if it has a String method). The zero Secret is empty.
type Secret struct{ reveal func() string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Reveal returns the value. Only two callers may use it: the client of a provider,
// which sends it, and package access, which checks what people sign in with.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// redacted is shown in place of every secret.
const redacted = "[secret]"

// Format prints a placeholder for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) } // fmt.State keeps the error

// MarshalText encodes a placeholder, also in JSON and XML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue logs a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
