package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/vault"
)

// settings are what every server-side command needs to find its data.
type settings struct {
	database string
	rootKey  string
	export   string // file of the exported audit heads
	logLevel string
	logJSON  bool
}

// flags adds the settings to a command. The environment can set each of them as well.
func (s *settings) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.database, "database", env("INTERLOCK_DATABASE", "sqlite:interlock.db"),
		`database: "sqlite:" and a file, or a postgres:// URL (INTERLOCK_DATABASE)`)
	f.StringVar(&s.rootKey, "root-key", env("INTERLOCK_ROOT_KEY_FILE", "interlock.key"),
		"file with the root key, which encrypts the credentials; serve and bootstrap create it if it is missing (INTERLOCK_ROOT_KEY_FILE)")
	f.StringVar(&s.logLevel, "log-level", env("INTERLOCK_LOG_LEVEL", "info"), "debug, info, warn or error (INTERLOCK_LOG_LEVEL)")
	f.BoolVar(&s.logJSON, "log-json", os.Getenv("INTERLOCK_LOG_JSON") != "", "write logs as JSON (INTERLOCK_LOG_JSON)")
}

func env(name, other string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return other
}

// exportFlag adds the setting of commands that export audit heads or check them.
func (s *settings) exportFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.export, "audit-export", env("INTERLOCK_AUDIT_EXPORT", "beside the root key"),
		`file for the hourly export of the signed audit heads, or "off" (INTERLOCK_AUDIT_EXPORT)`)
}

// exportFile returns the file of the exported audit heads; empty: none.
func (s *settings) exportFile() string {
	switch s.export {
	case "off", "":
		return ""
	case "beside the root key":
		return filepath.Join(filepath.Dir(s.rootKey), "interlock-audit-heads.jsonl")
	}
	return s.export
}

// logger returns a logger on standard error; standard output is for results.
func (s *settings) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is none of debug, info, warn, error", s.logLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	if s.logJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
}

// root opens the root key. If create is set, it creates a missing one.
func (s *settings) root(create bool) (*vault.Root, error) {
	root, err := vault.LoadRoot(s.rootKey)
	if !errors.Is(err, fs.ErrNotExist) || !create {
		return root, err
	}
	return vault.CreateRoot(s.rootKey)
}

// open opens the database and migrates it.
func (s *settings) open(ctx context.Context, log *slog.Logger) (*db.DB, error) {
	if !strings.Contains(s.database, ":") {
		return nil, fmt.Errorf(`--database: %q is neither "sqlite:FILE" nor a postgres:// URL`, s.database)
	}
	d, err := db.Open(ctx, db.Config{URL: s.database, Logger: log})
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}
