package worker

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/gate/internal/queue"
	"github.com/interlock-dev/interlock/internal/op"
)

// readable is a run's data whose members a test can read back.
type readable struct{ data }

// Members implements datatest.Store. It reads the rows as they are laid out.
func (r readable) Members(ctx context.Context, dataset string) (list []catalogue.Member, err error) {
	id := func(key []byte) string {
		if len(key) == 16 {
			return uuid.UUID(key).String()
		}
		return string(bytes.TrimRight(key, "\x00"))
	}
	types := map[string]string{"u": "user", "d": "device", "g": "group", "s": "servicePrincipal", "c": "orgContact"}
	err = r.x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT m.group_id, m.member_id, m.type FROM datasets d JOIN memberships m ON m.generation = d.generation
			WHERE d.connection_id = $1 AND d.name = $2 ORDER BY m.group_id, m.member_id`, r.x.claim.Connection, dataset)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var group, member []byte
			var of string
			if err := rows.Scan(&group, &member, &of); err != nil {
				return err
			}
			if types[of] != "" {
				of = "#microsoft.graph." + types[of]
			}
			list = append(list, catalogue.Member{Group: id(group), ID: id(member), Type: of})
		}
		return rows.Err()
	})
	return list, err
}

// What operations keep goes through the run's fence into the store; together they
// keep the promises that operations are written against.
func TestDataKeepsItsContract(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newShop(t, d, Config{})
		n := 0
		datatest.Run(t, func(t *testing.T) datatest.Store {
			n++
			slug := fmt.Sprint("tenant-", n)
			s.tenant(slug)
			run := s.start(slug, op.InventorySync)
			c := s.claim(run.ID)
			x, err := s.w.claim(t.Context(), c.JobID, queue.Args{RunID: run.ID, Fence: c.Fence})
			if err != nil || x == nil {
				t.Fatalf("claim: %v", err)
			}
			x.cancel = func(error) {}
			return readable{data{x}}
		})
	})
}
