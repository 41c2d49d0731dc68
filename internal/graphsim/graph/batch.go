package graph

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// batchLimit is the largest number of requests in a batch (docs: 20).
const batchLimit = 20

type batchRequest struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

// batch serves $batch: a 200 with the responses of its parts in any order, which the seed determines
// (docs: JSON batching).
func (s *Service) batch(c *wire.Call) *wire.Reply {
	if c.Method != http.MethodPost {
		return c.GraphError(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	var in struct {
		Requests []batchRequest `json:"requests"`
	}
	if err := json.Unmarshal(c.Payload, &in); err != nil || in.Requests == nil {
		return c.GraphError(http.StatusBadRequest, "BadRequest", "Invalid batch payload format.")
	}
	if len(in.Requests) > batchLimit {
		return c.GraphError(http.StatusBadRequest, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.")
	}
	seen := map[string]bool{}
	for _, r := range in.Requests {
		id := strings.ToLower(r.ID)
		if id == "" || seen[id] {
			return c.GraphError(http.StatusBadRequest, "BadRequest", "Request Id has to be unique in a batch and not empty.")
		}
		for _, dep := range r.DependsOn { // a dependency comes before what depends on it
			if !seen[strings.ToLower(dep)] {
				return c.GraphError(http.StatusBadRequest, "BadRequest", "Invalid batch request: dependsOn '"+dep+"' names no earlier request.")
			}
		}
		seen[id] = true
	}
	out := s.answerParts(c, in.Requests)
	rng := rand.New(rand.NewPCG(s.Seed, uint64(len(c.Payload))))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	re := wire.JSONReply(http.StatusOK, odata.Object{odata.F("responses", out)})
	re.Header.Set("OData-Version", "4.0")
	return re
}

// answerParts serves the requests of a batch side by side, each as soon as those that it depends on
// have been answered.
func (s *Service) answerParts(c *wire.Call, requests []batchRequest) []odata.Object {
	out := make([]odata.Object, len(requests))
	parts := make(map[string]*batchPart, len(requests))
	for _, r := range requests {
		parts[strings.ToLower(r.ID)] = &batchPart{answered: make(chan struct{})}
	}
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			part := parts[strings.ToLower(r.ID)]
			defer close(part.answered)
			var re *wire.Reply
			for _, name := range r.DependsOn { // only earlier requests: it ends
				dep := parts[strings.ToLower(name)]
				<-dep.answered
				if dep.status >= http.StatusBadRequest {
					re = wire.JSONReply(http.StatusFailedDependency, odata.Object{odata.F("error", odata.Object{
						odata.F("code", "FailedDependency"), odata.F("message", "Error in dependent request."),
					})})
				}
			}
			if re == nil {
				re = s.answerPart(c, r)
			}
			part.status = re.Status
			out[i] = partReply(r.ID, re)
		})
	}
	wg.Wait()
	return out
}

// batchPart is a request of a batch that others may wait for.
type batchPart struct {
	answered chan struct{}
	status   int // valid once answered is closed
}

// partReply returns a response as an element of the response of its batch.
func partReply(id string, re *wire.Reply) odata.Object {
	headers := odata.Object{}
	for _, name := range []string{"Cache-Control", "x-ms-resource-unit", "OData-Version", "Location", "Retry-After", "WWW-Authenticate", "Content-Type"} {
		if v := re.Header.Get(name); v != "" {
			headers = append(headers, odata.F(name, v))
		}
	}
	o := odata.Object{odata.F("id", id), odata.F("status", re.Status), odata.F("headers", headers)}
	switch {
	case len(re.Body) == 0:
	case json.Valid(re.Body):
		o = append(o, odata.Field{Name: "body", Raw: re.Body})
	default:
		o = append(o, odata.F("body", string(re.Body)))
	}
	return o
}

// answerPart serves one request of a batch. Its URL may have an API version: Microsoft's
// JavaScript client sends it to custom hosts (observed).
func (s *Service) answerPart(c *wire.Call, r batchRequest) *wire.Reply {
	u, err := url.Parse("/" + strings.TrimPrefix(r.URL, "/"))
	if err != nil || strings.Contains(r.URL, "://") {
		return c.GraphError(http.StatusBadRequest, "BadRequest", "Invalid request url: it must be relative.")
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !odata.IsVersion(first) {
		u.Path = "/" + c.Version() + u.Path
		u.RawPath = ""
	}
	req := c.Request.Clone(c.Context())
	req.Method, req.URL = strings.ToUpper(r.Method), u
	req.Header = http.Header{"Accept": c.Header["Accept"]}
	for k, v := range r.Headers {
		req.Header.Set(k, v)
	}
	if string(r.Body) == "null" || req.Method == http.MethodGet { // observed: msgraph-sdk-go sends null or {} with a GET
		r.Body = nil
	}
	sub := *c
	sub.Request, sub.RequestID, sub.Payload, sub.Began = req, uuid.NewString(), r.Body, time.Now()
	sub.Empty, sub.Replayed, sub.Discard = false, false, false // of the batch
	if len(r.Body) > 0 && req.Header.Get("Content-Type") == "" {
		return sub.GraphError(http.StatusBadRequest, "BadRequest", "Write request id : "+r.ID+" does not contain Content-Type header or body.")
	}
	path := odata.Segments(sub.ResourcePath())
	if len(path) == 0 || slices.ContainsFunc(path, func(p string) bool { return strings.EqualFold(p, "$batch") }) {
		return sub.NoSegment("$batch")
	}
	return s.Part(&sub, path)
}
