package access

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestForgedRecordBreaksTheChain: changing a record and its own hash changes what the
// next record's hash covers.
func TestForgedRecordBreaksTheChain(t *testing.T) {
	d := dbtest.New(t, db.SQLite)
	write := func(fn func(ctx context.Context, tx db.Tx) error) {
		t.Helper()
		if err := d.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		write(func(ctx context.Context, tx db.Tx) error {
			return Audit(ctx, tx, "w", Entry{Actor: op.Person{ID: "u", Name: "Mei Tan"}, Action: "thing.change", Object: "o"})
		})
	}
	if _, err := VerifyAudit(t.Context(), d, "w"); err != nil {
		t.Fatal(err)
	}
	write(func(ctx context.Context, tx db.Tx) error {
		var previous string
		var at int64
		r := Record{Seq: 2, Actor: op.Person{ID: "u", Name: "Somebody else"}, Action: "thing.change", Object: "o", Data: json.RawMessage("null")}
		err := tx.QueryRow(ctx, `SELECT b.hash, r.at FROM audit_log b JOIN audit_log r ON r.seq = 2 WHERE b.seq = 1`).Scan(&previous, &at)
		if err != nil {
			return err
		}
		r.At = db.Time(at)
		_, err = tx.Exec(ctx, `UPDATE audit_log SET actor = $1, hash = $2 WHERE seq = 2`, r.Actor.Name, r.chain(previous, "w"))
		return err
	})
	if _, err := VerifyAudit(t.Context(), d, "w"); !errors.Is(err, ErrTampered) {
		t.Errorf("a record was forged with its hash: %v, want ErrTampered", err)
	}
}
