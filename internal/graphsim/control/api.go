// Package control controls a simulator: the control API and its client, the fault plan, the
// call log, the service limits and the clock.
package control

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/login"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// API serves the control API below /_sim/.
type API struct {
	Token    string // the bearer token of the API
	Estate   *estate.Estate
	Faults   *Plan
	Calls    *Log
	Clock    *Clock
	Throttle *Throttle
	// Unpack reads the policies of a zip file. nil: zip files are refused.
	Unpack func(file []byte) (*estate.Data, error)
}

// Handler returns the handler of the API.
func (s *API) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.control(w, r, h) })
	}
	handle("GET /_sim/tenants", func(*http.Request) (any, error) {
		out := []estate.TenantState{}
		for _, t := range s.Estate.All() {
			out = append(out, t.State())
		}
		return out, nil
	})
	handle("PUT /_sim/tenants", func(r *http.Request) (any, error) {
		var spec estate.TenantSpec
		if err := decode(r, &spec); err != nil {
			return nil, err
		}
		return nil, invalid(s.Estate.Add(spec))
	})
	inTenant := func(pattern string, h func(r *http.Request, t *estate.Tenant) (any, error)) {
		handle(pattern, func(r *http.Request) (any, error) {
			t := s.Estate.Find(r.PathValue("tenant"))
			if t == nil {
				return nil, notFound("there is no tenant %q", r.PathValue("tenant"))
			}
			return h(r, t)
		})
	}
	inTenant("GET /_sim/tenants/{tenant}", func(_ *http.Request, t *estate.Tenant) (any, error) { return t.State(), nil })
	inTenant("POST /_sim/tenants/{tenant}/reset", func(_ *http.Request, t *estate.Tenant) (any, error) {
		return nil, s.Estate.Add(t.First)
	})
	inTenant("PATCH /_sim/tenants/{tenant}", func(r *http.Request, t *estate.Tenant) (any, error) {
		var p estate.TenantPatch
		if err := decode(r, &p); err != nil {
			return nil, err
		}
		return nil, invalid(t.Patch(p))
	})
	inTenant("POST /_sim/tenants/{tenant}/groups", func(r *http.Request, t *estate.Tenant) (any, error) {
		var changes []estate.GroupChange
		if err := decode(r, &changes); err != nil {
			return nil, err
		}
		ids, err := t.ApplyGroups(changes, s.Clock.Now())
		return ids, invalid(err)
	})
	inTenant("PUT /_sim/tenants/{tenant}/items/{path...}", func(r *http.Request, t *estate.Tenant) (any, error) {
		var body odata.Object
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		id, err := t.PutItem(r.PathValue("path"), body)
		return id, invalid(err)
	})
	inTenant("PATCH /_sim/tenants/{tenant}/items/{path...}", func(r *http.Request, t *estate.Tenant) (any, error) {
		var change odata.Object
		if err := decode(r, &change); err != nil {
			return nil, err
		}
		path, id, err := itemPath(r)
		if err != nil {
			return nil, err
		}
		err = t.PatchItem(path, id, change, s.Clock.Now())
		if errors.Is(err, estate.ErrNotThere) {
			return nil, notFound("there is no %q in %s", id, path)
		}
		return id, invalid(err)
	})
	inTenant("DELETE /_sim/tenants/{tenant}/items/{path...}", func(r *http.Request, t *estate.Tenant) (any, error) {
		path, id, err := itemPath(r)
		if err != nil {
			return nil, err
		}
		return nil, invalid(t.DeleteItem(path, id))
	})
	inTenant("PUT /_sim/tenants/{tenant}/data", func(r *http.Request, t *estate.Tenant) (any, error) {
		data, err := s.data(r)
		if err != nil {
			return nil, err
		}
		summary, err := t.Load(data, s.Clock.Now())
		return summary, invalid(err)
	})
	inTenant("PUT /_sim/tenants/{tenant}/apps", func(r *http.Request, t *estate.Tenant) (any, error) {
		var spec estate.AppSpec
		if err := decode(r, &spec); err != nil {
			return nil, err
		}
		t.Lock()
		defer t.Unlock()
		return nil, invalid(t.PutApp(spec))
	})
	inTenant("PATCH /_sim/tenants/{tenant}/apps/{app}", func(r *http.Request, t *estate.Tenant) (any, error) {
		var p estate.AppPatch
		if err := decode(r, &p); err != nil {
			return nil, err
		}
		err := t.PatchApp(r.PathValue("app"), p, s.Clock.Now())
		if errors.Is(err, estate.ErrNotThere) {
			return nil, notFound("there is no app %q in tenant %s", r.PathValue("app"), t.ID)
		}
		return nil, invalid(err)
	})
	s.controlFaults(handle)
	mux.HandleFunc("/_sim/", func(w http.ResponseWriter, r *http.Request) {
		s.control(w, r, func(*http.Request) (any, error) { return nil, notFound("there is no %s %s", r.Method, r.URL.Path) })
	})
	return mux
}

func (s *API) controlFaults(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /_sim/faults", func(*http.Request) (any, error) { return s.Faults.list(), nil })
	handle("POST /_sim/faults", func(r *http.Request) (any, error) {
		var f Fault
		if err := decode(r, &f); err != nil {
			return nil, err
		}
		f, err := s.Faults.add(f)
		return f.ID, invalid(err)
	})
	handle("DELETE /_sim/faults", func(*http.Request) (any, error) { return s.Faults.remove(""), nil })
	handle("DELETE /_sim/faults/{id}", func(r *http.Request) (any, error) {
		if n := s.Faults.remove(r.PathValue("id")); n == 0 {
			return nil, notFound("there is no fault %q", r.PathValue("id"))
		}
		return 1, nil
	})
	handle("GET /_sim/data", func(*http.Request) (any, error) { return s.Estate.Data(), nil })
	handle("GET /_sim/sign-in", func(*http.Request) (any, error) { return login.SignInRefusals(), nil })
	handle("GET /_sim/holds", func(*http.Request) (any, error) { return s.Faults.holds(), nil })
	handle("POST /_sim/holds/release", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		return s.Faults.release(q.Get("id"), q.Get("fault")), nil
	})
	handle("GET /_sim/calls", func(r *http.Request) (any, error) {
		since, err := strconv.Atoi("0" + r.URL.Query().Get("since"))
		if err != nil {
			return nil, invalid(errors.New("since: not a number"))
		}
		return s.Calls.since(since, strings.ToLower(r.URL.Query().Get("tenant"))), nil
	})
	handle("DELETE /_sim/calls", func(*http.Request) (any, error) { s.Calls.clear(); return nil, nil })
	handle("PUT /_sim/calls/headers", func(r *http.Request) (any, error) {
		var names []string
		if err := decode(r, &names); err != nil {
			return nil, err
		}
		s.Calls.SetHeaders(names)
		return nil, nil
	})
	handle("GET /_sim/throttle", func(*http.Request) (any, error) { return s.Throttle.state(s.Clock.Now()), nil })
	handle("PUT /_sim/throttle", func(r *http.Request) (any, error) {
		var in struct {
			Scale *float64 `json:"scale"`
		}
		if err := decode(r, &in); err != nil {
			return nil, err
		}
		if in.Scale == nil {
			return nil, invalid(errors.New("scale is missing"))
		}
		return nil, invalid(s.Throttle.setScale(*in.Scale))
	})
	handle("GET /_sim/clock", func(*http.Request) (any, error) { return s.Clock.state(), nil })
	handle("PUT /_sim/clock", func(r *http.Request) (any, error) {
		var c ClockState
		if err := decode(r, &c); err != nil {
			return nil, err
		}
		s.Clock.shift(time.Duration(c.OffsetMS) * time.Millisecond)
		return s.Clock.state(), nil
	})
}

// maxData is the largest body with policies to load, in bytes.
const maxData = 64 << 20

// data reads the policies of a body: a zip file by its content type, or JSON.
func (s *API) data(r *http.Request) (*estate.Data, error) {
	if r.Header.Get("Content-Type") != "application/zip" {
		var data estate.Data
		return &data, decodeUpTo(r, &data, maxData)
	}
	if s.Unpack == nil {
		return nil, invalid(errors.New("body: zip files are not supported here"))
	}
	file, err := io.ReadAll(io.LimitReader(r.Body, maxData+1))
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if len(file) > maxData {
		return nil, invalid(errors.New("body: the zip file is larger than 64 MiB"))
	}
	data, err := s.Unpack(file)
	return data, invalid(err)
}

// itemPath returns the collection and the id that a path names.
func itemPath(r *http.Request) (collection, id string, err error) {
	path := r.PathValue("path")
	at := strings.LastIndexByte(path, '/')
	if at < 0 {
		return "", "", notFound("there is no collection %q", path)
	}
	return path[:at], path[at+1:], nil
}

// controlError is an error with its HTTP status.
type controlError struct {
	status int
	msg    string
}

func (e *controlError) Error() string { return e.msg }

func notFound(format string, args ...any) error {
	return &controlError{http.StatusNotFound, fmt.Sprintf(format, args...)}
}

// invalid returns err as a 422, or nil.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return &controlError{http.StatusUnprocessableEntity, err.Error()}
}

func decode(r *http.Request, v any) error { return decodeUpTo(r, v, wire.MaxBody) }

func decodeUpTo(r *http.Request, v any, limit int64) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, limit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return &controlError{http.StatusBadRequest, "body: " + err.Error()}
	}
	return nil
}

// control checks the token, calls h and writes its result as JSON.
func (s *API) control(w http.ResponseWriter, r *http.Request, h func(*http.Request) (any, error)) {
	w.Header().Set("Content-Type", "application/json")
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(token), []byte(s.Token)) != 1 {
		writeControl(w, http.StatusUnauthorized, map[string]string{"error": "the control API needs its own bearer token"})
		return
	}
	v, err := h(r)
	var ce *controlError
	switch {
	case errors.As(err, &ce):
		writeControl(w, ce.status, map[string]string{"error": ce.msg})
	case err != nil:
		writeControl(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
	default:
		writeControl(w, http.StatusOK, v)
	}
}

func writeControl(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	_, _ = w.Write(append(odata.Raw(v), '\n')) // the client may have disconnected
}
