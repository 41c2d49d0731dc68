package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/durable"
)

func (a *app) backupDownload() *cobra.Command {
	var tenant, file string
	c := &cobra.Command{
		Use:   "download BACKUP --tenant TENANT --file FILE",
		Short: "Download a backup as a zip file, with its secrets",
		Long: `Download a backup as a zip file that IntuneCD and IntuneManagement can read. The file holds
the secrets of the policies. The download is recorded. The file appears under its name
only when it is complete.`,
		Example: "  interlock backups download 0190… --tenant kestrel --file kestrel.zip\n  interlock backups download 0190… --tenant kestrel --file - | bsdtar -x",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			if err := need("file", file); err != nil {
				return err
			}
			write := func(w io.Writer) error { return cl.DownloadBackup(a.verbatim(c.Context()), tenant, args[0], w) }
			if file != "-" {
				err := durable.Stream(file, 0o600, write)
				if err == nil && !a.json() {
					c.PrintErrf("Saved as %s\n", file)
				}
				return err
			}
			if _, ok := terminal(a.Out); ok {
				return usagef("a zip file can't be shown on a terminal: name a file with --file, or redirect the output")
			}
			return write(a.Out)
		},
	}
	a.tenantFlag(c, &tenant)
	c.Flags().StringVarP(&file, "file", "f", "", "where to write the zip file; - for standard output")
	return c
}

func (a *app) backupUpload() *cobra.Command {
	var tenant string
	var dry bool
	c := &cobra.Command{
		Use:   "upload FILE --tenant TENANT",
		Short: "Upload a zip file of policies as a backup",
		Long: `Upload a zip file of policies as a backup: one of Interlock, or a folder that IntuneCD,
IntuneManagement or CIPP wrote, packed as a zip file of 64 MiB at most. FILE may be - for
standard input. All of it is kept as one backup, or nothing. Each file that is not taken
is listed with the reason. The id of the backup goes to standard output.`,
		Example: "  interlock backups upload export.zip --tenant kestrel --dry-run\n  interlock backups upload export.zip --tenant kestrel",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			in := a.In
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close() //nolint:errcheck // it was only read
				in = f
			}
			u, err := cl.UploadBackup(a.verbatim(c.Context()), tenant, in, dry)
			if err != nil || a.json() {
				return err
			}
			for _, s := range u.Skipped {
				c.PrintErrf("Not taken: %s %s\n", printed(s.Path), printed(s.Why))
			}
			if u.OtherDirectory {
				c.PrintErrf("The files come from another directory than the tenant's: %s\n", u.Directory)
			}
			taken := "taken"
			if dry {
				taken = "that would be taken"
			}
			c.PrintErrf("Policies %s: %d. Files not taken: %d.\n", taken, len(u.Policies), len(u.Skipped))
			if !dry {
				c.Println(u.ID)
				return nil
			}
			t := a.table("NAME", "TYPE", "POLICY", "FILE")
			for _, p := range u.Policies {
				t.row(p.Name, p.TypeName, p.Type+"/"+p.ID, p.File)
			}
			return t.print()
		},
	}
	a.tenantFlag(c, &tenant)
	c.Flags().BoolVar(&dry, "dry-run", false, "only list what would be taken, and what not")
	return c
}

func (a *app) backupDiff() *cobra.Command {
	var tenant, connection, policy string
	var fresh, unified bool
	c := &cobra.Command{
		Use:   "diff OLDER [NEWER] --tenant TENANT",
		Short: "Compare two backups, or a backup with the tenant as it is now",
		Long: `Compare two backups of a tenant, property by property. With --fresh in place of NEWER:
compare with the tenant as it is now. That starts ` + string(policyBackup) + `, waits for its end and
compares with the backup that it takes. The keep rules count that backup: pin OLDER if
they could remove it. Secrets are compared and not shown.

Exit codes:
  0  no difference
  1  differences
  2  any error
  3  with --fresh: the connection is busy
  4  with --fresh: blocked: something must be fixed first
  7  with --fresh: the backup failed, was blocked, cancelled or lost
  130  interrupted
`,
		Example: `  interlock backups diff 0190… 0191… --tenant kestrel
  interlock backups diff 0190… --fresh --tenant kestrel --unified`,
		Args:        cobra.RangeArgs(1, 2),
		Annotations: map[string]string{compares: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			if fresh == (len(args) == 2) {
				return usagef("name a second backup, or give --fresh")
			}
			newer := ""
			if fresh {
				if _, err := cl.Backup(c.Context(), tenant, args[0]); err != nil { // before anything is started
					return err
				}
				newer, err = a.freshBackup(c, cl, tenant, connection)
			} else {
				newer = args[1]
			}
			if err != nil {
				return err
			}
			differs, err := a.compare(c, cl, tenant, args[0], newer, policy, unified)
			if err == nil && differs {
				return exit(exitDiffers)
			}
			return err
		},
	}
	a.tenantFlag(c, &tenant)
	f := c.Flags()
	f.BoolVar(&fresh, "fresh", false, "compare with the tenant as it is now: takes a backup")
	f.StringVarP(&connection, "connection", "c", "", "with --fresh: id or name of the connection (default the tenant's default connection)")
	f.StringVar(&policy, "policy", "", "only this policy: its id, or TYPE/ID")
	f.BoolVarP(&unified, "unified", "u", false, "show whole policies as unified diffs")
	return c
}

// freshBackup takes a backup of a tenant, waits for it, and returns its id.
func (a *app) freshBackup(c *cobra.Command, cl *client.Client, tenant, connection string) (string, error) {
	answer, err := cl.Start(a.verbatim(c.Context()), tenant, client.StartRequest{Operation: policyBackup, Connection: connection})
	if err != nil {
		return "", err
	}
	if !a.json() {
		a.page(a.Err).answer(answer)
	}
	if code := answer.Outcome.ExitCode(); code != 0 || answer.Run == nil {
		return "", exit(code)
	}
	var ended exit
	if err := a.follow(c.Context(), cl, answer.Run.ID, answer.Run.Code); err != nil && (!errors.As(err, &ended) || ended != exitPartial) {
		return "", err // a backup that lacks something is compared in what it has
	}
	found, err := cl.Backups(c.Context(), tenant, client.BackupFilter{Run: answer.Run.ID})
	if err != nil {
		return "", err
	}
	if len(found.Items) == 0 {
		return "", fmt.Errorf("run %s took no backup, or it has been removed since", answer.Run.Code)
	}
	return found.Items[0].ID, nil
}

// compare prints what two backups differ in, and reports whether they do.
func (a *app) compare(c *cobra.Command, cl *client.Client, tenant, older, newer, policy string, unified bool) (differs bool, err error) {
	for p := (client.Paging{Limit: 200}); ; {
		d, err := cl.CompareBackups(a.verbatim(c.Context()), tenant, older, newer, policy, p)
		if err != nil {
			return false, err
		}
		differs = differs || len(d.Items) > 0
		if !a.json() {
			if p.Cursor == "" {
				a.printLeftOut(c, d.LeftOut)
			}
			for _, i := range d.Items {
				a.printCompared(i, unified)
			}
		}
		if d.Next == nil {
			if !differs && !a.json() {
				c.PrintErrln("No differences.")
			}
			return differs, nil
		}
		p.Cursor = *d.Next
	}
}

func (a *app) printLeftOut(c *cobra.Command, all []client.NotCompared) {
	for _, l := range all {
		what := l.TypeName
		if l.ID != "" {
			what += " " + l.Name + " (" + l.Type + "/" + l.ID + ")"
		}
		c.PrintErrf("Not compared: %s. %s\n", printed(what), printed(l.Why))
	}
}

func (a *app) printCompared(p client.ComparedPolicy, unified bool) {
	if unified {
		for line := range strings.Lines(p.Unified) {
			_, _ = fmt.Fprintln(a.Out, printed(line)) // the reader is gone
		}
		return
	}
	sign := map[string]string{"added": "+", "removed": "-"}[p.How]
	if sign == "" {
		sign = "~"
	}
	_, _ = fmt.Fprintf(a.Out, "%s %s: %s (%s/%s)\n", sign, p.TypeName, printed(p.Name), p.Type, printed(p.ID)) // the reader is gone
	a.indented(p.Text)
}
