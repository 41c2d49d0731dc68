package graph

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"

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

// batch serves $batch: a 200 with the responses of its parts in any order (docs: JSON batching).
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
	status := map[string]int{}
	out := make([]odata.Object, 0, len(in.Requests))
	for _, r := range in.Requests {
		re := failedDependency(r, status)
		if re == nil {
			re = s.answerPart(c, r)
		}
		status[strings.ToLower(r.ID)] = re.Status
		headers := odata.Object{}
		for _, name := range []string{"Cache-Control", "x-ms-resource-unit", "OData-Version", "Location", "Retry-After", "WWW-Authenticate", "Content-Type"} {
			if v := re.Header.Get(name); v != "" {
				headers = append(headers, odata.F(name, v))
			}
		}
		o := odata.Object{odata.F("id", r.ID), odata.F("status", re.Status), odata.F("headers", headers)}
		switch {
		case len(re.Body) == 0:
		case json.Valid(re.Body):
			o = append(o, odata.Field{Name: "body", Raw: re.Body})
		default:
			o = append(o, odata.F("body", string(re.Body)))
		}
		out = append(out, o)
	}
	rng := rand.New(rand.NewPCG(s.Seed, uint64(len(c.Payload))))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	re := wire.JSONReply(http.StatusOK, odata.Object{odata.F("responses", out)})
	re.Header.Set("OData-Version", "4.0")
	return re
}

func failedDependency(r batchRequest, status map[string]int) *wire.Reply {
	for _, dep := range r.DependsOn {
		if status[strings.ToLower(dep)] >= http.StatusBadRequest {
			return wire.JSONReply(http.StatusFailedDependency, odata.Object{odata.F("error", odata.Object{
				odata.F("code", "FailedDependency"), odata.F("message", "Error in dependent request."),
			})})
		}
	}
	return nil
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
	sub.Request, sub.RequestID, sub.Payload = req, uuid.NewString(), r.Body
	if len(r.Body) > 0 && req.Header.Get("Content-Type") == "" {
		return sub.GraphError(http.StatusBadRequest, "BadRequest", "Write request id : "+r.ID+" does not contain Content-Type header or body.")
	}
	path := odata.Segments(sub.ResourcePath())
	if len(path) == 0 || slices.ContainsFunc(path, func(p string) bool { return strings.EqualFold(p, "$batch") }) {
		return sub.NoSegment("$batch")
	}
	return s.Part(&sub, path)
}
