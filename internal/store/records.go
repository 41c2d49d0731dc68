package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// DatasetKey names a dataset of a connection and the run that works on it.
type DatasetKey struct {
	Workspace, Tenant, Connection string
	Name                          string
	Run                           string
}

// Dataset is what is known of a dataset.
type Dataset struct {
	Name    string
	AsOf    time.Time // of the last commit; zero when there never was one
	Count   int64
	Delta   string    // token to go on from; empty: read everything
	DeltaAt time.Time // when that token was given out
	Stale   op.Reason // why the last try kept the old rows; empty: it did not
}

// Record is one object of a dataset.
type Record struct {
	ID         string          `json:"id"`               // unique in dataset and parent
	Parent     string          `json:"parent,omitempty"` // id of what it belongs to
	Name       string          `json:"name"`
	Type       string          `json:"type"`        // of a group, a [tenancy.GroupType]; else as the provider wrote it; may be empty
	ModifiedAt string          `json:"modified_at"` // as the provider wrote it; may be empty
	Data       json.RawMessage `json:"data"`        // as the provider wrote it
}

// A round is one pass over a dataset. Its rows are staged under a generation of
// their own, out of sight of readers, until CommitRound shows them all at once.
// The caller holds the run's fence in each of these transactions.

// DatasetOf tells how far a dataset is; a zero Dataset when nothing is known of it.
func DatasetOf(ctx context.Context, tx db.Tx, k DatasetKey) (Dataset, error) {
	q := new(query)
	q.add(`SELECT `+datasetColumns+` FROM datasets d WHERE d.connection_id = %s AND d.name = %s`, k.Connection, k.Name)
	d, err := one(ctx, tx, q, scanDataset)
	if errors.Is(err, op.ErrNotFound) {
		return Dataset{Name: k.Name}, nil
	} else if err != nil {
		return Dataset{}, fmt.Errorf("dataset %s: %w", k.Name, err)
	}
	return d, nil
}

const datasetColumns = `d.name, d.as_of, d.row_count, d.delta, d.delta_at, d.stale_reason`

func scanDataset(row db.Row) (Dataset, error) {
	var d Dataset
	var asOf, deltaAt *int64
	var stale string
	if err := row.Scan(&d.Name, &asOf, &d.Count, &d.Delta, &deltaAt, &stale); err != nil {
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

// BeginRound starts a round and returns its generation. full: its rows will be
// all there are; otherwise they will change those of the last commit, and
// without one the round is full. A round that was begun before and not committed
// can't be committed any more.
func BeginRound(ctx context.Context, tx db.Tx, k DatasetKey, full bool) (generation int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, next, full_round, run_id, unswept)
		VALUES ($1, $2, $3, $4, 0, 2, TRUE, $5, FALSE)
		ON CONFLICT (connection_id, name) DO UPDATE SET next = datasets.next + 1, full_round = ($6 OR datasets.generation = 0),
			run_id = excluded.run_id, unswept = TRUE
		RETURNING next - 1`, k.Connection, k.Name, k.Workspace, k.Tenant, k.Run, full).Scan(&generation)
	if err != nil {
		return 0, fmt.Errorf("begin a round of %s: %w", k.Name, err)
	}
	return generation, nil
}

// rowsPerStatement keeps a statement well below the limit of arguments: 65,535
// on PostgreSQL, 32,766 on SQLite.
const rowsPerStatement = 500

// PutRows stages rows. The same row put again replaces the earlier one.
func PutRows(ctx context.Context, tx db.Tx, k DatasetKey, generation int64, rows []Record) error {
	// One statement can't touch a row twice: the last one given is the one.
	last := make(map[[2]string]int, len(rows))
	for i, r := range rows {
		last[[2]string{r.Parent, r.ID}] = i
	}
	kept := make([]Record, 0, len(last))
	for i, r := range rows {
		if last[[2]string{r.Parent, r.ID}] == i {
			kept = append(kept, r)
		}
	}
	for len(kept) > 0 {
		n := min(len(kept), rowsPerStatement)
		if err := stage(ctx, tx, k, generation, kept[:n], false); err != nil {
			return fmt.Errorf("put rows of %s: %w", k.Name, err)
		}
		kept = kept[n:]
	}
	return nil
}

// stage writes rows of a round; gone ones stand for removals.
func stage(ctx context.Context, tx db.Tx, k DatasetKey, generation int64, rows []Record, gone bool) error {
	q := new(query)
	prefix := q.bind(k.Connection) + ", " + q.bind(k.Name) + ", " + q.bind(generation) + ", "
	isGone := q.bind(gone)
	for i, r := range rows {
		sep := `, (`
		if i == 0 {
			sep = `INSERT INTO records (connection_id, dataset, generation, parent, id, name, name_key, type, modified_at, gone, data) VALUES (`
		}
		if len(r.ID) > maxRecordID || len(r.Parent) > maxRecordID {
			return fmt.Errorf("a row's id has %d bytes, at most %d can be kept", max(len(r.ID), len(r.Parent)), maxRecordID)
		}
		name := storable(r.Name)
		q.add(sep+prefix+`%s, %s, %s, %s, %s, %s, `+isGone+`, %s)`,
			storable(r.Parent), storable(r.ID), name, nameKey(name), storable(r.Type), storable(r.ModifiedAt), storable(string(r.Data)))
	}
	q.add(` ON CONFLICT (connection_id, dataset, generation, parent, id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key,
		type = excluded.type, modified_at = excluded.modified_at, gone = excluded.gone, data = excluded.data`)
	_, err := tx.Exec(ctx, q.text.String(), q.args...)
	return err
}

// Limits of what is indexed: PostgreSQL takes 2,704 bytes for one entry.
const (
	maxRecordID = 512 // bytes
	maxNameKey  = 200 // characters
)

// nameKey is a name for order and search.
func nameKey(name string) string {
	key := []rune(strings.ToLower(name))
	return string(key[:min(len(key), maxNameKey)])
}

// storable is text from the provider as a database can hold it. Valid JSON is
// unchanged by it.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// RemoveRows stages the removal of rows, and of all rows below them. A row that
// is put afterwards is there again.
func RemoveRows(ctx context.Context, tx db.Tx, k DatasetKey, generation int64, parent string, ids []string) error {
	seen := make(map[string]bool, len(ids))
	var gone []Record
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		gone = append(gone, Record{Parent: parent, ID: id})
		if parent == "" {
			// All below it: no row has an empty id, so this one stands for them.
			gone = append(gone, Record{Parent: id, ID: ""})
		}
	}
	for len(gone) > 0 {
		n := min(len(gone), rowsPerStatement)
		if parent == "" {
			q := new(query)
			q.add(`DELETE FROM records WHERE connection_id = %s AND dataset = %s AND generation = %s AND parent IN `, k.Connection, k.Name, generation)
			var parents []string
			for _, r := range gone[:n] {
				if r.ID == "" {
					parents = append(parents, r.Parent)
				}
			}
			if _, err := tx.Exec(ctx, q.in(parents).text.String(), q.args...); err != nil {
				return fmt.Errorf("remove rows of %s: %w", k.Name, err)
			}
		}
		if err := stage(ctx, tx, k, generation, gone[:n], true); err != nil {
			return fmt.Errorf("remove rows of %s: %w", k.Name, err)
		}
		gone = gone[n:]
	}
	return nil
}

// CommitRound shows a round to readers, with the token to go on from next time,
// and returns how many rows there are now. A round that is not the last one
// begun, or was committed before, is [op.ErrConflict].
func CommitRound(ctx context.Context, tx db.Tx, k DatasetKey, generation int64, delta string) (rows int64, err error) {
	var current int64
	var full bool
	err = tx.QueryRow(ctx, `UPDATE datasets SET run_id = $4 WHERE connection_id = $1 AND name = $2 AND next = $3 + 1 AND generation < $3
		RETURNING generation, full_round`, k.Connection, k.Name, generation, k.Run).Scan(&current, &full)
	if errors.Is(err, db.ErrNoRows) {
		return 0, fmt.Errorf("commit %s: the round is over: %w", k.Name, op.ErrConflict)
	} else if err != nil {
		return 0, fmt.Errorf("commit %s: %w", k.Name, err)
	}
	const of = `connection_id = $1 AND dataset = $2 AND generation = `
	exec := func(sql string, args ...any) {
		if err == nil {
			_, err = tx.Exec(ctx, sql, args...)
		}
	}
	shown := generation
	if !full {
		// The staged rows go into the current generation, removals first.
		shown = current
		exec(`DELETE FROM records WHERE `+of+`$3 AND parent IN (SELECT g.parent FROM records g WHERE g.connection_id = $1 AND g.dataset = $2
			AND g.generation = $4 AND g.gone AND g.id = '')`, k.Connection, k.Name, current, generation)
		exec(`DELETE FROM records WHERE `+of+`$3 AND (parent, id) IN (SELECT g.parent, g.id FROM records g WHERE g.connection_id = $1
			AND g.dataset = $2 AND g.generation = $4)`, k.Connection, k.Name, current, generation)
		exec(`UPDATE records SET generation = $3 WHERE `+of+`$4 AND NOT gone`, k.Connection, k.Name, current, generation)
	}
	exec(`DELETE FROM records WHERE `+of+`$3 AND gone`, k.Connection, k.Name, generation)
	if err == nil {
		err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM records WHERE `+of+`$3`, k.Connection, k.Name, shown).Scan(&rows)
	}
	// After an incremental round its own generation is used up all the same.
	exec(`UPDATE datasets SET generation = $3, next = next + 1, as_of = interlock_now(), row_count = $4, delta = $5,
		delta_at = CASE WHEN $5 = '' THEN NULL ELSE interlock_now() END, stale_reason = '', unswept = TRUE
		WHERE connection_id = $1 AND name = $2`, k.Connection, k.Name, shown, rows, delta)
	if err != nil {
		return 0, fmt.Errorf("commit %s: %w", k.Name, err)
	}
	return rows, nil
}

// MarkStale keeps a dataset's rows and notes why they could not be read anew.
func MarkStale(ctx context.Context, tx db.Tx, k DatasetKey, why op.Reason) error {
	_, err := tx.Exec(ctx, `INSERT INTO datasets (connection_id, name, workspace_id, tenant_id, generation, next, stale_reason, run_id)
		VALUES ($1, $2, $3, $4, 0, 1, $5, $6)
		ON CONFLICT (connection_id, name) DO UPDATE SET stale_reason = excluded.stale_reason, run_id = excluded.run_id`,
		k.Connection, k.Name, k.Workspace, k.Tenant, string(why), k.Run)
	if err != nil {
		return fmt.Errorf("mark %s stale: %w", k.Name, err)
	}
	return nil
}

// SweepGenerations deletes up to limit rows that no reader can reach: those of
// generations that were replaced, and of rounds that were begun and given up. It
// returns how many it deleted; fewer than limit means that it is done for now.
// The last round begun is left alone: it may be in progress.
func SweepGenerations(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	type dataset struct {
		connection, name   string
		generation, latest int64
	}
	q := new(query)
	q.add(`SELECT d.connection_id, d.name, d.generation, d.next - 1 FROM datasets d WHERE d.unswept
		ORDER BY d.connection_id, d.name LIMIT 50`)
	list, err := all(ctx, tx, q, func(row db.Row) (d dataset, err error) {
		err = row.Scan(&d.connection, &d.name, &d.generation, &d.latest)
		return d, err
	})
	if err != nil {
		return 0, fmt.Errorf("sweep rows: %w", err)
	}
	var swept int64
	for _, d := range list {
		n, err := tx.Exec(ctx, `DELETE FROM records WHERE (connection_id, dataset, generation, parent, id) IN (
			SELECT connection_id, dataset, generation, parent, id FROM records
			WHERE connection_id = $1 AND dataset = $2 AND generation < $3 AND generation <> $4 LIMIT $5)`,
			d.connection, d.name, d.latest, d.generation, limit-swept)
		if err != nil {
			return 0, fmt.Errorf("sweep rows of %s: %w", d.name, err)
		}
		swept += n
		if swept >= limit {
			return swept, nil
		}
		// Unless a round began or was committed meanwhile, which leaves rows again.
		_, err = tx.Exec(ctx, `UPDATE datasets SET unswept = FALSE WHERE connection_id = $1 AND name = $2 AND generation = $3 AND next = $4 + 1`,
			d.connection, d.name, d.generation, d.latest)
		if err != nil {
			return 0, fmt.Errorf("sweep rows of %s: %w", d.name, err)
		}
	}
	return swept, nil
}
