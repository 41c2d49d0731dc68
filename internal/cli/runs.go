package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

func (a *app) run() *cobra.Command {
	var follow, details bool
	c := &cobra.Command{
		Use:     "run CODE",
		Short:   "Show a run: its state, its items, and the starts that joined it",
		Long:    "Show a run: its state, its items, and the starts that joined it.\n\n" + exitHelp,
		Example: "  interlock run K7QM2X\n  interlock run K7QM2X --follow\n  interlock run K7QM2X --details",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			if follow {
				return a.follow(c.Context(), cl, args[0], args[0])
			}
			r, err := cl.Run(a.verbatim(c.Context()), args[0])
			if err != nil || a.json() {
				return err
			}
			return a.showRun(c.Context(), cl, r, details)
		},
	}
	c.Flags().BoolVar(&details, "details", false, detailsHelp)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "follow the run until it ends")
	return c
}

func (a *app) showRun(ctx context.Context, cl *client.Client, r op.Run, details bool) error {
	out := a.page(a.Out)
	if r.Operation == op.PolicyRestorePreview && r.Outcome == op.RunSucceeded {
		plans, err := cl.Plans(ctx, r.Tenant.Slug, r.Code, client.Paging{Limit: 1})
		if err != nil {
			return err
		}
		for _, p := range plans.Items {
			out.plan = p.Hash
		}
	}
	out.run(r)
	if details {
		a.page(a.Out).evidence("run "+r.Code, r.Evidence)
	}
	items, err := cl.RunItems(ctx, r.ID, client.Paging{Limit: 200})
	if err != nil {
		return err
	}
	if len(items.Items) > 0 {
		_, _ = fmt.Fprintln(a.Out)
		t := a.table("ITEM", "RESULT", "DETAIL")
		for _, i := range items.Items {
			t.row(i.Name, i.Label(), i.Detail)
		}
		if err := t.print(); err != nil {
			return err
		}
		for _, i := range items.Items {
			if details {
				a.page(a.Out).evidence(i.Name, i.Evidence)
			}
		}
	}
	joined, err := cl.RunAttempts(ctx, r.ID)
	if err != nil {
		return err
	}
	if len(joined.Items) > 0 {
		_, _ = fmt.Fprintln(a.Out)
		t := a.table("ALSO ASKED BY", "AT", "SURFACE")
		for _, j := range joined.Items {
			t.row(j.Actor.Name, moment(j.At), string(j.Surface))
		}
		return t.print()
	}
	return nil
}

// follow shows the events of a run until it ends. Its error is the exit code for how
// the run ended. code is the run's code, for messages.
func (a *app) follow(ctx context.Context, cl *client.Client, run, code string) error {
	show := a.progress()
	// The stream carries the ended run. Requesting it again would count as use of a
	// session whose owner may have left hours ago.
	r, err := cl.Follow(a.verbatim(ctx), run, func(e client.Event) error {
		show(e)
		return nil
	})
	if ctx.Err() != nil { // the user stopped waiting, which stops nothing
		_, _ = fmt.Fprintf(a.Err, "\nNot waiting any more. Run %[1]s goes on: interlock run %[1]s --follow\n", cmp.Or(r.Code, code))
		return exit(exitInterrupted)
	}
	if err != nil {
		return err
	}
	if !a.json() {
		a.page(a.Err).run(r)
	}
	switch r.Outcome {
	case op.RunSucceeded:
		return nil
	case op.RunPartial:
		return exit(exitPartial)
	case op.RunFailed, op.RunBlocked, op.RunCancelled, op.RunLost:
	}
	return exit(exitEnded)
}

// progress returns a function that shows the events of a run: as a bar on a terminal,
// else as lines.
func (a *app) progress() func(client.Event) {
	if a.json() {
		return func(client.Event) {}
	}
	if _, ok := terminal(a.Err); !ok {
		return a.progressLines()
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(a.Err), progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(), progressbar.OptionSetElapsedTime(true), progressbar.OptionSetPredictTime(false),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(true))
	return func(e client.Event) {
		switch {
		case e.Run != nil:
			bar.Describe(e.Run.Words.Title)
			if c := e.Run.Counts; c.Total > 0 && bar.GetMax64() != c.Total {
				bar.ChangeMax64(c.Total)
			}
			_ = bar.Set64(e.Run.Counts.Done) // the terminal may be gone
			if e.Run.State == op.Finished {
				_ = bar.Clear()
			}
		case e.Line != nil:
			_ = bar.Clear()
			a.timeline(*e.Line)
		}
	}
}

// countsEvery is how often progress alone prints a line.
const countsEvery = 5 * time.Second

// progressLines prints a line for each change of state and, from time to time, for
// progress.
func (a *app) progressLines() func(client.Event) {
	title, told := "", time.Time{}
	return func(e client.Event) {
		switch {
		case e.Line != nil:
			a.timeline(*e.Line)
		case e.Run != nil && e.Run.State != op.Finished:
			if w := e.Run.Words; w.Title != title || time.Since(told) >= countsEvery {
				title, told = w.Title, time.Now()
				_, _ = fmt.Fprintf(a.Err, "          %s. %s\n", w.Title, w.Why)
			}
		}
	}
}

func (a *app) timeline(l client.Line) {
	_, _ = fmt.Fprintf(a.Err, "%s  %s\n", l.At.UTC().Format(time.TimeOnly), l.Text)
}

// pagingFlags adds the flags of commands that list.
func pagingFlags(c *cobra.Command, p *client.Paging) {
	c.Flags().StringVar(&p.Cursor, "cursor", "", "cursor of the next page, as printed with the previous one")
	c.Flags().IntVar(&p.Limit, "limit", 0, "number of entries, 1 to 200 (default 50)")
}

func (a *app) runs() *cobra.Command {
	var f client.RunFilter
	var operation, state, outcome string
	var since time.Duration
	c := &cobra.Command{
		Use:     "runs",
		Short:   "List the runs of all tenants that you may see, newest first",
		Example: "  interlock runs --active\n  interlock runs --tenant kestrel --outcome failed --since 24h",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			f.Operation, f.State, f.Outcome = op.Kind(operation), op.State(state), op.RunOutcome(outcome)
			if since > 0 {
				f.Since = time.Now().Add(-since)
			}
			runs, err := cl.Runs(a.verbatim(c.Context()), f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("RUN", "STATE", "OPERATION", "TENANT", "ITEMS", "STARTED", "BY", "REASON")
			for _, r := range runs.Items {
				t.row(r.Code, r.Words.Pill, r.Operation.Name(), r.Tenant.Name, counts(r.Counts), moment(r.AcceptedAt), r.Initiator.Name, r.Words.Reason)
			}
			a.more(runs.Next)
			return t.print()
		},
	}
	fl := c.Flags()
	fl.StringVarP(&f.Tenant, "tenant", "t", "", "of this tenant only")
	fl.StringVarP(&f.Connection, "connection", "c", "", "on this connection only")
	fl.StringVar(&operation, "operation", "", "of this operation only")
	fl.StringVar(&state, "state", "", "queued, running, cancelling or finished")
	fl.StringVar(&outcome, "outcome", "", "succeeded, partial, failed, blocked, cancelled or lost")
	fl.StringVar(&f.Initiator, "by", "", `started by this person: an id or "me"`)
	fl.BoolVar(&f.Active, "active", false, "only those that have not ended")
	fl.BoolVar(&f.Attention, "attention", false, "only those that ended badly or make no progress")
	fl.DurationVar(&since, "since", 0, "accepted within this time, such as 24h")
	pagingFlags(c, &f.Paging)
	a.completeTenants(c)
	return c
}

func counts(c op.Counts) string {
	if c.Total == 0 {
		return fmt.Sprint(c.Done)
	}
	return fmt.Sprintf("%d/%d", c.Done, c.Total)
}

func (a *app) attempts() *cobra.Command {
	var f client.AttemptFilter
	var operation, outcome string
	c := &cobra.Command{
		Use:   "attempts [ID]",
		Short: "List every start request and its result, including refusals",
		Long:  "List every start request and its result, including refusals, newest first. With an id: show that answer.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				at, err := cl.Attempt(a.verbatim(c.Context()), args[0])
				if err != nil || a.json() {
					return err
				}
				a.page(a.Out).answer(at.Answer)
				c.Printf("Requested: %s by %s (%s), %s\n", moment(at.At), at.Actor.Name, at.Surface, several(at.Presses, "time", "times"))
				return nil
			}
			f.Operation, f.Outcome = op.Kind(operation), op.Outcome(outcome)
			attempts, err := cl.Attempts(a.verbatim(c.Context()), f)
			if err != nil || a.json() {
				return err
			}
			t := a.table("ID", "AT", "ANSWER", "OPERATION", "TENANT", "BY", "TIMES", "RUN", "REASON")
			for _, at := range attempts.Items {
				run, reason := "", ""
				if at.Answer.Run != nil {
					run = at.Answer.Run.Code
				}
				if len(at.Answer.Reasons) > 0 {
					reason = at.Answer.Reasons[0].Title
				}
				t.row(at.ID, moment(at.LastAt), at.Answer.Tag, at.Answer.Operation.Name(), at.Answer.Tenant.Name, at.Actor.Name, fmt.Sprint(at.Presses), run, reason)
			}
			a.more(attempts.Next)
			return t.print()
		},
	}
	fl := c.Flags()
	fl.StringVarP(&f.Tenant, "tenant", "t", "", "of this tenant only")
	fl.StringVar(&operation, "operation", "", "of this operation only")
	fl.StringVar(&outcome, "outcome", "", "accepted, deduped, scope_busy or blocked")
	fl.StringVar(&f.Actor, "by", "", `requested by this person: an id or "me"`)
	fl.StringVar(&f.Run, "run", "", "that made or joined this run")
	pagingFlags(c, &f.Paging)
	a.completeTenants(c)
	return c
}

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel CODE",
		Short: "Cancel a run: immediately while it is queued, otherwise after its current step",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			r, err := cl.Cancel(a.verbatim(c.Context()), args[0])
			if err != nil || a.json() {
				return err
			}
			a.page(a.Err).run(r)
			return nil
		},
	}
}

func (a *app) release() *cobra.Command {
	var note string
	c := &cobra.Command{
		Use:   "release CODE --note WHY",
		Short: "Release the connection of a run that makes no progress",
		Long: `Release the connection of a run that makes no progress. Its worker can't change anything
afterwards. The connection is free once a call in progress must have ended. Your name and
the note are shown with the run.

This needs a sign-in from the last 15 minutes with interlock login; API tokens can't do
it. If your sign-in is older, you are asked to confirm your identity.`,
		Example: `  interlock release K7QM2X --note "The worker's machine is gone"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need("note", note); err != nil {
				return err
			}
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				r, err := cl.Release(ctx, args[0], note)
				if err != nil || a.json() {
					return err
				}
				a.page(a.Err).run(r)
				return nil
			})
		},
	}
	c.Flags().StringVar(&note, "note", "", "why, 3 to 300 characters")
	return c
}
