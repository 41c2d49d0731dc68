package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

const policyBackup op.Kind = "policy.backup"

func (a *app) backups() *cobra.Command {
	c := &cobra.Command{
		Use:   "backups",
		Short: "List, compare, pin, download and upload backups of policies",
		Long: `List, compare, pin, download and upload backups of policies. To take a backup:
interlock start policy.backup --tenant TENANT`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(a.backupList(), a.backupShow(), a.backupItems(), a.backupVersions(), a.backupPin(true), a.backupPin(false), a.backupKeep(),
		a.backupDownload(), a.backupUpload(), a.backupDiff())
	return c
}

func (a *app) backupList() *cobra.Command {
	var tenant string
	var f client.BackupFilter
	c := &cobra.Command{
		Use:     "list --tenant TENANT",
		Short:   "List the backups of a tenant, newest first, with how long each is kept",
		Example: "  interlock backups list --tenant kestrel\n  interlock backups list --tenant kestrel --origin upload --pinned",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			all, err := cl.Backups(a.verbatim(c.Context()), tenant, f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("BACKUP", "AS OF", "FROM", "POLICIES", "INCOMPLETE", "COMPLETE", "KEPT")
			for _, b := range all.Items {
				t.row(b.ID, moment(b.AsOf), origin(b), fmt.Sprint(b.Policies), fmt.Sprint(b.Incomplete), yes(b.Complete), b.Kept.Text)
			}
			if len(all.Items) == 0 {
				a.none("backups", policyBackup, tenant)
			}
			a.more(all.Next)
			return t.print()
		},
	}
	a.tenantFlag(c, &tenant)
	fl := c.Flags()
	fl.StringVar(&f.Run, "run", "", "only the backup that this run took: an id or a code")
	fl.StringVar(&f.Origin, "origin", "", "run or upload")
	fl.BoolVar(&f.Pinned, "pinned", false, "only pinned ones")
	fl.BoolVar(&f.Incomplete, "incomplete", false, "only incomplete ones")
	pagingFlags(c, &f.Paging)
	return c
}

// origin says where a backup comes from.
func origin(b client.Backup) string {
	switch {
	case b.Origin == "upload":
		return "upload (" + b.Tool + ")"
	case b.Run == "":
		return "run"
	}
	return "run " + b.Run
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) backupShow() *cobra.Command {
	var tenant string
	c := &cobra.Command{
		Use:     "show BACKUP --tenant TENANT",
		Short:   "Show a backup: its policies by type, and what could not be read",
		Example: "  interlock backups show 0190… --tenant kestrel",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			b, err := cl.Backup(a.verbatim(c.Context()), tenant, args[0])
			if err != nil || a.json() {
				return err
			}
			c.PrintErrf("Backup %s, as of %s, from %s\n", b.ID, moment(b.AsOf), origin(b))
			if b.Directory != "" {
				c.PrintErrf("Directory %s\n", b.Directory)
			}
			c.PrintErrf("%s, %s\n%s\n", several(b.Policies, "policy", "policies"), several(b.Size, "byte", "bytes"), b.Kept.Text)
			t := a.table("TYPE", "POLICIES", "COMPLETE", "WHY", "KEY")
			for _, n := range b.Types {
				complete := yes(n.Complete)
				if n.Absent {
					complete = "not in the tenant"
				}
				t.row(n.Name, fmt.Sprint(n.Policies), complete, n.Why, n.Type)
			}
			if err := t.print(); err != nil {
				return err
			}
			if b.Incomplete > 0 {
				c.PrintErrf("%s incomplete: interlock backups items %s --tenant %s --incomplete\n", several(b.Incomplete, "policy is", "policies are"), b.ID, tenant)
			}
			return nil
		},
	}
	a.tenantFlag(c, &tenant)
	return c
}

func (a *app) backupItems() *cobra.Command {
	var tenant string
	var f client.BackupItemFilter
	var raw bool
	c := &cobra.Command{
		Use:   "items BACKUP [TYPE/ID] --tenant TENANT",
		Short: "List the policies of a backup, or print one of them",
		Long: `List the policies of a backup by name. With the type and id of a policy: print it as
JSON, with its secrets masked. With --raw: print its file byte for byte as it was read,
with its secrets. That needs the permission to download backups and is recorded.`,
		Example: `  interlock backups items 0190… --tenant kestrel --type configurationPolicies
  interlock backups items 0190… configurationPolicies/7b1c… --tenant kestrel --raw`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			if len(args) == 2 {
				return a.backupItem(c, cl, tenant, args[0], args[1], raw)
			}
			if raw {
				return usagef("--raw needs a policy, as TYPE/ID")
			}
			all, err := cl.BackupItems(a.verbatim(c.Context()), tenant, args[0], f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("NAME", "TYPE", "MODIFIED", "POLICY", "MISSING")
			for _, i := range all.Items {
				missing := make([]string, len(i.Missing))
				for k, m := range i.Missing {
					missing[k] = m.Part + ": " + m.Why
				}
				t.row(i.Name, i.TypeName, i.ModifiedAt, i.Type+"/"+i.ID, strings.Join(missing, "; "))
			}
			a.more(all.Next)
			return t.print()
		},
	}
	a.tenantFlag(c, &tenant)
	fl := c.Flags()
	fl.StringVar(&f.Type, "type", "", "of this type only, such as configurationPolicies")
	fl.StringVarP(&f.Query, "query", "q", "", "part of the name")
	fl.BoolVar(&f.Incomplete, "incomplete", false, "only those that lack a part")
	fl.BoolVar(&raw, "raw", false, "print the file of a policy, with its secrets")
	pagingFlags(c, &f.Paging)
	return c
}

// policyRef splits TYPE/ID.
func policyRef(text string) (typ, id string, err error) {
	typ, id, ok := strings.Cut(text, "/")
	if !ok || typ == "" || id == "" {
		return "", "", usagef("%q is not the type and id of a policy, as TYPE/ID", text)
	}
	return typ, id, nil
}

func (a *app) backupItem(c *cobra.Command, cl *client.Client, tenant, backup, ref string, raw bool) error {
	typ, id, err := policyRef(ref)
	if err != nil {
		return err
	}
	if raw {
		return cl.DownloadBackupItem(a.verbatim(c.Context()), tenant, backup, typ, id, a.Out)
	}
	i, err := cl.BackupItem(a.verbatim(c.Context()), tenant, backup, typ, id)
	if err != nil || a.json() {
		return err
	}
	for _, m := range i.Missing {
		c.PrintErrf("Incomplete: %s: %s\n", m.Part, m.Why)
	}
	if i.Secrets > 0 {
		c.PrintErrf("Secrets that are masked: %d\n", i.Secrets)
	}
	c.Println(string(i.Policy))
	return nil
}

func (a *app) backupVersions() *cobra.Command {
	var tenant string
	var p client.Paging
	c := &cobra.Command{
		Use:   "versions TYPE/ID --tenant TENANT",
		Short: "List the versions of a policy in the backups of a tenant, with what changed",
		Long: `List the versions of a policy in the backups of a tenant, newest first, with what changed.
MODIFIED is the time that the provider gives. Providers don't say who changed a policy.`,
		Example: "  interlock backups versions configurationPolicies/7b1c… --tenant kestrel",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			typ, id, err := policyRef(args[0])
			if err != nil {
				return err
			}
			all, err := cl.PolicyVersions(a.verbatim(c.Context()), tenant, typ, id, p)
			if err != nil || a.json() {
				return err
			}
			for _, v := range all.Items {
				a.page(a.Out).line("%s  %s  %s", moment(v.AsOf), v.How, printed(v.Name))
				a.page(a.Out).line("  Backup %s, modified %s, in %s until %s", v.Backup, orUnknown(v.ModifiedAt), several(v.Backups, "backup", "backups"), moment(v.Until))
				a.indented(v.Text)
			}
			a.more(all.Next)
			return nil
		},
	}
	a.tenantFlag(c, &tenant)
	pagingFlags(c, &p)
	return c
}

func orUnknown(text string) string {
	if text == "" {
		return "at an unknown time"
	}
	return printed(text)
}

// printed is text of a provider as a terminal may get it.
func printed(text string) string { return strings.Map(printable, text) }

// indented writes lines of a comparison.
func (a *app) indented(text string) {
	for line := range strings.Lines(text) {
		_, _ = fmt.Fprintln(a.Out, "    "+printed(line)) // the reader is gone
	}
}

func (a *app) backupPin(pinned bool) *cobra.Command {
	var tenant string
	c := &cobra.Command{
		Use:   "pin BACKUP --tenant TENANT",
		Short: "Pin a backup, so that it is never removed",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			b, err := cl.PinBackup(a.verbatim(c.Context()), tenant, args[0], pinned)
			if err != nil || a.json() {
				return err
			}
			c.PrintErrln(b.Kept.Text)
			return nil
		},
	}
	if !pinned {
		c.Use, c.Short = "unpin BACKUP --tenant TENANT", "Unpin a backup: from then on the keep rules decide"
	}
	a.tenantFlag(c, &tenant)
	return c
}

func (a *app) backupKeep() *cobra.Command {
	var to client.KeepRules
	c := &cobra.Command{
		Use:   "keep",
		Short: "Show or change how long backups are kept",
		Long: `Show or change how long the backups of each tenant are kept. A backup stays as long as one
rule keeps it. A change applies to a tenant from its next backup on. To
change the rules, you need the capability members.manage, which owners have.` + freshHelp,
		Example: "  interlock backups keep\n  interlock backups keep --newest 20 --daily 30 --monthly 12",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			changed := c.Flags().Changed
			if !changed("newest") && !changed("daily") && !changed("monthly") {
				r, err := cl.KeepRules(a.verbatim(c.Context()))
				if err != nil || a.json() {
					return err
				}
				a.printRules(r)
				return nil
			}
			now, err := cl.KeepRules(c.Context())
			if err != nil {
				return err
			}
			for _, f := range []struct {
				name     string
				to, from *int
			}{{"newest", &to.Newest, &now.Newest}, {"daily", &to.Daily, &now.Daily}, {"monthly", &to.Monthly, &now.Monthly}} {
				if !changed(f.name) {
					*f.to = *f.from
				}
			}
			err = a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) (err error) {
				now, err = cl.SetKeepRules(ctx, to)
				return err
			})
			if err != nil || a.json() {
				return err
			}
			a.printRules(now)
			return nil
		},
	}
	f := c.Flags()
	f.IntVar(&to.Newest, "newest", 0, "how many of the newest backups of a tenant are kept, 1 to 400")
	f.IntVar(&to.Daily, "daily", 0, "for how many days the last backup of each day is kept, 0 to 400")
	f.IntVar(&to.Monthly, "monthly", 0, "for how many months the last backup of each month is kept, 0 to 120")
	return c
}

func (a *app) printRules(r client.KeepRules) {
	p := a.page(a.Out)
	p.line("Newest backups: %d", r.Newest)
	p.line("Last backup of each day: for %s", several(r.Daily, "day", "days"))
	p.line("Last backup of each month: for %s", several(r.Monthly, "month", "months"))
}
