package graphsim

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Handler serves login, Graph and the control API on one address.
func (s *Server) Handler() http.Handler {
	control := s.controlHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_sim/") {
			control.ServeHTTP(w, r)
			return
		}
		s.serveProvider(w, r)
	})
}

// serveProvider answers a call to the simulated services: identify, log, ask the fault
// plan, build the answer, send it. Nothing is locked while an answer waits or is sent.
func (s *Server) serveProvider(w http.ResponseWriter, r *http.Request) {
	c := s.newCall(r)
	bodyErr := c.read()
	s.identify(c)
	entry := s.calls.begin(c)
	fault := s.faults.match(c)
	if fault != nil {
		s.calls.fault(entry, fault.rule.ID, fault.rule.Action.Kind)
	}
	sent := 0
	var re *reply
	defer func() { s.calls.end(entry, re, sent, s.now()) }()
	if bodyErr != nil {
		re = c.bodyError(bodyErr)
	} else {
		re = s.answer(c, fault)
	}
	if fault != nil && !s.await(c, fault, entry) {
		re = nil
		panic(http.ErrAbortHandler) // the client or the simulator has gone
	}
	if re == nil { // the plan says: no answer at all
		panic(http.ErrAbortHandler)
	}
	c.finish(re)
	sent = send(w, c, re, fault)
}

func (c *call) bodyError(err error) *reply {
	status, code := http.StatusBadRequest, "BadRequest"
	if errors.Is(err, errBodyTooLarge) {
		status, code = http.StatusRequestEntityTooLarge, "RequestEntityTooLarge"
	}
	return c.graphError(status, code, "Unable to read the request body: "+err.Error())
}

// identify finds out which service, tenant and app a call is for.
func (s *Server) identify(c *call) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	c.graph = isVersion(first) || first == "oidc"
	if !c.graph {
		c.tenant = s.tenant(first)
		c.form = c.URL.Query()
		if strings.HasSuffix(rest, "/token") {
			c.form = url.Values{} // credentials in an address are not credentials
		}
		if form, err := url.ParseQuery(string(c.body)); err == nil && c.Method == http.MethodPost {
			for k, v := range form { // the posted values win
				c.form[k] = v
			}
		}
		c.appID = strings.ToLower(c.form.Get("client_id"))
		if user, _, ok := c.BasicAuth(); ok && strings.HasSuffix(rest, "/token") {
			c.appID = strings.ToLower(formDecode(user))
		}
		return
	}
	raw := c.Header.Get("Authorization")
	if raw == "" {
		c.tokenErr = errTokenMissing
		return
	}
	scheme, raw, _ := strings.Cut(raw, " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		c.tokenErr = errTokenMalformed
		return
	}
	c.token, c.tokenErr = s.keys.verify(strings.TrimSpace(raw), c.at)
	if c.token == nil {
		return
	}
	if c.tokenErr == nil && !c.graphAudience(c.token.Audience) {
		c.tokenErr = errTokenAudience
	}
	c.tenant, c.appID = s.tenant(c.token.Tenant), strings.ToLower(c.token.AppID)
}

// route builds the answer that the real service would give.
func (s *Server) route(c *call) *reply {
	if !c.graph {
		return s.login(c)
	}
	if re := s.throttle.check(c); re != nil {
		return re
	}
	if strings.HasPrefix(c.URL.Path, "/oidc/") {
		return s.userInfo(c)
	}
	return s.graphCall(c)
}

// gzipFrom is the size from which answers are compressed for clients that accept it.
const gzipFrom = 1400

// send writes an answer and returns how many bytes of body it took.
func send(w http.ResponseWriter, c *call, re *reply, fault *firedFault) int {
	body := re.body
	shaped := fault != nil && fault.shapesBody()
	if !shaped && len(body) >= gzipFrom && strings.Contains(c.Header.Get("Accept-Encoding"), "gzip") {
		var b bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
		_, _ = zw.Write(body)                            // a bytes.Buffer takes everything
		_ = zw.Close()
		body = b.Bytes()
		re.header.Set("Content-Encoding", "gzip")
		re.header.Del("Content-Length")
	}
	w.Header().Set("Date", c.at.UTC().Format(http.TimeFormat)) // its clock is the provider's
	for k, v := range re.header {
		w.Header()[k] = v
	}
	w.WriteHeader(re.status)
	if shaped {
		return fault.write(w, c, body)
	}
	n, _ := w.Write(body) // the client may have gone; nobody is left to tell
	return n
}
