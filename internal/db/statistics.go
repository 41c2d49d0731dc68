package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Analyze updates the planner's statistics of tables that have none, or that have grown
// or shrunk tenfold since theirs were made. Each table is one short statement that
// looks at a sample, so nobody waits long. Migrate ends with it; call it hourly.
//
// On PostgreSQL, autovacuum does the rest.
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
	// docs: bit 0 of PRAGMA optimize lists the statements instead of running them, bit
	// 1 is ANALYZE, bit 16 looks at all tables, not only at those that this connection
	// has read. Running it directly would hold the writer for all of them.
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
