package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
)

// Key names a dataset of a connection and the run that works on it.
type Key struct {
	Workspace, Tenant, Connection string
	Name                          string
	Run                           string
}

// Dataset is what is known of a dataset.
type Dataset struct {
	Name       string
	AsOf       time.Time // of the last commit; zero when there never was one
	Count      int64     // rows; of groups, without their members
	Members    int64     // of groups
	Unreadable int64     // objects that could not be kept, since the last full round
	Delta      string    // token to continue from; empty: read everything
	DeltaAt    time.Time // when that token was issued
	Stale      op.Reason // why the last try kept the old rows; empty: it replaced them
}

// Record is one object of a dataset.
type Record struct {
	ID         string          `json:"id"`               // unique in its dataset, or its part
	Parent     string          `json:"parent,omitempty"` // of a listed member: the group
	Part       string          `json:"-"`                // of a listed row: the part of the dataset that it is in
	Name       string          `json:"name"`
	Type       string          `json:"type"`        // of a group, a [tenancy.GroupType]; else as the provider wrote it; may be empty
	ModifiedAt string          `json:"modified_at"` // as the provider wrote it; may be empty
	Data       json.RawMessage `json:"data"`        // as the provider wrote it
}

// A round is one pass over a dataset. A full round writes a new generation that
// readers don't see, and CommitRound points the dataset at it. An incremental round
// changes the generation that readers see, in small steps. It removes the token when it
// begins, and its commit sets the next one. After an interrupted round there is no
// token, so the next round reads everything.
//
// The caller compares the run's fence in each of these transactions, and keeps them
// short: at most one of [Batches] in each.

// Limits of one transaction that writes rows. The median is 4 to 6 ms for 500 rows, on
// either engine (BenchmarkMembers on a busy machine).
const (
	batchRows  = 500
	batchBytes = 1 << 20
)

// Batches splits rows into batches, each for one transaction.
func Batches(rows []Record) iter.Seq[[]Record] {
	return func(yield func([]Record) bool) {
		from, size := 0, 0
		for i, r := range rows {
			n := len(r.Data) + len(r.Name)
			if i > from && (i-from == batchRows || size+n > batchBytes) {
				if !yield(rows[from:i]) {
					return
				}
				from, size = i, 0
			}
			size += n
		}
		if from < len(rows) {
			yield(rows[from:])
		}
	}
}

// DatasetOf returns what is known of a dataset; only its name before the first round.
func DatasetOf(ctx context.Context, tx db.Tx, k Key) (Dataset, error) {
	q := new(query.Query)
	q.Add(`SELECT `+datasetColumns+` FROM datasets d WHERE d.connection_id = %s AND d.name = %s`, k.Connection, k.Name)
	d, err := query.One(ctx, tx, q, scanDataset)
	if errors.Is(err, op.ErrNotFound) {
		return Dataset{Name: k.Name}, nil
	} else if err != nil {
		return Dataset{}, fmt.Errorf("dataset %s: %w", k.Name, err)
	}
	return d, nil
}

const datasetColumns = `d.name, d.as_of, d.row_count, d.member_count, d.unreadable, d.delta, d.delta_at, d.stale_reason`

func scanDataset(row db.Row) (Dataset, error) {
	var d Dataset
	var asOf, deltaAt *int64
	var stale string
	if err := row.Scan(&d.Name, &asOf, &d.Count, &d.Members, &d.Unreadable, &d.Delta, &deltaAt, &stale); err != nil {
		return Dataset{}, err
	}
	if asOf != nil {
		d.AsOf = db.Time(*asOf)
	}
	if deltaAt != nil {
		d.DeltaAt = db.Time(*deltaAt)
	}
	d.Stale = op.Reason(stale)
	return d, nil
}

// BeginRound starts a round and returns the generation that it writes. A full round
// replaces all rows. Any other round changes the rows of the last commit; without one
// it is full. An earlier round that is not committed can no longer be committed.
func BeginRound(ctx context.Context, tx db.Tx, k Key, full bool) (generation int64, err error) {
	var shown, staged int64
	err = tx.QueryRow(ctx, `INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, run_id)
		VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (connection_id, name) DO UPDATE SET run_id = excluded.run_id
		RETURNING generation, staged`, k.Connection, k.Name, k.Workspace, k.Tenant, k.Run).Scan(&shown, &staged)
	if err == nil && staged != shown {
		err = retire(ctx, tx, staged)
	}
	generation = shown
	if err == nil && (full || shown == 0) {
		err = tx.QueryRow(ctx, `INSERT INTO generations (connection_id, dataset) VALUES ($1, $2) RETURNING id`, k.Connection, k.Name).Scan(&generation)
	}
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE datasets SET staged = $3, delta = CASE WHEN generation = $3 THEN '' ELSE delta END,
			delta_at = CASE WHEN generation = $3 THEN NULL ELSE delta_at END WHERE connection_id = $1 AND name = $2`, k.Connection, k.Name, generation)
	}
	if err != nil {
		return 0, fmt.Errorf("begin a round of %s: %w", k.Name, err)
	}
	return generation, nil
}

// retire marks a generation for the sweep.
func retire(ctx context.Context, tx db.Tx, generation int64) error {
	_, err := tx.Exec(ctx, `UPDATE generations SET retired = TRUE WHERE id = $1`, generation)
	return err
}

// errOver is returned for a write of a round that is over.
var errOver = op.Conflict("the round is over")

// counted adds to the counts of a generation, or returns [op.ErrConflict] when its
// round is over.
func counted(ctx context.Context, tx db.Tx, generation, rows, members int64) error {
	n, err := tx.Exec(ctx, `UPDATE generations SET row_count = row_count + $2, member_count = member_count + $3
		WHERE id = $1 AND NOT retired`, generation, rows, members)
	if err == nil && n == 0 {
		return errOver
	}
	return err
}

// insertRecords are the statements that write new rows; putRecords also replace
// existing ones.
var (
	insertRecords = query.ManyRows(`INSERT INTO records (generation, id, name, name_key, type, modified_at, data) VALUES `,
		`($1`, 1, 6, ` ON CONFLICT DO NOTHING`)
	putRecords = query.ManyRows(`INSERT INTO records (generation, id, name, name_key, type, modified_at, data) VALUES `,
		`($1`, 1, 6, ` ON CONFLICT (generation, id) DO UPDATE SET name = excluded.name,
		name_key = excluded.name_key, type = excluded.type, modified_at = excluded.modified_at, data = excluded.data`)
)

// PutRows writes the rows of one of [Batches]. A row replaces an earlier one with the
// same id. It is [op.ErrConflict] when the round is over. An id may have 512 bytes.
func PutRows(ctx context.Context, tx db.Tx, k Key, generation int64, rows []Record) error {
	// One statement can't write a row twice: the last one counts.
	last := make(map[string]int, len(rows))
	for i, r := range rows {
		if len(r.ID) > maxRecordID {
			return fmt.Errorf("put rows of %s: a row's id has %d bytes, at most %d can be kept", k.Name, len(r.ID), maxRecordID)
		}
		last[r.ID] = i
	}
	kept := make([]Record, 0, len(last))
	for i, r := range rows {
		if last[r.ID] == i {
			kept = append(kept, r)
		}
	}
	var fresh int64
	for n := range query.Sizes(len(kept)) {
		args := make([]any, 0, 1+6*n)
		args = append(args, generation)
		for _, r := range kept[:n] {
			name := storable(r.Name)
			args = append(args, storable(r.ID), name, page.NameKey(name), storable(r.Type), storable(r.ModifiedAt), storable(string(r.Data)))
		}
		kept = kept[n:]
		inserted, err := tx.Exec(ctx, insertRecords(n), args...)
		if err == nil && inserted < int64(n) {
			_, err = tx.Exec(ctx, putRecords(n), args...)
		}
		if err != nil {
			return fmt.Errorf("put rows of %s: %w", k.Name, err)
		}
		fresh += inserted
	}
	if err := counted(ctx, tx, generation, fresh, 0); err != nil {
		return fmt.Errorf("put rows of %s: %w", k.Name, err)
	}
	return nil
}

// maxRecordID bounds an id, in bytes: PostgreSQL takes 2,704 bytes for one entry of
// an index.
const maxRecordID = 512

// storable returns text from the provider as a database can store it. It leaves valid
// JSON unchanged.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// RemoveRows removes rows and their members. It stops when the transaction has done
// enough, and returns how many of ids are done: call it again with the rest.
func RemoveRows(ctx context.Context, tx db.Tx, k Key, generation int64, ids []string) (done int, err error) {
	ids = ids[:min(len(ids), batchRows)]
	done, members, err := removeMembersOf(ctx, tx, generation, ids)
	var rows int64
	if err == nil {
		rows, err = deleteRecords(ctx, tx, generation, ids[:done])
	}
	if err == nil {
		err = counted(ctx, tx, generation, -rows, -members)
	}
	if err != nil {
		return 0, fmt.Errorf("remove rows of %s: %w", k.Name, err)
	}
	return done, nil
}

func deleteRecords(ctx context.Context, tx db.Tx, generation int64, ids []string) (rows int64, err error) {
	kept := make([]string, len(ids))
	for i, id := range ids {
		kept[i] = storable(id)
	}
	for some := range query.Lists(kept) {
		n, err := tx.Exec(ctx, `DELETE FROM records WHERE generation = $1 AND id IN (`+query.Placeholders(2, len(some))+`)`,
			append([]any{generation}, some...)...)
		if err != nil {
			return 0, err
		}
		rows += n
	}
	return rows, nil
}

// RowsOf returns the first rows of a dataset that readers see, in the order of their
// ids, behind the id after; none behind the last one.
func RowsOf(ctx context.Context, tx db.Tx, k Key, after string) ([]Record, error) {
	q := new(query.Query).Add(`SELECT r.id, r.name, r.type, r.modified_at, r.data FROM records r WHERE r.generation =
		(SELECT d.generation FROM datasets d WHERE d.connection_id = %s AND d.name = %s) AND r.id > %s ORDER BY r.id LIMIT %s`,
		k.Connection, k.Name, after, batchRows)
	rows, err := query.All(ctx, tx, q, scanRecord)
	if err != nil {
		return nil, fmt.Errorf("rows of %s: %w", k.Name, err)
	}
	return rows, nil
}

// Committed is how a round ends.
type Committed struct {
	Delta      string    // token to continue from next time; empty: none
	Unreadable int64     // objects of the round that could not be kept
	At         time.Time // when it was read; zero: now
}

// CommitRound makes a round visible to readers, and returns the dataset. It is
// [op.ErrConflict] for a round that is not the last one begun, or is committed already.
// Its cost does not depend on the number of rows.
func CommitRound(ctx context.Context, tx db.Tx, k Key, generation int64, end Committed) (Dataset, error) {
	var shown int64
	err := tx.QueryRow(ctx, `UPDATE datasets SET run_id = $4 WHERE connection_id = $1 AND name = $2 AND staged = $3 AND staged <> 0
		RETURNING generation`, k.Connection, k.Name, generation, k.Run).Scan(&shown)
	if errors.Is(err, db.ErrNoRows) {
		return Dataset{}, fmt.Errorf("commit %s: %w", k.Name, errOver)
	}
	if err == nil && shown != generation {
		err = retire(ctx, tx, shown)
	}
	if err != nil {
		return Dataset{}, fmt.Errorf("commit %s: %w", k.Name, err)
	}
	var at int64
	if !end.At.IsZero() {
		at = db.Micros(end.At)
	}
	_, err = tx.Exec(ctx, `UPDATE datasets SET unreadable = CASE WHEN generation = $3 THEN unreadable ELSE 0 END + $4,
		generation = $3, staged = 0, as_of = CASE WHEN CAST($6 AS BIGINT) = 0 THEN interlock_now() ELSE CAST($6 AS BIGINT) END, delta = $5,
		delta_at = CASE WHEN $5 = '' THEN NULL ELSE interlock_now() END, stale_reason = '',
		row_count = (SELECT g.row_count FROM generations g WHERE g.id = $3),
		member_count = (SELECT g.member_count FROM generations g WHERE g.id = $3)
		WHERE connection_id = $1 AND name = $2`, k.Connection, k.Name, generation, end.Unreadable, end.Delta, at)
	if err != nil {
		return Dataset{}, fmt.Errorf("commit %s: %w", k.Name, err)
	}
	return DatasetOf(ctx, tx, k)
}

// MarkStale records why a dataset's rows could not be read again. The rows stay.
func MarkStale(ctx context.Context, tx db.Tx, k Key, why op.Reason) error {
	_, err := tx.Exec(ctx, `INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, stale_reason, run_id)
		VALUES ($1, $2, $3, $4, 0, $5, $6)
		ON CONFLICT (connection_id, name) DO UPDATE SET stale_reason = excluded.stale_reason, run_id = excluded.run_id`,
		k.Connection, k.Name, k.Workspace, k.Tenant, string(why), k.Run)
	if err != nil {
		return fmt.Errorf("mark %s stale: %w", k.Name, err)
	}
	return nil
}

// Drop hides everything that was read through a connection from readers, and leaves it
// to the sweep.
func Drop(ctx context.Context, tx db.Tx, connection string) error {
	for _, sql := range []string{
		`UPDATE generations SET retired = TRUE WHERE connection_id = $1`,
		`UPDATE datasets SET generation = 0, staged = 0, delta = '' WHERE connection_id = $1`,
	} {
		if _, err := tx.Exec(ctx, sql, connection); err != nil {
			return fmt.Errorf("drop what was read: %w", err)
		}
	}
	return nil
}

// sweepGenerations is how many generations one transaction looks at.
const sweepGenerations = 20

// Sweep deletes up to limit rows of retired generations: replaced ones, and those of
// abandoned rounds. It returns how many it deleted; fewer than limit means that none are
// left. It never touches the last round begun, which may be in progress.
func Sweep(ctx context.Context, tx db.Tx, limit int64) (swept int64, err error) {
	for looked := 0; swept < limit; {
		if looked == sweepGenerations {
			return limit, nil // there may be more, for another transaction
		}
		var generation int64
		err := tx.QueryRow(ctx, `SELECT id FROM generations WHERE retired ORDER BY id LIMIT 1`).Scan(&generation)
		if errors.Is(err, db.ErrNoRows) {
			return swept, nil
		}
		var n int64
		if err == nil {
			n, err = sweepMembers(ctx, tx, generation, limit-swept)
		}
		if err == nil && n == 0 {
			n, err = sweepRecords(ctx, tx, generation, limit-swept)
		}
		if err == nil && n == 0 { // it is empty
			looked++
			_, err = tx.Exec(ctx, `DELETE FROM generations WHERE id = $1`, generation)
		}
		if err != nil {
			return 0, fmt.Errorf("sweep the rows of generation %d: %w", generation, err)
		}
		swept += n
	}
	return swept, nil
}

// sweepRecords deletes up to limit rows of a generation, in the order of their key.
func sweepRecords(ctx context.Context, tx db.Tx, generation, limit int64) (int64, error) {
	var rest string
	err := tx.QueryRow(ctx, `SELECT id FROM records WHERE generation = $1 ORDER BY id LIMIT 1 OFFSET $2`, generation, limit).Scan(&rest)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return tx.Exec(ctx, `DELETE FROM records WHERE generation = $1`, generation)
	case err != nil:
		return 0, err
	}
	return tx.Exec(ctx, `DELETE FROM records WHERE generation = $1 AND id < $2`, generation, rest)
}
