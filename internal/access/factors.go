package access

import "github.com/interlock-dev/interlock/internal/vault"

// Factors is what people prove beside a password is checked with.
type Factors struct{ root *vault.Root }

// NewFactors returns the factors whose secrets root seals.
func NewFactors(root *vault.Root) *Factors { return &Factors{root: root} }
