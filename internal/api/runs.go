package api

import (
	"context"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveRuns() {
	serve(s, Route{
		ID: "list-runs", Method: http.MethodGet, Path: "/runs", Object: Workspace, Needs: tenancy.View,
		Summary: "List the runs of all tenants that you may see, newest first",
	}, s.runs)
	serve(s, Route{
		ID: "get-run", Method: http.MethodGet, Path: "/runs/{run}", Object: Run, Needs: tenancy.View,
		Summary: "Get a run, with its state in words",
	}, s.run)
	serve(s, Route{
		ID: "list-run-items", Method: http.MethodGet, Path: "/runs/{run}/items", Object: Run, Needs: tenancy.View,
		Summary: "List the items of a run with their results",
	}, s.runItems)
	serve(s, Route{
		ID: "list-run-attempts", Method: http.MethodGet, Path: "/runs/{run}/attempts", Object: Run, Needs: tenancy.View,
		Summary: "List the starts that joined a run",
	}, s.runAttempts)
	serve(s, Route{
		ID: "get-run-timeline", Method: http.MethodGet, Path: "/runs/{run}/timeline", Object: Run, Needs: tenancy.View,
		Summary: "Get the timeline of a run",
	}, s.runTimeline)
	serve(s, Route{
		ID: "follow-run", Method: http.MethodGet, Path: "/runs/{run}/events", Object: Run, Needs: tenancy.View, Stream: true,
		Summary: "Follow a run, as server-sent events",
	}, s.follow)
	s.describeEvents()
	serve(s, Route{
		ID: "cancel-run", Method: http.MethodPost, Path: "/runs/{run}/cancel", Object: Run, Needs: tenancy.CancelRuns, Conflicts: true,
		Summary: "Cancel a run: immediately while it is queued, otherwise after its current step",
	}, s.cancelRun)
	serve(s, Route{
		ID: "release-run", Method: http.MethodPost, Path: "/runs/{run}/release", Object: Run, Needs: tenancy.ReleaseConnections, Conflicts: true,
		Summary: "Release the connection of a run that makes no progress",
	}, s.releaseRun)
}

// RunID names the run of a route.
type RunID struct {
	Run string `path:"run" doc:"Id, or the six-character code in upper or lower case."`
}

type runsRequest struct {
	Tenant     string        `query:"tenant" doc:"Id or name."`
	Connection string        `query:"connection" doc:"Id, or name together with the tenant."`
	Operation  op.Kind       `query:"operation"`
	State      op.State      `query:"state"`
	Outcome    op.RunOutcome `query:"outcome"`
	Initiator  string        `query:"initiator" pattern:"^(me|[0-9a-fA-F-]{36})$" patternDescription:"an id, or me" doc:"Id of a person, or \"me\"."`
	Active     bool          `query:"active" doc:"Only runs that have not ended."`
	Attention  bool          `query:"attention" doc:"Only runs that ended badly or make no progress."`
	Since      time.Time     `query:"since" doc:"Accepted then or later."`
	Until      time.Time     `query:"until" doc:"Accepted before."`
	Paging
}

func (s *server) runs(ctx context.Context, in *runsRequest) (*list[op.Run], error) {
	v := at(ctx)
	runs, next, err := s.store.Runs(ctx, v.scope, store.RunFilter{
		Tenant: in.Tenant, Connection: in.Connection, Operation: in.Operation, State: in.State, Outcome: in.Outcome,
		Initiator: in.Initiator, Active: in.Active, Attention: in.Attention, Since: in.Since, Until: in.Until,
		Cursor: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	return page(each(runs, v.described), next), nil
}

// described returns a run with its words, and with the actions that the actor may take.
func (v *visit) described(r op.Run) op.Run {
	r.MayMend = v.mayMend()
	r.Words = op.DescribeRun(r, time.Now())
	return r
}

func (s *server) run(ctx context.Context, _ *RunID) (*one[op.Run], error) {
	v := at(ctx)
	return &one[op.Run]{Body: v.described(v.run)}, nil
}

func (s *server) runItems(ctx context.Context, in *struct {
	RunID
	Paging
},
) (*list[op.Item], error) {
	v := at(ctx)
	items, next, err := s.store.Items(ctx, v.scope, v.run.ID, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(each(items, op.DescribeItem), next), nil
}

func (s *server) runAttempts(ctx context.Context, _ *RunID) (*list[Attempted], error) {
	v := at(ctx)
	joined, err := s.store.JoinedAttempts(ctx, v.scope, v.run.ID)
	if err != nil {
		return nil, err
	}
	return page(each(joined, v.attempted), ""), nil
}

func (s *server) runTimeline(ctx context.Context, in *struct {
	RunID
	After int64 `query:"after" minimum:"0" doc:"Number of the last known line."`
	Limit int   `query:"limit" minimum:"1" maximum:"200" default:"200"`
},
) (*list[store.RunEvent], error) {
	v := at(ctx)
	lines, err := s.store.Events(ctx, v.scope, v.run.ID, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(lines, ""), nil
}

func (s *server) cancelRun(ctx context.Context, _ *RunID) (*one[op.Run], error) {
	v := at(ctx)
	if _, err := s.gate.Cancel(ctx, v.actor, v.run.ID); err != nil {
		return nil, err
	}
	return s.runNow(ctx, v)
}

func (s *server) releaseRun(ctx context.Context, in *struct {
	RunID
	Body struct {
		Note string `json:"note" minLength:"3" maxLength:"300" pattern:"^[^\\x00-\\x1f\\x7f]*$" patternDescription:"text without control characters" doc:"The reason, which is shown with the run."`
	} `nameHint:"Release"`
},
) (*one[op.Run], error) {
	v := at(ctx)
	if _, err := s.gate.Release(ctx, v.actor, v.run.ID, in.Body.Note); err != nil {
		return nil, err
	}
	return s.runNow(ctx, v)
}

// runNow reads the run of a visit again.
func (s *server) runNow(ctx context.Context, v *visit) (*one[op.Run], error) {
	r, err := s.store.Run(ctx, v.scope, v.run.ID)
	if err != nil {
		return nil, err
	}
	return &one[op.Run]{Body: v.described(r)}, nil
}
