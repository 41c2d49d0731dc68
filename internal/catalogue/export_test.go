package catalogue

import "testing"

// ReadAtOnce sets how many types are read at the same time, for the length of b.
func ReadAtOnce(b *testing.B, n int) {
	before := typesAtOnce
	typesAtOnce = n
	b.Cleanup(func() { typesAtOnce = before })
}
