package access_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/factor/factortest"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

const site = "https://interlock.example"

var here = virtualwebauthn.RelyingParty{ID: "interlock.example", Name: "Interlock", Origin: site}

func newFactors(t *testing.T, publicURL string) *access.Factors {
	t.Helper()
	root, err := vault.GenerateRoot()
	if err != nil {
		t.Fatal(err)
	}
	return access.NewFactors(root, publicURL)
}

// app is somebody's authenticator app.
type app struct {
	secret string
	at     time.Time // when it was enrolled: codes are those of fixed moments, although half a minute may end in a test
}

func (a app) code(t *testing.T, after time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, a.at.Add(after))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol gives a an authenticator app.
func (h house) enrol(f *access.Factors, a access.Actor) (app, []string) {
	h.t.Helper()
	e, err := f.BeginTOTP(h.t.Context(), h.d, a)
	if err != nil {
		h.t.Fatal(err)
	}
	it := app{secret: e.Secret, at: time.Now()}
	codes, err := f.FinishTOTP(h.t.Context(), h.d, a, "Phone", it.code(h.t, -30*time.Second)) // the next ones are left for the test
	if err != nil {
		h.t.Fatal(err)
	}
	return it, codes
}

// begin gets as far as the second factor.
func (h house) begin(email string) string {
	h.t.Helper()
	_, _, err := access.SignIn(h.t.Context(), h.d, access.Limits{}, access.Credentials{Email: email, Password: password, Remote: "192.0.2.1", Device: "Firefox on Linux"})
	var second *access.SecondFactorError
	if !errors.As(err, &second) {
		h.t.Fatalf("sign-in: %v, want the question for a second factor", err)
	}
	return second.Pending
}

func wantField(t *testing.T, what string, err error, field string) {
	t.Helper()
	var wrong *op.FieldError
	if !errors.As(err, &wrong) || wrong.Field != field {
		t.Errorf("%s: %v, want the field %s", what, err, field)
	}
}

// TestSecondFactor (S9, S11): after the password a code is asked for. What waits is
// no session; each code is good once; tries are few.
func TestSecondFactor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, ""), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		elsewhere, _ := h.signIn("mei@lattice.example")
		phone, codes := h.enrol(f, mei)
		if len(codes) != 10 {
			t.Fatalf("%d recovery codes", len(codes))
		}
		if _, err := access.Authenticate(ctx, d, elsewhere); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("another session survives a new factor: %v", err)
		}

		pending := h.begin("mei@lattice.example")
		if _, err := access.Authenticate(ctx, d, pending); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("what waits for a second factor is a session: %v", err)
		}
		if n := h.int(`SELECT COUNT(*) FROM tokens WHERE revoked_at IS NULL`); n != 1 {
			t.Errorf("%d sessions, want the one that enrolled", n)
		}
		finish := func(pending, code string) (string, access.Actor, error) {
			secret, s, err := f.FinishSignIn(ctx, d, access.Limits{}, pending, access.Proof{Code: code, Remote: "192.0.2.1"})
			return secret, s.Actor, err
		}
		for _, wrong := range []string{"000000", "", "12345", phone.code(t, -30*time.Second), phone.code(t, 5*time.Minute)} {
			if wrong == "" {
				continue // counted below
			}
			_, _, err := finish(h.begin("mei@lattice.example"), wrong)
			wantField(t, fmt.Sprintf("code %q", wrong), err, "code")
		}
		_, _, err := finish(pending, "")
		wantField(t, "no code", err, "code")
		code := phone.code(t, 0)
		secret, a, err := finish(pending, code[:3]+" "+code[3:])
		if err != nil || a.Email() != "mei@lattice.example" || secret == pending {
			t.Fatalf("the right code: %v %v", a.Email(), err)
		}
		if _, _, err := finish(pending, phone.code(t, 30*time.Second)); !errors.Is(err, access.ErrSignInOver) {
			t.Errorf("a sign-in is finished twice: %v", err)
		}
		// The same code again, and one that is older.
		for _, again := range []time.Duration{0, -30 * time.Second} {
			_, _, err = finish(h.begin("mei@lattice.example"), phone.code(t, again))
			wantField(t, "a code that was used", err, "code")
		}
		if _, _, err := finish(h.begin("mei@lattice.example"), phone.code(t, 30*time.Second)); err != nil {
			t.Errorf("the next code: %v", err)
		}

		// Five tries end it, also for the right code.
		pending = h.begin("mei@lattice.example")
		for range 5 {
			_, _, err := finish(pending, "000000")
			wantField(t, "a guess", err, "code")
		}
		if _, _, err := finish(pending, codes[9]); !errors.Is(err, access.ErrSignInOver) {
			t.Errorf("the sixth try: %v", err)
		}
		// So do ten minutes, and a new password.
		pending = h.begin("mei@lattice.example")
		h.exec(`UPDATE ceremonies SET expires_at = interlock_now()`)
		if _, _, err := finish(pending, codes[9]); !errors.Is(err, access.ErrSignInOver) {
			t.Errorf("after ten minutes: %v", err)
		}
		pending = h.begin("mei@lattice.example")
		h.write(func(ctx context.Context, tx db.Tx) error { return access.EndTokens(ctx, tx, "", a.ID()) })
		if _, _, err := finish(pending, codes[9]); !errors.Is(err, access.ErrSignInOver) {
			t.Errorf("after the password was changed: %v", err)
		}
		err = d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			_, err := access.SweepCeremonies(ctx, tx, 100)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := access.VerifyAudit(ctx, d, a.WorkspaceID()); err != nil {
			t.Error(err)
		}
	})
}

func (h house) int(sql string, args ...any) (n int64) {
	h.t.Helper()
	err := h.d.Read(h.t.Context(), func(ctx context.Context, tx db.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) })
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// TestCodesRace: of two answers with one code at the same instant one is right.
func TestCodesRace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f := newHouse(t, d), newFactors(t, "")
		_, mei := h.signIn("mei@lattice.example")
		phone, codes := h.enrol(f, mei)
		for _, code := range []string{phone.code(t, 0), codes[0]} {
			pending := []string{h.begin("mei@lattice.example"), h.begin("mei@lattice.example"), h.begin("mei@lattice.example"), h.begin("mei@lattice.example")}
			in := make(chan error, len(pending))
			for _, p := range pending {
				go func() {
					_, _, err := f.FinishSignIn(t.Context(), d, access.Limits{}, p, access.Proof{Code: code})
					in <- err
				}()
			}
			right := 0
			for range pending {
				if err := <-in; err == nil {
					right++
				} else {
					wantField(t, "a second use", err, "code")
				}
			}
			if right != 1 {
				t.Errorf("%d sign-ins with one code", right)
			}
		}
	})
}

// TestRecoveryCodes: each is good once, however it is typed; new ones replace them.
func TestRecoveryCodes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, ""), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		if _, err := f.NewRecoveryCodes(ctx, d, mei); !errors.Is(err, op.ErrConflict) {
			t.Errorf("recovery codes for nothing: %v", err)
		}
		_, codes := h.enrol(f, mei)
		finish := func(code string) error {
			_, _, err := f.FinishSignIn(ctx, d, access.Limits{}, h.begin("mei@lattice.example"), access.Proof{Code: code})
			return err
		}
		for i, typed := range []string{codes[0], strings.ToUpper(codes[1]), strings.ReplaceAll(codes[2], "-", ""), " " + strings.ReplaceAll(codes[3], "-", " ")} {
			if err := finish(typed); err != nil {
				t.Errorf("%q: %v", typed, err)
			}
			wantField(t, "a code that was used", finish(codes[i]), "code")
		}
		if n := h.int(`SELECT COUNT(*) FROM recovery_codes WHERE hash LIKE '%' || $1 || '%'`, strings.ReplaceAll(codes[5], "-", "")); n != 0 {
			t.Error("a code is stored as it is")
		}
		fresh, err := f.NewRecoveryCodes(ctx, d, mei)
		if err != nil || len(fresh) != 10 {
			t.Fatal(fresh, err)
		}
		wantField(t, "a code that was replaced", finish(codes[5]), "code")
		if err := finish(fresh[0]); err != nil {
			t.Error(err)
		}
		if left := h.security(mei).RecoveryCodes; left != 9 {
			t.Errorf("%d codes are left, want 9", left)
		}
		if n := h.int(`SELECT COUNT(*) FROM audit_log WHERE action = 'user.recovery_code_use'`); n != 5 {
			t.Errorf("%d uses are on record, want 5", n)
		}
	})
}

func (h house) security(a access.Actor) (s access.Security) {
	h.t.Helper()
	h.write(func(ctx context.Context, tx db.Tx) (err error) {
		s, err = access.OwnSecurity(ctx, tx, a)
		return err
	})
	return s
}

// TestFactorsCostTheSignInBudget: guesses at codes count as wrong passwords do, and
// a right password alone makes no address a usual one.
func TestFactorsCostTheSignInBudget(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, ""), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		_, codes := h.enrol(f, mei)
		limits := access.Limits{PerAccount: 3, Window: time.Hour}
		in := func(remote, code string) error {
			_, _, err := access.SignIn(ctx, d, limits, access.Credentials{Email: "mei@lattice.example", Password: password, Remote: remote})
			var second *access.SecondFactorError
			if !errors.As(err, &second) {
				return err
			}
			_, _, err = f.FinishSignIn(ctx, d, limits, second.Pending, access.Proof{Code: code, Remote: remote})
			return err
		}
		const here, there = "198.51.100.7", "203.0.113.9"
		wantField(t, "a guess", in(here, "000000"), "code")
		for range 2 {
			wantField(t, "a guess from elsewhere", in(there, "000000"), "code")
		}
		var tries *access.LimitError
		for _, remote := range []string{here, there} { // neither is a usual one by the password alone
			if err := in(remote, codes[0]); !errors.As(err, &tries) {
				t.Errorf("the fourth try, from %s: %v, want a limit", remote, err)
			}
		}
		h.exec(`DELETE FROM sign_in_budget`)
		if err := in(here, codes[0]); err != nil {
			t.Error(err)
		}
	})
}

// TestTriesRace: answers at the same instant are five tries together.
func TestTriesRace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f := newHouse(t, d), newFactors(t, "")
		_, mei := h.signIn("mei@lattice.example")
		h.enrol(f, mei)
		pending := h.begin("mei@lattice.example")
		const answers = 40
		got := make(chan error, answers)
		for range answers {
			go func() {
				_, _, err := f.FinishSignIn(t.Context(), d, access.Limits{}, pending, access.Proof{Code: "000000"})
				got <- err
			}()
		}
		looked := 0
		for range answers {
			if err := <-got; !errors.Is(err, access.ErrSignInOver) {
				wantField(t, "a guess", err, "code")
				looked++
			}
		}
		if looked != 5 {
			t.Errorf("%d guesses were looked at, want 5", looked)
		}
	})
}

// browser is a browser with passkeys.
type browser struct {
	passkeys virtualwebauthn.Authenticator
	origin   string
}

func newBrowser() *browser { return &browser{virtualwebauthn.NewAuthenticator(), site} }

func (b *browser) at() virtualwebauthn.RelyingParty {
	rp := here
	rp.Origin = b.origin
	return rp
}

func (b *browser) create(t *testing.T, options json.RawMessage) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	c := factortest.NewPasskey()
	answer := virtualwebauthn.CreateAttestationResponse(b.at(), b.passkeys, c, *o)
	b.passkeys.Options.UserHandle = []byte(o.UserID)
	b.passkeys.AddCredential(c)
	return answer
}

func (b *browser) get(t *testing.T, options json.RawMessage) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	c := &b.passkeys.Credentials[0]
	c.Counter++
	return virtualwebauthn.CreateAssertionResponse(b.at(), b.passkeys, *c, *o)
}

// passkey gives a a passkey in b.
func (h house) passkey(f *access.Factors, a access.Actor, b *browser) []string {
	h.t.Helper()
	options, err := f.BeginPasskey(h.t.Context(), h.d, a)
	if err != nil {
		h.t.Fatal(err)
	}
	codes, err := f.FinishPasskey(h.t.Context(), h.d, a, "Laptop", b.create(h.t, options))
	if err != nil {
		h.t.Fatal(err)
	}
	return codes
}

// TestPasskeys: as second factor, as proof for a change, and as the whole sign-in.
func TestPasskeys(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, site), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		laptop := newBrowser()
		if codes := h.passkey(f, mei, laptop); len(codes) != 10 {
			t.Errorf("%d recovery codes", len(codes))
		}
		if codes := h.passkey(f, mei, newBrowser()); codes != nil {
			t.Error("a second factor brings new recovery codes")
		}

		pending := h.begin("mei@lattice.example")
		options, err := f.AskPasskey(ctx, d, pending)
		if err != nil {
			t.Fatal(err)
		}
		answer := laptop.get(t, options)
		finish := func(pending, answer string) error {
			_, _, err := f.FinishSignIn(ctx, d, access.Limits{}, pending, access.Proof{Passkey: answer})
			return err
		}
		if err := finish(pending, answer); err != nil {
			t.Fatalf("sign in by a passkey: %v", err)
		}
		other := h.begin("mei@lattice.example")
		wantField(t, "an answer to nothing", finish(other, answer), "passkey")
		if _, err := f.AskPasskey(ctx, d, other); err != nil {
			t.Fatal(err)
		}
		wantField(t, "an answer to another question", finish(other, answer), "passkey")
		for what, spoil := range map[string]func(b *browser) func(){
			"of another site": func(b *browser) func() { b.origin = "https://evil.example"; return func() { b.origin = site } },
			"without a press": func(b *browser) func() {
				b.passkeys.Options.UserNotPresent = true
				return func() { b.passkeys.Options.UserNotPresent = false }
			},
			"of somebody else": func(b *browser) func() {
				was := b.passkeys.Options.UserHandle
				b.passkeys.Options.UserHandle = []byte(access.NewID())
				return func() { b.passkeys.Options.UserHandle = was }
			},
			"by another key": func(b *browser) func() {
				was := b.passkeys.Credentials[0].Key
				b.passkeys.Credentials[0].Key = factortest.NewPasskey().Key
				return func() { b.passkeys.Credentials[0].Key = was }
			},
		} {
			pending := h.begin("mei@lattice.example")
			options, err := f.AskPasskey(ctx, d, pending)
			if err != nil {
				t.Fatal(err)
			}
			restore := spoil(laptop)
			wantField(t, "an answer "+what, finish(pending, laptop.get(t, options)), "passkey")
			restore()
		}

		// Alone it has to prove its person.
		alone := func() error {
			pending, options, err := f.AskAnyPasskey(ctx, d)
			if err != nil {
				t.Fatal(err)
			}
			_, s, err := f.SignInByPasskey(ctx, d, access.PasskeySignIn{Pending: pending, Answer: laptop.get(t, options)})
			if err == nil && s.Actor.ID() != mei.ID() {
				t.Errorf("signed in as %s", s.Actor.Name())
			}
			return err
		}
		if err := alone(); err != nil {
			t.Errorf("sign in by a passkey alone: %v", err)
		}
		laptop.passkeys.Options.UserNotVerified = true
		if err := alone(); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("sign in by a passkey that anybody can press: %v", err)
		}
		options, err = f.AskConfirm(ctx, d, mei)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Confirm(ctx, d, access.Limits{}, mei, access.Proof{Passkey: laptop.get(t, options)})
		wantField(t, "a change, by a passkey that anybody can press", err, "passkey")
		laptop.passkeys.Options.UserNotVerified = false
		if _, err := f.Confirm(ctx, d, access.Limits{}, mei, access.Proof{Password: password}); err == nil {
			t.Error("a password stands in for a second factor")
		}
		options, err = f.AskConfirm(ctx, d, mei)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Confirm(ctx, d, access.Limits{}, mei, access.Proof{Passkey: laptop.get(t, options)}); err != nil {
			t.Errorf("confirm by a passkey: %v", err)
		}

		// A counter that does not grow: a copy may be in use.
		laptop.passkeys.Credentials[0].Counter = 0
		if err := alone(); err == nil || errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("a copy: %v", err)
		}
		if n := h.int(`SELECT COUNT(*) FROM audit_log WHERE action = 'user.passkey_copied'`); n != 1 {
			t.Errorf("a copy is on record %d times", n)
		}
		h.exec(`UPDATE users SET disabled_at = interlock_now() WHERE id = $1`, mei.ID())
		laptop.passkeys.Credentials[0].Counter = 100
		if err := alone(); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("somebody whose account is closed: %v", err)
		}
	})
}

// TestWherePasskeysAre: they are bound to the address of the server.
func TestWherePasskeysAre(t *testing.T) {
	for publicURL, has := range map[string]bool{
		"":                           false,
		"http://interlock.example":   false,
		"https://192.0.2.1":          false,
		"http://127.0.0.1:8080":      false,
		"https://interlock.example":  true,
		"https://interlock.example/": true,
		"http://localhost:8080":      true,
	} {
		f := newFactors(t, publicURL)
		if got := f.NoPasskeys() == nil; got != has {
			t.Errorf("%q: %v", publicURL, f.NoPasskeys())
		}
		if has {
			continue
		}
		if _, _, err := f.AskAnyPasskey(t.Context(), nil); !errors.Is(err, access.ErrNoPasskeys) {
			t.Errorf("%q asks for a passkey: %v", publicURL, err)
		}
	}
}

// TestFactorChangesNeedAFreshSignIn: each of them, and never by a token.
func TestFactorChangesNeedAFreshSignIn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, site), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		h.enrol(f, mei)
		one := h.security(mei).Factors[0].ID
		options, err := f.BeginPasskey(ctx, d, mei)
		if err != nil {
			t.Fatal(err)
		}
		answer := newBrowser().create(t, options)
		secret, _, err := access.CreateToken(ctx, d, mei, "program", time.Hour, nil)
		if err != nil {
			t.Fatal(err)
		}
		program, err := access.Authenticate(ctx, d, secret)
		if err != nil {
			t.Fatal(err)
		}
		changes := map[string]func(a access.Actor) error{
			"begin an app":    func(a access.Actor) error { _, err := f.BeginTOTP(ctx, d, a); return err },
			"see an app":      func(a access.Actor) error { _, err := f.WaitingTOTP(ctx, d, a); return err },
			"finish an app":   func(a access.Actor) error { _, err := f.FinishTOTP(ctx, d, a, "x", "000000"); return err },
			"begin a passkey": func(a access.Actor) error { _, err := f.BeginPasskey(ctx, d, a); return err },
			"add a passkey":   func(a access.Actor) error { _, err := f.FinishPasskey(ctx, d, a, "x", answer); return err },
			"rename":          func(a access.Actor) error { return access.RenameFactor(ctx, d, a, one, "x") },
			"remove":          func(a access.Actor) error { return access.RemoveFactor(ctx, d, a, one) },
			"recovery codes":  func(a access.Actor) error { _, err := f.NewRecoveryCodes(ctx, d, a); return err },
			"policy":          func(a access.Actor) error { return access.SetPolicy(ctx, d, a, access.Policy{SecondFactor: true}) },
		}
		before := h.int(`SELECT COUNT(*) FROM audit_log`)
		dbtest.SetClockOffset(t, d, access.FreshFor+time.Minute)
		for _, name := range slices.Sorted(maps.Keys(changes)) {
			if err := changes[name](mei); !errors.Is(err, access.ErrNotFresh) {
				t.Errorf("%s after 16 minutes: %v", name, err)
			}
			if err := changes[name](program); !errors.Is(err, access.ErrNoSession) {
				t.Errorf("%s by a token: %v", name, err)
			}
		}
		if n := h.int(`SELECT COUNT(*) FROM audit_log`) - before; n != 0 {
			t.Errorf("%d changes were made", n)
		}
		if err := access.EndOtherSessions(ctx, d, program); !errors.Is(err, access.ErrNoSession) {
			t.Errorf("a token ends sessions: %v", err)
		}
		dbtest.SetClockOffset(t, d, 0)
		if err := changes["rename"](mei); err != nil {
			t.Error(err)
		}
	})
}

// TestRemoveFactor: others' are not there; the last one takes the recovery codes along.
func TestRemoveFactor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, site), t.Context()
		_, mei := h.signIn("mei@lattice.example")
		_, olga := h.signIn("olga@quayside.example")
		phone, _ := h.enrol(f, mei)
		h.passkey(f, mei, newBrowser())
		ids := h.security(mei).Factors
		if err := access.RemoveFactor(ctx, d, olga, ids[0].ID); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("somebody else's factor: %v", err)
		}
		if err := access.RenameFactor(ctx, d, olga, ids[0].ID, "x"); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("somebody else's factor: %v", err)
		}
		if _, _, err := f.FinishSignIn(ctx, d, access.Limits{}, h.begin("mei@lattice.example"), access.Proof{Code: phone.code(t, 0)}); err != nil {
			t.Fatal(err)
		}
		if err := access.RemoveFactor(ctx, d, mei, ids[0].ID); err != nil {
			t.Fatal(err)
		}
		if n := h.int(`SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND revoked_at IS NULL`, mei.ID()); n != 1 {
			t.Errorf("%d sessions survive", n)
		}
		if s := h.security(mei); len(s.Factors) != 1 || s.RecoveryCodes != 10 {
			t.Errorf("left are %+v", s)
		}
		if err := access.RemoveFactor(ctx, d, mei, ids[1].ID); err != nil {
			t.Fatal(err)
		}
		if s := h.security(mei); len(s.Factors) != 0 || s.RecoveryCodes != 0 {
			t.Errorf("left are %+v", s)
		}
		h.signIn("mei@lattice.example") // with the password alone
	})
}

// TestPolicy: a workspace that requires a second factor lets those without one do
// nothing, whatever they come with; who has none can't require it, and the last one
// stays.
func TestPolicy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, ""), t.Context()
		h.member("ana", tenancy.Operator, nil)
		_, mei := h.signIn("mei@lattice.example")
		_, ana := h.signIn("ana@lattice.example")
		secret, _, err := access.CreateToken(ctx, d, ana, "program", time.Hour, nil)
		if err != nil {
			t.Fatal(err)
		}
		program, err := access.Authenticate(ctx, d, secret)
		if err != nil {
			t.Fatal(err)
		}
		required := access.Policy{SecondFactor: true}
		if err := access.SetPolicy(ctx, d, mei, required); !errors.Is(err, op.ErrConflict) {
			t.Errorf("an owner without a second factor requires one: %v", err)
		}
		if err := access.SetPolicy(ctx, d, ana, required); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("an operator requires one: %v", err)
		}
		h.enrol(f, mei)
		if err := access.SetPolicy(ctx, d, mei, required); err != nil {
			t.Fatal(err)
		}
		for name, a := range map[string]access.Actor{"a session from before": ana, "a token": program} {
			if _, err := h.authorize(a, "kestrel", tenancy.View); !errors.Is(err, access.ErrFactorRequired) {
				t.Errorf("%s sees a tenant: %v", name, err)
			}
			if _, err := h.authorize(a, "harbour", tenancy.View); !errors.Is(err, op.ErrNotFound) {
				t.Errorf("%s and a foreign tenant: %v", name, err)
			}
			err := d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
				_, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View)
				return err
			})
			if !errors.Is(err, access.ErrFactorRequired) {
				t.Errorf("%s sees the workspace: %v", name, err)
			}
		}
		if _, err := h.authorize(mei, "kestrel", tenancy.View); err != nil {
			t.Errorf("who has one is let in: %v", err)
		}
		if got := h.security(ana).RequiredBy; !slices.Equal(got, []string{"Lattice"}) {
			t.Errorf("required by %v", got)
		}
		_, ana = h.signIn("ana@lattice.example") // to enrol
		h.enrol(f, ana)
		if _, err := h.authorize(ana, "kestrel", tenancy.View); err != nil {
			t.Errorf("after enrolling: %v", err)
		}
		if _, err := h.authorize(program, "kestrel", tenancy.View); err != nil {
			t.Errorf("a token, after its owner enrolled: %v", err)
		}
		if err := access.RemoveFactor(ctx, d, ana, h.security(ana).Factors[0].ID); !errors.Is(err, op.ErrConflict) {
			t.Errorf("the last factor goes: %v", err)
		}
		if len(h.security(ana).Factors) != 1 {
			t.Error("the last factor is gone")
		}
	})
}

// TestResetFactors: lost factors are reset by a member who may reset the person's
// password, or by the server's administrator.
func TestResetFactors(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, f, ctx := newHouse(t, d), newFactors(t, ""), t.Context()
		h.member("ana", tenancy.Operator, nil)
		h.member("tom", tenancy.Operator, nil)
		_, mei := h.signIn("mei@lattice.example")
		_, tom := h.signIn("tom@lattice.example")
		secret, ana := h.signIn("ana@lattice.example")
		h.enrol(f, ana)
		pending := h.begin("ana@lattice.example")
		if err := access.ResetFactors(ctx, d, tom, ana.ID()); !errors.Is(err, op.ErrForbidden) {
			t.Errorf("by an operator: %v", err)
		}
		if err := access.ResetFactors(ctx, d, mei, mei.ID()); !errors.Is(err, op.ErrConflict) {
			t.Errorf("one's own: %v", err)
		}
		if err := access.ResetFactors(ctx, d, mei, access.NewID()); !errors.Is(err, op.ErrNotFound) {
			t.Errorf("nobody's: %v", err)
		}
		h.exec(`INSERT INTO members (workspace_id, user_id, role, created_at) SELECT id, $1, 'viewer', 0 FROM workspaces WHERE slug = 'quayside'`, ana.ID())
		if err := access.ResetFactors(ctx, d, mei, ana.ID()); !errors.Is(err, op.ErrConflict) {
			t.Errorf("of a member of another workspace too: %v", err)
		}
		h.exec(`DELETE FROM members WHERE user_id = $1 AND role = 'viewer'`, ana.ID())
		if n := len(h.security(ana).Factors); n != 1 {
			t.Fatalf("%d factors are left", n)
		}
		if err := access.ResetFactors(ctx, d, mei, ana.ID()); err != nil {
			t.Fatal(err)
		}
		if _, err := access.Authenticate(ctx, d, secret); !errors.Is(err, access.ErrUnauthenticated) {
			t.Errorf("a session survives: %v", err)
		}
		if _, _, err := f.FinishSignIn(ctx, d, access.Limits{}, pending, access.Proof{Code: "000000"}); !errors.Is(err, access.ErrSignInOver) {
			t.Errorf("half a sign-in survives: %v", err)
		}
		_, ana = h.signIn("ana@lattice.example") // with the password alone
		h.enrol(f, ana)
		h.write(func(ctx context.Context, tx db.Tx) error {
			return access.ResetFactorsByAdministrator(ctx, tx, "Ana@lattice.example")
		})
		h.signIn("ana@lattice.example")
		err := d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			return access.ResetFactorsByAdministrator(ctx, tx, "nobody@lattice.example")
		})
		if !errors.Is(err, op.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
		if n := h.int(`SELECT COUNT(*) FROM audit_log WHERE action = 'user.factors_reset'`); n != 2 {
			t.Errorf("on record %d times", n)
		}
	})
}
