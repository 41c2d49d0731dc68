package access

import (
	"testing"

	"github.com/alexedwards/argon2id"
)

// productCost is what a guess costs in the product.
var productCost = *passwordCost

// In tests a guess costs next to nothing, or most of their time would go into it.
func init() {
	passwordCost = &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// TestPasswordCost: a guess costs at least what OWASP recommends.
// docs: OWASP Password Storage Cheat Sheet.
func TestPasswordCost(t *testing.T) {
	want := argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	if c := productCost; c.Memory < want.Memory || c.Iterations < want.Iterations || c.SaltLength < want.SaltLength || c.KeyLength < want.KeyLength {
		t.Errorf("a password costs %+v, want at least %+v", c, want)
	}
}
