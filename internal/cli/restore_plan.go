package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

func (a *app) planList() *cobra.Command {
	var tenant, run string
	var p client.Paging
	c := &cobra.Command{
		Use: "list --tenant TENANT", Short: "List the previews of a tenant, newest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.on(tenant)
			if err != nil {
				return err
			}
			all, err := cl.Plans(a.verbatim(c.Context()), tenant, run, p)
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
	c.Flags().StringVar(&run, "run", "", "only the preview of the run with this code")
	pagingFlags(c, &p)
	return c
}

func (a *app) planShow() *cobra.Command {
	var tenant, action string
	var p client.Paging
	c := &cobra.Command{
		Use:     "show HASH --tenant TENANT",
		Short:   "Show a preview with its steps",
		Long:    "Show a preview with its steps: what differs, what will be called, or why nothing will.",
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
			out := a.page(a.Out)
			out.planHead(plan)
			out.planSteps(steps.Items)
			a.more(steps.Next)
			out.planNext(plan, tenant)
			return nil
		},
	}
	a.tenantFlag(c, &tenant)
	c.Flags().StringVar(&action, "action", "", "only steps with this action: "+strings.Join(op.PlanActions(), ", "))
	_ = c.RegisterFlagCompletionFunc("action", cobra.FixedCompletions(op.PlanActions(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	pagingFlags(c, &p)
	return c
}

// planHead writes what is said about a plan as a whole.
func (p page) planHead(plan client.Plan) {
	p.line("Preview %s", plan.Hash)
	p.line("Run: %s   By: %s   Read: %s", plan.Run, strings.Map(printable, plan.Author.Name), moment(plan.At))
	var counts []string
	for _, action := range op.PlanActions() {
		if n := plan.Counts[action]; n > 0 {
			counts = append(counts, op.PlanAction(action)+" "+strconv.Itoa(n))
		}
	}
	p.line("Steps: %s", cmp.Or(strings.Join(counts, ", "), "none"))
	for _, u := range plan.Unread {
		p.line("Not read: %s", strings.Map(printable, u.Why))
	}
	for _, s := range plan.Stale {
		p.line("Out of date: %s", s.Text)
	}
	for _, w := range plan.Warnings {
		p.line("Warning %s: %s", w.Code, w.Text)
	}
	if plan.ApprovalRequired {
		p.line("Approval by a second person: required")
	}
	for _, by := range plan.Approvals {
		state := "until " + moment(by.Expires)
		if by.Void {
			state = "no longer valid"
		}
		p.line("Approved by %s, %s", strings.Map(printable, by.Person.Name), state)
	}
}

// planSteps writes the steps of a plan.
func (p page) planSteps(steps []client.PlanStep) {
	for _, s := range steps {
		p.line("")
		p.line("%d  %s  %s  %s", s.N, s.ActionName, s.TypeName, strings.Map(printable, s.Name))
		for _, b := range s.Blocks {
			p.step(b.Text)
		}
		for _, o := range s.Candidates {
			p.step("Candidate " + o.ID + ": " + o.Name)
		}
		for _, w := range s.Warnings {
			p.step("Warning " + w.Code + ": " + w.Text)
		}
		for _, n := range s.Notes {
			p.step(n.Text)
		}
		for _, d := range s.Diff {
			p.step(difference(d))
		}
		for _, c := range s.Calls {
			p.step(c.Method + " " + c.Path)
		}
	}
	p.line("")
}

// step writes a line of a step.
func (p page) step(text string) { p.slot("", strings.Map(printable, text)) }

// difference writes a property that differs.
func difference(d client.Change) string {
	name := cmp.Or(d.Name, d.Path)
	before, after := cmp.Or(d.OldName, value(d.Old)), cmp.Or(d.NewName, value(d.New))
	switch d.Op {
	case "added":
		return fmt.Sprintf("+ %s: %s", name, after)
	case "removed":
		return fmt.Sprintf("- %s: %s", name, before)
	}
	return fmt.Sprintf("~ %s: %s -> %s", name, before, after)
}

// maxValue is how much of a value is shown, in characters. The API returns it whole.
const maxValue = 200

func value(raw json.RawMessage) string {
	runes := []rune(string(raw))
	if len(runes) > maxValue {
		return string(runes[:maxValue]) + "…"
	}
	return string(runes)
}

// planNext writes the next step, with its command.
func (p page) planNext(plan client.Plan, tenant string) {
	approved := slices.ContainsFunc(plan.Approvals, func(a client.PlanApproval) bool { return !a.Void })
	switch {
	case len(plan.Stale) > 0:
		p.slot("Next", "Preview again:")
		p.command("restore preview --again %s --tenant %s", plan.Hash, tenant)
	case !plan.Applicable:
		p.slot("Next", "There is nothing to execute.")
	case plan.ApprovalRequired && !approved:
		p.slot("Next", "Ask someone else to approve it:")
		p.command("restore approve %s --tenant %s", plan.Hash, tenant)
	default:
		var acknowledge string
		for i, w := range plan.Warnings {
			acknowledge += []string{" --acknowledge ", ","}[min(i, 1)] + w.Code
		}
		p.slot("Next", "Execute it, with the full name of the tenant:")
		p.command("restore execute %s --tenant %s%s --confirm NAME", plan.Hash, tenant, acknowledge)
	}
}
