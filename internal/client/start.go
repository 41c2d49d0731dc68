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

// StartRequest is a request to start an operation.
type StartRequest struct {
	Operation  op.Kind         `json:"operation"`
	Connection string          `json:"connection,omitempty"` // id or name; empty: the tenant's default
	Parameters json.RawMessage `json:"parameters,omitempty"` // nil: the operation's defaults
	Key        string          `json:"-"`                    // idempotency key; empty: a new one
}

// patience is the wait before each retry of a start.
var patience = []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// Start requests an operation on a tenant. All four answers of the gate are answers; a
// refusal is a [*Problem]. If no answer comes, or the server is unavailable, Start
// retries with the same idempotency key, so that there is at most one run.
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

// asked returns the headers that name the surface.
func (c *Client) asked() http.Header {
	header := http.Header{}
	if c.surface != "" {
		header.Set("Interlock-Surface", c.surface)
	}
	return header
}

// passing reports whether a retry may succeed after err.
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
