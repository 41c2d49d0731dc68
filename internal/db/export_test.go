package db

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
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

// QueueDownTo takes the job queue's schema back to a version, and returns the
// newest version that its library knows.
func QueueDownTo(ctx context.Context, d *DB, version int) (newest int, err error) {
	switch e := d.engine.(type) {
	case *sqlite:
		return queueDownTo(ctx, riversqlite.New(e.writer), version)
	case *postgres:
		return queueDownTo(ctx, riverpgxv5.New(e.pool), version)
	}
	return 0, nil
}

func queueDownTo[T any](ctx context.Context, driver riverdriver.Driver[T], version int) (int, error) {
	m, err := rivermigrate.New(driver, nil)
	if err != nil {
		return 0, err
	}
	all := m.AllVersions()
	_, err = m.Migrate(ctx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: version})
	return all[len(all)-1].Version, err
}
