// Package outbound is the only maker of HTTP clients. A client from here talks
// to the hosts it was made for and to nobody else: whatever a response, a stored
// setting or a name server says, no request follows a redirect, leaves the list
// of hosts, or reaches an address inside our own network.
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

// Config says whom a client may talk to. The zero value of a limit means its default.
type Config struct {
	// Hosts are the only ones that are called: "graph.microsoft.com" on port
	// 443, or "127.0.0.1:8443" on the port named.
	Hosts []string

	// Loopback allows this machine's own addresses, and plain HTTP to them: for
	// the simulator. Private, link-local and reserved addresses stay refused.
	Loopback bool

	// CAFile is a PEM file of certificate authorities to trust besides the system's.
	CAFile string

	Dial           time.Duration // connecting, 10 s
	TLSHandshake   time.Duration // 10 s
	ResponseHeader time.Duration // from the end of the request to the first answer, 30 s
	Idle           time.Duration // keeping an unused connection, 90 s
	Total          time.Duration // everything including the body, 60 s

	// MaxBody is the most bytes of a response body, after decompression, that
	// are read: 32 MiB. One more is a [Refused] with [TooLarge].
	MaxBody int64
}

// Rule is what a refused request went against.
type Rule string

// The rules.
const (
	Scheme   Rule = "scheme"   // not HTTPS
	Host     Rule = "host"     // not on the list
	Address  Rule = "address"  // not a public address
	Redirect Rule = "redirect" // the server sends the client elsewhere
	TooLarge Rule = "body"     // more bytes than allowed
)

// Refused is the error of a request that was not sent, or of a response that
// was not taken. It is inside the *url.Error of the client, except for
// [TooLarge], which the body's Read returns.
type Refused struct {
	Rule   Rule
	Detail string // whom, or how much: never more of a URL than its host
}

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

// NonRetriable tells the pipeline of azcore that asking again is no use (docs:
// it retries every other error of a transport).
func (e *Refused) NonRetriable() {}

// New returns a client for cfg.Hosts. It takes no proxy from the environment: the
// addresses behind a proxy could not be judged. Its http.Client must not be changed.
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
		// The default client sends the body of a POST, which may hold a client
		// secret, once more to wherever a 307 or 308 points (observed).
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
				MaxIdleConnsPerHost:    16, // the default of 2 would make a busy sync connect all the time
				ForceAttemptHTTP2:      true,
				// A connection that died silently would fail one request after the other.
				HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
			},
		},
	}, nil
}

// authorities are the system's and those of file; nil means the system's alone.
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

// guard judges a request by its URL, before any name is looked up.
type guard struct {
	hosts    map[string]bool
	loopback bool
	maxBody  int64
	next     http.RoundTripper
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.judge(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // docs: a RoundTripper closes it, also on errors
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
		return &Refused{Host, r.Host} // a Host header that names somebody else
	}
	return nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// control judges the address that a name was resolved to, right before the
// connection is made: a name server that changes its mind changes nothing.
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

// reserved are the ranges, besides those that netip knows, in which no provider
// lives. The metadata services of clouds, 169.254.169.254 and fd00:ec2::254, are
// link-local and private.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network; Linux takes 0.0.0.0 for itself
	netip.MustParsePrefix("100.64.0.0/10"),    // shared by carriers; a metadata service at 100.100.100.200
	netip.MustParsePrefix("168.63.129.16/32"), // docs: Azure's platform, as seen from a virtual machine
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),      // future use, broadcast
	netip.MustParsePrefix("64:ff9b:1::/48"),   // NAT64 to private addresses
	netip.MustParsePrefix("2001::/23"),        // protocol assignments, Teredo
	netip.MustParsePrefix("2002::/16"),        // 6to4: an IPv4 address in disguise
	netip.MustParsePrefix("::/96"),            // an IPv4 address in disguise, long deprecated
	netip.MustParsePrefix("fec0::/10"),        // site-local, deprecated
}

// nat64 is the public prefix under which networks without IPv4 show it.
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

// cappedBody fails rather than end early: half an answer must not look whole.
type cappedBody struct {
	io.ReadCloser
	max, left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more, to tell the end from too much
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, b.left = int(b.left), 0
		return n, &Refused{TooLarge, fmt.Sprintf("%d bytes", b.max)}
	}
	b.left -= int64(n)
	return n, err
}
