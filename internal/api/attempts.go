package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveAttempts() {
	serve(s, Route{
		ID: "list-attempts", Method: http.MethodGet, Path: "/attempts", Object: Workspace, Needs: tenancy.View,
		Summary: "Every start request and its result, including refusals, newest first",
	}, s.attempts)
	serve(s, Route{
		ID: "get-attempt", Method: http.MethodGet, Path: "/attempts/{attempt}", Object: Attempt, Needs: tenancy.View,
		Summary: "One start request with its answer",
	}, s.attempt)
}

// Attempted is the record of one start request, or of several identical ones that were
// refused within a few seconds, with its answer.
type Attempted struct {
	ID         string          `json:"id"`
	Actor      op.Person       `json:"actor"`
	Surface    op.Surface      `json:"surface"`
	At         time.Time       `json:"at" doc:"Time of the first of these requests."`
	LastAt     time.Time       `json:"last_at" doc:"Time of the last of these requests."`
	Presses    int64           `json:"presses"`
	Parameters json.RawMessage `json:"parameters"`
	RequestID  string          `json:"request_id"`
	Answer     op.Answer       `json:"answer"`
}

// attempted returns the record with what the actor may see of it.
func (v *visit) attempted(a store.Attempt) Attempted {
	return Attempted{
		ID: a.ID, Actor: a.Actor, Surface: a.Surface, At: a.At, LastAt: a.LastAt, Presses: a.Presses,
		Parameters: a.Parameters, RequestID: a.RequestID, Answer: op.Describe(a.Result(v.actor, v.actor.Grants())),
	}
}

type attemptsRequest struct {
	Tenant    string     `query:"tenant" doc:"Id or name."`
	Operation op.Kind    `query:"operation"`
	Outcome   op.Outcome `query:"outcome"`
	Actor     string     `query:"actor" pattern:"^(me|[0-9a-fA-F-]{36})$" patternDescription:"an id, or me" doc:"Id of a person, or \"me\"."`
	Run       string     `query:"run" doc:"Id or code of the run that was created or joined."`
	Paging
}

func (s *server) attempts(ctx context.Context, in *attemptsRequest) (*list[Attempted], error) {
	v := at(ctx)
	attempts, next, err := s.store.Attempts(ctx, v.scope, store.AttemptFilter{
		Tenant: in.Tenant, Operation: in.Operation, Outcome: in.Outcome, Actor: in.Actor, Run: in.Run,
		Cursor: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	return page(each(attempts, v.attempted), next), nil
}

func (s *server) attempt(ctx context.Context, _ *struct {
	Attempt string `path:"attempt"`
},
) (*one[Attempted], error) {
	v := at(ctx)
	return &one[Attempted]{Body: v.attempted(v.attempt)}, nil
}
