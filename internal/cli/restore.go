package cli

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

func (a *app) restore() *cobra.Command {
	c := &cobra.Command{
		Use:   "restore",
		Short: "Preview, approve and execute restores of policies",
		Long: `Preview, approve and execute restores of policies. A preview reads the tenant and
writes nothing. It is identified by a hash, is valid for 30 minutes and can be executed
once. Every restore needs its own preview.`,
		Args: cobra.NoArgs,
	}
	plan := &cobra.Command{Use: "plan", Short: "Show previews", Args: cobra.NoArgs}
	plan.AddCommand(a.planList(), a.planShow())
	mappings := &cobra.Command{Use: "mappings", Short: "Manage which objects of other directories correspond to objects of a tenant", Args: cobra.NoArgs}
	mappings.AddCommand(a.mappingList(), a.mappingSet(), a.mappingRemove())
	c.AddCommand(a.restorePreview(), plan, a.restoreApprove(), a.restoreExecute(), mappings, a.restorePolicy())
	return c
}

// tenantFlag adds the flag that names the tenant.
func (a *app) tenantFlag(c *cobra.Command, tenant *string) {
	c.Flags().StringVarP(tenant, "tenant", "t", "", "id or name of the tenant")
	a.completeTenants(c)
}

// on returns a client for a command about a tenant.
func (a *app) on(tenant string) (*client.Client, error) {
	if err := need("tenant", tenant); err != nil {
		return nil, err
	}
	return a.client()
}

// begin starts an operation and shows the answer as the command start does.
func (a *app) begin(c *cobra.Command, tenant, key string, wait bool, r client.StartRequest) error {
	cl, err := a.on(tenant)
	if err != nil {
		return err
	}
	r.Key = key
	answer, err := cl.Start(a.verbatim(c.Context()), tenant, r)
	if err != nil {
		return err
	}
	if !a.json() {
		a.page(a.Err).answer(answer)
		if answer.Run != nil {
			c.Println(answer.Run.Code)
		}
	}
	if wait && answer.Run != nil {
		return a.follow(c.Context(), cl, answer.Run.ID, answer.Run.Code)
	}
	return exitOf(answer.Outcome.ExitCode())
}

func (a *app) restorePreview() *cobra.Command {
	var tenant, connection, backup, more, key string
	var items []string
	var wait bool
	c := &cobra.Command{
		Use:   "preview --tenant TENANT --backup ID",
		Short: "Preview a restore: read the tenant and plan what would change",
		Long:  "Preview a restore. It reads the tenant and plans what would change. Nothing is written.\n\n" + exitHelp,
		Example: `  interlock restore preview --tenant kestrel --backup 0190… --wait
  interlock restore preview --tenant kestrel --backup 0190… --item configurationPolicies/7b1c…`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("backup", backup); err != nil {
				return err
			}
			in := map[string]any{}
			if more != "" {
				if err := json.Unmarshal([]byte(more), &in); err != nil {
					return usagef("--parameters is not a JSON object")
				}
			}
			in["backup"] = backup
			if len(items) > 0 {
				in["items"] = items
			}
			parameters, err := json.Marshal(in)
			if err != nil {
				return err
			}
			return a.begin(c, tenant, key, wait, client.StartRequest{Operation: op.PolicyRestorePreview, Connection: connection, Parameters: parameters})
		},
	}
	a.tenantFlag(c, &tenant)
	f := c.Flags()
	f.StringVarP(&connection, "connection", "c", "", "id or name of the connection (default the tenant's default connection)")
	f.StringVar(&backup, "backup", "", "id of the backup")
	f.StringArrayVar(&items, "item", nil, "a policy to restore, as type/id; may be given several times (default all)")
	f.StringVar(&more, "parameters", "", "further parameters, such as choices and mappings, as a JSON object")
	f.StringVar(&key, "key", "", "idempotency key: a repeated key gets the first answer (default a new key)")
	f.BoolVarP(&wait, "wait", "w", false, "wait for the end of the run")
	return c
}

func (a *app) planList() *cobra.Command {
	var tenant string
	var p client.Paging
	c := &cobra.Command{
		Use: "list --tenant TENANT", Short: "List the previews of a tenant, newest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			all, err := cl.Plans(a.verbatim(c.Context()), tenant, p)
			if err != nil || a.json() {
				return err
			}
			t := a.table("PLAN", "RUN", "BY", "READ", "CREATE", "UPDATE", "STEPS")
			for _, n := range all.Items {
				t.row(n.Hash, n.Run, n.Author.Name, moment(n.At), strconv.Itoa(n.Counts["create"]), strconv.Itoa(n.Counts["update"]), strconv.Itoa(n.Steps))
			}
			a.more(all.Next)
			return t.print()
		},
	}
	a.tenantFlag(c, &tenant)
	pagingFlags(c, &p)
	return c
}

func (a *app) planShow() *cobra.Command {
	var tenant, action string
	var p client.Paging
	c := &cobra.Command{
		Use:     "show HASH --tenant TENANT",
		Short:   "Show a preview with its steps",
		Example: "  interlock restore plan show 5f2c… --tenant kestrel --action update",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			plan, err := cl.Plan(a.verbatim(c.Context()), tenant, args[0])
			if err != nil {
				return err
			}
			steps, err := cl.PlanSteps(a.verbatim(c.Context()), tenant, args[0], action, p)
			if err != nil || a.json() {
				return err
			}
			a.printPlan(c, plan)
			t := a.table("STEP", "ACTION", "TYPE", "NAME", "WHY")
			for _, s := range steps.Items {
				var why []string
				for _, list := range [][]client.Coded{s.Blocks, s.Warnings, s.Notes} {
					for _, w := range list {
						why = append(why, w.Text)
					}
				}
				t.row(strconv.Itoa(s.N), s.ActionName, s.TypeName, s.Name, strings.Join(why, " "))
			}
			a.more(steps.Next)
			return t.print()
		},
	}
	a.tenantFlag(c, &tenant)
	c.Flags().StringVar(&action, "action", "", "only steps with this action: "+strings.Join(op.PlanActions(), ", "))
	pagingFlags(c, &p)
	return c
}

// printPlan prints what is said about a plan as a whole.
func (a *app) printPlan(c *cobra.Command, p client.Plan) {
	c.PrintErrf("Preview %s of run %s by %s, read %s\n", p.Hash, p.Run, p.Author.Name, moment(p.At))
	if !p.Complete {
		c.PrintErrln("Incomplete: not everything could be read.")
	}
	for _, s := range p.Stale {
		c.PrintErrln("Out of date: " + s.Text)
	}
	for _, w := range p.Warnings {
		c.PrintErrf("Warning %s: %s\n", w.Code, w.Text)
	}
	for _, by := range p.Approvals {
		state := "until " + moment(by.Expires)
		if by.Void {
			state = "no longer valid"
		}
		c.PrintErrf("Approved by %s, %s\n", by.Person.Name, state)
	}
}

func (a *app) restoreApprove() *cobra.Command {
	var tenant string
	c := &cobra.Command{
		Use:   "approve HASH --tenant TENANT",
		Short: "Approve the execution of a preview by somebody else",
		Long:  "Approve the execution of a preview by somebody else. You can't approve a preview that you made." + freshHelp,
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			var p client.Plan
			err := a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) (err error) {
				p, err = cl.ApprovePlan(ctx, tenant, args[0])
				return err
			})
			if err != nil || a.json() {
				return err
			}
			a.printPlan(c, p)
			return nil
		},
	}
	a.tenantFlag(c, &tenant)
	return c
}

func (a *app) restoreExecute() *cobra.Command {
	var tenant, connection, confirm, key string
	var acknowledged []string
	var wait bool
	c := &cobra.Command{
		Use:   "execute HASH --tenant TENANT --confirm NAME",
		Short: "Execute a preview: write policies to the tenant",
		Long: `Execute a preview. It writes exactly what the preview shows. Acknowledge each of its
warnings, and confirm with the full name of the tenant.

` + exitHelp,
		Example: `  interlock restore execute 5f2c… --tenant kestrel --confirm "Kestrel Logistics" --acknowledge conditional_access --wait`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need("confirm", confirm); err != nil {
				return err
			}
			if acknowledged == nil {
				acknowledged = []string{}
			}
			parameters, err := json.Marshal(map[string]any{"plan": args[0], "acknowledged": acknowledged, "confirm": confirm})
			if err != nil {
				return err
			}
			return a.begin(c, tenant, key, wait, client.StartRequest{Operation: op.PolicyRestore, Connection: connection, Parameters: parameters})
		},
	}
	a.tenantFlag(c, &tenant)
	f := c.Flags()
	f.StringVarP(&connection, "connection", "c", "", "id or name of the connection (default the tenant's default connection)")
	f.StringVar(&confirm, "confirm", "", "full name of the tenant")
	f.StringSliceVar(&acknowledged, "acknowledge", nil, "codes of the warnings that you acknowledge")
	f.StringVar(&key, "key", "", "idempotency key: a repeated key gets the first answer (default a new key)")
	f.BoolVarP(&wait, "wait", "w", false, "wait for the end of the run")
	_ = c.RegisterFlagCompletionFunc("acknowledge", cobra.FixedCompletions(op.WarningCodes(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}

func (a *app) mappingList() *cobra.Command {
	var tenant string
	var p client.Paging
	c := &cobra.Command{
		Use: "list --tenant TENANT", Short: "List the mappings to a tenant", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			all, err := cl.Mappings(a.verbatim(c.Context()), tenant, p)
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "KIND", "FROM DIRECTORY", "SOURCE", "TARGET", "FOUND", "BY", "AT")
			for _, m := range all.Items {
				t.row(m.ID, m.Kind, m.SourceDirectory, m.Source, m.Target, m.How, m.By.Name, moment(m.At))
			}
			a.more(all.Next)
			return t.print()
		},
	}
	a.tenantFlag(c, &tenant)
	pagingFlags(c, &p)
	return c
}

func (a *app) mappingSet() *cobra.Command {
	var tenant string
	var m client.Mapping
	c := &cobra.Command{
		Use:     "set KIND SOURCE TARGET --tenant TENANT",
		Short:   "Say which object of the tenant corresponds to an object of another directory",
		Example: "  interlock restore mappings set groups 11a0… 7c22… --tenant kestrel --from 8c4e0b1a-5d0f-4f0e-9d61-2f7a60be91d2",
		Args:    cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			m.Kind, m.Source, m.Target = args[0], args[1], args[2]
			out, err := cl.SetMapping(a.verbatim(c.Context()), tenant, m)
			if err != nil || a.json() {
				return err
			}
			c.Println(out.ID)
			return nil
		},
	}
	a.tenantFlag(c, &tenant)
	c.Flags().StringVar(&m.SourceDirectory, "from", "", "GUID of the directory of the backup (default a backup from files)")
	return c
}

func (a *app) mappingRemove() *cobra.Command {
	var tenant string
	c := &cobra.Command{
		Use: "remove ID --tenant TENANT", Short: "Remove a mapping; stored previews don't change", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			return cl.RemoveMapping(a.verbatim(c.Context()), tenant, args[0])
		},
	}
	a.tenantFlag(c, &tenant)
	return c
}

func (a *app) restorePolicy() *cobra.Command {
	var approval string
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Show or change whether restores need the approval of a second person",
		Long:    "Show or change whether restores need the approval of a second person." + freshHelp,
		Example: "  interlock restore policy --approval=true",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var p client.RestorePolicy
			if c.Flags().Changed("approval") {
				required, err := strconv.ParseBool(approval)
				if err != nil {
					return usagef("--approval must be true or false, not %q", approval)
				}
				err = a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) (err error) {
					p, err = cl.SetRestorePolicy(ctx, client.RestorePolicy{Approval: required})
					return err
				})
				if err != nil || a.json() {
					return err
				}
			} else {
				cl, err := a.client()
				if err != nil {
					return err
				}
				if p, err = cl.RestorePolicy(a.verbatim(c.Context())); err != nil || a.json() {
					return err
				}
			}
			is := "not required"
			if p.Approval {
				is = "required"
			}
			c.Printf("Approval by a second person: %s\n", is)
			return nil
		},
	}
	c.Flags().StringVar(&approval, "approval", "", "true or false: whether a second person must approve")
	_ = c.RegisterFlagCompletionFunc("approval", cobra.FixedCompletions([]string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}
