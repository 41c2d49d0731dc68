package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// client returns a client for the servers, on loopback.
func client(t *testing.T, cfg Config, servers ...*httptest.Server) *http.Client {
	t.Helper()
	cfg.Loopback = true
	for _, s := range servers {
		cfg.Hosts = append(cfg.Hosts, host(s))
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func host(s *httptest.Server) string { return strings.SplitN(s.URL, "//", 2)[1] }

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, c *http.Client, address string) ([]byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	return io.ReadAll(resp.Body)
}

func wantRefused(t *testing.T, err error, rule Rule) {
	t.Helper()
	var refused *Refused
	if !errors.As(err, &refused) || refused.Rule != rule {
		t.Errorf("got %v, want refused by rule %s", err, rule)
	}
}

func TestAllowedHostAnswers(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }) //nolint:errcheck // the client notices
	if body, err := get(t, client(t, Config{}, s), s.URL); err != nil || string(body) != "hello" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestRedirectsAreRefusedBeforeTheBodyGoesOut(t *testing.T) {
	var stolen atomic.Int64
	thief := serve(t, func(_ http.ResponseWriter, _ *http.Request) { stolen.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for label, location := range map[string]string{"elsewhere": thief.URL, "itself": "/again"} {
			var calls atomic.Int64
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				http.Redirect(w, r, location, status)
			})
			c := client(t, Config{}, s, thief) // also to a host on the list
			form := strings.NewReader("client_secret=hunter2")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, form)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(r)
			if err == nil {
				resp.Body.Close() //nolint:errcheck // only read
			}
			t.Run(fmt.Sprint(status, label), func(t *testing.T) { wantRefused(t, err, Redirect) })
			if calls.Load() != 1 {
				t.Errorf("%d %s: the server was called %d times", status, label, calls.Load())
			}
		}
	}
	if stolen.Load() != 0 {
		t.Errorf("%d requests went to where the redirect pointed", stolen.Load())
	}
}

func TestOnlyHostsOnTheList(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	c, err := New(Config{Hosts: []string{"graph.microsoft.com", "login.microsoftonline.com"}, Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	for address, rule := range map[string]Rule{
		s.URL: Host,
		strings.Replace(s.URL, "http", "https", 1): Host,
		"https://graph.microsoft.com:8443/":        Host,
		"https://graph.microsoft.com.evil.test/":   Host,
		"https://evil.test/graph.microsoft.com":    Host,
		"https://graph.microsoft.com@evil.test/":   Host,
		"https://graph.microsoft.com%2eevil.test":  Host,
		"https://graph.microsoft.com.":             Host,
		"http://graph.microsoft.com/":              Scheme,
		"ftp://graph.microsoft.com/":               Scheme,
		"file:///etc/passwd":                       Scheme,
	} {
		if _, err := url.Parse(address); err != nil {
			continue // net/http refuses it before us
		}
		_, err := get(t, c, address)
		t.Run(address, func(t *testing.T) { wantRefused(t, err, rule) })
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls reached a host that is not on the list", calls.Load())
	}
}

func TestHostHeaderCannotNameSomebodyElse(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.test"
	resp, err := client(t, Config{}, s).Do(r)
	if err == nil {
		resp.Body.Close() //nolint:errcheck // only read
	}
	wantRefused(t, err, Host)
}

func TestInnerAddressesAreRefusedWhateverTheirName(t *testing.T) {
	var calls atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer s.Close()
	_, port, err := net.SplitHostPort(host(s))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "127.1.2.3", "169.254.169.254", "10.0.0.1",
	} {
		h := name + ":" + port
		c, err := New(Config{Hosts: []string{h}}) // on the list by mistake or by an attack
		if err != nil {
			t.Fatal(err)
		}
		_, err = get(t, c, "https://"+h)
		t.Run(name, func(t *testing.T) { wantRefused(t, err, Address) })
	}
	if calls.Load() != 0 {
		t.Errorf("%d calls reached the server", calls.Load())
	}
}

func TestAllowedAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"20.190.128.1":           true, // login.microsoftonline.com has such
		"2603:1006:2000::1":      true,
		"64:ff9b::20.190.128.1":  true,
		"127.0.0.1":              false,
		"::1":                    false,
		"::ffff:127.0.0.1":       false,
		"::127.0.0.1":            false,
		"64:ff9b::10.0.0.1":      false,
		"64:ff9b::7f00:1":        false,
		"2002:7f00:1::":          false,
		"2001:0:7f00:1::":        false,
		"0.0.0.0":                false,
		"::":                     false,
		"0.1.2.3":                false,
		"10.1.2.3":               false,
		"172.16.0.1":             false,
		"192.168.1.1":            false,
		"100.100.100.200":        false,
		"169.254.169.254":        false,
		"::ffff:169.254.169.254": false,
		"::ffff:100.100.100.200": false,
		"168.63.129.16":          false,
		"fe80::1%eth0":           false,
		"fec0::1%eth0":           false,
		"fd00:ec2::254":          false,
		"fd12::1":                false,
		"224.0.0.1":              false,
		"ff02::1":                false,
		"255.255.255.255":        false,
		"240.0.0.1":              false,
		"198.18.0.1":             false,
		"192.0.0.192":            false,
	} {
		if got := allowed(netip.MustParseAddr(address), false); got != want {
			t.Errorf("%s: allowed is %v", address, got)
		}
	}
	for address, want := range map[string]bool{"127.0.0.1": true, "::1": true, "10.0.0.1": false, "0.0.0.0": false, "169.254.169.254": false} {
		if got := allowed(netip.MustParseAddr(address), true); got != want {
			t.Errorf("%s with loopback: allowed is %v", address, got)
		}
	}
}

func TestTLSNeedsAKnownAuthority(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "secret") //nolint:errcheck // the client notices
	}))
	defer s.Close()
	s.Config.ErrorLog = nil
	if _, err := get(t, client(t, Config{}, s), s.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want an unknown authority", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	if body, err := get(t, client(t, Config{CAFile: file}, s), s.URL); err != nil || string(body) != "secret" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestBodyIsCapped(t *testing.T) {
	const limit = 1000
	send := func(n int, zip bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			data := bytes.Repeat([]byte{'x'}, n)
			if !zip {
				w.Write(data)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(data) //nolint:errcheck // the client notices
			z.Close()     //nolint:errcheck // the client notices
		}
	}
	for _, zip := range []bool{false, true} {
		for n, ok := range map[int]bool{0: true, limit - 1: true, limit: true, limit + 1: false, 50 * limit: false} {
			s := serve(t, send(n, zip))
			body, err := get(t, client(t, Config{MaxBody: limit}, s), s.URL)
			if ok && (err != nil || len(body) != n) {
				t.Errorf("%d bytes, gzip %v: got %d, %v", n, zip, len(body), err)
			}
			if !ok {
				wantRefused(t, err, TooLarge)
				if len(body) > limit {
					t.Errorf("%d bytes, gzip %v: read %d", n, zip, len(body))
				}
			}
		}
	}
}

func TestTimeouts(t *testing.T) {
	const short = 50 * time.Millisecond
	ended := make(chan struct{})
	drip := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case <-ended:
				return
			case <-r.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
				w.Write([]byte{'.'})
				http.NewResponseController(w).Flush() //nolint:errcheck // the client has gone
			}
		}
	})
	silent := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(ended) })            // before the servers close
	mute, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener of the test
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close() //nolint:errcheck // the test is over

	for label, tt := range map[string]struct {
		cfg     Config
		address string
	}{
		"body that drips":    {Config{Total: short}, drip.URL},
		"no response header": {Config{ResponseHeader: short}, silent.URL},
		"no TLS handshake":   {Config{TLSHandshake: short}, "https://" + mute.Addr().String()},
		"all together":       {Config{Total: short}, "https://" + mute.Addr().String()},
	} {
		tt.cfg.Hosts = []string{mute.Addr().String()}
		_, err := get(t, client(t, tt.cfg, drip, silent), tt.address)
		var network net.Error
		if !errors.As(err, &network) || !network.Timeout() {
			t.Errorf("%s: got %v, want a timeout", label, err)
		}
	}
}

// azcore retries after an error of the transport, but not after a refusal.
func TestRefusalIsFinalForAzcore(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	pipeline := runtime.NewPipeline("test", "v0", runtime.PipelineOptions{}, &policy.ClientOptions{
		Transport: client(t, Config{}, s),
		Retry:     policy.RetryOptions{MaxRetries: 3, RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond},
	})
	r, err := runtime.NewRequest(context.WithoutCancel(t.Context()), http.MethodGet, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := pipeline.Do(r)
	if err == nil {
		resp.Body.Close() //nolint:errcheck // only read
	}
	wantRefused(t, err, Redirect)
	if calls.Load() != 1 {
		t.Errorf("%d calls, want 1", calls.Load())
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := []string{"graph.microsoft.com"}
	for want, cfg := range map[string]Config{
		"no hosts":                   {},
		`"https://h" is not a host`:  {Hosts: []string{"https://h"}},
		`"*.example.com" is not`:     {Hosts: []string{"*.example.com"}},
		`"" is not a host`:           {Hosts: []string{""}},
		`"h:" has an empty port`:     {Hosts: []string{"h:"}},
		"dial timeout -1ns":          {Hosts: hosts, Dial: -1},
		"total timeout -1ns":         {Hosts: hosts, Total: -1},
		"largest body -1":            {Hosts: hosts, MaxBody: -1},
		"CA file: open /nonexistent": {Hosts: hosts, CAFile: "/nonexistent"},
		"empty.pem holds no":         {Hosts: hosts, CAFile: empty},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
