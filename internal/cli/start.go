package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

// asked holds the flags of start and preflight.
type asked struct {
	tenant, connection, parameters string
	params                         []string
}

func (a *app) askFlags(c *cobra.Command, in *asked) {
	f := c.Flags()
	f.StringVarP(&in.tenant, "tenant", "t", "", "id or name of the tenant")
	f.StringVarP(&in.connection, "connection", "c", "", "id or name of the connection (default the tenant's default connection)")
	f.StringArrayVarP(&in.params, "param", "p", nil, "a parameter, as name=value; may be given several times")
	f.StringVar(&in.parameters, "parameters", "", "all parameters, as a JSON object")
	a.completeTenants(c)
	c.ValidArgsFunction = a.completeKinds
}

// request builds a request from the flags.
func (in asked) request(ctx context.Context, cl *client.Client, kind string) (client.StartRequest, error) {
	r := client.StartRequest{Operation: op.Kind(kind), Connection: in.connection}
	if err := need("tenant", in.tenant); err != nil {
		return r, err
	}
	switch {
	case in.parameters != "" && len(in.params) > 0:
		return r, usagef("--param and --parameters can't be given together")
	case in.parameters != "":
		if !json.Valid([]byte(in.parameters)) {
			return r, usagef("--parameters is not valid JSON")
		}
		r.Parameters = json.RawMessage(in.parameters)
	case len(in.params) > 0:
		types, err := parameterTypes(ctx, cl, r.Operation)
		if err != nil {
			return r, err
		}
		if r.Parameters, err = parameters(in.params, types); err != nil {
			return r, err
		}
	}
	return r, nil
}

// parameterTypes returns the JSON type of each parameter of an operation.
func parameterTypes(ctx context.Context, cl *client.Client, kind op.Kind) (map[string]string, error) {
	operations, err := cl.Operations(ctx)
	if err != nil {
		return nil, err
	}
	types := make(map[string]string)
	for _, o := range operations.Items {
		if o.Kind != kind {
			continue
		}
		var schema struct {
			Properties map[string]struct {
				Type json.RawMessage `json:"type"`
			} `json:"properties"`
		}
		if err := json.Unmarshal(o.Parameters, &schema); err != nil {
			return nil, fmt.Errorf("parameters of %s: %w", kind, err)
		}
		for name, p := range schema.Properties {
			for _, t := range []string{"array", "boolean", "integer", "number"} {
				if bytes.Contains(p.Type, []byte(strconv.Quote(t))) {
					types[name] = t
				}
			}
		}
	}
	return types, nil
}

// parameters converts name=value pairs into an object, each value in the operation's
// type. The server checks the values.
func parameters(pairs []string, types map[string]string) (json.RawMessage, error) {
	values := make(map[string]any)
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("--param must be name=value, not %q", pair)
		}
		switch types[name] {
		case "array":
			list, _ := values[name].([]string)
			values[name] = append(list, strings.Split(value, ",")...)
		case "boolean", "integer", "number":
			if !json.Valid([]byte(value)) {
				return nil, usagef("--param %s must be a %s, not %q", name, types[name], value)
			}
			values[name] = json.RawMessage(value)
		default:
			values[name] = value
		}
	}
	return json.Marshal(values)
}

func (a *app) start() *cobra.Command {
	var in asked
	var key string
	var wait bool
	c := &cobra.Command{
		Use:   "start KIND --tenant TENANT",
		Short: "Start an operation on a tenant",
		Long: `Start an operation on a tenant. The answer is accepted, already running, connection
busy or blocked, with why and what to do next. The answer goes to standard error, and
the code of the run, if there is one, to standard output.

With --wait the command waits for the end of the run, and its exit code gives the
result. With --output json, the finished run follows the answer as a second document.

` + exitHelp,
		Example: `  interlock start inventory.sync --tenant kestrel
  interlock start inventory.sync --tenant kestrel --param types=mobileApps,deviceConfigurations
  interlock start directory.groups.sync --tenant kestrel --param full=true --wait`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			r, err := in.request(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			r.Key = key
			answer, err := cl.Start(a.verbatim(c.Context()), in.tenant, r)
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
		},
	}
	a.askFlags(c, &in)
	c.Flags().StringVar(&key, "key", "", "idempotency key: a repeated key gets the first answer (default a new key)")
	c.Flags().BoolVarP(&wait, "wait", "w", false, "wait for the end of the run")
	return c
}

func (a *app) preflight() *cobra.Command {
	var in asked
	c := &cobra.Command{
		Use:     "preflight KIND --tenant TENANT",
		Short:   "Show how a start would be answered now; nothing is queued",
		Long:    "Show how a start would be answered now. Nothing is queued and nothing is recorded.\n\n" + exitHelp,
		Example: `  interlock preflight inventory.sync --tenant kestrel`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			r, err := in.request(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			answer, err := cl.Preflight(a.verbatim(c.Context()), in.tenant, r)
			if err != nil {
				return err
			}
			if !a.json() {
				a.page(a.Err).answer(answer)
			}
			return exitOf(answer.Outcome.ExitCode())
		},
	}
	a.askFlags(c, &in)
	return c
}

func exitOf(code int) error {
	if code == 0 {
		return nil
	}
	return exit(code)
}

// completeWithin is how long a completion may take.
const completeWithin = 2 * time.Second

func (a *app) completeKinds(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
		operations, err := cl.Operations(ctx)
		return each(operations.Items, func(o client.Operation) string { return string(o.Kind) + "\t" + o.Does }), err
	})
}

func (a *app) completeTenants(c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("tenant", func(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) { // the flag is there
		return complete(c.Context(), a, func(ctx context.Context, cl *client.Client) ([]string, error) {
			tenants, err := cl.Tenants(ctx, client.TenantFilter{Query: typed, Paging: client.Paging{Limit: 200}})
			return each(tenants.Items, func(t client.Tenant) string { return t.Slug + "\t" + t.Name }), err
		})
	})
}

// complete asks the server for values, if the user is logged in.
func complete(ctx context.Context, a *app, ask func(context.Context, *client.Client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	cl, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	values, err := ask(ctx, cl)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return values, cobra.ShellCompDirectiveNoFileComp
}

// each applies f to all of list.
func each[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}
