package db

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// DownTo takes the schema back to a version, for tests of what migrations do with
// older rows.
func DownTo(ctx context.Context, d *DB, version int64) error {
	var conns *sql.DB
	dialect := goose.DialectSQLite3
	switch e := d.engine.(type) {
	case *sqlite:
		conns = e.writer
	case *postgres:
		dialect = goose.DialectPostgres
		conns = stdlib.OpenDBFromPool(e.pool)
		defer conns.Close() //nolint:errcheck // a view of the pool
	}
	files, err := migrationsOf(ownMigrations(), d.Engine())
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, conns, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = p.DownTo(ctx, version)
	return err
}
