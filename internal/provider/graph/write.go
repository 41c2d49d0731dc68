package graph

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// methods of changes.
var methods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// ownHeaders are set by the client itself.
var ownHeaders = []string{"Accept", "Authorization", "Client-Request-Id", "Content-Length", "Content-Type", "Host"}

// Write implements [provider.Writer]. Neither the client nor the transport sends a change
// again whose result is in doubt, unless its repeat is safe. A change that was refused or
// not sent is retried like a read.
func (c *Client) Write(ctx context.Context, change provider.Change) (provider.Answer, error) {
	address, err := c.target(change)
	if err != nil {
		return provider.Answer{}, fmt.Errorf("graph: change: %w", err)
	}
	a, err := c.signed(ctx, func(p runtime.Pipeline) (*answer, error) { return c.change(ctx, p, address, change) })
	if err != nil {
		return provider.Answer{}, err
	}
	return provider.Answer{
		Status: a.status, Body: a.text(), RequestID: c.redactor.text(a.header.Get("request-id")), ClientID: a.clientID, At: dateOf(a.header, a.at),
	}, nil
}

// target returns the address of a change, or an error for an invalid change.
func (c *Client) target(change provider.Change) (string, error) {
	if !slices.Contains(methods, change.Method) {
		return "", fmt.Errorf("method %.20q: must be one of %s", change.Method, strings.Join(methods, ", "))
	}
	for name := range change.Header {
		if slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			return "", fmt.Errorf("header %s: is set by the client", name)
		}
	}
	if !strings.HasPrefix(change.Path, "/") {
		return "", errors.New("path: must begin with / and the version")
	}
	return c.address(change.Path)
}

// change sends a change through a pipeline and returns a successful answer.
func (c *Client) change(ctx context.Context, p runtime.Pipeline, address string, change provider.Change) (*answer, error) {
	call := &call{writes: true}
	retry := c.retry
	if change.Repeat != provider.RepeatSafe {
		retry.ShouldRetry = func(resp *http.Response, err error) bool {
			return !call.doubt && (err != nil || slices.Contains(retry.StatusCodes, resp.StatusCode))
		}
	}
	req, err := c.request(policy.WithRetryOptions(ctx, retry), call, change.Method, address)
	if err != nil {
		return nil, err
	}
	for name, value := range change.Header {
		req.Raw().Header.Set(name, value)
	}
	if change.Body != nil {
		if err := req.SetBody(streaming.NopCloser(bytes.NewReader(change.Body)), "application/json"); err != nil {
			return nil, fmt.Errorf("graph: change: %w", err)
		}
	}
	a, err := c.do(ctx, p, call, req)
	if err != nil && call.doubt {
		return nil, doubtful(call, err)
	}
	return a, err
}

// doubtful returns err as a [provider.Error] that is marked as doubtful.
func doubtful(call *call, err error) error {
	var pe *provider.Error
	if !errors.As(err, &pe) { // the run was stopped during the call
		pe = &provider.Error{
			Reason: op.ProviderUnreachable, Note: "the call was cut off", Temporary: true, Call: call.name, ClientID: call.id, At: time.Now(), Err: err,
		}
	}
	pe.Doubtful = true
	return pe
}
