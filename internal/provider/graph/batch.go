package graph

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"golang.org/x/sync/errgroup"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/outbound"
	"github.com/interlock-dev/interlock/internal/provider"
)

// maxBatch is the largest number of reads in one call. docs: JSON batching, 20.
const maxBatch = 20

// batchesAtOnce is how many calls of one Batch are under way at the same time. The lanes
// limit them too.
const batchesAtOnce = 4

// part is one read of a batch.
type part struct {
	path   string
	url    string // relative to the version, byte for byte as in path
	result *provider.Result
	err    *provider.Error // of the last answer; nil: it succeeded
}

// Batch implements [provider.Client]. The provider counts each part against its limits, so
// a batch has parts of one service only. It is no longer than the burst of that service:
// reads of conditional access are made one by one.
func (c *Client) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	results := make([]provider.Result, len(paths))
	type key struct {
		version string
		service service
	}
	var order []key
	groups := make(map[key][]*part)
	for i, path := range paths {
		results[i].Path = path
		address, err := c.address(path)
		if err != nil {
			results[i].Err = c.foreign(err)
			continue
		}
		version, rest, of := c.inVersion(address)
		k := key{version, of}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], &part{path: path, url: rest, result: &results[i]})
	}
	few, ctx := errgroup.WithContext(ctx)
	few.SetLimit(batchesAtOnce)
	for _, k := range order {
		size := c.lanes.lane(c.clientID, c.directory, k.service, false).burst()
		for chunk := range slices.Chunk(groups[k], min(maxBatch, size)) {
			few.Go(func() error { return c.readParts(ctx, k.version, k.service, chunk) })
		}
	}
	if err := few.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// readParts reads the parts of one batch until each has its result. Only those parts are
// sent again whose refusal may pass, after the longest wait that one of them was asked for.
func (c *Client) readParts(ctx context.Context, version string, of service, parts []*part) error {
	if len(parts) == 1 {
		return c.readSingly(ctx, parts)
	}
	anew := false
	for try, left := 0, parts; ; try++ {
		began, err := c.signedIn()
		if err != nil {
			return err
		}
		if err := c.sendParts(ctx, version, of, left); err != nil {
			var large *outbound.Refused
			if errors.As(err, &large) && large.Rule == outbound.TooLarge {
				return c.readSingly(ctx, left) // together they are too large; each has the same limit by itself
			}
			return err
		}
		refused := func(again func(*provider.Error) bool) (list []*part) {
			for _, p := range left {
				if p.err != nil && again(p.err) {
					list = append(list, p)
				}
			}
			return list
		}
		again := refused(c.mayPass)
		if doubted := refused(doubtsToken); len(doubted) > 0 {
			if !anew {
				anew = true
				if _, err := c.signInAnew(began); err != nil {
					return err
				}
				again = append(again, doubted...)
			} else {
				for _, p := range doubted {
					contradicted(p.err)
				}
			}
		}
		if len(again) == 0 || try >= max(0, int(c.retry.MaxRetries)) || !c.pauseBefore(ctx, try, again) {
			break
		}
		left = again
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, p := range parts {
		if p.err != nil {
			p.result.Body, p.result.Err = nil, c.told(c.explained(ctx, p.err))
		}
	}
	return nil
}

// mayPass reports whether a part is sent again. docs: a part that was not made because
// another one failed is answered with 424.
func (c *Client) mayPass(e *provider.Error) bool {
	return e.Status == http.StatusFailedDependency || e.Status == http.StatusOK || slices.Contains(c.retry.StatusCodes, e.Status)
}

// pauseBefore waits before the next try: as long as the longest wait that a part was
// asked for, else a little longer each time. It reports false if that is longer than the
// client waits, or ctx ends.
func (c *Client) pauseBefore(ctx context.Context, try int, parts []*part) bool {
	var asked time.Duration
	for _, p := range parts {
		asked = max(asked, p.err.RetryAfter)
	}
	wait := cmp.Or(asked, c.retry.RetryDelay<<try)
	if wait > c.retry.MaxRetryDelay {
		return false
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// readSingly reads parts one by one, as [Client.Get] does.
func (c *Client) readSingly(ctx context.Context, parts []*part) error {
	for _, p := range parts {
		body, err := c.read(ctx, p.path)
		var pe *provider.Error
		if err != nil && !errors.As(err, &pe) {
			return err
		}
		p.result.Body, p.result.Err, p.err = body, err, nil
	}
	return nil
}

// sendParts makes one call with the parts and notes what came for each.
func (c *Client) sendParts(ctx context.Context, version string, of service, parts []*part) error {
	type request struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
	}
	var batch struct {
		Requests []request `json:"requests"`
	}
	for i, p := range parts {
		batch.Requests = append(batch.Requests, request{ID: strconv.Itoa(i + 1), Method: http.MethodGet, URL: p.url, Headers: c.partHeaders()})
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("graph: batch: %w", err)
	}
	address := c.endpoints.Graph + "/" + version + "/$batch"
	a, err := c.signed(ctx, func(p runtime.Pipeline) (*answer, error) {
		call := &call{service: of, weight: len(parts)}
		req, err := c.request(ctx, call, http.MethodPost, address)
		if err != nil {
			return nil, err
		}
		if err := req.SetBody(streaming.NopCloser(bytes.NewReader(body)), "application/json"); err != nil {
			return nil, fmt.Errorf("graph: batch: %w", err)
		}
		return c.do(ctx, p, call, req)
	})
	if err != nil {
		return err
	}
	answers, err := partsOf(a)
	if err != nil {
		return c.told(&provider.Error{
			Reason: op.ProviderFault, Call: a.call, Status: a.status, Form: op.AnswerUnusable, Note: err.Error(), Temporary: true,
			RequestID: a.header.Get("request-id"), ClientID: a.clientID, At: dateOf(a.header, a.at),
		})
	}
	lane := c.lanes.lane(c.clientID, c.directory, of, false)
	for i, p := range parts {
		p.note(a, version, answers[strconv.Itoa(i+1)])
		if p.err != nil && p.err.RetryAfter > 0 && busy(p.err.Status) {
			lane.close(p.err.RetryAfter)
		}
	}
	return nil
}

// partHeaders are the headers of each part. docs: the headers of the call itself do not
// count for its parts.
func (c *Client) partHeaders() map[string]string {
	h := map[string]string{"Prefer": allMembers}
	if c.priority != "" {
		h["x-ms-throttle-priority"] = string(c.priority)
	}
	return h
}

// partAnswer is the answer to one part.
type partAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// partsOf returns the answers of a batch by their ids. They come in any order. Of two with
// one id, neither can be trusted.
func partsOf(a *answer) (map[string]*partAnswer, error) {
	var batch struct {
		Responses []partAnswer `json:"responses"`
	}
	if err := json.Unmarshal(a.text(), &batch); err != nil || batch.Responses == nil {
		return nil, errors.New("the answer is not that of a batch")
	}
	answers := make(map[string]*partAnswer, len(batch.Responses))
	for i, r := range batch.Responses {
		if _, twice := answers[r.ID]; twice {
			return nil, fmt.Errorf("the batch has two answers with the id %.20q", r.ID)
		}
		answers[r.ID] = &batch.Responses[i]
	}
	return answers, nil
}

// note keeps what came for a part in the call that outer answers; nil when nothing came.
func (p *part) note(outer *answer, version string, r *partAnswer) {
	call := provider.CallName(http.MethodGet, "/"+version+"/"+strings.TrimPrefix(p.url, "/"))
	if r == nil {
		p.err = &provider.Error{
			Reason: op.ProviderFault, Call: call, Status: outer.status, Form: op.AnswerUnusable, Note: "the batch has no answer to this read", Temporary: true,
			RequestID: outer.header.Get("request-id"), ClientID: outer.clientID, At: dateOf(outer.header, outer.at),
		}
		return
	}
	a := answer{service: outer.service, call: call, status: r.Status, header: make(http.Header), body: r.Body, clientID: outer.clientID, at: outer.at}
	for _, name := range []string{"Date", "request-id"} {
		a.header.Set(name, outer.header.Get(name))
	}
	if id := innerRequestID(r.Body); id != "" {
		a.header.Set("request-id", id)
	}
	for name, value := range r.Headers {
		a.header.Set(name, value)
	}
	var text string
	if json.Unmarshal(r.Body, &text) == nil { // not JSON, or in base64
		a.body = []byte(text)
	}
	if r.Status < 300 && r.Status >= 200 && json.Valid(a.body) && !errorInside(a.body) {
		p.result.Body, p.err = a.body, nil
		return
	}
	p.err = classify(a)
	if r.Status < 300 && !errorInside(a.body) {
		p.err.Reason, p.err.Note, p.err.Temporary, p.err.Form = op.ProviderFault, errUnreadable.Error(), true, formOf(a.body)
	}
}

// innerRequestID returns the id that the body of a refusal gives the call; empty when it
// gives none. Parts have no header for it (observed: Microsoft's samples).
func innerRequestID(body []byte) string {
	var b struct {
		Error struct {
			Inner struct {
				RequestID string `json:"request-id"`
			} `json:"innerError"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &b) // without one it is empty
	return b.Error.Inner.RequestID
}
