package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/app"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/local"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/vault"
)

// upkeep is what administrative commands work on: a database that they opened, or that
// of the server that holds it.
type upkeep struct {
	db   *db.DB
	st   *store.Store
	root *vault.Root // nil: there is no key file
}

// upkeeps are the commands that a running server can run for an administrator.
var upkeeps = map[string]func(ctx context.Context, u upkeep, args json.RawMessage, out io.Writer) error{
	"key status":   taking(keyStatus),
	"key rewrap":   taking(keyRewrap),
	"key rotate":   taking(keyRotate),
	"doctor":       taking(examine),
	"audit verify": taking(verifyAudit),
}

// taking adapts a function with typed arguments.
func taking[A any](run func(context.Context, upkeep, A, io.Writer) error) func(context.Context, upkeep, json.RawMessage, io.Writer) error {
	return func(ctx context.Context, u upkeep, args json.RawMessage, out io.Writer) error {
		var a A
		if err := json.Unmarshal(args, &a); err != nil {
			return err
		}
		return run(ctx, u, a, out)
	}
}

// run runs a command of upkeeps here or, if a server holds the database file, in that
// server.
func (s *settings) run(cmd *cobra.Command, name string, args any, out io.Writer) error {
	ctx := cmd.Context()
	log, err := s.logger()
	if err != nil {
		return err
	}
	d, err := s.open(ctx, log)
	var held *db.HeldError
	if errors.As(err, &held) {
		if err := local.Call(ctx, socketOf(held.Path), name, args, out); errors.Is(err, local.ErrNobody) {
			return errors.Join(held, err)
		} else if err != nil {
			return err
		}
		return nil
	} else if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // what was written is committed
	root, err := s.root(false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := json.Marshal(args)
	if err != nil {
		return err
	}
	return upkeeps[name](ctx, upkeep{d, store.New(d, root, store.Options{}), root}, text, out)
}

// socketOf returns the socket on which the server of a database file takes commands.
func socketOf(file string) string { return file + ".sock" }

// listenLocally takes commands while the server holds a database file. The server also
// works without it.
func (s *settings) listenLocally(ctx context.Context, log *slog.Logger, a *app.App, root *vault.Root) (stop func()) {
	file, ok := strings.CutPrefix(s.database, "sqlite:")
	if !ok {
		return func() {}
	}
	stop, err := local.Listen(ctx, socketOf(file), func(ctx context.Context, name string, args json.RawMessage, out io.Writer) error {
		command, ok := upkeeps[name]
		if !ok {
			return local.ErrUnknown
		}
		log.InfoContext(ctx, "an administrator's command", "command", name)
		return command(ctx, upkeep{a.DB, a.Store, root}, args, out)
	})
	if err != nil {
		log.WarnContext(ctx, "commands on this machine can't reach the server while it works", "error", err)
		return func() {}
	}
	return stop
}
