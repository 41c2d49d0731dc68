// Package outbound makes all HTTP clients of the server. A client connects only to the
// hosts it was made for. Whatever a response, a stored setting or a name server says, it
// follows no redirect, calls no other host and connects to no address of a private
// network.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Config says which hosts a client may call, and its limits. A limit of zero means its
// default.
type Config struct {
	// Hosts are the hosts that may be called: "graph.microsoft.com" on port 443, or
	// "127.0.0.1:8443" on the given port.
	Hosts []string

	// Loopback also allows loopback addresses, and plain HTTP to them, for the simulator.
	// Private, link-local and reserved addresses stay refused.
	Loopback bool

	// CAFile is a PEM file of certificate authorities that are trusted in addition to the
	// system's.
	CAFile string

	Dial           time.Duration // to connect; default 10 s
	TLSHandshake   time.Duration // default 10 s
	ResponseHeader time.Duration // from the end of the request to the response headers; default 30 s
	Idle           time.Duration // how long an unused connection is kept; default 90 s
	Total          time.Duration // the whole call, including the body; default 60 s

	// MaxBody is the most bytes of a response body that are read, after decompression;
	// default 32 MiB. A larger body is a [Refused] with [TooLarge].
	MaxBody int64
}

// Rule is the rule that a refused request broke.
type Rule string

// The rules.
const (
	Scheme   Rule = "scheme"   // not HTTPS
	Host     Rule = "host"     // not on the list
	Address  Rule = "address"  // not a public address
	Redirect Rule = "redirect" // the server answered with a redirect
	TooLarge Rule = "body"     // more bytes than allowed
)

// Refused is the error for a request that was not sent or a response that was not
// accepted. The client returns it inside a *url.Error; [TooLarge] is returned by Read of
// the body.
type Refused struct {
	Rule   Rule
	Detail string // the host, address or size; never more of a URL than its host
}

// Error says which rule was broken, and by what.
func (e *Refused) Error() string {
	switch e.Rule {
	case Scheme:
		return "only HTTPS is allowed, not " + e.Detail
	case Host:
		return "host " + e.Detail + " is not on the list of allowed hosts"
	case Address:
		return "address " + e.Detail + " is not allowed"
	case Redirect:
		return "redirects are not followed, here to " + e.Detail
	case TooLarge:
		return "the response body is larger than " + e.Detail
	}
	return string(e.Rule) + " refused: " + e.Detail
}

// NonRetriable keeps the azcore pipeline from retrying (docs: it retries every other
// error of a transport).
func (e *Refused) NonRetriable() {}

// New returns a client for cfg.Hosts. It ignores proxy settings of the environment,
// because it could not check the addresses behind a proxy. The caller must not change
// the client. It is safe for concurrent use.
func New(cfg Config) (*http.Client, error) {
	if len(cfg.Hosts) == 0 {
		return nil, errors.New("outbound: no hosts: a client that may call nobody")
	}
	hosts := make(map[string]bool, len(cfg.Hosts))
	for _, h := range cfg.Hosts {
		if h == "" || strings.ContainsAny(h, "/@?#* \t") {
			return nil, fmt.Errorf("outbound: hosts: %q is not a host or host:port", h)
		}
		if _, port, err := net.SplitHostPort(h); err != nil {
			h = net.JoinHostPort(strings.Trim(h, "[]"), "443")
		} else if port == "" {
			return nil, fmt.Errorf("outbound: hosts: %q has an empty port", h)
		}
		hosts[strings.ToLower(h)] = true
	}
	for _, limit := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"dial", &cfg.Dial, 10 * time.Second},
		{"TLS handshake", &cfg.TLSHandshake, 10 * time.Second},
		{"response header", &cfg.ResponseHeader, 30 * time.Second},
		{"idle", &cfg.Idle, 90 * time.Second},
		{"total", &cfg.Total, 60 * time.Second},
	} {
		if *limit.value < 0 {
			return nil, fmt.Errorf("outbound: %s timeout %v is negative", limit.name, *limit.value)
		}
		if *limit.value == 0 {
			*limit.value = limit.usual
		}
	}
	if cfg.MaxBody < 0 {
		return nil, fmt.Errorf("outbound: largest body %d is negative", cfg.MaxBody)
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 32 << 20
	}
	roots, err := authorities(cfg.CAFile)
	if err != nil {
		return nil, err
	}

	dialer := &net.Dialer{Timeout: cfg.Dial, ControlContext: control(cfg.Loopback)}
	return &http.Client{
		Timeout: cfg.Total,
		// The default client follows a 307 or 308 and sends the body of a POST, which may
		// hold a client secret, to the new address (observed).
		CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			return &Refused{Redirect, next.URL.Host}
		},
		Transport: &guard{
			hosts:    hosts,
			loopback: cfg.Loopback,
			maxBody:  cfg.MaxBody,
			next: &http.Transport{
				DialContext:            dialer.DialContext,
				TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    cfg.TLSHandshake,
				ResponseHeaderTimeout:  cfg.ResponseHeader,
				IdleConnTimeout:        cfg.Idle,
				MaxResponseHeaderBytes: 256 << 10,
				MaxIdleConnsPerHost:    16, // with the default of 2 a busy sync reconnects all the time
				ForceAttemptHTTP2:      true,
				// Pings detect a dead connection; otherwise every request on it would time out.
				HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
			},
		},
	}, nil
}

// authorities returns the system's certificate authorities and those of file; nil, which
// means the system's only, if file is empty.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("outbound: CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("outbound: the system's CAs: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("outbound: CA file %s holds no certificate", file)
	}
	return pool, nil
}

// guard checks the URL of a request before a name is resolved.
type guard struct {
	hosts    map[string]bool
	loopback bool
	maxBody  int64
	next     http.RoundTripper
}

// RoundTrip sends the request if its URL is allowed, and limits the response body.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.judge(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // docs: a RoundTripper must close the body, also on errors
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &cappedBody{ReadCloser: resp.Body, max: g.maxBody, left: g.maxBody}
	return resp, nil
}

func (g *guard) judge(r *http.Request) error {
	u := r.URL
	port := u.Port()
	switch u.Scheme {
	case "https":
		if port == "" {
			port = "443"
		}
	case "http":
		if !g.loopback || !isLoopback(u.Hostname()) {
			return &Refused{Scheme, "http to " + u.Hostname()}
		}
		if port == "" {
			port = "80"
		}
	default:
		return &Refused{Scheme, u.Scheme}
	}
	if !g.hosts[net.JoinHostPort(strings.ToLower(u.Hostname()), port)] {
		return &Refused{Host, u.Host}
	}
	if r.Host != "" && !strings.EqualFold(r.Host, u.Host) {
		return &Refused{Host, r.Host} // the Host header names another host
	}
	return nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// control checks the resolved address right before connecting. A name server that
// changes its answer in between (DNS rebinding) achieves nothing.
func control(loopback bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, network, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !strings.HasPrefix(network, "tcp") {
			return &Refused{Address, network + " " + address}
		}
		if addr := ap.Addr(); !allowed(addr, loopback) {
			return &Refused{Address, addr.String()}
		}
		return nil
	}
}

// reserved are the ranges that no provider uses, in addition to those that netip knows.
// Cloud metadata services, 169.254.169.254 and fd00:ec2::254, are link-local and private
// and so refused already.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network; Linux connects 0.0.0.0 to itself
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT; has a metadata service at 100.100.100.200
	netip.MustParsePrefix("168.63.129.16/32"), // docs: the Azure platform, seen from a virtual machine
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),      // future use, broadcast
	netip.MustParsePrefix("64:ff9b:1::/48"),   // NAT64 to private addresses
	netip.MustParsePrefix("2001::/23"),        // protocol assignments, Teredo
	netip.MustParsePrefix("2002::/16"),        // 6to4: embeds an IPv4 address
	netip.MustParsePrefix("::/96"),            // embeds an IPv4 address; deprecated
	netip.MustParsePrefix("fec0::/10"),        // site-local, deprecated
}

// nat64 is the well-known prefix that embeds IPv4 addresses for IPv6-only networks.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func allowed(addr netip.Addr, loopback bool) bool {
	addr = addr.Unmap().WithZone("") // ::ffff:127.0.0.1 is 127.0.0.1
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	if addr.IsLoopback() {
		return loopback
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate() &&
		!slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// cappedBody returns an error at its limit, so that half a body never looks complete.
type cappedBody struct {
	io.ReadCloser
	max, left int64
}

// size names a number of bytes.
func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Read reads from the body. It returns a [Refused] after the limit.
func (b *cappedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more byte tells a body at the limit from a larger one
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, b.left = int(b.left), 0
		return n, &Refused{TooLarge, size(b.max)}
	}
	b.left -= int64(n)
	return n, err
}
