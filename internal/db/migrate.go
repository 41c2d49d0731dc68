package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations
var embedded embed.FS

// migrationsOf returns the migrations in dir for engine. NNNN_name.sql is for both
// engines, NNNN_name.sqlite.sql and NNNN_name.postgres.sql for one.
func migrationsOf(dir fs.FS, engine Engine) (fs.FS, error) {
	files, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, err
	}
	own := fstest.MapFS{} // the standard library's file system in memory
	for _, name := range files {
		parts := strings.Split(name, ".")
		if len(parts) == 3 && parts[1] != string(engine) {
			continue
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		if engine == SQLite {
			text = []byte(withoutCollation(string(text)))
		}
		own[name] = &fstest.MapFile{Data: text, Mode: 0o444}
	}
	return own, nil
}

// migrateSchema applies our migrations, each in its own transaction.
func migrateSchema(ctx context.Context, conns *sql.DB, engine Engine, dir fs.FS, log *slog.Logger) error {
	files, err := migrationsOf(dir, engine)
	if err != nil {
		return err
	}
	dialect := goose.DialectSQLite3
	if engine == Postgres {
		dialect = goose.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, conns, files, goose.WithDisableGlobalRegistry(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: it is at version %d, the program knows %d", ErrNewerSchema, have, want)
	}
	applied, err := p.Up(ctx)
	for _, m := range applied {
		log.InfoContext(ctx, "database migrated", "file", m.Source.Path, "took", m.Duration)
	}
	return err
}

// migrateQueue applies the job queue's migrations.
func migrateQueue[T any](ctx context.Context, driver riverdriver.Driver[T]) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("job queue: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("job queue: %w", err)
	}
	return nil
}

func ownMigrations() fs.FS {
	dir, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return embedded // can't be: the name is a valid path
	}
	return dir
}

func (s *sqlite) migrate(ctx context.Context, log *slog.Logger) error {
	if err := migrateSchema(ctx, s.writer, SQLite, ownMigrations(), log); err != nil {
		return err
	}
	return migrateQueue(ctx, riversqlite.New(s.writer))
}

// migrationLock is the advisory lock under which nodes migrate one at a time.
const migrationLock = 4_846_573_201

func (p *postgres) migrate(ctx context.Context, log *slog.Logger) error {
	// Not from the pool: nodes that wait for the lock could take the connections that
	// its holder needs.
	cfg := p.pool.Config().ConnConfig.Copy()
	delete(cfg.RuntimeParams, "lock_timeout") // the others may take long; ctx is the limit
	lock, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer lock.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the server frees the lock either way
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for other nodes: %w", err)
	}
	if err := createClock(ctx, lock); err != nil {
		return err
	}
	conns := stdlib.OpenDBFromPool(p.pool)
	defer conns.Close() //nolint:errcheck // a view of the pool
	if err := migrateSchema(ctx, conns, Postgres, ownMigrations(), log); err != nil {
		return err
	}
	return migrateQueue(ctx, riverpgxv5.New(p.pool))
}
