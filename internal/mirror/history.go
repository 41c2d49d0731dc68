package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
)

// KeptMoments is how many snapshots the history of a tenant's directory has at most.
const KeptMoments = 400

// Moment is one snapshot in the history: when it was, and what it counted.
type Moment struct {
	Run      string // id; the run itself may have been deleted
	At       time.Time
	Complete bool // every part of the snapshot was read
	Counts   catalogue.ComplianceCounts
}

// KeepMoment adds a snapshot of the run k.Run to the history of the directory that
// k.Connection is connected to, in place of an earlier one of the run, and deletes what
// is beyond [KeptMoments]. The caller compares the run's fence in this transaction.
func KeepMoment(ctx context.Context, tx db.Tx, k Key, m Moment) error {
	counts, err := json.Marshal(m.Counts)
	if err != nil {
		return fmt.Errorf("keep a snapshot: %w", err)
	}
	var directory string
	err = tx.QueryRow(ctx, `INSERT INTO compliance_history (run_id, tenant_id, directory_id, at, complete, counts)
		SELECT $1, $2, c.directory_id, $4, $5, $6 FROM connections c WHERE c.id = $3
		ON CONFLICT (run_id) DO UPDATE SET directory_id = excluded.directory_id, at = excluded.at, complete = excluded.complete, counts = excluded.counts
		RETURNING directory_id`, k.Run, k.Tenant, k.Connection, db.Micros(m.At), m.Complete, string(counts)).Scan(&directory)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM compliance_history WHERE run_id IN (SELECT h.run_id FROM compliance_history h
			WHERE h.tenant_id = $1 AND h.directory_id = $2 ORDER BY h.at DESC, h.run_id DESC LIMIT 10 OFFSET $3)`, k.Tenant, directory, KeptMoments)
	}
	if err != nil {
		return fmt.Errorf("keep a snapshot: %w", err)
	}
	return nil
}

// HistoryFilter narrows a history. The zero filter shows the first page of the directory
// of the tenant's default connection.
type HistoryFilter struct {
	Connection string // id or slug; empty: the tenant's default
	Cursor     string
	Limit      int // 1 to 200; 0: 50
}

// History returns a page of the compliance snapshots of the directory that a connection
// is connected to, newest first, and the cursor of the next page; empty after the last
// one. A named connection that is not the tenant's own is [op.ErrNotFound]; without a
// default connection there are no snapshots.
func (m *Mirror) History(ctx context.Context, ta access.TenantAccess, f HistoryFilter) ([]Moment, string, error) {
	limit, key, err := Filter{Cursor: f.Cursor, Limit: f.Limit}.check("compliance-history", 2)
	if err != nil {
		return nil, "", err
	}
	list, err := query.Read(ctx, m.db, "list compliance snapshots", func(ctx context.Context, tx db.Tx) ([]Moment, error) {
		c, err := m.source(ctx, tx, ta, f.Connection)
		if err != nil || c == nil {
			return nil, err
		}
		q := new(query.Query).Add(`SELECT h.run_id, h.at, h.complete, h.counts FROM compliance_history h WHERE h.tenant_id = %s AND h.directory_id = %s`,
			ta.Tenant.ID, c.DirectoryID)
		if key != nil {
			at, err := strconv.ParseInt(key[0], 10, 64)
			if err != nil {
				return nil, op.ErrBadCursor
			}
			q.Add(` AND (h.at, h.run_id) < (%s, %s)`, at, key[1])
		}
		return query.All(ctx, tx, q.Add(` ORDER BY h.at DESC, h.run_id DESC LIMIT %s`, limit+1), scanMoment)
	})
	if err != nil {
		return nil, "", err
	}
	list, next := page.Cut(list, limit, func(m Moment) string {
		return page.Cursor("compliance-history", strconv.FormatInt(db.Micros(m.At), 10), m.Run)
	})
	return list, next, nil
}

func scanMoment(row db.Row) (m Moment, err error) {
	var at int64
	var counts string
	if err := row.Scan(&m.Run, &at, &m.Complete, &counts); err != nil {
		return m, err
	}
	m.At = db.Time(at)
	return m, json.Unmarshal([]byte(counts), &m.Counts)
}
