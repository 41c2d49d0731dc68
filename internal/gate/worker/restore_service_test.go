package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/provider/providertest"
)

// service is a provider of policies in memory. It knows the types by the table, keeps what
// is sent, and adds what the provider adds. A create of the same name makes a second
// object.
type service struct {
	token provider.Token

	mu      sync.Mutex
	objects map[string]map[string]map[string]any // by type and id
	order   []string                             // "type id", as created
	hook    providertest.Hook
	writes  int // changes that arrived
}

func newService(token provider.Token) *service {
	return &service{token: token, objects: map[string]map[string]map[string]any{}}
}

func (s *service) onChange(h providertest.Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = h
}

func (s *service) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// put stores an object and returns its id.
func (s *service) put(t *policy.Type, body map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create(t, body)
}

// change changes a stored object as an administrator would.
func (s *service) change(key, id string, do func(map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.objects[key][id])
}

// names are the names of all objects, by type: "type: name".
func (s *service) names() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, objects := range s.objects {
		for _, o := range objects {
			all = append(all, fmt.Sprintf("%s: %v", key, o[policy.Lookup(key).Name]))
		}
	}
	slices.Sort(all)
	return all
}

// read returns all objects as a backup reads them.
func (s *service) read(t testing.TB) (all []policy.Document) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.order {
		key, id, _ := strings.Cut(at, " ")
		body, err := json.Marshal(s.objects[key][id])
		if err != nil {
			t.Fatal(err)
		}
		d, err := policy.Normalise(policy.Item{Type: key, ID: id, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func (s *service) create(t *policy.Type, body map[string]any) string {
	id := fmt.Sprintf("new-%03d", len(s.order)+1)
	body["id"], body["createdDateTime"] = id, "2026-11-20T08:00:00Z"
	for _, p := range t.Parts {
		if body[p.Key] == nil && p.Read != policy.WithObject {
			body[p.Key] = []any{}
		}
	}
	if t.Assign.Can() && body["assignments"] == nil {
		body["assignments"] = []any{}
	}
	if s.objects[t.Key] == nil {
		s.objects[t.Key] = map[string]map[string]any{}
	}
	s.objects[t.Key][id], s.order = body, append(s.order, t.Key+" "+id)
	return id
}

// find returns the type and the object that a path leads to, and what is below it.
func (s *service) find(path string) (t *policy.Type, id, below string) {
	path, _, _ = strings.Cut(path, "?")
	for _, t := range policy.Types() {
		if rest, ok := strings.CutPrefix(path, t.ListPath()); ok && (rest == "" || rest[0] == '/') {
			id, below, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
			id, _ = url.PathUnescape(id)
			return t, id, below
		}
	}
	return nil, "", ""
}

func absentError(call string) error {
	return &provider.Error{Reason: op.ProviderRejected, Call: call, Status: http.StatusNotFound, Code: "ResourceNotFound", Message: "not found", At: time.Now()}
}

func (s *service) get(path string) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(path, "/v1.0/organization") {
		return json.RawMessage(fmt.Sprintf(`{"value":[{"id":%q,"displayName":"T","verifiedDomains":[]}]}`, s.token.Directory)), nil
	}
	t, id, below := s.find(path)
	if t == nil {
		return nil, absentError("GET " + path)
	}
	without := func(o map[string]any) map[string]any { // as answers leave out what is separate
		o = maps.Clone(o)
		for _, p := range t.Parts {
			if p.Read != policy.WithObject {
				delete(o, p.Key)
			}
		}
		delete(o, "assignments")
		return o
	}
	if id == "" {
		list := []any{}
		for _, at := range s.order {
			if key, id, _ := strings.Cut(at, " "); key == t.Key {
				list = append(list, without(s.objects[key][id]))
			}
		}
		return json.Marshal(map[string]any{"value": list})
	}
	o := s.objects[t.Key][id]
	switch {
	case o == nil:
		return nil, absentError("GET " + path)
	case strings.Contains(below, "/"): // what is read for each element of a part
		part, rest, _ := strings.Cut(below, "/")
		element, name, _ := strings.Cut(rest, "/")
		list, _ := o[part].([]any)
		for _, e := range list {
			if e, _ := e.(map[string]any); e["id"] == element {
				return json.Marshal(map[string]any{"value": e[name]})
			}
		}
		return nil, absentError("GET " + path)
	case below != "":
		return json.Marshal(map[string]any{"value": o[below]})
	case strings.Contains(path, "$expand="):
		return json.Marshal(o)
	}
	return json.Marshal(without(o))
}

func (s *service) apply(c provider.Change) (provider.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body map[string]any
	if err := json.Unmarshal(c.Body, &body); err != nil {
		return provider.Answer{}, err
	}
	t, id, below := s.find(c.Path)
	a := provider.Answer{Status: http.StatusNoContent, At: time.Now()}
	switch {
	case t == nil:
		return a, absentError(c.Method + " " + c.Path)
	case id == "":
		a.Status, a.Body = http.StatusCreated, json.RawMessage(fmt.Sprintf(`{"id":%q}`, s.create(t, body)))
		return a, nil
	case s.objects[t.Key][id] == nil:
		return a, absentError(c.Method + " " + c.Path)
	}
	o := s.objects[t.Key][id]
	switch {
	case below == "" && c.Method == http.MethodPut:
		body["id"], body["assignments"] = id, o["assignments"]
		s.objects[t.Key][id] = body
	case below == "":
		maps.Copy(o, body)
	case below == t.Assign.Action && t.Assign.Param != "":
		o["assignments"] = body[t.Assign.Param]
	case t.Part(below) != nil:
		list, _ := o[below].([]any)
		o[below] = append(list, body)
	case slices.ContainsFunc(t.Parts, func(p policy.Part) bool { return p.Action == below && p.Update == policy.ByDelta }):
		values, _ := o["definitionValues"].([]any)
		added, _ := body["added"].([]any)
		for i, v := range added {
			value, _ := v.(map[string]any)
			_, id, _ := strings.Cut(fmt.Sprint(value["definition@odata.bind"]), "('")
			value["id"], value["definition"] = fmt.Sprint("value", len(values)+i), map[string]any{"id": strings.TrimSuffix(id, "')")}
			delete(value, "definition@odata.bind")
			if value["presentationValues"] == nil {
				value["presentationValues"] = []any{}
			}
		}
		o["definitionValues"] = append(values, added...)
	case t.Assign.Can() && below == t.Assign.Action: // one assignment
		list, _ := o["assignments"].([]any)
		o["assignments"] = append(list, body)
	default:
		i := slices.IndexFunc(t.Parts, func(p policy.Part) bool { return p.Action == below && p.Param != "" })
		if i < 0 {
			return a, absentError(c.Method + " " + c.Path)
		}
		o[t.Parts[i].Key] = body[t.Parts[i].Param]
	}
	return a, nil
}

// serviceClient is a client of a service.
type serviceClient struct {
	s      *service
	before func(context.Context) (time.Time, error)
}

func (c serviceClient) Discover(ctx context.Context) error {
	_, err := c.before(ctx)
	return err
}

func (c serviceClient) Token(ctx context.Context) (provider.Token, error) {
	_, err := c.before(ctx)
	return c.s.token, err
}

func (c serviceClient) Get(ctx context.Context, path string) (json.RawMessage, error) {
	if _, err := c.before(ctx); err != nil {
		return nil, err
	}
	return c.s.get(path)
}

func (c serviceClient) Page(ctx context.Context, next string) (provider.Page, error) {
	body, err := c.Get(ctx, next)
	return provider.Result{Path: next, Body: body, Err: err}.Page()
}

func (c serviceClient) Batch(ctx context.Context, paths []string) ([]provider.Result, error) {
	return providertest.Batch(ctx, c, paths)
}

func (c serviceClient) Write(ctx context.Context, change provider.Change) (provider.Answer, error) {
	if _, err := c.before(ctx); err != nil {
		return provider.Answer{}, err
	}
	c.s.mu.Lock()
	c.s.writes++
	hook := c.s.hook
	c.s.mu.Unlock()
	apply := func() (provider.Answer, error) { return c.s.apply(change) }
	if hook == nil {
		return apply()
	}
	return hook(ctx, change, apply)
}
