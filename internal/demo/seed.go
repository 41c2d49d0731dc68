package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/app"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// seed fills an empty database, and adds the tenants that a later start requests. It
// uses what an owner can use; only the results of verifications are written directly.
func seed(ctx context.Context, a *app.App, root *vault.Root, k *kept) error {
	var accounts int64
	err := a.DB.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM users`).Scan(&accounts)
	})
	if err != nil {
		return err
	}
	if accounts > 0 && len(k.Users) == 0 {
		return errors.New("the database has accounts that are not this demo's, or its first start was cut off: give an empty database, or the folder that belongs to it")
	}
	s := &seeder{app: a, kept: k, owners: map[string]access.Actor{}}
	if accounts == 0 {
		k.Users = nil
		if err := s.people(ctx, root); err != nil {
			return err
		}
	} else {
		for _, u := range k.Users {
			actor, err := access.Authenticate(ctx, a.DB, u.Token)
			if err != nil {
				return fmt.Errorf("token of %s: %w", u.Email, err)
			}
			if actor.Role() == tenancy.Owner {
				s.owners[u.Workspace] = actor
			}
		}
	}
	for _, p := range k.places() {
		if err := s.place(ctx, p); err != nil {
			return fmt.Errorf("tenant %s: %w", p.Slug, err)
		}
	}
	return nil
}

type seeder struct {
	app    *app.App
	kept   *kept
	owners map[string]access.Actor // by workspace
}

// names of the workspaces.
var names = map[string]string{lattice: "Lattice Managed IT", northgate: "Northgate Schools IT"}

// tokenLife is the lifetime of the demo's tokens.
const tokenLife = 365 * 24 * time.Hour

// people creates the workspaces with their members, and a token for each.
func (s *seeder) people(ctx context.Context, root *vault.Root) error {
	for _, p := range people {
		password := "demo-" + stable(s.kept.Salt, p.Email)[:13]
		user := access.NewUser{Email: p.Email, Name: p.Name, Password: password}
		if owner, exists := s.owners[p.Workspace]; exists {
			link, _, err := access.Invite(ctx, s.app.DB, owner, p.Email, access.Membership{Role: p.role, AllTenants: true})
			if err == nil {
				_, err = access.Accept(ctx, s.app.DB, access.Limits{}, access.Acceptance{Link: link, Name: p.Name, Password: password})
			}
			if err != nil {
				return fmt.Errorf("member %s: %w", p.Email, err)
			}
		} else if err := s.workspace(ctx, root, p, user); err != nil {
			return fmt.Errorf("workspace %s: %w", p.Workspace, err)
		}
		_, session, err := access.SignIn(ctx, s.app.DB, access.Limits{}, access.Credentials{Email: p.Email, Password: password, Workspace: p.Workspace, Remote: "demo", Device: "Demo"})
		if err != nil {
			return fmt.Errorf("sign in %s: %w", p.Email, err)
		}
		token, _, err := access.CreateToken(ctx, s.app.DB, session.Actor, "demo", tokenLife, nil)
		if err != nil {
			return fmt.Errorf("token of %s: %w", p.Email, err)
		}
		if session.Actor.Role() == tenancy.Owner {
			s.owners[p.Workspace] = session.Actor
		}
		s.kept.Users = append(s.kept.Users, User{Name: p.Name, Email: p.Email, Password: password, Role: p.Role, Workspace: p.Workspace, Token: token})
	}
	return nil
}

func (s *seeder) workspace(ctx context.Context, root *vault.Root, p person, user access.NewUser) error {
	account, err := user.Prepare(ctx)
	if err != nil {
		return err
	}
	keyset, _, err := root.NewKeyset()
	if err != nil {
		return err
	}
	return s.app.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := access.CreateUser(ctx, tx, account); err != nil {
			return err
		}
		_, err := access.Found(ctx, tx, access.NewWorkspace{Slug: p.Workspace, Name: names[p.Workspace], Keyset: keyset}, account)
		return err
	})
}

// place creates a tenant with its connection, unless it exists.
func (s *seeder) place(ctx context.Context, p place) error {
	owner := s.owners[p.Workspace]
	step := ""
	if p.State == onboarding {
		step = "verify"
	}
	_, err := s.app.Store.CreateTenant(ctx, owner, store.NewTenant{
		Name: p.Name, Slug: p.Slug, Domain: p.Domain, DirectoryID: p.directory(), Owner: owner.Name(), OnboardingStep: step,
	})
	var field *op.FieldError
	if errors.As(err, &field) && field.Field == "slug" {
		return nil // from an earlier start
	} else if err != nil {
		return err
	}
	conn, err := s.app.Store.CreateConnection(ctx, owner, p.Slug, store.NewConnection{Name: p.Short, Slug: "primary", ClientID: p.client()})
	if err != nil {
		return err
	}
	expires := time.Now().Add(credentialLife(p.State, p.Slug))
	credential, err := store.ClientSecret(p.secret(s.kept.Salt), &expires)
	if err != nil {
		return err
	}
	if _, err := s.app.Store.RotateCredential(ctx, owner, p.Slug, conn.ID, credential); err != nil {
		return err
	}
	if err := s.learnt(ctx, p, conn); err != nil {
		return err
	}
	switch p.State {
	case disabled:
		_, err = s.app.Flow.DisableConnection(ctx, owner, p.Slug, conn.ID)
	case archived:
		err = s.app.Store.ArchiveTenant(ctx, owner, p.Slug)
	case noDefault:
		// A second connection became the default and was removed again.
		var second tenancy.Connection
		second, err = s.app.Store.CreateConnection(ctx, owner, p.Slug, store.NewConnection{
			Name: "Harbour old app", Slug: "old", ClientID: stable("app", p.Slug, "old"), Disabled: true,
		})
		if err == nil {
			_, err = s.app.Store.SetDefaultConnection(ctx, owner, p.Slug, second.ID)
		}
		if err == nil {
			err = s.app.Flow.DeleteConnection(ctx, owner, p.Slug, second.ID)
		}
	case ready, consentMissing, consentRevoked, credentialExpired, permissionMissing, longSync, onboarding, lived:
	}
	return err
}

// learnt writes what verifications would have found out about the connection.
func (s *seeder) learnt(ctx context.Context, p place, conn tenancy.Connection) error {
	granted, missing := tenancy.ConsentGranted, tenancy.ConsentMissing
	good := tenancy.CredentialOK
	directory := conn.DirectoryID
	roles := Permissions()
	if p.State == permissionMissing {
		roles = trimmed
	}
	ok := store.Learned{
		Run: "demo", Verdict: tenancy.VerificationOK, Consent: &granted, Credential: &good, Directory: &directory, Permissions: &roles,
		Checks: checks("", "Checked when the demo was made."),
	}
	no := store.Learned{
		Run: "demo", Verdict: tenancy.VerificationFailed, Reason: failedReason(p.State), Consent: &missing,
		Checks: checks(failedReason(p.State), "Checked when the demo was made."),
	}
	var story []store.Learned
	switch p.State {
	case consentMissing:
		story = []store.Learned{no}
	case consentRevoked: // given and then withdrawn
		story = []store.Learned{ok, no}
	case onboarding:
	default:
		story = []store.Learned{ok}
	}
	for _, l := range story {
		err := s.app.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error { return store.Learn(ctx, tx, conn.ID, l) })
		if err != nil {
			return err
		}
	}
	return nil
}

func checks(why op.Reason, detail string) json.RawMessage {
	c := catalogue.Check{Key: "signin", Name: "Sign-in", Result: catalogue.CheckOK, Detail: detail}
	if why != "" {
		c.Result, c.Reason = catalogue.CheckFailed, why
	}
	b, err := json.Marshal([]catalogue.Check{c})
	if err != nil {
		return json.RawMessage("[]")
	}
	return b
}
