package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

func (a *app) restore() *cobra.Command {
	c := &cobra.Command{
		Use:   "restore",
		Short: "Preview, approve and execute restores of policies",
		Long: `Preview, approve and execute restores of policies.

  1. interlock restore preview reads the tenant and plans what would change. It writes
     nothing. With --wait it shows the plan, which is identified by a hash.
  2. interlock restore approve is for a second person, if the workspace requires one.
  3. interlock restore execute makes the changes of the plan. Acknowledge each warning
     and confirm with the full name of the tenant.

A preview is valid for 30 minutes and can be executed once. To restore again, preview
again: interlock restore preview --again HASH --tenant TENANT.`,
		Args: cobra.NoArgs,
	}
	plan := &cobra.Command{Use: "plan", Short: "Show previews", Args: cobra.NoArgs}
	plan.AddCommand(a.planList(), a.planShow())
	c.AddCommand(a.restorePreview(), plan, a.restoreApprove(), a.restoreExecute(), a.mappings(), a.restorePolicy())
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

// begin starts an operation and shows the answer as the command start does. plan is the
// preview that it is about; empty: none. The code of the run goes to standard output, unless
// something else will.
func (a *app) begin(c *cobra.Command, tenant, plan, key string, quiet bool, r client.StartRequest) (op.Answer, *client.Client, error) {
	cl, err := a.on(tenant)
	if err != nil {
		return op.Answer{}, nil, err
	}
	r.Key = key
	answer, err := cl.Start(a.verbatim(c.Context()), tenant, r)
	if err != nil {
		return op.Answer{}, nil, err
	}
	if !a.json() {
		out := a.page(a.Err)
		out.plan = plan
		out.answer(answer)
		if answer.Run != nil && !quiet {
			c.Println(answer.Run.Code)
		}
	}
	return answer, cl, nil
}

func (a *app) restorePreview() *cobra.Command {
	var tenant, connection, backup, again, more, key string
	var items []string
	var wait bool
	c := &cobra.Command{
		Use:   "preview --tenant TENANT (--backup ID | --again HASH)",
		Short: "Preview a restore: read the tenant and plan what would change",
		Long: `Preview a restore. It reads the tenant and plans what would change. Nothing is written.

With --wait the command shows the plan at the end and prints only its hash on standard
output; nothing if there is no plan. With --output json, the plan and the first page of
its steps follow the run as further documents.

With --again it repeats an earlier preview: of the same backup, with the same items,
choices and mappings. Other flags replace those.

--parameters takes the lists choices and mappings. A choice names a policy as item, and
what to do with it: target (id of the policy to update), new, undelete (id of the deleted
policy to bring back), overwrite (remove settings that the backup doesn't have) or
unassigned (leave out the assignments if a group is missing). A mapping has kind, source
and target.

` + exitHelp,
		Example: `  interlock restore preview --tenant kestrel --backup 0190… --wait
  interlock restore preview --tenant kestrel --backup 0190… --item configurationPolicies/7b1c…
  interlock restore preview --tenant kestrel --again 5f2c… --wait
  interlock restore preview --tenant kestrel --again 5f2c… --wait \
    --parameters '{"choices":[{"item":"configurationPolicies/7b1c…","target":"11a0…"}]}'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in := map[string]any{}
			if again != "" {
				cl, err := a.on(tenant)
				if err != nil {
					return err
				}
				earlier, err := cl.Plan(c.Context(), tenant, again)
				if err != nil {
					return err
				}
				if json.Unmarshal(earlier.Parameters, &in) != nil {
					return fmt.Errorf("the parameters of preview %.12s are not kept any more: use --backup", again)
				}
			} else if err := need("backup", backup); err != nil {
				return err
			}
			if more != "" {
				if err := json.Unmarshal([]byte(more), &in); err != nil {
					return usagef("--parameters is not a JSON object")
				}
			}
			if backup != "" {
				in["backup"] = backup
			}
			if len(items) > 0 {
				in["items"] = items
			}
			parameters, err := json.Marshal(in)
			if err != nil {
				return err
			}
			answer, cl, err := a.begin(c, tenant, "", key, wait, client.StartRequest{Operation: op.PolicyRestorePreview, Connection: connection, Parameters: parameters})
			switch {
			case err != nil:
				return err
			case !wait || answer.Run == nil:
				return exitOf(answer.Outcome.ExitCode())
			}
			ended := a.follow(c.Context(), cl, answer.Run.ID, answer.Run.Code)
			if err := a.previewed(c, cl, answer); err != nil {
				return err
			}
			return ended
		},
	}
	a.tenantFlag(c, &tenant)
	f := c.Flags()
	f.StringVarP(&connection, "connection", "c", "", "id or name of the connection (default the tenant's default connection)")
	f.StringVar(&backup, "backup", "", "id of the backup, as interlock backups list shows it")
	f.StringArrayVar(&items, "item", nil, "a policy to restore, as type/id; may be given several times (default all)")
	f.StringVar(&again, "again", "", "hash of an earlier preview to repeat")
	f.StringVar(&more, "parameters", "", "lists of choices and mappings, as a JSON object")
	f.StringVar(&key, "key", "", "idempotency key: a repeated key gets the first answer (default a new key)")
	f.BoolVarP(&wait, "wait", "w", false, "wait for the end of the run, then show the plan")
	return c
}

// previewed shows the plan that a preview has stored. A preview that failed has none.
func (a *app) previewed(c *cobra.Command, cl *client.Client, answer op.Answer) error {
	if c.Context().Err() != nil { // interrupted
		return nil
	}
	tenant := answer.Tenant.Slug
	found, err := cl.Plans(c.Context(), tenant, answer.Run.Code, client.Paging{Limit: 1})
	if err != nil || len(found.Items) == 0 {
		return err
	}
	hash := found.Items[0].Hash
	plan, err := cl.Plan(a.verbatim(c.Context()), tenant, hash)
	if err != nil {
		return err
	}
	steps, err := cl.PlanSteps(a.verbatim(c.Context()), tenant, hash, "", client.Paging{})
	if err != nil || a.json() {
		return err
	}
	c.Println(hash)
	out := a.page(a.Err)
	out.planHead(plan)
	out.planSteps(steps.Items)
	if steps.Next != nil {
		out.line("More steps: interlock restore plan show %s --tenant %s", hash, tenant)
	}
	out.planNext(plan, tenant)
	return nil
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
			a.page(a.Err).planHead(p)
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
			answer, cl, err := a.begin(c, tenant, args[0], key, false, client.StartRequest{Operation: op.PolicyRestore, Connection: connection, Parameters: parameters})
			switch {
			case err != nil:
				return err
			case !wait || answer.Run == nil:
				return exitOf(answer.Outcome.ExitCode())
			}
			return a.follow(c.Context(), cl, answer.Run.ID, answer.Run.Code)
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

func (a *app) restorePolicy() *cobra.Command {
	var approval string
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Show or change whether restores need the approval of a second person",
		Long:    "Show or change whether restores need the approval of a second person. To change it, you need\nthe capability members.manage, which owners have." + freshHelp,
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
