package graphsim

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// controlHandler serves the control API below /_sim/.
func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.control(w, r, h) })
	}
	handle("GET /_sim/tenants", func(*http.Request) (any, error) {
		out := []TenantState{}
		for _, t := range s.allTenants() {
			out = append(out, t.state())
		}
		return out, nil
	})
	handle("PUT /_sim/tenants", func(r *http.Request) (any, error) {
		var spec TenantSpec
		if err := decode(r, &spec); err != nil {
			return nil, err
		}
		return nil, invalid(s.AddTenant(spec))
	})
	inTenant := func(pattern string, h func(r *http.Request, t *tenant) (any, error)) {
		handle(pattern, func(r *http.Request) (any, error) {
			t := s.tenant(r.PathValue("tenant"))
			if t == nil {
				return nil, notFound("there is no tenant %q", r.PathValue("tenant"))
			}
			return h(r, t)
		})
	}
	inTenant("GET /_sim/tenants/{tenant}", func(_ *http.Request, t *tenant) (any, error) { return t.state(), nil })
	inTenant("POST /_sim/tenants/{tenant}/reset", func(_ *http.Request, t *tenant) (any, error) {
		return nil, s.AddTenant(t.first)
	})
	inTenant("PATCH /_sim/tenants/{tenant}", func(r *http.Request, t *tenant) (any, error) {
		var p TenantPatch
		if err := decode(r, &p); err != nil {
			return nil, err
		}
		t.patch(p)
		return nil, nil
	})
	inTenant("POST /_sim/tenants/{tenant}/groups", func(r *http.Request, t *tenant) (any, error) {
		var changes []GroupChange
		if err := decode(r, &changes); err != nil {
			return nil, err
		}
		ids, err := t.applyGroups(changes, s.now())
		return ids, invalid(err)
	})
	inTenant("PUT /_sim/tenants/{tenant}/items/{path...}", func(r *http.Request, t *tenant) (any, error) {
		var body object
		if err := decode(r, &body); err != nil {
			return nil, err
		}
		id, err := t.putItem(r.PathValue("path"), body)
		return id, invalid(err)
	})
	inTenant("DELETE /_sim/tenants/{tenant}/items/{path...}", func(r *http.Request, t *tenant) (any, error) {
		path := r.PathValue("path")
		at := strings.LastIndexByte(path, '/')
		if at < 0 {
			return nil, notFound("there is no collection %q", path)
		}
		return nil, invalid(t.deleteItem(path[:at], path[at+1:]))
	})
	inTenant("PUT /_sim/tenants/{tenant}/apps", func(r *http.Request, t *tenant) (any, error) {
		var spec AppSpec
		if err := decode(r, &spec); err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		return nil, invalid(t.putApp(spec))
	})
	inTenant("PATCH /_sim/tenants/{tenant}/apps/{app}", func(r *http.Request, t *tenant) (any, error) {
		var p AppPatch
		if err := decode(r, &p); err != nil {
			return nil, err
		}
		return nil, t.patchApp(r.PathValue("app"), p, s.now())
	})
	s.controlFaults(handle)
	mux.HandleFunc("/_sim/", func(w http.ResponseWriter, r *http.Request) {
		s.control(w, r, func(*http.Request) (any, error) { return nil, notFound("there is no %s %s", r.Method, r.URL.Path) })
	})
	return mux
}

func (s *Server) controlFaults(handle func(string, func(*http.Request) (any, error))) {
	handle("GET /_sim/faults", func(*http.Request) (any, error) { return s.faults.list(), nil })
	handle("POST /_sim/faults", func(r *http.Request) (any, error) {
		var f Fault
		if err := decode(r, &f); err != nil {
			return nil, err
		}
		f, err := s.faults.add(f)
		return f.ID, invalid(err)
	})
	handle("DELETE /_sim/faults", func(*http.Request) (any, error) { return s.faults.remove(""), nil })
	handle("DELETE /_sim/faults/{id}", func(r *http.Request) (any, error) {
		if n := s.faults.remove(r.PathValue("id")); n == 0 {
			return nil, notFound("there is no fault %q", r.PathValue("id"))
		}
		return 1, nil
	})
	handle("GET /_sim/data", func(*http.Request) (any, error) { return s.Data(), nil })
	handle("GET /_sim/sign-in", func(*http.Request) (any, error) { return SignInRefusals(), nil })
	handle("GET /_sim/holds", func(*http.Request) (any, error) { return s.faults.holds(), nil })
	handle("POST /_sim/holds/release", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		return s.faults.release(q.Get("id"), q.Get("fault")), nil
	})
	handle("GET /_sim/calls", func(r *http.Request) (any, error) {
		since, err := strconv.Atoi("0" + r.URL.Query().Get("since"))
		if err != nil {
			return nil, invalid(errors.New("since: not a number"))
		}
		return s.calls.since(since, strings.ToLower(r.URL.Query().Get("tenant"))), nil
	})
	handle("DELETE /_sim/calls", func(*http.Request) (any, error) { s.calls.clear(); return nil, nil })
	handle("PUT /_sim/calls/headers", func(r *http.Request) (any, error) {
		var names []string
		if err := decode(r, &names); err != nil {
			return nil, err
		}
		s.calls.setHeaders(names)
		return nil, nil
	})
	handle("GET /_sim/clock", func(*http.Request) (any, error) { return s.clock(), nil })
	handle("PUT /_sim/clock", func(r *http.Request) (any, error) {
		var c Clock
		if err := decode(r, &c); err != nil {
			return nil, err
		}
		s.offset.Store(int64(time.Duration(c.OffsetMS) * time.Millisecond))
		return s.clock(), nil
	})
}

// Clock is the time of the simulator and how far it is ahead of the real one.
type Clock struct {
	Now      time.Time `json:"now,omitzero"`
	OffsetMS int64     `json:"offsetMs"`
}

func (s *Server) clock() Clock {
	return Clock{Now: s.now(), OffsetMS: time.Duration(s.offset.Load()).Milliseconds()}
}

// controlError is an error of the control API with its status.
type controlError struct {
	status int
	msg    string
}

func (e *controlError) Error() string { return e.msg }

func notFound(format string, args ...any) error {
	return &controlError{http.StatusNotFound, fmt.Sprintf(format, args...)}
}

// invalid makes err the caller's fault.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return &controlError{http.StatusUnprocessableEntity, err.Error()}
}

func decode(r *http.Request, v any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return &controlError{http.StatusBadRequest, "body: " + err.Error()}
	}
	return nil
}

// control checks the token, runs h and writes its result as JSON.
func (s *Server) control(w http.ResponseWriter, r *http.Request, h func(*http.Request) (any, error)) {
	w.Header().Set("Content-Type", "application/json")
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.ControlToken)) != 1 {
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
	_, _ = w.Write(append(rawJSON(v), '\n')) // the client may have gone
}

// TenantState is what the control API tells about a tenant.
type TenantState struct {
	ID          string     `json:"id"`
	DisplayName string     `json:"displayName"`
	Domain      string     `json:"domain"`
	Intune      bool       `json:"intune"`
	Apps        []AppState `json:"apps"`
	Groups      int        `json:"groups"`  // living ones; -1 until the tenant was first read
	Changes     int        `json:"changes"` // entries of the change log
}

// AppState is what the control API tells about an app; secrets are not shown.
type AppState struct {
	AppID     string   `json:"appId"`
	Name      string   `json:"name"`
	ObjectID  string   `json:"objectId"` // of the service principal
	Consented bool     `json:"consented"`
	Disabled  bool     `json:"disabled"`
	Blocked   bool     `json:"blocked"`
	Roles     []string `json:"roles"`
	Secrets   int      `json:"secrets"`
}

func (t *tenant) state() TenantState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	st := TenantState{ID: t.id, DisplayName: t.spec.DisplayName, Domain: t.domain, Intune: t.spec.Intune, Groups: -1, Apps: []AppState{}}
	for _, id := range slices.Sorted(maps.Keys(t.apps)) {
		a := t.apps[id]
		st.Apps = append(st.Apps, AppState{a.AppID, a.Name, a.objectID, a.Consented, a.Disabled, a.Blocked, append([]string{}, a.Roles...), len(a.Secrets)})
	}
	if t.world != nil {
		st.Groups, st.Changes = 0, len(t.world.changes)
		for _, g := range t.world.groups {
			if g.alive() {
				st.Groups++
			}
		}
	}
	return st
}

// TenantPatch changes a tenant; nil fields stay as they are.
type TenantPatch struct {
	DisplayName *string `json:"displayName,omitempty"`
	Intune      *bool   `json:"intune,omitempty"`
	DeltaLagMS  *int    `json:"deltaLagMs,omitempty"`
	// LoseDelta makes every delta token of the tenant answer 410 from now on.
	LoseDelta bool `json:"loseDelta,omitempty"`
}

func (t *tenant) patch(p TenantPatch) {
	t.touch()
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.DisplayName != nil {
		t.spec.DisplayName = *p.DisplayName
	}
	if p.Intune != nil {
		t.spec.Intune = *p.Intune
	}
	if p.DeltaLagMS != nil {
		t.spec.DeltaLagMS = *p.DeltaLagMS
	}
	if p.LoseDelta {
		t.world.origin, t.world.log = "lost "+t.world.origin, "lost "+t.world.log
	}
}

// AppPatch changes an app and its service principal; nil fields stay as they are.
type AppPatch struct {
	// Secrets replaces all secrets. ExpireSecrets makes those there are expire at once.
	Secrets       []Secret `json:"secrets,omitzero"`
	ExpireSecrets bool     `json:"expireSecrets,omitempty"`
	// Certificates replaces all certificates (PEM).
	Certificates []string `json:"certificates,omitzero"`
	// Consented grants consent with Roles (or what the app requested), or removes the service principal.
	// DelayMS is how long a consent takes to act.
	Consented *bool `json:"consented,omitempty"`
	DelayMS   int   `json:"delayMs,omitempty"`
	// Roles replaces the granted permissions; an empty list revokes them and keeps the principal.
	Roles    *[]string `json:"roles,omitempty"`
	Disabled *bool     `json:"disabled,omitempty"`
	Blocked  *bool     `json:"blocked,omitempty"`
	// Challenge makes every token issued so far answer a claims challenge.
	Challenge bool `json:"challenge,omitempty"`
}

func (t *tenant) patchApp(clientID string, p AppPatch, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.app(clientID)
	if a == nil {
		return notFound("there is no app %q in tenant %s", clientID, t.id)
	}
	if p.Roles != nil {
		for _, role := range *p.Roles {
			if appRoleIDs[role] == "" {
				return invalid(fmt.Errorf("roles: unknown application permission %q", role))
			}
		}
	}
	if p.Certificates != nil {
		a.certs = nil
		for i, text := range p.Certificates {
			cert, err := parseCertificate(text)
			if err != nil {
				return invalid(fmt.Errorf("certificates[%d]: %w", i, err))
			}
			a.certs = append(a.certs, cert)
		}
	}
	if p.Secrets != nil {
		a.Secrets = p.Secrets
	}
	if p.ExpireSecrets {
		expired := make([]Secret, len(a.Secrets))
		for i, s := range a.Secrets {
			expired[i] = Secret{Value: s.Value, Expires: now}
		}
		a.Secrets = expired
	}
	if p.Consented != nil {
		a.Consented = *p.Consented
		if a.Consented {
			a.Roles, a.granted, a.visible = a.Requested, now, now.Add(time.Duration(p.DelayMS)*time.Millisecond)
		} else {
			a.Roles = nil
		}
	}
	if p.Roles != nil {
		a.Roles, a.granted = *p.Roles, now
	}
	if p.Disabled != nil {
		a.Disabled = *p.Disabled
	}
	if p.Blocked != nil {
		a.Blocked = *p.Blocked
	}
	if p.Challenge {
		a.generation++
		a.granted = now
	}
	return nil
}
