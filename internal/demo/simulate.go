package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// Ids derive from names, so that the simulator, which is created anew at each start,
// agrees with the database.
func (p place) directory() string { return stable("directory", p.Slug) }
func (p place) client() string    { return stable("app", p.Slug) }

func (p place) secret(salt string) string { return "demo~" + stable(salt, "secret", p.Slug) }

// simulate starts the simulator with a directory for every tenant. It starts from the
// same state each time: earlier changes are lost.
func (d *Demo) simulate(ctx context.Context, cfg Config, k kept) (err error) {
	d.simulator, err = graphsim.New(graphsim.Config{
		ControlToken: k.Control, Seed: 1, DataDir: cfg.Data, StateDir: d.file("simulator"), Logger: cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	for _, p := range k.places() {
		if err := d.simulator.AddTenant(p.spec(k.Salt, d.url()+op.ConsentRoute)); err != nil {
			return fmt.Errorf("simulator: %w", err)
		}
	}
	if err := d.simulator.Start(ctx); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	if err := d.simulator.WriteCA(d.file("simulator-ca.pem")); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}

// spec returns the tenant's directory in the simulated Microsoft 365. back is the
// address that the consent page returns to.
func (p place) spec(salt, back string) graphsim.TenantSpec {
	app := graphsim.AppSpec{
		AppID: p.client(), Name: "Interlock", Requested: Permissions(), Consented: true, RedirectURIs: []string{back},
		Secrets: []graphsim.Secret{{Value: p.secret(salt), Expires: time.Now().Add(credentialLife(p.State, p.Slug))}},
	}
	switch p.State {
	case consentMissing:
		app.Consented = false
	case consentRevoked:
		app.Roles = []string{}
	case permissionMissing:
		app.Roles = trimmed
	case ready, credentialExpired, noDefault, disabled, longSync, onboarding, archived, lived:
	}
	spec := graphsim.TenantSpec{ID: p.directory(), DisplayName: p.Name, Domain: p.Domain, Intune: true, Apps: []graphsim.AppSpec{app}}
	if p.State == lived { // small, so that its history is written soon
		spec.Groups, spec.Policies, spec.Devices, spec.MobileApps = 40, 60, 30, 10
	}
	return spec
}
