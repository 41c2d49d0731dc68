package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
)

func migrateCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's tables up to date",
		Long:  "Bring the database's tables up to date. \"serve\" does it by itself; nodes that start together take turns.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := s.logger()
			if err != nil {
				return err
			}
			d, err := s.open(cmd.Context(), log)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The tables are up to date.")
			return d.Close()
		},
	}
	s.flags(cmd)
	return cmd
}

func bootstrapCommand() *cobra.Command {
	var (
		s                            settings
		email, name, workspace, slug string
	)
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Create the first workspace and its owner, once",
		Long: `Create the first workspace and its owner. It works once: it refuses when there is an
account. It asks for the password, or reads it as one line from standard input. The
owner invites everyone else; interlock workspace creates more workspaces.`,
		Example: `  interlock bootstrap --email mei@example.com --name "Mei Tan" --workspace-name "Lattice Managed IT" --workspace lattice`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			log, err := s.logger()
			if err != nil {
				return err
			}
			password, err := readPassword(cmd)
			if err != nil {
				return err
			}
			root, err := s.root(true)
			if err != nil {
				return err
			}
			keyset, _, err := root.NewKeyset()
			if err != nil {
				return err
			}
			d, err := s.open(ctx, log)
			if err != nil {
				return err
			}
			err = access.Bootstrap(ctx, d, access.NewWorkspace{Slug: slug, Name: workspace, Keyset: keyset},
				access.NewUser{Email: email, Name: name, Password: password})
			if errors.Is(err, op.ErrConflict) {
				err = errors.New("there are accounts already: bootstrap works once")
			}
			if err := errors.Join(err, d.Close()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s owns workspace %s. Sign in with: interlock login --email %s\n", name, slug, email)
			return nil
		},
	}
	s.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&email, "email", "", "email address of the owner")
	f.StringVar(&name, "name", "", "name of the owner, as others see it")
	f.StringVar(&slug, "workspace", "", "short name of the workspace, in addresses")
	f.StringVar(&workspace, "workspace-name", "", "name of the workspace")
	for _, required := range []string{"email", "name", "workspace", "workspace-name"} {
		_ = cmd.MarkFlagRequired(required) // only fails for a flag that is not there
	}
	return cmd
}

// readPassword asks twice on a terminal, else it reads one line.
func readPassword(cmd *cobra.Command) (string, error) {
	in, isFile := cmd.InOrStdin().(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", errors.New("password: the two are not the same")
	}
	return typed[0], nil
}
