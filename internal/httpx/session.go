package httpx

import (
	"context"
	"errors"
	"net/http"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
)

// sessionCookie holds the secret of a session. With this prefix, browsers refuse the cookie
// from another host or path and without Secure. They accept it from loopback over plain
// HTTP (observed: Chromium 156).
const sessionCookie = "__Host-interlock"

// SetSession sets the cookie of a session. The browser keeps it until it is closed.
func SetSession(w http.ResponseWriter, secret string) {
	http.SetCookie(w, cookie(sessionCookie, secret, 0))
}

// ForgetSession deletes the cookie of the session.
func ForgetSession(w http.ResponseWriter) {
	http.SetCookie(w, cookie(sessionCookie, "", -1))
}

func cookie(name, secret string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: secret, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, // Lax: links in e-mails work
	}
}

// SessionSecret returns the session secret of a request, or "".
func SessionSecret(r *http.Request) string { return cookieValue(r, sessionCookie) }

func cookieValue(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

var crossOrigin = http.NewCrossOriginProtection()

// ErrCrossSite is returned for an unsafe request that did not come from a page of this site.
var ErrCrossSite = errors.New("the request came from another site")

// CheckOrigin returns [ErrCrossSite] for an unsafe request that a page of another site may have
// sent. The browser adds the cookie to such a request too. A request without Sec-Fetch-Site
// and Origin is also refused, unlike in [http.CrossOriginProtection].
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

// Session returns the person of a session, or [access.ErrUnauthenticated]. A token is not a
// session.
func (d *Door) Session(ctx context.Context, secret string) (access.Actor, error) {
	return signedIn(access.Authenticate(ctx, d.db, secret))
}

// Watching is Session for requests that an open page makes by itself; see [access.Recognize].
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

// Switch replaces the session with one in another workspace of a; see [access.Switch].
func (d *Door) Switch(ctx context.Context, a access.Actor, workspace string) (secret string, err error) {
	return access.Switch(ctx, d.db, a, workspace)
}
