package graphsim

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/control"
	"github.com/interlock-dev/interlock/internal/graphsim/login"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Handler serves login, Graph and the control API on one address.
func (s *Server) Handler() http.Handler {
	api := (&control.API{Token: s.cfg.ControlToken, Estate: s.estate, Faults: s.faults, Calls: s.calls, Clock: s.clock, Throttle: s.throttle, Unpack: s.cfg.Unpack}).Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_sim/") {
			api.ServeHTTP(w, r)
			return
		}
		s.serveProvider(w, r)
	})
}

// serveProvider serves a call to one of the simulated services: it identifies the caller,
// logs the call, applies the fault plan, builds the response and sends it. It holds no
// lock while a response is held back or sent.
func (s *Server) serveProvider(w http.ResponseWriter, r *http.Request) {
	c := wire.NewCall(r, s.clock.Now(), s.keys.Seal)
	bodyErr := c.Read()
	s.identify(c)
	entry := s.calls.Begin(c)
	fault := s.faults.Match(c)
	if fault != nil {
		s.calls.Fault(entry, fault.Rule.ID, fault.Rule.Action.Kind)
	}
	sent := 0
	var re *wire.Reply
	defer func() { s.calls.End(entry, re, sent, s.clock.Now()) }()
	if bodyErr != nil {
		re = bodyError(c, bodyErr)
	} else {
		re = s.answer(c, fault)
	}
	if fault != nil && !fault.Await(c, entry, s.closing) {
		re = nil
		panic(http.ErrAbortHandler) // the client disconnected, or the simulator stops
	}
	if re == nil { // the fault plan drops the response
		panic(http.ErrAbortHandler)
	}
	c.Finish(re)
	sent = send(w, c, re, fault)
}

func bodyError(c *wire.Call, err error) *wire.Reply {
	status, code := http.StatusBadRequest, "BadRequest"
	if errors.Is(err, wire.ErrBodyTooLarge) {
		status, code = http.StatusRequestEntityTooLarge, "RequestEntityTooLarge"
	}
	return c.GraphError(status, code, "Unable to read the request body: "+err.Error())
}

// identify determines the service, tenant and app of a call.
func (s *Server) identify(c *wire.Call) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	c.IsGraph = odata.IsVersion(first) || first == "oidc"
	if !c.IsGraph {
		c.Tenant = s.estate.Find(first)
		c.Params = c.URL.Query()
		if strings.HasSuffix(rest, "/token") {
			c.Params = url.Values{} // credentials in a URL do not count
		}
		if form, err := url.ParseQuery(string(c.Payload)); err == nil && c.Method == http.MethodPost {
			for k, v := range form { // posted values take precedence
				c.Params[k] = v
			}
		}
		c.AppID = strings.ToLower(c.Params.Get("client_id"))
		if user, _, ok := c.BasicAuth(); ok && strings.HasSuffix(rest, "/token") {
			c.AppID = strings.ToLower(login.FormDecode(user))
		}
		return
	}
	raw := c.Header.Get("Authorization")
	if raw == "" {
		c.TokenErr = wire.ErrTokenMissing
		return
	}
	scheme, raw, _ := strings.Cut(raw, " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		c.TokenErr = wire.ErrTokenMalformed
		return
	}
	c.Token, c.TokenErr = s.keys.Verify(strings.TrimSpace(raw), c.At)
	if c.Token == nil {
		return
	}
	if c.TokenErr == nil && !login.GraphAudience(c, c.Token.Audience) {
		c.TokenErr = wire.ErrTokenAudience
	}
	c.Tenant, c.AppID = s.estate.Find(c.Token.Tenant), strings.ToLower(c.Token.AppID)
}

// route builds the response of the real service.
func (s *Server) route(c *wire.Call) *wire.Reply {
	if !c.IsGraph {
		return s.login.Answer(c)
	}
	if re := s.throttle.Check(c); re != nil {
		return re
	}
	if strings.HasPrefix(c.URL.Path, "/oidc/") {
		return s.graph.UserInfo(c)
	}
	return s.graph.Answer(c)
}

// answer builds the response under the rule that fired; nil is no rule.
func (s *Server) answer(c *wire.Call, f *control.Fired) *wire.Reply {
	if f == nil {
		return s.route(c)
	}
	return f.Answer(c, s.route, s.login.Refuse)
}

// part serves one request of a batch as a call of its own: it is logged, throttled and subject
// to faults. Where a fault would close the connection, the part reports a timeout.
func (s *Server) part(c *wire.Call, path []string) (re *wire.Reply) {
	entry := s.calls.Begin(c)
	defer func() { s.calls.End(entry, re, 0, s.clock.Now()) }()
	fault := s.faults.Match(c)
	if fault == nil {
		if re = s.throttle.Check(c); re == nil {
			re = s.graph.Resource(c, path)
		}
		return re
	}
	s.calls.Fault(entry, fault.Rule.ID, fault.Rule.Action.Kind)
	re = s.answer(c, fault)
	if !fault.Await(c, entry, s.closing) || re == nil {
		re = c.GraphError(http.StatusGatewayTimeout, "UnknownError", "")
	}
	return re
}

// gzipFrom is the smallest body, in bytes, that is compressed for clients that accept it.
const gzipFrom = 1400

// send writes a response and returns the number of body bytes sent.
func send(w http.ResponseWriter, c *wire.Call, re *wire.Reply, fault *control.Fired) int {
	body := re.Body
	shaped := fault != nil && fault.ShapesBody()
	if !shaped && len(body) >= gzipFrom && strings.Contains(c.Header.Get("Accept-Encoding"), "gzip") {
		var b bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
		_, _ = zw.Write(body)                            // a bytes.Buffer takes everything
		_ = zw.Close()
		body = b.Bytes()
		re.Header.Set("Content-Encoding", "gzip")
		re.Header.Del("Content-Length")
	}
	w.Header().Set("Date", c.At.UTC().Format(http.TimeFormat)) // in simulated time
	for k, v := range re.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(re.Status)
	if shaped {
		return fault.Write(w, c, body)
	}
	n, _ := w.Write(body) // the client may have disconnected
	return n
}
