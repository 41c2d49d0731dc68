// Package client is a Go client of the Interlock API. Of the server it shares the words
// of package op only.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Options are what a client may be given besides address and token.
type Options struct {
	CAFile  string        // PEM of the authority that the server's certificate is from; empty: the system's
	Timeout time.Duration // of one request; 0: 30 seconds
	Surface string        // what starts and sessions are recorded as coming from, such as "cli"; empty: the API
}

// Client speaks to one server as one person. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	token   string
	surface string
	timeout time.Duration
	http    *http.Client
	slow    *http.Client // for uploads: the answer comes once everything is stored

	wait func(ctx context.Context, d time.Duration) error // between two tries
}

// maxBody is the most that is read of an answer, in bytes: more than the longest page
// of a list.
const maxBody = 64 << 20

// New returns a client of the server at address, such as "https://interlock.example".
// Plain http is allowed for loopback addresses only, since the token would be readable
// on the way. token may be empty for [Client.SignIn].
func New(address, token string, o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || base.Host == "" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, fmt.Errorf("%q is not the address of a server, such as https://interlock.example", address)
	}
	switch {
	case base.Scheme == "https":
	case base.Scheme == "http" && loopback(base.Hostname()):
	default:
		return nil, fmt.Errorf("the address must begin with https://, since the token could be read on its way to %s", base.Host)
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("certificate authority: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authority: there is no certificate in %s", o.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	patient := transport.Clone()
	patient.ResponseHeaderTimeout = transferWithin
	// A redirect would carry the token to another address.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: base, token: token, surface: o.Surface, timeout: o.Timeout, wait: pause,
		http: &http.Client{Transport: transport, CheckRedirect: stay},
		slow: &http.Client{Transport: patient, CheckRedirect: stay},
	}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Problem is a refusal or fault of the server, as defined in RFC 9457.
type Problem struct {
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail"`
	Code      string   `json:"code"` // the contract; sentences may be reworded
	Next      string   `json:"next"`
	RequestID string   `json:"request_id,omitempty"`
	Fields    []string `json:"fields,omitempty"` // the fields that differ from the first request with the same idempotency key
	Errors    []Wrong  `json:"errors,omitempty"` // invalid fields

	retryAfter time.Duration
}

// Wrong is an invalid field, and why.
type Wrong struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error returns title and detail.
func (p *Problem) Error() string {
	return strings.TrimSpace(p.Title + ". " + p.Detail)
}

type bodyKey struct{}

// Verbatim returns a context whose requests pass the body of each answer or problem
// document to take, as received.
func Verbatim(ctx context.Context, take func(body []byte)) context.Context {
	return context.WithValue(ctx, bodyKey{}, take)
}

// call is one request.
type call struct {
	method string
	path   string // below /api/v1, its variable parts escaped
	query  url.Values
	header http.Header
	in     any       // as JSON; nil: none
	zip    io.Reader // a zip file in place of in; nil: none
	out    any       // of a success; nil: the body is ignored
	// answers lists statuses besides 2xx that carry out, unless the body is a problem.
	answers []int
}

// path escapes the variable parts of a path.
func path(format string, parts ...string) string {
	escaped := make([]any, len(parts))
	for i, p := range parts {
		escaped[i] = url.PathEscape(p)
	}
	return fmt.Sprintf(format, escaped...)
}

func (c *Client) do(ctx context.Context, k call) error {
	within := c.timeout
	if k.zip != nil {
		within = transferWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	resp, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	return c.read(ctx, resp, k)
}

// read reads an answer.
func (c *Client) read(ctx context.Context, resp *http.Response, k call) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return fmt.Errorf("the answer of %s broke off: %w", c.base.Host, err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("the answer of %s is longer than %d MiB", c.base.Host, maxBody>>20)
	}
	take, ok := ctx.Value(bodyKey{}).(func([]byte))
	if ok && len(body) > 0 && strings.HasSuffix(contentType(resp), "json") {
		take(body)
	}
	if !k.answered(resp) {
		return problem(resp, body)
	}
	if k.out == nil {
		return nil
	}
	if err := json.Unmarshal(body, k.out); err != nil {
		return fmt.Errorf("the answer of %s can't be read, is it an Interlock server? %w", c.base.Host, err)
	}
	return nil
}

// send sends one request and returns the answer, whatever its status.
func (c *Client) send(ctx context.Context, k call) (*http.Response, error) {
	in := k.zip
	if k.in != nil {
		b, err := json.Marshal(k.in)
		if err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
		in = bytes.NewReader(b)
	}
	address := c.base.String() + "/api/v1" + k.path
	if len(k.query) > 0 {
		address += "?" + k.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, k.method, address, in)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	for name, values := range k.header {
		r.Header[name] = values
	}
	if k.in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if k.zip != nil {
		r.Header.Set("Content-Type", "application/zip")
	}
	r.Header.Set("User-Agent", "interlock-client")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	via := c.http
	if k.zip != nil {
		via = c.slow
	}
	resp, err := via.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // its text holds the whole address
			err = ue.Err
		}
		return nil, &unreachable{host: c.base.Host, err: err}
	}
	return resp, nil
}

// unreachable means that no answer came. The request may have arrived.
type unreachable struct {
	host string
	err  error
}

// Error names the server that did not answer.
func (u *unreachable) Error() string { return fmt.Sprintf("no answer from %s: %v", u.host, u.err) }

// Unwrap returns the cause.
func (u *unreachable) Unwrap() error { return u.err }

// answered reports whether resp is an answer to k.
func (k call) answered(resp *http.Response) bool {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return true
	}
	return slices.Contains(k.answers, resp.StatusCode) && contentType(resp) == "application/json"
}

func contentType(resp *http.Response) string {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // empty if it is not a media type
	return kind
}

// problem reads a refusal. An answer that is not a problem document becomes one, by its
// status.
func problem(resp *http.Response, body []byte) error {
	p := &Problem{}
	if json.Unmarshal(body, p) != nil || p.Code == "" {
		p = &Problem{
			Title: "The server answered " + resp.Status, Code: "http",
			Detail: "That is no answer of Interlock; something between may have given it.",
		}
	}
	p.Status = resp.StatusCode
	if p.RequestID == "" {
		p.RequestID = resp.Header.Get("X-Request-Id")
	}
	if s, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s"); err == nil {
		p.retryAfter = s
	}
	return p
}
