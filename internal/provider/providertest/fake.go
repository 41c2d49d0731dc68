// Package providertest has a provider in memory, for tests of operations that write. It
// keeps the objects that it is sent and the changes that arrived, so that a test can see
// whether something was made twice.
package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// Fake is a provider that keeps objects by their path. A POST to a collection makes an
// object, even if there is an equal one. PUT and PATCH replace the body of an object, and
// DELETE removes it. A Fake is safe for concurrent use.
type Fake struct {
	Token provider.Token // what signing in returns

	mu      sync.Mutex
	objects []Object
	made    int
	changes []provider.Change // every one that arrived
	hook    Hook
}

// Object is one object of a [Fake].
type Object struct {
	Collection, ID string
	Body           json.RawMessage
}

// Hook is called in place of a change. apply makes the change and returns its answer. The
// hook decides whether to call apply, and what the client gets.
type Hook func(ctx context.Context, c provider.Change, apply func() (provider.Answer, error)) (provider.Answer, error)

// OnChange installs a hook; nil removes it.
func (f *Fake) OnChange(h Hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = h
}

// Objects returns the objects of a collection in the order in which they were made.
func (f *Fake) Objects(collection string) []Object {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []Object
	for _, o := range f.objects {
		if o.Collection == collection {
			found = append(found, o)
		}
	}
	return found
}

// Reset forgets every object and every change, and removes the hook.
func (f *Fake) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects, f.changes, f.made, f.hook = nil, nil, 0, nil
}

// Changes returns the changes that arrived.
func (f *Fake) Changes() []provider.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.changes)
}

// Client returns a client of f. Before is asked before each call, as by every client.
func (f *Fake) Client(before func(context.Context) (time.Time, error)) *Client {
	return &Client{fake: f, before: before}
}

// Client is a [provider.Client] and a [provider.Writer].
type Client struct {
	fake   *Fake
	before func(context.Context) (time.Time, error)
}

var (
	_ provider.Client = (*Client)(nil)
	_ provider.Writer = (*Client)(nil)
)

// Discover implements [provider.Client].
func (c *Client) Discover(ctx context.Context) error {
	_, err := c.before(ctx)
	return err
}

// Token implements [provider.Client].
func (c *Client) Token(ctx context.Context) (provider.Token, error) {
	if _, err := c.before(ctx); err != nil {
		return provider.Token{}, err
	}
	return c.fake.Token, nil
}

// Get implements [provider.Client].
func (c *Client) Get(ctx context.Context, path string) (json.RawMessage, error) {
	if _, err := c.before(ctx); err != nil {
		return nil, err
	}
	c.fake.mu.Lock()
	defer c.fake.mu.Unlock()

	if strings.HasPrefix(path, "/v1.0/organization") {
		return json.RawMessage(fmt.Sprintf(`{"value":[{"id":%q,"displayName":"T","verifiedDomains":[]}]}`, c.fake.Token.Directory)), nil
	}
	if i := c.fake.index(path); i >= 0 {
		return c.fake.objects[i].Body, nil
	}
	return nil, notFound("GET " + path)
}

// Page implements [provider.Client]: one page with the whole collection, each object
// with its id.
func (c *Client) Page(ctx context.Context, next string) (provider.Page, error) {
	if _, err := c.before(ctx); err != nil {
		return provider.Page{}, err
	}
	page := provider.Page{}
	for _, o := range c.fake.Objects(next) {
		var fields map[string]any
		if err := json.Unmarshal(o.Body, &fields); err != nil {
			return provider.Page{}, fmt.Errorf("object %s: %w", o.ID, err)
		}
		fields["id"] = o.ID
		body, err := json.Marshal(fields)
		if err != nil {
			return provider.Page{}, fmt.Errorf("object %s: %w", o.ID, err)
		}
		page.Items = append(page.Items, body)
	}
	return page, nil
}

// Batch implements [provider.Client].
func (c *Client) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	return Batch(ctx, c, paths)
}

// Batch makes the reads of a batch one by one, with Get. Fakes use it.
func Batch(ctx context.Context, c provider.Client, paths []string) ([]provider.Result, error) {
	results := make([]provider.Result, len(paths))
	for i, path := range paths {
		body, err := c.Get(ctx, path)
		var pe *provider.Error
		if err != nil && !errors.As(err, &pe) {
			return nil, err
		}
		results[i] = provider.Result{Path: path, Body: body, Err: err}
	}
	return results, nil
}

// Write implements [provider.Writer].
func (c *Client) Write(ctx context.Context, change provider.Change) (provider.Answer, error) {
	if _, err := c.before(ctx); err != nil {
		return provider.Answer{}, err
	}
	c.fake.mu.Lock()
	c.fake.changes = append(c.fake.changes, change)
	hook := c.fake.hook
	c.fake.mu.Unlock()
	apply := func() (provider.Answer, error) { return c.fake.apply(change) }
	if hook == nil {
		return apply()
	}
	return hook(ctx, change, apply)
}

func (f *Fake) apply(c provider.Change) (provider.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := provider.Answer{Status: 204, RequestID: "request-" + strconv.Itoa(len(f.changes)), At: time.Now()}
	if c.Method == "POST" {
		f.made++
		o := Object{Collection: c.Path, ID: strconv.Itoa(f.made), Body: c.Body}
		f.objects = append(f.objects, o)
		a.Status, a.Body = 201, json.RawMessage(fmt.Sprintf(`{"id":%q}`, o.ID))
		return a, nil
	}
	i := f.index(c.Path)
	switch {
	case i < 0:
		return provider.Answer{}, notFound(c.Method + " " + c.Path)
	case c.Method == "DELETE":
		f.objects = slices.Delete(f.objects, i, i+1)
	default:
		f.objects[i].Body = c.Body
	}
	return a, nil
}

func (f *Fake) index(path string) int {
	return slices.IndexFunc(f.objects, func(o Object) bool { return o.Collection+"/"+o.ID == path })
}

func notFound(call string) error {
	return &provider.Error{Reason: op.ProviderRejected, Call: call, Status: 404, Code: "ResourceNotFound", Message: "not found", At: time.Now()}
}

// Lost is the error of a change whose answer was lost: it may have been made.
func Lost(c provider.Change) error {
	return &provider.Error{
		Reason: op.ProviderUnreachable, Doubtful: true, Temporary: true, Call: c.Method + " " + c.Path, Note: "no answer in time", At: time.Now(),
	}
}

// Throttled is the error of a change that was refused because the provider is busy.
func Throttled(c provider.Change, wait time.Duration) error {
	return &provider.Error{
		Reason: op.ProviderThrottled, Temporary: true, RetryAfter: wait, Call: c.Method + " " + c.Path, Status: 429, At: time.Now(),
	}
}
