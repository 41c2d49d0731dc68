package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// StartRequest is what a start asks for.
type StartRequest struct {
	Operation  op.Kind         `json:"operation"`
	Connection string          `json:"connection,omitempty"` // id or name; empty: the tenant's default
	Parameters json.RawMessage `json:"parameters,omitempty"` // nil: the operation's defaults
	Key        string          `json:"-"`                    // idempotency key; empty: a new one
}

// patience is how long a start waits before each further try.
var patience = []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// Start asks for an operation on a tenant. All four answers of the gate are
// answers; refusals are [*Problem]. When no answer comes, or the server can't
// give one at the moment, Start asks again with the same key: whatever became of
// the first try, there is one run at most.
func (c *Client) Start(ctx context.Context, tenant string, r StartRequest) (a op.Answer, err error) {
	if r.Key == "" {
		r.Key = rand.Text()
	}
	header := c.asked()
	header.Set("Idempotency-Key", r.Key)
	for try := 0; ; try++ {
		err = c.do(ctx, call{
			method: http.MethodPost, path: path("/tenants/%s/starts", tenant), header: header, in: r, out: &a,
			answers: []int{http.StatusConflict, http.StatusUnprocessableEntity},
		})
		if try == len(patience) || !passing(err) || ctx.Err() != nil {
			return a, err
		}
		d := patience[try]
		var p *Problem
		if errors.As(err, &p) {
			d = max(d, p.retryAfter)
		}
		if c.wait(ctx, d) != nil {
			return a, err
		}
	}
}

// asked returns headers that tell where something is asked.
func (c *Client) asked() http.Header {
	header := http.Header{}
	if c.surface != "" {
		header.Set("Interlock-Surface", c.surface)
	}
	return header
}

// passing reports whether err may be gone at the next try.
func passing(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		switch p.Status {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return err != nil
}

// Preflight returns what Start would answer now. Nothing is written.
func (c *Client) Preflight(ctx context.Context, tenant string, r StartRequest) (op.Answer, error) {
	return get[op.Answer](ctx, c, path("/tenants/%s/preflight", tenant), url.Values(filters{}.
		add("operation", string(r.Operation)).add("connection", r.Connection).add("parameters", string(r.Parameters))))
}
