package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/vault"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Manage the keys that encrypt the credentials",
		Long: `Manage the keys. Each workspace has a data key, which encrypts its credentials. The
root key, in a file, encrypts the data keys. Both can be replaced while servers run. If
a command is interrupted, run it again: it continues where it stopped.

To replace the root key:
  interlock key new       adds a new key as the first line of the key file
  (restart the server; several nodes: see the manual)
  interlock key rewrap    encrypts everything with the new key
  interlock key remove ID removes the old key from the key file

To replace the data keys:
  interlock key rotate    encrypts every credential again and destroys the old keys

Backups from before still need the old root key.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(keyStatusCommand(), keyNewCommand(), keyRewrapCommand(), keyRotateCommand(), keyRemoveCommand())
	return cmd
}

// asJSON is the argument of commands that can print JSON.
type asJSON struct{ JSON bool }

func keyStatusCommand() *cobra.Command {
	var s settings
	var in asJSON
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is encrypted by which key",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return s.run(cmd, "key status", in, cmd.OutOrStdout()) },
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&in.JSON, "json", false, "answer in JSON")
	return cmd
}

func keyStatus(ctx context.Context, u upkeep, in asJSON, out io.Writer) error {
	k, err := u.st.KeyStatus(ctx)
	if err != nil {
		return err
	}
	if in.JSON {
		return json.NewEncoder(out).Encode(k)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "ROOT KEY\tSEALS\tHAS SEALED\n%s\tyes\t%d\n", k.Root, k.RootKeys[k.Root])
	for _, id := range k.Others() {
		fmt.Fprintf(w, "%s\tno\t%d\n", id, k.RootKeys[id])
	}
	fmt.Fprintln(w, "\nWORKSPACE\tDATA KEY\tSINCE\tCREDENTIALS ON OLDER KEYS")
	for _, d := range k.Workspaces {
		id := d.ID
		if id == "" {
			id = "can't be opened"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", d.Slug, id, db.Time(d.At).Format("2 Jan 2006"), d.Old)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if k.Rotating {
		fmt.Fprintln(out, "\nA rotation of the data keys is not finished. Run: interlock key rotate")
	}
	return nil
}

func keyNewCommand() *cobra.Command {
	var s settings
	var standby bool
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Add a new root key to the key file",
		Long: `Put a new root key into the key file. It comes first, and seals from the next start of
the server on; the other keys stay, and open. With --standby it comes last and only
opens: for several nodes, which must all know a key before one of them seals by it.

Keep a copy of the key file elsewhere before you go on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := vault.AddRoot(s.rootKey, standby)
			if err != nil {
				return err
			}
			next := "Restart the server, then run: interlock key rewrap"
			if standby {
				next = "Copy the file to every node and restart them one by one. Then make this key the first line, and do so again."
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", id)
			fmt.Fprintf(cmd.ErrOrStderr(), "Added root key %s to %s. Keep a copy of the file elsewhere.\n%s\n", id, s.rootKey, next)
			return nil
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&standby, "standby", false, "last, to open only")
	return cmd
}

func keyRemoveCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove an unused root key from the key file",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out strings.Builder
			if err := s.run(cmd, "key status", asJSON{true}, &out); err != nil {
				return err
			}
			var k store.KeyStatus
			if err := json.Unmarshal([]byte(out.String()), &k); err != nil {
				return fmt.Errorf("key status: %w", err)
			}
			if n := k.RootKeys[args[0]]; n > 0 {
				return fmt.Errorf("root key %s has sealed %d texts that are in use: run interlock key rewrap first", args[0], n)
			}
			if err := vault.RemoveRoot(s.rootKey, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Removed root key %s from %s. Backups from before need it still.\n", args[0], s.rootKey)
			return nil
		},
	}
	s.flags(cmd)
	return cmd
}

// rekey holds the arguments of the commands that seal secrets anew.
type rekey struct {
	DryRun bool
	First  string // id of the first root key in the key file
}

func keyRewrapCommand() *cobra.Command {
	var s settings
	var in rekey
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Encrypt everything with the first root key of the key file",
		Long: `Seal everything that another root key of the key file has sealed by the first one.
Servers go on working meanwhile. When it is interrupted, run it again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := s.root(false)
			if err != nil {
				return err
			}
			in.First = root.ID()
			return s.run(cmd, "key rewrap", in, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "only tell what there is to do")
	return cmd
}

func keyRewrap(ctx context.Context, u upkeep, in rekey, out io.Writer) error {
	if u.root == nil {
		return errors.New("there is no root key")
	}
	if u.root.ID() != in.First {
		return fmt.Errorf("the key file begins with root key %s, and the server that runs seals by %s: restart it first", in.First, u.root.ID())
	}
	p, err := u.st.Rewrap(ctx, in.DryRun, progress(out))
	var wrong *vault.WrongKeyError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("something is sealed by root key %s, which is not in the key file: add it as another line", wrong.Want)
	case err != nil:
		return err
	case in.DryRun:
		fmt.Fprintf(out, "%d to seal by root key %s. Nothing was changed.\n", p.Total, u.root.ID())
	default:
		fmt.Fprintf(out, "%d sealed anew. Everything is sealed by root key %s.\n", p.Done, u.root.ID())
	}
	return nil
}

func keyRotateCommand() *cobra.Command {
	var s settings
	var in rekey
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the data key of every workspace",
		Long: `Give every workspace a new data key, seal its credentials by it, and destroy the old
key. Servers go on working meanwhile. When it is interrupted, run it again: it goes on
where it was. A credential that can't be read keeps the old key of its workspace: save
a new one on its connection, and run the command again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd, "key rotate", in, cmd.OutOrStdout()) },
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&in.DryRun, "dry-run", false, "only tell what there is to do")
	return cmd
}

func keyRotate(ctx context.Context, u upkeep, in rekey, out io.Writer) error {
	if u.root == nil {
		return errors.New("there is no root key")
	}
	p, err := u.st.RotateKeys(ctx, in.DryRun, progress(out))
	switch {
	case err != nil:
		return err
	case in.DryRun:
		fmt.Fprintf(out, "%d credentials to seal anew. Nothing was changed.\n", p.Total)
		return nil
	case p.Unreadable > 0:
		return fmt.Errorf("%d credentials were sealed anew; %d can't be read, and keep the old keys of their workspaces: save new ones, then run this again", p.Done, p.Unreadable)
	}
	fmt.Fprintf(out, "%d credentials sealed anew. The old keys are destroyed.\n", p.Done)
	return nil
}

// progress returns a function that prints the progress of a key change from time to
// time.
func progress(out io.Writer) func(store.KeyProgress) {
	last := time.Now()
	return func(p store.KeyProgress) {
		if time.Since(last) > time.Second {
			last = time.Now()
			fmt.Fprintf(out, "%s: %d of %d\n", p.What, p.Done, p.Total)
		}
	}
}
