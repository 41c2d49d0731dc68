package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Analyze makes the planner's statistics where there are none, or where a table
// has grown or shrunk tenfold since they were made; everywhere else it does
// nothing. It is cheap: each table is one short statement of its own that looks at
// a sample, and nobody waits for more than one of them. Migrate ends with it, and
// it is for an hourly task.
//
// Autovacuum does the rest on PostgreSQL.
func (d *DB) Analyze(ctx context.Context) error {
	if err := d.engine.analyze(ctx); err != nil {
		return fmt.Errorf("database statistics: %w", err)
	}
	return nil
}

// analysisLimit is how many rows of an index SQLite looks at. docs: PRAGMA
// analysis_limit recommends 100 to 1000.
const analysisLimit = "analysis_limit(200)"

func (s *sqlite) analyze(ctx context.Context) error {
	// docs: bit 0 of PRAGMA optimize tells what it would run and does not run it, bit
	// 1 is ANALYZE, and bit 16 looks at all tables, not only those that this
	// connection has read. Run by itself it would hold the writer for all of them.
	const plan = `PRAGMA optimize(0x10003)`
	rows, err := s.writer.QueryContext(ctx, plan)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read to the end
	var statements []string
	for rows.Next() {
		var sql string
		if err := rows.Scan(&sql); err != nil {
			return err
		}
		statements = append(statements, sql)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, sql := range statements {
		if _, err := s.writer.ExecContext(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (p *postgres) analyze(ctx context.Context) error {
	// docs: reltuples is -1 until the table is first vacuumed or analysed.
	rows, err := p.pool.Query(ctx, `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.reltuples < 0 AND pg_relation_size(c.oid) > 0 ORDER BY c.relname`)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := p.pool.Exec(ctx, `ANALYZE `+pgx.Identifier{table}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}
