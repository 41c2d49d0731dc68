package access

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Entry is one change. Nothing in it is secret.
type Entry struct {
	Actor  op.Person
	Action string // what was done, such as "connection.disable"
	Object string // id of what it was done to
	Data   any    // details, as JSON; nil: none
}

// Record is an entry as it is stored in the audit trail.
type Record struct {
	Seq    int64           `json:"seq"` // from 1, without gaps
	At     time.Time       `json:"at"`
	Actor  op.Person       `json:"actor"`
	Action string          `json:"action"`
	Object string          `json:"object"`
	Data   json.RawMessage `json:"data"`
	Hash   string          `json:"hash"`
}

// Audit adds an entry to a workspace's audit trail in the transaction of the change, so
// that both are stored or neither. Each record's hash covers the record before it. Audit
// locks the trail's head until the transaction ends, so call it last: the order of locks
// is connection, claim, head.
func Audit(ctx context.Context, tx db.Tx, workspaceID string, e Entry) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	r := Record{Actor: e.Actor, Action: e.Action, Object: e.Object, Data: data}
	var previous string
	var at int64
	err = tx.QueryRow(ctx, `INSERT INTO audit_heads (workspace_id, seq, hash) VALUES ($1, 1, '')
		ON CONFLICT (workspace_id) DO UPDATE SET seq = audit_heads.seq + 1 RETURNING seq, hash, interlock_now()`,
		workspaceID).Scan(&r.Seq, &previous, &at)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	r.At = db.Time(at)
	r.Hash = r.chain(previous, workspaceID)
	_, err = tx.Exec(ctx, `INSERT INTO audit_log (workspace_id, seq, at, actor_id, actor, action, object, data, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		workspaceID, r.Seq, at, r.Actor.ID, r.Actor.Name, r.Action, r.Object, string(data), r.Hash)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	if _, err = tx.Exec(ctx, `UPDATE audit_heads SET hash = $2 WHERE workspace_id = $1`, workspaceID, r.Hash); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}

// chain returns the hash of r, which follows the record with the hash previous. Each
// field is hashed with its length, so that no two records give the same input.
func (r Record) chain(previous, workspaceID string) string {
	h := sha256.New()
	var n [8]byte
	for _, field := range []string{"interlock audit 1", previous, workspaceID, r.Actor.ID, r.Actor.Name, r.Action, r.Object, string(r.Data)} {
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		h.Write(n[:])
		h.Write([]byte(field))
	}
	for _, number := range []int64{r.Seq, db.Micros(r.At)} {
		binary.BigEndian.PutUint64(n[:], uint64(number))
		h.Write(n[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ErrTampered is returned for an audit trail that was changed afterwards.
var ErrTampered = errors.New("the audit trail was tampered with")

// Checkpoint is the head of an audit trail at some time. Kept elsewhere, it reveals a
// tail that was cut off, which the chain of hashes can't.
type Checkpoint struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// auditPage is how many records are verified in one transaction: about 10 ms of work.
const auditPage = 1000

// VerifyAudit verifies a workspace's audit trail up to its head at the beginning, and
// returns that head. When a record was changed, removed, added or moved, or when a
// checkpoint is not on the trail, it returns [ErrTampered], which names the first wrong
// record.
func VerifyAudit(ctx context.Context, d *db.DB, workspaceID string, kept ...Checkpoint) (Checkpoint, error) {
	var head Checkpoint
	var last int64
	err := d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		head = Checkpoint{}
		err := tx.QueryRow(ctx, `SELECT seq, hash FROM audit_heads WHERE workspace_id = $1`, workspaceID).Scan(&head.Seq, &head.Hash)
		if err != nil && !errors.Is(err, db.ErrNoRows) {
			return err
		}
		return tx.QueryRow(ctx, `SELECT COALESCE(MAX(seq), 0) FROM audit_log WHERE workspace_id = $1`, workspaceID).Scan(&last)
	})
	if err == nil && last != head.Seq {
		err = fmt.Errorf("record %d is the last, and the head is at %d: %w", last, head.Seq, ErrTampered)
	}
	missing := make(map[Checkpoint]bool, len(kept))
	for _, c := range kept {
		if c != (Checkpoint{}) {
			missing[c] = true
		}
	}
	var at Checkpoint
	for err == nil && at.Seq < head.Seq {
		var page []Checkpoint
		page, err = verifyPage(ctx, d, workspaceID, at, head.Seq)
		for _, c := range page {
			delete(missing, c)
			at = c
		}
	}
	if err == nil && at != head {
		err = fmt.Errorf("record %d is not the head: %w", at.Seq, ErrTampered)
	}
	for c := range missing {
		if err == nil {
			err = fmt.Errorf("the checkpoint at record %d is not on the trail, which is at record %d: %w", c.Seq, head.Seq, ErrTampered)
		}
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verify the audit trail: %w", err)
	}
	return at, nil
}

// verifyPage verifies the next records after at, up to the one numbered last, and
// returns the hash of each.
func verifyPage(ctx context.Context, d *db.DB, workspaceID string, at Checkpoint, last int64) (page []Checkpoint, err error) {
	before := at
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		page, at = nil, before
		rows, err := tx.Query(ctx, `SELECT seq, at, actor_id, actor, action, object, data, hash
			FROM audit_log WHERE workspace_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`, workspaceID, at.Seq, last, auditPage)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanRecord(rows)
			if err != nil {
				return err
			}
			if r.Seq != at.Seq+1 || r.Hash != r.chain(at.Hash, workspaceID) {
				return fmt.Errorf("record %d: %w", at.Seq+1, ErrTampered)
			}
			at = Checkpoint{Seq: r.Seq, Hash: r.Hash}
			page = append(page, at)
		}
		return rows.Err()
	})
	if err == nil && len(page) == 0 {
		err = fmt.Errorf("record %d: %w", at.Seq+1, ErrTampered)
	}
	return page, err
}

// AuditHeads returns the head of each workspace's audit trail, by the workspace's id,
// and the database's time.
func AuditHeads(ctx context.Context, d *db.DB) (heads map[string]Checkpoint, at time.Time, err error) {
	err = d.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		heads = make(map[string]Checkpoint)
		var now int64
		if err := tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now); err != nil {
			return err
		}
		at = db.Time(now)
		rows, err := tx.Query(ctx, `SELECT workspace_id, seq, hash FROM audit_heads`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var workspace string
			var c Checkpoint
			if err := rows.Scan(&workspace, &c.Seq, &c.Hash); err != nil {
				return err
			}
			heads[workspace] = c
		}
		return rows.Err()
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("heads of the audit trails: %w", err)
	}
	return heads, at, nil
}

// AuditTrail returns up to limit records that are older than the record numbered
// before, newest first; 0 begins at the newest. The actor needs [tenancy.ViewAudit].
func AuditTrail(ctx context.Context, tx db.Tx, a Actor, before int64, limit int) ([]Record, error) {
	scope, err := AuthorizeWorkspace(ctx, tx, a, tenancy.ViewAudit)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT seq, at, actor_id, actor, action, object, data, hash FROM audit_log
		WHERE workspace_id = $1 AND ($2 = 0 OR seq < $2) ORDER BY seq DESC LIMIT $3`, scope.WorkspaceID(), before, limit)
	if err != nil {
		return nil, fmt.Errorf("audit trail: %w", err)
	}
	defer rows.Close()
	var records []Record
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, fmt.Errorf("audit trail: %w", err)
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

func scanRecord(row db.Row) (Record, error) {
	var r Record
	var at int64
	var data string
	if err := row.Scan(&r.Seq, &at, &r.Actor.ID, &r.Actor.Name, &r.Action, &r.Object, &data, &r.Hash); err != nil {
		return Record{}, err
	}
	r.At, r.Data = db.Time(at), json.RawMessage(data)
	return r, nil
}
