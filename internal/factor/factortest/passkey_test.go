package factortest

import "testing"

// TestNewPasskey: 2,000 keys, of which 15 would have a short coordinate.
func TestNewPasskey(t *testing.T) {
	for range 2000 {
		if n := len(NewPasskey().Key.AttestationData()); n != attestationBytes {
			t.Fatalf("a key of %d bytes", n)
		}
	}
}
