package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/checkpoint"
	"github.com/interlock-dev/interlock/internal/doctor"
)

// examination holds the arguments of doctor.
type examination struct {
	JSON   bool
	Export string
}

func doctorCommand() *cobra.Command {
	var s settings
	var in examination
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check this installation",
		Long: `Check the database (it opens, survives a power cut, has current tables), the clocks,
that the root key opens every workspace, which old keys are still in use, that every
audit trail is complete and contains every exported head, and when heads were last
exported. It changes nothing, except to bring tables up to date. It works while the
server runs.

Exit code 1 means that a check has failed. A warning is not a failure.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.Export = s.exportFile()
			return s.run(cmd, "doctor", in, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	s.exportFlag(cmd)
	cmd.Flags().BoolVar(&in.JSON, "json", false, "answer in JSON")
	return cmd
}

func examine(ctx context.Context, u upkeep, in examination, out io.Writer) error {
	r := doctor.Examine(ctx, doctor.Installation{DB: u.db, Store: u.st, Export: in.Export, Now: time.Now})
	if in.JSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
		return r.Err()
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.State, strings.ReplaceAll(c.Detail, "\n", "; "))
		if c.Next != "" {
			fmt.Fprintf(w, "\t\t%s\n", c.Next)
		}
	}
	return errors.Join(w.Flush(), r.Err())
}

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Check the audit trail", Args: cobra.NoArgs}
	cmd.AddCommand(auditVerifyCommand())
	return cmd
}

// verification holds the arguments of audit verify.
type verification struct {
	Heads  []string
	Export string
	Key    string // public
}

func auditVerifyCommand() *cobra.Command {
	var s settings
	var in verification
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that every workspace's audit trail is whole",
		Long: `Check every workspace's audit trail: each record's hash covers the one before it,
without gaps. It prints the head of each trail.

A cut-off end shows only against a head that was kept elsewhere. A server exports the
signed heads every hour (--audit-export of "interlock serve"); the signatures are
checked, and that every exported head is on its trail. Give --audit-export the path of
a copy that was kept elsewhere, and --public-key the key that was written down: who can
change database and key file can change the export beside them too. Heads that were
printed before can be given with --head.`,
		Example: `  interlock audit verify
  interlock audit verify --head 1234:9f86d081884c7d65... --head 77:60303ae22b998861...
  interlock audit verify --audit-export /mnt/worm/interlock-audit-heads.jsonl --public-key k3b1...=`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.Export = s.exportFile()
			for _, h := range in.Heads {
				if _, err := headOf(h); err != nil {
					return err
				}
			}
			return s.run(cmd, "audit verify", in, cmd.OutOrStdout())
		},
	}
	s.flags(cmd)
	s.exportFlag(cmd)
	cmd.Flags().StringArrayVar(&in.Heads, "head", nil, "a head that was kept, as SEQ:HASH; may be given several times")
	cmd.Flags().StringVar(&in.Key, "public-key", "", "the key that has signed the export, in base64; the server's own when left out")
	return cmd
}

// headOf parses a head as verify prints it and --head takes it.
func headOf(text string) (access.Checkpoint, error) {
	number, hash, ok := strings.Cut(text, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || seq < 1 || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return access.Checkpoint{}, fmt.Errorf("--head: %q is not SEQ:HASH, such as 12:%s", text, strings.Repeat("0", 64))
	}
	return access.Checkpoint{Seq: seq, Hash: hash}, nil
}

func verifyAudit(ctx context.Context, u upkeep, in verification, out io.Writer) error {
	var kept []access.Checkpoint
	for _, h := range in.Heads {
		c, err := headOf(h)
		if err != nil {
			return err
		}
		kept = append(kept, c)
	}
	var exports []checkpoint.Export
	var exported error
	switch {
	case in.Export == "":
	case in.Key != "":
		exports, exported = checkpoint.Read(in.Export, in.Key)
	case u.root != nil:
		exports, exported = doctor.Exports(ctx, u.st, in.Export)
	}
	none := errors.Is(exported, fs.ErrNotExist) && in.Key == ""
	if none {
		exported = nil
	}
	trails, err := doctor.Trails(ctx, u.db, u.st, exports, kept)
	for _, t := range trails {
		fmt.Fprintf(out, "%s\t%d\t%s\n", t.Slug, t.Head.Seq, t.Head.Hash)
	}
	if err := errors.Join(exported, err); err != nil {
		return err
	}
	if n := len(exports); n > 0 {
		last := exports[n-1]
		fmt.Fprintf(out, "Exports: %d, from %s to %s, signed by key %s. All of their heads are on the trails.\n",
			n, exports[0].At.Format("2006-01-02 15:04:05 UTC"), last.At.Format("2006-01-02 15:04:05 UTC"), last.Key)
	} else if none {
		fmt.Fprintf(out, "Exports: none at %s. A cut-off end would not show.\n", in.Export)
	}
	return nil
}
