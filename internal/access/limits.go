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
// There are three budgets of wrong passwords: one for each address ([Network]), for all
// accounts together; one for each account, from all addresses together; and one for each
// pair of an account and an address from which it has signed in before. So a guesser who
// uses up an account's budget elsewhere does not lock its owner out there.
type Limits struct {
	PerAccount int           // wrong passwords in a Window; 0: no limit
	PerAddress int           // wrong passwords in a Window; 0: no limit
	Window     time.Duration // from the first wrong password on
}

// usualFor is how long after a sign-in its address counts as usual for the account.
const usualFor = 90 * 24 * time.Hour

// LimitError is returned after too many wrong passwords in a short time.
type LimitError struct {
	RetryAfter time.Duration // until the next try is checked
}

// Error says how long to wait.
func (e *LimitError) Error() string {
	return fmt.Sprintf("too many tries: come again in %s", e.RetryAfter.Round(time.Second))
}

// Network returns what limits count for a peer's address: the address itself, or its
// /64 for IPv6, because a site usually has a whole /64 (docs: RFC 6177, RFC 4291 section
// 2.5.4). An IPv4-mapped IPv6 address counts as IPv4. Text that is no address is returned
// unchanged.
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

// charge counts a try before it is checked, so that simultaneous tries can't all pass. A
// correct try is given back.
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
				// Rolled back: a refused try is charged to neither budget.
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

// giveBack gives back a try whose first step was correct.
func (s *spending) giveBack(ctx context.Context, tx db.Tx) error {
	for _, subject := range s.subjects {
		if _, err := tx.Exec(ctx, `UPDATE sign_in_budget SET failures = failures - 1 WHERE subject = $1 AND failures > 0`, subject); err != nil {
			return err
		}
	}
	return nil
}

// refund gives back a correct try, and remembers its address as usual.
func (s *spending) refund(ctx context.Context, tx db.Tx) error {
	if err := s.giveBack(ctx, tx); err != nil || s.usual == "" {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO sign_in_budget (subject, failures, since) VALUES ($1, 0, interlock_now())
		ON CONFLICT (subject) DO UPDATE SET since = interlock_now()`, s.usual)
	return err
}
