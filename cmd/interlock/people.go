package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

const besideServer = `

It works on the database itself: with SQLite the server has to be stopped, PostgreSQL
may be in use.`

// on runs fn on the configured database.
func (s *settings) on(ctx context.Context, fn func(*db.DB) error) error {
	log, err := s.logger()
	if err != nil {
		return err
	}
	d, err := s.open(ctx, log)
	if err != nil {
		return err
	}
	return errors.Join(fn(d), d.Close())
}

// change runs fn in a transaction on it.
func (s *settings) change(ctx context.Context, fn func(context.Context, db.Tx) error) error {
	return s.on(ctx, func(d *db.DB) error { return d.Write(ctx, fn) })
}

// links holds the flags of commands that print a one-time link.
type links struct{ public string }

func (l *links) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.public, "public-url", os.Getenv("INTERLOCK_PUBLIC_URL"), "where browsers reach the server, for the link (INTERLOCK_PUBLIC_URL)")
}

// print prints a link. It can't be shown again.
func (l *links) print(cmd *cobra.Command, path string, expires time.Time) {
	if l.public == "" {
		cmd.PrintErrln("Open this below the address of your server (--public-url puts it before).")
	}
	cmd.PrintErrf("It works once, until %s, and is shown this once:\n", expires.UTC().Format("2006-01-02 15:04:05 UTC"))
	cmd.Println(strings.TrimRight(l.public, "/") + path)
}

func userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "List accounts, reset passwords and second factors, on the server", Args: cobra.NoArgs}
	var s, sl settings
	var l links
	var factors bool
	reset := &cobra.Command{
		Use:   "reset EMAIL",
		Short: "Create a one-time link for a new password, or remove second factors",
		Long: `Create a one-time link by which somebody chooses a new password. It is for those whom
no owner can help: members of several workspaces, and the only owner of one. Second
factors stay as they are. With --factors they are removed instead, for somebody who lost
them: the password stays as it is, and their sessions end.` + besideServer,
		Example: `  interlock user reset mei@example.com --public-url https://interlock.example
  interlock user reset mei@example.com --factors`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var secret string
			var expires time.Time
			err := s.change(cmd.Context(), func(ctx context.Context, tx db.Tx) (err error) {
				if factors {
					return access.ResetFactorsByAdministrator(ctx, tx, args[0])
				}
				secret, expires, err = access.ResetByAdministrator(ctx, tx, args[0])
				return err
			})
			if errors.Is(err, op.ErrNotFound) {
				err = fmt.Errorf("no account has the address %s: see interlock user list", args[0])
			}
			if err != nil {
				return err
			}
			if factors {
				cmd.PrintErrln("Their second factors were removed. They sign in with their password alone until they add new ones.")
				return nil
			}
			cmd.PrintErrln("Whoever has this link can set the password.")
			l.print(cmd, op.ResetPath(secret), expires)
			return nil
		},
	}
	s.flags(reset)
	l.flags(reset)
	reset.Flags().BoolVar(&factors, "factors", false, "remove their second factors, and leave the password")
	list := &cobra.Command{
		Use:   "list",
		Short: "List every account, with its workspaces",
		Long:  "Every account, with its workspaces." + besideServer,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var people []access.Account
			err := sl.on(cmd.Context(), func(d *db.DB) (err error) {
				people, err = access.Accounts(cmd.Context(), d)
				return err
			})
			if err != nil {
				return err
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(t, "EMAIL\tNAME\tACCOUNT\tWORKSPACES")
			for _, p := range people {
				account := "open"
				if p.Disabled() {
					account = "closed"
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Email(), p.Name(), account, strings.Join(p.Workspaces(), ", "))
			}
			return t.Flush()
		},
	}
	sl.flags(list)
	cmd.AddCommand(reset, list)
	return cmd
}

func workspaceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "workspace", Short: "Create and list workspaces, on the server", Args: cobra.NoArgs}
	cmd.AddCommand(workspaceCreate(), workspaceInvite(), workspaceList())
	return cmd
}

func workspaceCreate() *cobra.Command {
	var s settings
	var l links
	var name, owner string
	cmd := &cobra.Command{
		Use:   "create WORKSPACE --name NAME --owner EMAIL",
		Short: "Create a workspace, and a link for its first owner",
		Long: `Create a workspace, and a one-time link that makes its first owner: with the account
that the address has, or a new one. WORKSPACE is its name in addresses.` + besideServer,
		Example: `  interlock workspace create quayside --name "Quayside Care Group" --owner olga@example.com`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := s.root(false)
			if err != nil {
				return err
			}
			keyset, _, err := root.NewKeyset()
			if err != nil {
				return err
			}
			var secret string
			err = s.on(cmd.Context(), func(d *db.DB) error {
				// A key that opens nothing of what is stored belongs to another
				// installation.
				if _, err := store.New(d, root, store.Options{}).CheckRoot(cmd.Context()); err != nil {
					return err
				}
				return d.Write(cmd.Context(), func(ctx context.Context, tx db.Tx) (err error) {
					if _, err := access.CreateWorkspace(ctx, tx, access.NewWorkspace{Slug: args[0], Name: name, Keyset: keyset}, access.Administrator); err != nil {
						return err
					}
					secret, err = access.InviteOwner(ctx, tx, args[0], owner)
					return err
				})
			})
			if err != nil {
				return err
			}
			cmd.PrintErrf("Workspace %s was created. Send this link to %s, who becomes its owner.\n", args[0], owner)
			l.print(cmd, op.InvitationPath(secret), time.Now().Add(access.LinkLife))
			return nil
		},
	}
	s.flags(cmd)
	l.flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "name of the workspace")
	cmd.Flags().StringVar(&owner, "owner", "", "e-mail address of its first owner")
	for _, required := range []string{"name", "owner"} {
		_ = cmd.MarkFlagRequired(required) // only fails for a flag that is not there
	}
	return cmd
}

func workspaceInvite() *cobra.Command {
	var s settings
	var l links
	cmd := &cobra.Command{
		Use:   "invite-owner WORKSPACE EMAIL",
		Short: "Create a link for a new owner, if a workspace has none left",
		Long: `Create a one-time link that makes somebody an owner of a workspace: for one whose first
link has expired, or whose owners are gone.` + besideServer,
		Example: `  interlock workspace invite-owner quayside olga@example.com`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var secret string
			err := s.change(cmd.Context(), func(ctx context.Context, tx db.Tx) (err error) {
				secret, err = access.InviteOwner(ctx, tx, args[0], args[1])
				return err
			})
			if errors.Is(err, op.ErrNotFound) {
				err = fmt.Errorf("there is no workspace %s: see interlock workspace list", args[0])
			}
			if err != nil {
				return err
			}
			cmd.PrintErrf("Send this link to %s.\n", args[1])
			l.print(cmd, op.InvitationPath(secret), time.Now().Add(access.LinkLife))
			return nil
		},
	}
	s.flags(cmd)
	l.flags(cmd)
	return cmd
}

func workspaceList() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List every workspace",
		Long:  "Every workspace." + besideServer,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.on(cmd.Context(), func(d *db.DB) error {
				workspaces, err := store.New(d, nil, store.Options{}).Workspaces(cmd.Context())
				if err != nil {
					return err
				}
				t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
				fmt.Fprintln(t, "WORKSPACE\tNAME")
				for _, w := range workspaces {
					fmt.Fprintf(t, "%s\t%s\n", w.Slug, w.Name)
				}
				return t.Flush()
			})
		},
	}
	s.flags(cmd)
	return cmd
}
