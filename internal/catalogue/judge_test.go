package catalogue_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// TestTurns: between two moments with no turn in between the same connection is
// judged the same.
func TestTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		at := func(name string) time.Time {
			return start.Add(time.Duration(rapid.Int64Range(0, int64(90*24*time.Hour/time.Microsecond)).Draw(t, name)) * time.Microsecond)
		}
		verified, expires := at("verified"), at("expires")
		c := tenancy.Connection{
			Enabled: true, Credential: tenancy.ClientSecret, CredentialExpiresAt: &expires, Consent: tenancy.ConsentGranted,
			Verification: tenancy.VerificationOK, VerifiedAt: &verified,
		}
		if rapid.Bool().Draw(t, "never expires") {
			c.CredentialExpiresAt = nil
		}
		turns := catalogue.Turns(c)
		from := append(turns, at("from"))[rapid.IntRange(0, len(turns)).Draw(t, "which")] // a turn is the first moment of what comes
		to := at("to")
		for _, turn := range append(turns, from) {
			if turn.After(from) && !turn.After(to) {
				to = turn.Add(-time.Microsecond)
			}
		}
		if to.Before(from) {
			to = from
		}
		codes := func(now time.Time) (codes []op.Reason) {
			for _, cause := range catalogue.JudgeReadiness(tenancy.Tenant{Status: tenancy.TenantActive}, catalogue.Target{Connection: &c, Count: 1}, now) {
				codes = append(codes, cause.Code)
			}
			return codes
		}
		if a, b := codes(from), codes(to); !slices.Equal(a, b) {
			t.Fatalf("at %v %q, at %v %q, and no turn in between: %v", from, a, to, b, turns)
		}
	})
}
