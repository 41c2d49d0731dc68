package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveStarts() {
	serve(s, Route{
		ID: "list-operations", Method: http.MethodGet, Path: "/operations", Object: Self,
		Summary: "List the operations, with their parameters",
	}, s.operations)
	serve(s, Route{
		ID: "start", Method: http.MethodPost, Path: "/tenants/{tenant}/starts", Object: Tenant, Needs: ByOperation,
		Success: http.StatusAccepted, Conflicts: true,
		Summary: "Start an operation; the answer is accepted, deduped, scope_busy or blocked",
	}, s.start)
	serve(s, Route{
		ID: "preflight", Method: http.MethodGet, Path: "/tenants/{tenant}/preflight", Object: Tenant, Needs: ByOperation,
		Summary: "Get the answer that a start would get now; nothing is written",
	}, s.preflight)
	s.describeAnswers()
}

// Operation is one operation of the catalogue.
type Operation struct {
	Kind           op.Kind            `json:"kind"`
	Name           string             `json:"name"`
	Does           string             `json:"does"`
	Capability     tenancy.Capability `json:"capability" doc:"The capability that a member needs to start it."`
	CapabilityName string             `json:"capability_name"`
	Allowed        bool               `json:"allowed" doc:"Whether you have that capability."`
	Permissions    []string           `json:"permissions" nullable:"false" doc:"Application permissions that the connection needs."`
	Parameters     json.RawMessage    `json:"parameters" doc:"JSON Schema of the parameters."`
	Input          bool               `json:"input" doc:"Whether a start needs parameters: the defaults are not accepted."`
	Baseline       bool               `json:"baseline" doc:"Whether a tenant counts as ready only if this operation can start."`
	Datasets       []OperationDataset `json:"datasets" nullable:"false" doc:"The datasets that it reads, and their lists."`
	QueueLimit     int64              `json:"queue_limit_seconds" doc:"How long a run can be queued."`
	RunLimit       int64              `json:"run_limit_seconds" doc:"How long a run can take."`
}

// OperationDataset is a dataset that an operation keeps.
type OperationDataset struct {
	Name  string   `json:"name" doc:"Last segment of the address of its list: /tenants/{tenant}/{name}."`
	Title string   `json:"title"`
	Items string   `json:"items" doc:"Name of its rows, such as \"groups\"."`
	Types []string `json:"types" nullable:"false" doc:"What the list can be narrowed to."`
}

func datasetOf(d catalogue.DatasetInfo) OperationDataset {
	types := each(d.Types, func(t catalogue.RowType) string { return t.Key })
	for _, p := range d.Parts {
		types = append(types, p.Key)
	}
	return OperationDataset{Name: d.Name, Title: d.Title, Items: d.Items, Types: types}
}

func (s *server) operations(ctx context.Context, _ *none) (*list[Operation], error) {
	grants := at(ctx).actor.Grants()
	return page(each(catalogue.All(), func(d *catalogue.Definition) Operation {
		return Operation{
			Kind: d.Kind, Name: d.Kind.Name(), Does: d.Kind.Does(),
			Capability: d.Capability, CapabilityName: d.Capability.Words(), Allowed: grants.Has(d.Capability),
			Permissions: each(d.Permissions, func(p catalogue.Permission) string { return p.AnyOf[0] }),
			Parameters:  parameters(d),
			Input:       d.Input,
			Baseline:    d.Baseline,
			Datasets:    each(d.Datasets, datasetOf),
			QueueLimit:  int64(d.QueueLimit.Seconds()), RunLimit: int64(d.RunLimit.Seconds()),
		}
	}), ""), nil
}

// parameters is the schema of an operation's input.
func parameters(d *catalogue.Definition) json.RawMessage {
	schema := huma.SchemaFromType(huma.NewMapRegistry("", huma.DefaultSchemaNamer), reflect.TypeOf(d.Parameters))
	text, _ := json.Marshal(schema) // can't fail for our own type
	return text
}

// startRequest is one request to start an operation.
type startRequest struct {
	TenantID
	Key     string `header:"Idempotency-Key" required:"true" maxLength:"200" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"Choose a new key for every start. A repeated key gets the first answer and starts nothing."`
	Surface string `header:"Interlock-Surface" enum:"api,cli" doc:"Where the start was requested. Default: api."`
	Body    struct {
		Operation  op.Kind         `json:"operation"`
		Connection string          `json:"connection,omitempty" doc:"Id or name of the connection. Default: the tenant's default connection."`
		Parameters json.RawMessage `json:"parameters,omitempty" doc:"Parameters of the operation; see /operations."`
	} `nameHint:"Start"`
}

// startAnswer is an answer of the gate with the HTTP status of its outcome.
type startAnswer struct {
	Status   int
	Location string `header:"Location" doc:"The run that was accepted."`
	Body     op.Answer
}

func (s *server) start(ctx context.Context, in *startRequest) (*startAnswer, error) {
	v := at(ctx)
	if err := s.budgets.Start(v.actor.ID()); err != nil {
		return nil, err
	}
	surface := op.SurfaceAPI
	if in.Surface != "" {
		surface = op.Surface(in.Surface)
	}
	result, err := s.gate.Start(ctx, v.actor, op.Request{
		Tenant: v.tenant.Tenant.ID, Connection: in.Body.Connection, Kind: in.Body.Operation, Parameters: in.Body.Parameters,
		Key: in.Key, Surface: surface, RequestID: httpx.Of(ctx).ID,
	})
	if err != nil {
		return nil, v.lacks(err, in.Body.Operation)
	}
	out := &startAnswer{Status: result.Outcome().HTTPStatus(), Body: op.Describe(result)}
	if result.Outcome() == op.Accepted {
		out.Location = Base + "/runs/" + result.Run().ID
	}
	return out, nil
}

type preflightRequest struct {
	TenantID
	Operation  op.Kind `query:"operation" required:"true"`
	Connection string  `query:"connection" doc:"Id or name. Default: the tenant's default connection."`
	Parameters string  `query:"parameters" doc:"The parameters of the start, as JSON."`
}

func (s *server) preflight(ctx context.Context, in *preflightRequest) (*one[op.Answer], error) {
	v := at(ctx)
	var parameters json.RawMessage
	if in.Parameters != "" {
		parameters = json.RawMessage(in.Parameters)
	}
	result, err := s.gate.Preflight(ctx, v.actor, op.Request{
		Tenant: v.tenant.Tenant.ID, Connection: in.Connection, Kind: in.Operation, Parameters: parameters,
		Surface: op.SurfaceAPI, RequestID: httpx.Of(ctx).ID,
	})
	if err != nil {
		return nil, v.lacks(err, in.Operation)
	}
	return &one[op.Answer]{Body: op.Describe(result)}, nil
}

// lacks names the right that is missing, if it was taken away after the request was
// authorized.
func (v *visit) lacks(err error, kind op.Kind) error {
	if def, unknown := catalogue.Lookup(kind); unknown == nil && errors.Is(err, op.ErrForbidden) {
		return forbidden(v.actor, v.tenant.Tenant.Name, def.Capability, kind)
	}
	return err
}

// describeAnswers documents that all four outcomes are answers of one shape.
func (s *server) describeAnswers() {
	o := s.huma.OpenAPI().Paths[Base+"/tenants/{tenant}/starts"].Post
	answer := o.Responses[strconv.Itoa(http.StatusAccepted)].Content["application/json"]
	for outcome, words := range map[op.Outcome]string{
		op.Accepted:  "accepted: the run was created and will run.",
		op.Deduped:   "deduped: the same operation is already queued or running; the answer names its run.",
		op.ScopeBusy: "scope_busy: another run holds the connection. Nothing was queued.",
		op.Blocked:   "blocked: something must be fixed first. Nothing was queued. As a problem document: the request itself is not valid.",
	} {
		code := strconv.Itoa(outcome.HTTPStatus())
		if o.Responses[code] == nil {
			o.Responses[code] = &huma.Response{}
		}
		r := o.Responses[code]
		r.Description = words
		if r.Content == nil {
			r.Content = make(map[string]*huma.MediaType)
		}
		r.Content["application/json"] = answer
	}
}
