package gate_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Asks for a sync on a new connection. The gate answers without a call to the provider:
// the connection has no credential and was never verified, so nothing is queued.
func ExampleGate_Start() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "gate")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	quiet := slog.New(slog.DiscardHandler)
	d, err := db.Open(ctx, db.Config{URL: "sqlite:" + filepath.Join(folder, "interlock.db"), Logger: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // its folder is removed
	if err := d.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	root, err := vault.GenerateRoot()
	if err != nil {
		log.Fatal(err)
	}
	st := store.New(d, root, store.Options{})
	g, err := gate.New(d, st, gate.Config{Logger: quiet})
	if err != nil {
		log.Fatal(err)
	}
	mei, err := firstOwner(ctx, d, root)
	if err != nil {
		log.Fatal(err)
	}
	tenant, err := st.CreateTenant(ctx, mei, store.NewTenant{Name: "Kestrel Logistics", Domain: "kestrel.example", DirectoryID: "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = st.CreateConnection(ctx, mei, tenant.Slug, store.NewConnection{Name: "Kestrel primary", ClientID: "0f6f3a52-5d0e-4a0c-8a51-3a4a3f9b7c11"})
	if err != nil {
		log.Fatal(err)
	}

	result, err := g.Start(ctx, mei, op.Request{Tenant: tenant.Slug, Kind: op.InventorySync, Surface: op.SurfaceAPI})
	if err != nil {
		log.Fatal(err) // the caller may not, or the database is away: nothing was queued
	}
	fmt.Println(result.Outcome())
	for _, cause := range result.Causes() {
		fmt.Println("-", cause.Code)
	}
	fmt.Println(result.Run() != nil) // an accepted or a deduped start has a run to follow
	// Output:
	// blocked
	// - credential_missing
	// - verification_missing
	// false
}

// firstOwner makes a workspace with its first owner, and signs the owner in.
func firstOwner(ctx context.Context, d *db.DB, root *vault.Root) (access.Actor, error) {
	keyset, _, err := root.NewKeyset()
	if err != nil {
		return access.Actor{}, err
	}
	const email, password = "mei.tan@lattice.example", "correct horse battery"
	err = access.Bootstrap(ctx, d, access.NewWorkspace{Slug: "lattice", Name: "Lattice", Keyset: keyset},
		access.NewUser{Email: email, Name: "Mei Tan", Password: password})
	if err != nil {
		return access.Actor{}, err
	}
	secret, _, err := access.SignIn(ctx, d, access.Limits{}, access.Credentials{Email: email, Password: password})
	if err != nil {
		return access.Actor{}, err
	}
	return access.Authenticate(ctx, d, secret)
}
