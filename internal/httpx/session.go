package httpx

import (
	"context"
	"errors"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
)

// sessionCookie holds the secret of a session. Its prefix makes browsers refuse
// it from another host or path, and without Secure, which they grant to
// loopback over plain HTTP too (observed: Chromium 156).
const sessionCookie = "__Host-interlock"

// SetSession gives the browser the secret of a session. It ends with the browser,
// or earlier with the session.
func SetSession(w http.ResponseWriter, secret string) {
	http.SetCookie(w, cookie(sessionCookie, secret, 0))
}

// ForgetSession takes the session's secret away from the browser.
func ForgetSession(w http.ResponseWriter) {
	http.SetCookie(w, cookie(sessionCookie, "", -1))
}

func cookie(name, secret string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: secret, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, // Lax: links in mails lead in
	}
}

// SessionSecret returns the secret of the session that a request carries; empty
// when it carries none.
func SessionSecret(r *http.Request) string { return cookieValue(r, sessionCookie) }

func cookieValue(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

var crossOrigin = http.NewCrossOriginProtection()

// ErrCrossSite is returned for a request that changes something and was not made
// by a page of ours, as far as the browser tells.
var ErrCrossSite = errors.New("the request came from another site")

// CheckOrigin refuses with [ErrCrossSite] an unsafe request that a page of
// another site may have made. A cookie comes along whoever asks, so the browser
// has to say who did: a request that says neither Sec-Fetch-Site nor Origin is
// refused as well, which [http.CrossOriginProtection] would let pass.
func CheckOrigin(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" || crossOrigin.Check(r) != nil {
		return ErrCrossSite
	}
	return nil
}

// Session returns who the secret of a session proves, or
// [access.ErrUnauthenticated]. A token is no session.
func (d *Door) Session(ctx context.Context, secret string) (access.Actor, error) {
	return signedIn(access.Authenticate(ctx, d.db, secret))
}

// Watching is Session for what an open page asks by itself; see [access.Recognize].
func (d *Door) Watching(ctx context.Context, secret string) (access.Actor, error) {
	return signedIn(access.Recognize(ctx, d.db, secret))
}

func signedIn(a access.Actor, err error) (access.Actor, error) {
	if err == nil && !a.SignedIn() {
		return access.Actor{}, access.ErrUnauthenticated
	}
	return a, err
}

// Workspaces returns the workspaces of a; see [access.Workspaces].
func (d *Door) Workspaces(ctx context.Context, a access.Actor) (places []access.Place, err error) {
	err = d.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		places, err = access.Workspaces(ctx, tx, a)
		return err
	})
	return places, err
}

// Switch opens a session in another of a's workspaces in place of this one; see
// [access.Switch].
func (d *Door) Switch(ctx context.Context, a access.Actor, workspace string) (secret string, err error) {
	return access.Switch(ctx, d.db, a, workspace)
}
