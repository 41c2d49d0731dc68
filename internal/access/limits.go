package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
)

// Limits bound the guessing of passwords. The zero Limits bound nothing.
//
// Addresses are those of [Network]. Three budgets are kept. Wrong passwords from one address count for that
// address, whatever accounts they try. Wrong passwords for one account count for
// that account, whatever addresses they come from. An address from which an
// account has signed in before has a budget of its own for that account: whoever
// uses up the account's budget from elsewhere does not lock its owner out there.
type Limits struct {
	PerAccount int           // wrong passwords in a Window; 0: no limit
	PerAddress int           // wrong passwords in a Window; 0: no limit
	Window     time.Duration // from the first wrong password on
}

// usualFor is how long an address stays a usual one after a sign-in from it.
const usualFor = 90 * 24 * time.Hour

// LimitError is returned when too many wrong passwords came in a short time.
type LimitError struct {
	RetryAfter time.Duration // when the next try is looked at
}

// Error says how long to wait.
func (e *LimitError) Error() string {
	return fmt.Sprintf("too many tries: come again in %s", e.RetryAfter.Round(time.Second))
}

// Network returns the address that limits count for a peer's address. It is the
// address itself, or for IPv6 its /64: whoever has one address of a /64 has all of
// them (docs: RFC 6177, RFC 4291 section 2.5.4). IPv4 inside IPv6 is IPv4. What is
// no address stays as it is.
func Network(remote string) string {
	a, err := netip.ParseAddr(remote)
	if err != nil {
		return remote
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

// spending is what one try was charged.
type spending struct {
	subjects []string
	usual    string // subject of the pair of account and address
}

func subject(kind, value string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + value))
	return hex.EncodeToString(sum[:])
}

// charge counts a try before it is looked at, so that tries at the same instant
// can't all pass; a try that proves right is given back.
func (l Limits) charge(ctx context.Context, d *db.DB, email, remote string) (*spending, error) {
	s := &spending{}
	remote = Network(remote)
	if l.Window <= 0 || l.PerAccount <= 0 && l.PerAddress <= 0 {
		return s, nil
	}
	pair := email + "\x00" + remote
	err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		*s = spending{usual: subject("usual", pair)}
		var usual bool
		err := tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM sign_in_budget WHERE subject = $1 AND since > interlock_now() - $2`,
			s.usual, usualFor.Microseconds()).Scan(&usual)
		if err != nil {
			return err
		}
		type budget struct {
			subject string
			limit   int
		}
		budgets := []budget{{subject("address", remote), l.PerAddress}, {subject("account", email), l.PerAccount}}
		if usual {
			budgets = []budget{{subject("pair", pair), l.PerAccount}}
		}
		for _, b := range budgets {
			if b.limit <= 0 {
				continue
			}
			var failures, left int64
			err := tx.QueryRow(ctx, `INSERT INTO sign_in_budget (subject, failures, since) VALUES ($1, 1, interlock_now())
				ON CONFLICT (subject) DO UPDATE SET
				failures = CASE WHEN sign_in_budget.since + $2 <= interlock_now() THEN 1 ELSE sign_in_budget.failures + 1 END,
				since = CASE WHEN sign_in_budget.since + $2 <= interlock_now() THEN interlock_now() ELSE sign_in_budget.since END
				RETURNING failures, since + $2 - interlock_now()`, b.subject, l.Window.Microseconds()).Scan(&failures, &left)
			if err != nil {
				return err
			}
			if failures > int64(b.limit) {
				// Rolled back: refused tries cost nothing, neither here nor of the other budget.
				return &LimitError{RetryAfter: time.Duration(left) * time.Microsecond}
			}
			s.subjects = append(s.subjects, b.subject)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return s, nil
}

// giveBack gives a try back that was right as far as it went.
func (s *spending) giveBack(ctx context.Context, tx db.Tx) error {
	for _, subject := range s.subjects {
		if _, err := tx.Exec(ctx, `UPDATE sign_in_budget SET failures = failures - 1 WHERE subject = $1 AND failures > 0`, subject); err != nil {
			return err
		}
	}
	return nil
}

// refund gives a try back that was right, and remembers where it came from.
func (s *spending) refund(ctx context.Context, tx db.Tx) error {
	if err := s.giveBack(ctx, tx); err != nil || s.usual == "" {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO sign_in_budget (subject, failures, since) VALUES ($1, 0, interlock_now())
		ON CONFLICT (subject) DO UPDATE SET since = interlock_now()`, s.usual)
	return err
}
