package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// silent hears progress and says nothing.
func silent(store.KeyProgress) {}

// safe is a world with credentials in two workspaces.
type safe struct {
	*world
	secrets map[string]string // by connection
	places  map[string]place
}

type place struct {
	conn  tenancy.Connection
	scope access.Scope
}

func newSafe(t *testing.T, d *db.DB, each int) *safe {
	t.Helper()
	s := &safe{world: newWorld(t, d), secrets: map[string]string{}, places: map[string]place{}}
	for i := range each {
		s.keep(s.mei, "kestrel", fmt.Sprintf("conn-%d", i))
		s.keep(s.olga, "harbour", fmt.Sprintf("conn-%d", i))
	}
	return s
}

// keep adds a connection with a credential.
func (s *safe) keep(a access.Actor, tenant, slug string) {
	s.t.Helper()
	c, err := s.CreateConnection(s.t.Context(), a, tenant, store.NewConnection{Name: slug, Slug: slug, ClientID: guid("app"), DirectoryID: guid(tenant + slug)})
	if err != nil {
		s.t.Fatal(err)
	}
	secret := "canary-" + tenant + "-" + slug
	if c, err = s.RotateCredential(s.t.Context(), a, tenant, c.ID, credential(s.t, secret)); err != nil {
		s.t.Fatal(err)
	}
	s.secrets[c.ID], s.places[c.ID] = secret, place{c, s.scope(a)}
}

func credential(t *testing.T, secret string) store.NewCredential {
	t.Helper()
	n, err := store.ClientSecret(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// opens returns what the store reads for a connection.
func opens(ctx context.Context, d *db.DB, st *store.Store, p place) (secret string, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		v, err := st.Credential(ctx, tx, p.scope, p.conn)
		secret = v.Reveal()
		return err
	})
	return secret, err
}

// whole fails the test unless st opens every credential.
func (s *safe) whole(when string, st *store.Store) {
	s.t.Helper()
	for id, want := range s.secrets {
		if got, err := opens(s.t.Context(), s.d, st, s.places[id]); err != nil || got != want {
			s.t.Errorf("%s: credential of %s: %q, %v", when, s.places[id].conn.Slug, got, err)
		}
	}
}

// another is the store of another process with the root key.
func (s *safe) another(root *vault.Root) *store.Store { return store.New(s.d, root, store.Options{}) }

func (s *safe) status(st *store.Store) store.KeyStatus {
	s.t.Helper()
	k, err := st.KeyStatus(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// rotated fails the test unless every data key is another one than before and no
// old one is left.
func (s *safe) rotated(when string, st *store.Store, before store.KeyStatus) {
	s.t.Helper()
	after := s.status(st)
	for i, w := range after.Workspaces {
		if w.Old != 0 || w.Rotating || w.ID == before.Workspaces[i].ID {
			s.t.Errorf("%s: workspace %s has key %s, was %s, %d on an old key, rotating: %t", when, w.Slug, w.ID, before.Workspaces[i].ID, w.Old, w.Rotating)
		}
	}
	if after.Rotating {
		s.t.Errorf("%s: the rotation goes on", when)
	}
}

func TestRotateKeys(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSafe(t, d, 3)
		before := s.status(s.Store)
		if p, err := s.RotateKeys(t.Context(), true, silent); err != nil || p.Total != 6 || p.Done != 0 {
			t.Errorf("a dry run says %+v, %v", p, err)
		}
		if after := s.status(s.Store); after.Workspaces[0].ID != before.Workspaces[0].ID || after.Rotating {
			t.Error("a dry run changed a key")
		}
		marks := func() (all string) {
			for _, p := range s.places {
				s.write(func(ctx context.Context, tx db.Tx) error {
					var mark string
					err := tx.QueryRow(ctx, `SELECT fingerprint FROM credentials WHERE connection_id = $1`, p.conn.ID).Scan(&mark)
					all += mark
					return err
				})
			}
			return all
		}
		old := marks()
		heard := 0
		p, err := s.RotateKeys(t.Context(), false, func(p store.KeyProgress) { heard = p.Done })
		if err != nil || p.Done != 6 || heard != 6 {
			t.Errorf("%+v, %v, heard %d", p, err, heard)
		}
		s.rotated("after it", s.Store, before)
		s.whole("after it", s.Store)
		s.whole("in another process", s.another(s.root))
		if marks() == old {
			t.Error("the fingerprints are of the old key")
		}
		// A save afterwards is sealed by the new key.
		if _, err := s.RotateCredential(t.Context(), s.mei, "kestrel", "conn-0", credential(t, "later")); err != nil {
			t.Fatal(err)
		}
		if k := s.status(s.Store); k.Workspaces[0].Old+k.Workspaces[1].Old != 0 {
			t.Errorf("saved by an old key: %+v", k)
		}
	})
}

// TestRotationIsGoneOnWith kills a rotation at every point: everything can be read
// at once, and the next process finishes what was begun.
func TestRotationIsGoneOnWith(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSafe(t, d, 2)
		killed := 0
		for n := 1; ; n++ {
			before := s.status(s.Store)
			f := killedAt(n)
			d.WithFaults(f)
			_, err := s.another(s.root).RotateKeys(t.Context(), false, silent)
			d.WithFaults(nil)
			hit, when := wasKilled(t, f, err)
			if !hit {
				break
			}
			killed++
			s.whole(when, s.another(s.root))
			next := s.another(s.root)
			if _, err := next.RotateKeys(t.Context(), false, silent); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			s.rotated(when, next, before)
			s.whole(when+", gone on with", next)
		}
		if killed < 20 {
			t.Errorf("only %d points were tried", killed)
		}
	})
}

// killedAt ends a change of keys at its n-th point, as a kill would: a commit is
// done, a statement is not.
func killedAt(n int) *db.Faults {
	return db.NewFaults(func(p db.Point) db.Fault {
		switch {
		case p.N != n:
			return db.NoFault
		case p.Op == db.OpCommit:
			return db.ExecuteAndTimeout
		}
		return db.Timeout
	})
}

// wasKilled reports whether the point was reached, and where it was. A transaction
// that could not begin is begun again, and nobody need be told.
func wasKilled(t *testing.T, f *db.Faults, err error) (hit bool, when string) {
	t.Helper()
	hits := f.Hits()
	if len(hits) == 0 {
		if err != nil {
			t.Fatal(err)
		}
		return false, "at the end"
	}
	if err == nil && hits[0].Point.Op != db.OpBegin {
		t.Errorf("%v: nobody was told", &hits[0])
	}
	return true, hits[0].Error()
}

// TestNoKeyIsDestroyedUnderASave: a save that has sealed and not committed holds a
// rotation up. Without that lock its credential would be sealed by a key that is gone.
func TestNoKeyIsDestroyedUnderASave(t *testing.T) {
	d, other := postgresTwice(t)
	s := newSafe(t, d, 1)
	var p place
	for _, p = range s.places {
		break
	}
	before := s.status(s.Store)
	done := make(chan error, 1)
	s.write(func(ctx context.Context, tx db.Tx) error {
		p.conn.CredentialVersion++
		if err := s.SealCredential(ctx, tx, p.conn, vault.NewSecret("saved meanwhile")); err != nil {
			return err
		}
		go func() {
			_, err := store.New(other, s.root, store.Options{}).RotateKeys(context.WithoutCancel(t.Context()), false, silent)
			done <- err
		}()
		select {
		case err := <-done:
			t.Errorf("the rotation did not wait for the save: %v", err)
			done <- err
		case <-time.After(300 * time.Millisecond): // it can be seen only that it waits, not that it would for ever
		}
		_, err := tx.Exec(ctx, `UPDATE connections SET credential_version = $2 WHERE id = $1`, p.conn.ID, p.conn.CredentialVersion)
		return err
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.secrets[p.conn.ID], s.places[p.conn.ID] = "saved meanwhile", p
	s.whole("after both", s.Store)
	s.rotated("after both", s.Store, before)
}

// TestNoKeyIsDestroyedThatIsInUse: a node of an older version, which does not lock,
// seals by the old key after all were resealed. The key stays.
func TestNoKeyIsDestroyedThatIsInUse(t *testing.T) {
	d, other := postgresTwice(t)
	s := newSafe(t, d, 1)
	var p place
	for _, p = range s.places {
		break
	}
	var old string
	s.write(func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT sealed FROM credentials WHERE connection_id = $1`, p.conn.ID).Scan(&old)
	})
	d.WithFaults(db.NewFaults(func(at db.Point) db.Fault {
		if at.Op == db.OpBegin && at.Write {
			err := other.Write(context.WithoutCancel(t.Context()), func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE credentials SET sealed = $2 WHERE connection_id = $1`, p.conn.ID, old)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		return db.NoFault
	}))
	if _, err := s.RotateKeys(t.Context(), false, silent); err == nil || !strings.Contains(err.Error(), "still sealed by the old key") {
		t.Errorf("got %v, want a refusal", err)
	}
	d.WithFaults(nil)
	s.whole("with a node of an older version", s.Store)
	if _, err := s.RotateKeys(t.Context(), false, silent); err != nil {
		t.Error(err)
	}
	s.whole("without it", s.Store)
}

// postgresTwice is one PostgreSQL database behind two handles.
func postgresTwice(t *testing.T) (a, b *db.DB) {
	t.Helper()
	url := dbtest.URL(t, db.Postgres)
	a, b = dbtest.Open(t, db.Config{URL: url}), dbtest.Open(t, db.Config{URL: url})
	if err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// TestKeysChangeWhileServing rotates and rewraps again and again while credentials
// are saved and read by other processes: none of them notices.
func TestKeysChangeWhileServing(t *testing.T) {
	serve := func(t *testing.T, d, other *db.DB) {
		s := newSafe(t, d, 3)
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var saves, reads atomic.Int64
		var mu sync.Mutex
		node := store.New(other, s.root, store.Options{})
		for id, p := range s.places {
			a, tenant := s.mei, "kestrel"
			if p.conn.TenantID == s.harbour {
				a, tenant = s.olga, "harbour"
			}
			all.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					secret := fmt.Sprintf("save-%d-of-%s", n, id)
					next, err := store.ClientSecret(secret, nil)
					if err != nil {
						t.Errorf("save: %v", err)
						return
					}
					mu.Lock() // what was answered is what is read
					c, err := node.RotateCredential(context.WithoutCancel(ctx), a, tenant, id, next)
					if err == nil {
						s.secrets[id], s.places[id] = secret, place{c, p.scope}
						saves.Add(1)
					} else {
						t.Errorf("save: %v", err)
					}
					mu.Unlock()
				}
			})
			all.Go(func() {
				for ctx.Err() == nil {
					mu.Lock()
					want, at := s.secrets[id], s.places[id]
					got, err := opens(context.WithoutCancel(ctx), other, node, at)
					mu.Unlock()
					if err != nil || got != want {
						t.Errorf("read: %q, %v, want %q", got, err, want)
						return
					}
					reads.Add(1)
				}
			})
		}
		before := s.status(s.Store)
		for range 5 {
			if _, err := s.RotateKeys(t.Context(), false, silent); err != nil {
				t.Errorf("rotate: %v", err)
			}
			if _, err := s.Rewrap(t.Context(), false, silent); err != nil {
				t.Errorf("rewrap: %v", err)
			}
		}
		for saves.Load() < 20 || reads.Load() < 20 {
			time.Sleep(time.Millisecond)
			if t.Failed() {
				break
			}
		}
		stop()
		all.Wait()
		s.whole("after all", s.Store)
		s.rotated("after all", s.Store, before)
	}
	t.Run("sqlite", func(t *testing.T) {
		d := dbtest.New(t, db.SQLite)
		serve(t, d, d)
	})
	t.Run("postgres", func(t *testing.T) {
		a, b := postgresTwice(t)
		serve(t, a, b)
	})
}

// TestUnreadableCredentialKeepsItsKey: a credential that can't be opened is reported, and the key
// that may open it one day is not destroyed.
func TestUnreadableCredentialKeepsItsKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSafe(t, d, 2)
		var moved, from string
		for id, p := range s.places {
			if p.conn.TenantID == s.kestrel && moved == "" {
				moved = id
			} else if p.conn.TenantID == s.kestrel {
				from = id
			}
		}
		s.exec(`UPDATE credentials SET sealed = (SELECT d.sealed FROM credentials d WHERE d.connection_id = $2) WHERE connection_id = $1`, moved, from)
		before := s.status(s.Store)
		p, err := s.RotateKeys(t.Context(), false, silent)
		if err != nil || p.Done != 3 || p.Unreadable != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		k := s.status(s.Store)
		if w := k.Workspaces[0]; !w.Rotating || w.Old != 1 || !k.Rotating {
			t.Errorf("the key of %s was destroyed: %+v", w.Slug, w)
		}
		if w := k.Workspaces[1]; w.Rotating || w.Old != 0 {
			t.Errorf("workspace %s is held up by another's credential: %+v", w.Slug, w)
		}
		delete(s.secrets, moved)
		s.whole("meanwhile", s.Store)
		// A new credential in its place lets the rotation end.
		if _, err := s.RotateCredential(t.Context(), s.mei, "kestrel", moved, credential(t, "new")); err != nil {
			t.Fatal(err)
		}
		if p, err := s.RotateKeys(t.Context(), false, silent); err != nil || p.Unreadable != 0 {
			t.Errorf("%+v, %v", p, err)
		}
		s.rotated("at last", s.Store, before)
		s.whole("at last", s.Store)
	})
}

// TestRewrap changes the root key and removes the old one: everything opens, and
// the old key opens nothing. It is killed at every point meanwhile.
func TestRewrap(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s := newSafe(t, d, 2)
		if _, err := s.ServerSecret(ctx, "test", func() vault.Secret { return vault.NewSecret("server's own") }); err != nil {
			t.Fatal(err)
		}
		factor := vault.Place{Owner: s.mei.ID(), Field: "totp", Version: "f"}
		sealed, err := s.root.Seal(vault.NewSecret("authenticator"), factor)
		if err != nil {
			t.Fatal(err)
		}
		s.exec(`INSERT INTO factors (id, user_id, kind, name, sealed, created_at) VALUES ('f', $1, 'totp', 'phone', $2, 0), ('p', $1, 'passkey', 'key', '', 0)`, factor.Owner, sealed)
		load := func() *vault.Root {
			t.Helper()
			r, err := vault.LoadRoot(s.keyFile)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		for n := 1; ; n++ {
			before := load()
			if _, err := vault.AddRoot(s.keyFile, false); err != nil {
				t.Fatal(err)
			}
			during := load()
			dry, err := s.another(during).Rewrap(ctx, true, silent)
			if err != nil || dry.Total != 4 || dry.Done != 0 {
				t.Fatalf("a dry run says %+v, %v", dry, err)
			}
			f := killedAt(n)
			d.WithFaults(f)
			_, err = s.another(during).Rewrap(ctx, false, silent)
			d.WithFaults(nil)
			hit, when := wasKilled(t, f, err)
			s.whole(when, s.another(during))
			if _, err := s.another(during).Rewrap(ctx, false, silent); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if k := s.status(s.another(during)); k.OnOldRoot() != 0 || k.RootKeys[during.ID()] != 4 {
				t.Errorf("%s: %+v", when, k)
			}
			if err := vault.RemoveRoot(s.keyFile, before.ID()); err != nil {
				t.Fatal(err)
			}
			after := s.another(load())
			s.whole(when+", without the old key", after)
			if got, err := after.ServerSecret(ctx, "test", func() vault.Secret { return vault.NewSecret("another") }); err != nil || got.Reveal() != "server's own" {
				t.Errorf("%s: the server's secret is %q, %v", when, got.Reveal(), err)
			}
			s.write(func(ctx context.Context, tx db.Tx) error {
				return tx.QueryRow(ctx, `SELECT sealed FROM factors WHERE id = 'f'`).Scan(&sealed)
			})
			if got, err := load().Unseal(sealed, factor); err != nil || got.Reveal() != "authenticator" {
				t.Errorf("%s: the authenticator app is %q, %v", when, got.Reveal(), err)
			}
			var wrong *vault.WrongKeyError
			if _, err := s.another(before).CheckRoot(ctx); !errors.As(err, &wrong) {
				t.Errorf("%s: the old key still opens: %v", when, err)
			}
			if _, err := s.another(before).Rewrap(ctx, false, silent); !errors.As(err, &wrong) {
				t.Errorf("%s: rewrapped by a key that does not open: %v", when, err)
			}
			if !hit {
				break
			}
		}
	})
}

// TestNothingSealedIsForgotten: every column of the schema that is called sealed, or
// holds a keyset, is changed with the keys. Others are found by internal/archtest,
// by who seals.
func TestNothingSealedIsForgotten(t *testing.T) {
	files, err := filepath.Glob("../db/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no migrations", err)
	}
	table := ""
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for line := range strings.Lines(up) {
			words := strings.Fields(line)
			switch {
			case len(words) > 2 && words[0] == "CREATE" && words[1] == "TABLE":
				table = words[2]
			case len(words) > 5 && words[0] == "ALTER" && words[3] == "ADD":
				table, words = words[2], words[5:]
			}
			if len(words) == 0 {
				continue
			}
			if name := words[0]; (name == "keyset" || name == "sealed" || strings.HasSuffix(name, "_sealed")) && !store.IsSealed(table, name) {
				t.Errorf("%s: column %s of %s is not changed with the keys: give it a row in rootColumns", file, name, table)
			}
		}
	}
}
