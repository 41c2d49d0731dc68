package graphsim

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// batchLimit is the number of requests in a batch (docs: 20).
const batchLimit = 20

type batchRequest struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

// batch answers $batch: 200 around the answers of its parts, in any order (docs: JSON batching).
func (s *Server) batch(c *call) *reply {
	if c.Method != http.MethodPost {
		return c.graphError(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	}
	var in struct {
		Requests []batchRequest `json:"requests"`
	}
	if err := json.Unmarshal(c.body, &in); err != nil || in.Requests == nil {
		return c.graphError(http.StatusBadRequest, "BadRequest", "Invalid batch payload format.")
	}
	if len(in.Requests) > batchLimit {
		return c.graphError(http.StatusBadRequest, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.")
	}
	seen := map[string]bool{}
	for _, r := range in.Requests {
		id := strings.ToLower(r.ID)
		if id == "" || seen[id] {
			return c.graphError(http.StatusBadRequest, "BadRequest", "Request Id has to be unique in a batch and not empty.")
		}
		for _, dep := range r.DependsOn { // a dependency stands before what depends on it
			if !seen[strings.ToLower(dep)] {
				return c.graphError(http.StatusBadRequest, "BadRequest", "Invalid batch request: dependsOn '"+dep+"' names no earlier request.")
			}
		}
		seen[id] = true
	}
	status := map[string]int{}
	out := make([]object, 0, len(in.Requests))
	for _, r := range in.Requests {
		re := failedDependency(r, status)
		if re == nil {
			re = s.part(c, r)
		}
		status[strings.ToLower(r.ID)] = re.status
		headers := object{}
		for _, name := range []string{"Cache-Control", "x-ms-resource-unit", "OData-Version", "Location", "Retry-After", "WWW-Authenticate", "Content-Type"} {
			if v := re.header.Get(name); v != "" {
				headers = append(headers, field{name, rawJSON(v)})
			}
		}
		o := object{{"id", rawJSON(r.ID)}, {"status", rawJSON(re.status)}, {"headers", rawJSON(headers)}}
		switch {
		case len(re.body) == 0:
		case json.Valid(re.body):
			o = append(o, field{"body", re.body})
		default:
			o = append(o, field{"body", rawJSON(string(re.body))})
		}
		out = append(out, o)
	}
	rng := rand.New(rand.NewPCG(s.cfg.Seed, uint64(len(c.body))))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	re := jsonReply(http.StatusOK, object{{"responses", rawJSON(out)}})
	re.header.Set("OData-Version", "4.0")
	return re
}

func failedDependency(r batchRequest, status map[string]int) *reply {
	for _, dep := range r.DependsOn {
		if status[strings.ToLower(dep)] >= http.StatusBadRequest {
			return jsonReply(http.StatusFailedDependency, object{{"error", rawJSON(object{
				{"code", rawJSON("FailedDependency")}, {"message", rawJSON("Error in dependent request.")},
			})}})
		}
	}
	return nil
}

// part answers one request of a batch like a call of its own: logged, throttled and open to
// faults, save those that shape the connection. A version in its address is tolerated:
// Microsoft's JavaScript client leaves it there for custom hosts (observed).
func (s *Server) part(c *call, r batchRequest) *reply {
	u, err := url.Parse("/" + strings.TrimPrefix(r.URL, "/"))
	if err != nil || strings.Contains(r.URL, "://") {
		return c.graphError(http.StatusBadRequest, "BadRequest", "Invalid request url: it must be relative.")
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if !isVersion(first) {
		u.Path = "/" + c.version() + u.Path
		u.RawPath = ""
	}
	req := c.Request.Clone(c.Context())
	req.Method, req.URL = strings.ToUpper(r.Method), u
	req.Header = http.Header{"Accept": c.Header["Accept"]}
	for k, v := range r.Headers {
		req.Header.Set(k, v)
	}
	sub := *c
	sub.Request, sub.requestID, sub.body = req, uuid.NewString(), r.Body
	if len(r.Body) > 0 && req.Header.Get("Content-Type") == "" {
		return sub.graphError(http.StatusBadRequest, "BadRequest", "Write request id : "+r.ID+" does not contain Content-Type header or body.")
	}
	path := segments(sub.resourcePath())
	if len(path) == 0 || slices.ContainsFunc(path, func(p string) bool { return strings.EqualFold(p, "$batch") }) {
		return sub.noSegment("$batch")
	}
	entry := s.calls.begin(&sub)
	fault := s.faults.match(&sub)
	var re *reply
	defer func() { s.calls.end(entry, re, 0, s.now()) }()
	if fault != nil {
		s.calls.fault(entry, fault.rule.ID, fault.rule.Action.Kind)
		re = s.answer(&sub, fault)
	} else if re = s.throttle.check(&sub); re == nil {
		re = s.resource(&sub, path)
	}
	if re == nil { // dropped: to the batch that is a part without an answer in time
		re = sub.graphError(http.StatusGatewayTimeout, "UnknownError", "")
	}
	return re
}
