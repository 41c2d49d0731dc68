package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/factor"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/vault"
)

// The limits of a ceremony, which waits for a person's answer.
const (
	ceremonyLife  = 10 * time.Minute
	ceremonyTries = 5
)

// The kinds of ceremonies.
const (
	signInCeremony  = "sign_in"  // waits for a second factor after the right password
	passkeyCeremony = "passkey"  // waits for a passkey of any person
	confirmCeremony = "confirm"  // waits for a passkey of a person with a session
	totpCeremony    = "totp"     // waits for the first code of a new authenticator app
	enrolCeremony   = "register" // waits for a new passkey
)

// ceremony is stored while it waits.
type ceremony struct {
	id   string
	kind string
	user string
	data ceremonyData
}

type ceremonyData struct {
	Entrant  entrant `json:"entrant,omitzero"`   // of a sign-in
	Question string  `json:"question,omitempty"` // state of a question to a passkey
	Factor   string  `json:"factor,omitempty"`   // id of the new authenticator app
	Sealed   string  `json:"sealed,omitempty"`   // its secret
}

// ofSession is the id of a session's ceremony. A session has one of each kind.
func ofSession(kind string, a Actor) string { return kind + ":" + a.token }

func (c ceremony) begin(ctx context.Context, tx db.Tx) error {
	data, err := json.Marshal(c.data)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO ceremonies (id, kind, user_id, data, expires_at) VALUES ($1, $2, $3, $4, interlock_now() + $5)
		ON CONFLICT (id) DO UPDATE SET data = excluded.data, tries = 0, expires_at = excluded.expires_at`,
		c.id, c.kind, c.user, string(data), ceremonyLife.Microseconds())
	return err
}

// keep replaces the data of a ceremony.
func (c ceremony) keep(ctx context.Context, tx db.Tx) error {
	data, err := json.Marshal(c.data)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE ceremonies SET data = $2 WHERE id = $1`, c.id, string(data))
	return err
}

// errOver is returned for a ceremony that is unknown or over, or had too many tries.
var errOver = errors.New("the question is not open any more")

// try counts an answer to a ceremony and returns the ceremony, locked until the
// transaction ends; errOver when it can't be answered.
func try(ctx context.Context, tx db.Tx, kind, id string) (ceremony, error) {
	return open(ctx, tx, `UPDATE ceremonies SET tries = tries + 1
		WHERE id = $1 AND kind = $2 AND expires_at > interlock_now() AND tries < $3 RETURNING id, kind, user_id, data`, id, kind, ceremonyTries)
}

// look returns a ceremony that can be answered, or errOver.
func look(ctx context.Context, tx db.Tx, kind, id string) (ceremony, error) {
	return open(ctx, tx, `SELECT id, kind, user_id, data FROM ceremonies
		WHERE id = $1 AND kind = $2 AND expires_at > interlock_now() AND tries < $3`, id, kind, ceremonyTries)
}

func open(ctx context.Context, tx db.Tx, sql string, args ...any) (c ceremony, err error) {
	var data string
	err = tx.QueryRow(ctx, sql, args...).Scan(&c.id, &c.kind, &c.user, &data)
	if errors.Is(err, db.ErrNoRows) {
		return ceremony{}, errOver
	} else if err != nil {
		return ceremony{}, err
	}
	if err := json.Unmarshal([]byte(data), &c.data); err != nil {
		return ceremony{}, fmt.Errorf("stored ceremony: %w", err)
	}
	return c, nil
}

// end deletes a ceremony.
func (c ceremony) end(ctx context.Context, tx db.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM ceremonies WHERE id = $1`, c.id)
	return err
}

// Enrolment is a new authenticator app that waits for its first code.
type Enrolment struct {
	Secret  string // in base32, for typing; shown only while it waits
	Address string // content of its QR code
}

// BeginTOTP begins to add an authenticator app of a. [Factors.FinishTOTP] completes it. It
// needs a fresh sign-in, and replaces an app that waits already.
func (f *Factors) BeginTOTP(ctx context.Context, d *db.DB, a Actor) (e Enrolment, err error) {
	secret, err := factor.NewTOTP()
	if err != nil {
		return Enrolment{}, err
	}
	c := ceremony{id: ofSession(totpCeremony, a), kind: totpCeremony, user: a.id}
	c.data.Factor = NewID()
	if c.data.Sealed, err = f.root.Seal(vault.NewSecret(secret), totpPlace(a.id, c.data.Factor)); err != nil {
		return Enrolment{}, fmt.Errorf("new authenticator app: %w", err)
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := RequireFresh(ctx, tx, a); err != nil {
			return err
		}
		return c.begin(ctx, tx)
	})
	if err != nil {
		return Enrolment{}, fmt.Errorf("new authenticator app: %w", err)
	}
	return Enrolment{secret, factor.TOTPAddress(secret, a.email)}, nil
}

// WaitingTOTP returns the authenticator app of a that waits for its first code, or
// [op.ErrNotFound]. It needs a fresh sign-in, because it returns the secret.
func (f *Factors) WaitingTOTP(ctx context.Context, d *db.DB, a Actor) (e Enrolment, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := RequireFresh(ctx, tx, a); err != nil {
			return err
		}
		c, err := look(ctx, tx, totpCeremony, ofSession(totpCeremony, a))
		if err != nil {
			return err
		}
		secret, err := f.root.Unseal(c.data.Sealed, totpPlace(a.id, c.data.Factor))
		if err != nil {
			return err
		}
		e = Enrolment{secret.Reveal(), factor.TOTPAddress(secret.Reveal(), a.email)}
		return nil
	})
	if errors.Is(err, errOver) {
		return Enrolment{}, op.ErrNotFound
	}
	return e, err
}

// FinishTOTP makes the waiting authenticator app of a a second factor, given a code of
// it, and ends a's other sessions. With the first second factor it returns recovery codes,
// which can't be read again. A wrong code is an [*op.FieldError]. It is [op.ErrConflict]
// when no app waits.
func (f *Factors) FinishTOTP(ctx context.Context, d *db.DB, a Actor, name, code string) (codes []string, err error) {
	if err := CheckName("name", name, maxFactorName); err != nil {
		return nil, err
	}
	err = changeFactors(ctx, d, a, true, func(ctx context.Context, tx db.Tx) (Entry, error) {
		c, err := look(ctx, tx, totpCeremony, ofSession(totpCeremony, a))
		if err != nil {
			return Entry{}, err
		}
		secret, err := f.root.Unseal(c.data.Sealed, totpPlace(a.id, c.data.Factor))
		if err != nil {
			return Entry{}, err
		}
		now, err := databaseTime(ctx, tx)
		if err != nil {
			return Entry{}, err
		}
		step, ok := factor.Step(secret.Reveal(), code, now)
		if !ok {
			return Entry{}, &op.FieldError{Field: "code", Detail: "is not the code that the app shows now; check that its clock is right"}
		}
		added := Factor{ID: c.data.Factor, Kind: TOTP, Name: name}
		if codes, err = addFactor(ctx, tx, a, added, "sealed, step", c.data.Sealed, step); err != nil {
			return Entry{}, err
		}
		return entryOf(added), c.end(ctx, tx)
	})
	if errors.Is(err, errOver) {
		err = op.Conflict("the QR code was shown too long ago: begin again")
	}
	if err != nil {
		return nil, fmt.Errorf("add an authenticator app: %w", err)
	}
	return codes, nil
}

func entryOf(added Factor) Entry {
	return Entry{Action: "user.factor_add", Data: map[string]any{"factor": added.ID, "kind": added.Kind, "name": added.Name}}
}

func databaseTime(ctx context.Context, tx db.Tx) (time.Time, error) {
	var now int64
	err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now)
	return db.Time(now), err
}

// ErrNoPasskeys is returned where passkeys are not available; see [Factors.NoPasskeys].
var ErrNoPasskeys = errors.New("there are no passkeys here")

// owner returns a person with their passkeys.
func owner(ctx context.Context, tx db.Tx, userID string) (o factor.Owner, err error) {
	o.ID = userID
	if err := tx.QueryRow(ctx, `SELECT email, name FROM users WHERE id = $1 AND disabled_at IS NULL`, userID).Scan(&o.Email, &o.Name); err != nil {
		return o, err
	}
	rows, err := tx.Query(ctx, `SELECT passkey FROM factors WHERE user_id = $1 AND kind = 'passkey' ORDER BY id`, userID)
	if err != nil {
		return o, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return o, err
		}
		o.Passkeys = append(o.Passkeys, text)
	}
	return o, rows.Err()
}

// BeginPasskey returns the request to a's browser for a new passkey. It needs a fresh
// sign-in.
func (f *Factors) BeginPasskey(ctx context.Context, d *db.DB, a Actor) (options json.RawMessage, err error) {
	if f.passkeys == nil {
		return nil, ErrNoPasskeys
	}
	err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := RequireFresh(ctx, tx, a); err != nil {
			return err
		}
		o, err := owner(ctx, tx, a.id)
		if err != nil {
			return err
		}
		q, err := f.passkeys.AskNew(o)
		if err != nil {
			return err
		}
		options = q.Options
		return ceremony{id: ofSession(enrolCeremony, a), kind: enrolCeremony, user: a.id, data: ceremonyData{Question: q.State}}.begin(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("new passkey: %w", err)
	}
	return options, nil
}

// FinishPasskey stores the new passkey of a that answers [Factors.BeginPasskey]. The rest
// is as for [Factors.FinishTOTP].
func (f *Factors) FinishPasskey(ctx context.Context, d *db.DB, a Actor, name, answer string) (codes []string, err error) {
	if f.passkeys == nil {
		return nil, ErrNoPasskeys
	}
	if err := CheckName("name", name, maxFactorName); err != nil {
		return nil, err
	}
	err = changeFactors(ctx, d, a, true, func(ctx context.Context, tx db.Tx) (Entry, error) {
		c, err := look(ctx, tx, enrolCeremony, ofSession(enrolCeremony, a))
		if err != nil {
			return Entry{}, err
		}
		if err := c.end(ctx, tx); err != nil {
			return Entry{}, err
		}
		o, err := owner(ctx, tx, a.id)
		if err != nil {
			return Entry{}, err
		}
		handle, passkey, err := f.passkeys.Register(o, c.data.Question, answer)
		if errors.Is(err, factor.ErrPasskey) {
			return Entry{}, &op.FieldError{Field: "passkey", Detail: "can't be used: it is not an answer to what was asked"}
		} else if err != nil {
			return Entry{}, err
		}
		added := Factor{ID: NewID(), Kind: Passkey, Name: name}
		if codes, err = addFactor(ctx, tx, a, added, "handle, passkey", handle, passkey); err != nil {
			return Entry{}, err
		}
		return entryOf(added), nil
	})
	if errors.Is(err, errOver) {
		err = op.Conflict("the passkey was asked for too long ago: begin again")
	}
	if err != nil {
		return nil, fmt.Errorf("add a passkey: %w", err)
	}
	return codes, nil
}
