package gatetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Password is the default password.
const Password = "correct horse battery"

// passwordHash is its hash, with parameters that make a comparison almost free.
const passwordHash = "$argon2id$v=19$m=8,t=1,p=1$GdDgdFJZJ2qE+NPL7+Ns7A$j+8mTLeeytB53t4UR5YIPotdxdvmyCqcHYTXooUY32o"

// Person is someone to add to a workspace. The zero values are: no capability
// denied, all tenants, and [Password].
type Person struct {
	Name, Email string
	Role        tenancy.Role
	Denied      []tenancy.Capability
	Tenants     []string // slugs; nil: all
	Password    string
}

// Add adds someone to a workspace, and returns them as authenticated by a token, which
// [World.Bearer] returns.
func (w *World) Add(workspace string, p Person) access.Actor {
	w.t.Helper()
	secret := w.Token(workspace, w.AddAccount(workspace, p), nil)
	a := w.Authenticate(secret)
	w.tokens[a.ID()] = secret
	return a
}

// Member adds someone to lattice, with a token.
func (w *World) Member(name, email string, role tenancy.Role) access.Actor {
	w.t.Helper()
	return w.Add(w.Workspace, Person{Name: name, Email: email, Role: role})
}

// Join adds someone to lattice with a password of their own, and returns their id.
func (w *World) Join(name, email, password string, role tenancy.Role) string {
	w.t.Helper()
	return w.AddAccount(w.Workspace, Person{Name: name, Email: email, Role: role, Password: password})
}

// AddAccount adds someone without a session or token to a workspace, and returns their
// id.
func (w *World) AddAccount(workspace string, p Person) (id string) {
	w.t.Helper()
	var account access.Account // if the password has to be hashed
	if p.Password != "" && p.Password != Password {
		var err error
		if account, err = (access.NewUser{Email: p.Email, Name: p.Name, Password: p.Password}).Prepare(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		id = account.ID()
	} else {
		id = access.NewID()
	}
	w.Write(func(ctx context.Context, tx db.Tx) error {
		var err error
		if account.ID() != "" {
			err = access.CreateUser(ctx, tx, account)
		} else {
			_, err = tx.Exec(ctx, `INSERT INTO users (id, email, name, password_hash, created_at) VALUES ($1, $2, $3, $4, interlock_now())`,
				id, p.Email, p.Name, passwordHash)
		}
		if err != nil {
			return err
		}
		return access.SetMembership(ctx, tx, workspace, id, access.Membership{
			Role: p.Role, Denied: p.Denied, AllTenants: p.Tenants == nil, Tenants: p.Tenants,
		})
	})
	return id
}

// Authenticate returns the actor of a secret.
func (w *World) Authenticate(secret string) access.Actor {
	w.t.Helper()
	a, err := access.Authenticate(w.t.Context(), w.DB, secret)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// Token creates a bearer secret that is valid for a year. only, if not nil, lists its
// capabilities.
func (w *World) Token(workspace, user string, only []tenancy.Capability) string {
	w.t.Helper()
	secret := "ilk_" + rand.Text()
	sum := sha256.Sum256([]byte(secret))
	if only == nil {
		only = []tenancy.Capability{}
	}
	caps, err := json.Marshal(only)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Exec(`INSERT INTO tokens (id, hash, kind, workspace_id, user_id, name, only_caps, created_at, expires_at, last_used_at)
		VALUES ($1, $2, 'token', $3, $4, 'test', $5, interlock_now(), interlock_now() + 31536000000000, interlock_now())`,
		access.NewID(), hex.EncodeToString(sum[:]), workspace, user, string(caps))
	return secret
}

// Session opens a session for someone, signed in just now, and returns its secret.
func (w *World) Session(a access.Actor) string {
	w.t.Helper()
	secret := "ils_" + rand.Text()
	sum := sha256.Sum256([]byte(secret))
	w.Exec(`INSERT INTO tokens (id, hash, kind, workspace_id, user_id, name, created_at, expires_at, idle_micros, last_used_at, proved_at)
		VALUES ($1, $2, 'session', $3, $4, 'Sign-in', interlock_now(), interlock_now() + 31536000000000, 3600000000, interlock_now(), interlock_now())`,
		access.NewID(), hex.EncodeToString(sum[:]), a.WorkspaceID(), a.ID())
	return secret
}

// SignIn turns the tokens that [World.Bearer] returns into sessions, signed in just
// now.
func (w *World) SignIn() {
	w.t.Helper()
	w.Exec(`UPDATE tokens SET kind = 'session', proved_at = interlock_now() WHERE name = 'test' AND only_caps = '[]'`)
}

// Bearer returns the secret of someone made by New or Member.
func (w *World) Bearer(a access.Actor) string { return w.tokens[a.ID()] }
