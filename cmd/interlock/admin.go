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
	"github.com/interlock-dev/interlock/internal/store"
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
		Short: "Make the first workspace and its owner, once",
		Long: `Make the first workspace and its owner. It works once: as soon as there is an
account it refuses. The password is asked for, or read as one line from standard
input. Everyone else is added by the owner.`,
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
	f.StringVar(&email, "email", "", "e-mail address of the owner")
	f.StringVar(&name, "name", "", "name of the owner, as others see it")
	f.StringVar(&slug, "workspace", "", "short name of the workspace, in addresses")
	f.StringVar(&workspace, "workspace-name", "", "name of the workspace")
	for _, required := range []string{"email", "name", "workspace", "workspace-name"} {
		_ = cmd.MarkFlagRequired(required) // only fails for a flag that is not there
	}
	return cmd
}

// readPassword asks at a terminal, twice, or reads one line.
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

func doctorCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check that this installation can be trusted with work",
		Long: `Check the database's promises (it opens, keeps what it acknowledged through a
power cut, has its tables), that the root key opens every workspace, and that every
audit trail is whole. Nothing is changed, save tables that are out of date. With
SQLite the server has to be stopped.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			log, err := s.logger()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			d, err := s.open(ctx, log)
			if err != nil {
				return err
			}
			defer d.Close() //nolint:errcheck // it was only read
			fmt.Fprintf(out, "database   ok   %s, durable writes, tables up to date\n", d.Engine())
			root, err := s.root(false)
			if err != nil {
				return err
			}
			st := store.New(d, root, store.Options{})
			n, err := st.CheckRoot(ctx)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "root key   ok   opens the credentials of %d workspaces\n", n)
			workspaces, err := st.Workspaces(ctx)
			if err != nil {
				return err
			}
			for _, w := range workspaces {
				if _, err := access.VerifyAudit(ctx, d, w.ID); err != nil {
					return fmt.Errorf("workspace %s: %w", w.Slug, err)
				}
			}
			fmt.Fprintf(out, "audit      ok   %d trails are whole\n", len(workspaces))
			return nil
		},
	}
	s.flags(cmd)
	return cmd
}

func auditCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{Use: "audit", Short: "Look after the audit trail"}
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Check that every workspace's audit trail is whole",
		Long: `Check every workspace's audit trail: each record's hash covers the one before it,
without gaps. It prints the head of each trail; keep that elsewhere, since a cut-off
end shows only against a head that was kept.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			log, err := s.logger()
			if err != nil {
				return err
			}
			d, err := s.open(ctx, log)
			if err != nil {
				return err
			}
			defer d.Close() //nolint:errcheck // it was only read
			workspaces, err := store.New(d, nil, store.Options{}).Workspaces(ctx)
			if err != nil {
				return err
			}
			for _, w := range workspaces {
				head, err := access.VerifyAudit(ctx, d, w.ID)
				if err != nil {
					return fmt.Errorf("workspace %s: %w", w.Slug, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s\t%d\t%s\n", w.Slug, head.Seq, head.Hash)
			}
			return nil
		},
	}
	s.flags(verify)
	cmd.AddCommand(verify)
	return cmd
}
