package httpx

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestStandingReaders: a client that stops reading is disconnected, for every kind of response
// and both protocols. A slow client that keeps reading gets the whole response.
func TestStandingReaders(t *testing.T) {
	const patience = 300 * time.Millisecond
	big := bytes.Repeat([]byte("0123456789abcdef"), 4<<20) // more than any buffer on the way
	answers := map[string]func(w http.ResponseWriter) error{
		"a long answer": func(w http.ResponseWriter) error {
			_, err := w.Write(big)
			return err
		},
		"a stream": func(w http.ResponseWriter) error {
			s, err := OpenStream(w)
			for err == nil {
				err = s.Fragment(big[:1<<20])
			}
			return err
		},
	}
	for name, answer := range answers {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" over "+protocol, func(t *testing.T) {
				ended := make(chan error, 1)
				s := httptest.NewUnstartedServer(Front{Logger: slog.New(slog.DiscardHandler), Patience: patience}.Wrap(
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Proto != protocol {
							t.Errorf("it came over %s", r.Proto)
						}
						ended <- answer(w)
					})))
				s.EnableHTTP2 = protocol == "HTTP/2.0"
				s.StartTLS()
				defer s.Close()
				resp := fetch(t, s.Client(), s.URL)
				defer func() { _ = resp.Body.Close() }()
				select {
				case err := <-ended:
					if err == nil {
						t.Error("everything was written to a reader that takes nothing")
					}
				case <-time.After(20 * time.Second):
					t.Fatal("the reader is held for ever")
				}
			})
		}
	}
	t.Run("a reader that moves", func(t *testing.T) {
		s := httptest.NewServer(Front{Logger: slog.New(slog.DiscardHandler), Patience: patience}.Wrap(
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(big) })))
		defer s.Close()
		resp := fetch(t, s.Client(), s.URL)
		defer func() { _ = resp.Body.Close() }()
		var got int64
		for n := int64(1); n > 0; { // eight rests, which together are longer than the patience
			var err error
			n, err = io.CopyN(io.Discard, resp.Body, int64(len(big))/8)
			got += n
			if err != nil && err != io.EOF { //nolint:errorlint // as CopyN returns it
				t.Fatal(err)
			}
			time.Sleep(patience / 4)
		}
		if got != int64(len(big)) {
			t.Errorf("got %d of %d bytes", got, len(big))
		}
	})
}

func fetch(t *testing.T, c *http.Client, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestAnswersAfterARest: the deadline of one response does not end the next one on the same
// connection.
func TestAnswersAfterARest(t *testing.T) {
	const patience = 50 * time.Millisecond
	s := httptest.NewServer(Front{Logger: slog.New(slog.DiscardHandler), Patience: patience}.Wrap(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * patience)
			switch r.URL.Path {
			case "/empty":
				w.WriteHeader(http.StatusNoContent)
			case "/text":
				_, _ = io.WriteString(w, "text")
			}
		})))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String()) //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for _, path := range []string{"/text", "/empty", "/nothing", "/text"} {
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: here\r\n\r\n", path)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		time.Sleep(2 * patience)
	}
}

// TestStreamsOutlastTheRequest: the server's read timeout does not end a stream.
func TestStreamsOutlastTheRequest(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := OpenStream(w)
		for err == nil && r.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
			err = out.Beat()
		}
	}))
	s.Config.ReadTimeout = 100 * time.Millisecond
	s.Start()
	defer s.Close()
	resp := fetch(t, s.Client(), s.URL)
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.CopyN(io.Discard, resp.Body, int64(30*len(":\n\n"))); err != nil { // six times that limit
		t.Errorf("the stream ended: %v", err)
	}
	s.CloseClientConnections()
}

// TestCrowd: connections above the limit get a 503. The others continue, and when one closes
// there is room again.
func TestCrowd(t *testing.T) {
	const most = 4
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") })}
	bound := Bound(srv, ln, most)
	var serving errgroup.Group
	serving.Go(func() error { return srv.Serve(bound) })
	defer func() {
		_ = srv.Close()
		_ = serving.Wait()
	}()
	type answer struct {
		status     int
		retryAfter string
		last       bool // the connection is closed after it
		body       string
	}
	get := func(conn net.Conn) answer {
		t.Helper()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: here\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return answer{resp.StatusCode, resp.Header.Get("Retry-After"), resp.Close, string(body)}
	}
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", ln.Addr().String()) //nolint:noctx // on loopback
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	var in []net.Conn
	for range most {
		conn := dial()
		if a := get(conn); a.status != http.StatusOK || a.body != "in" {
			t.Fatalf("answered %d %s", a.status, a.body)
		}
		in = append(in, conn)
	}
	for range 3 * most { // each makes room for the next that is told
		a := get(dial())
		if a.status != http.StatusServiceUnavailable || a.retryAfter == "" || !strings.Contains(a.body, "too_many_connections") || !a.last {
			t.Fatalf("one too many is answered %+v", a)
		}
	}
	if a := get(in[0]); a.status != http.StatusOK {
		t.Errorf("one that was there before is answered %d", a.status)
	}
	_ = in[0].Close()
	for range 100 {
		if a := get(dial()); a.status == http.StatusOK {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("there is no room when one has gone")
}

// TestCertificate: TLS has HTTP/2, uses renewed files, and keeps the old ones while the new ones
// are invalid.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := LoadCertificate(cert, key, nil); err == nil {
		t.Fatal("files that are not there can be used")
	}
	clock := time.Now()
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(time.Second)
		if err := os.Chtimes(name, clock, clock); err != nil {
			t.Fatal(err)
		}
	}
	first, firstKey := issue(t, "first", time.Hour)
	write(cert, first)
	write(key, firstKey)
	var log bytes.Buffer
	c, err := LoadCertificate(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	s.Config.TLSConfig = c.TLS()
	var serving errgroup.Group
	serving.Go(func() error { return s.Config.ServeTLS(ln, "", "") })
	defer func() {
		_ = s.Config.Close()
		_ = serving.Wait()
	}()
	shown := func() (name, proto string) {
		t.Helper()
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // whose it is, the test looks at
		defer transport.CloseIdleConnections()
		resp := fetch(t, &http.Client{Transport: transport}, "https://"+ln.Addr().String())
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return resp.TLS.PeerCertificates[0].Subject.CommonName, string(body)
	}
	want := func(what, name string) {
		t.Helper()
		for range 2 {
			if got, _ := shown(); got != name {
				t.Errorf("%s: the certificate is %s, want %s", what, got, name)
			}
		}
	}
	if _, proto := shown(); proto != "HTTP/2.0" {
		t.Errorf("it speaks %s", proto)
	}
	want("as it began", "first")

	second, secondKey := issue(t, "second", time.Hour)
	write(cert, second)
	want("with a key that is still the old one", "first")
	write(key, secondKey)
	want("renewed", "second")
	write(key, []byte("broken"))
	want("with a broken key", "second")
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	want("with a missing certificate", "second")
	late, lateKey := issue(t, "late", -time.Minute)
	write(cert, late)
	write(key, lateKey)
	want("with one that has expired", "second")
	third, thirdKey := issue(t, "third", time.Hour)
	write(cert, third)
	write(key, thirdKey)
	want("mended", "third")
	if n := strings.Count(log.String(), "level=ERROR"); n != 4 {
		t.Errorf("%d complaints in the log, want one for each trouble:\n%s", n, log.String())
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Error("a key is in the log")
	}
}

func issue(t *testing.T, name string, life time.Duration) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// TestRecheckIsWithinFiveSeconds: a stream closes within five seconds of a
// revocation in another process.
func TestRecheckIsWithinFiveSeconds(t *testing.T) {
	if recheckEvery+soonAgain > 4*time.Second {
		t.Errorf("rights are looked at every %s", recheckEvery)
	}
}

// TestShared: callers that need an equally fresh value share it; a caller that needs a fresher one
// does not.
func TestShared(t *testing.T) {
	var s Shared[int]
	var f Feed
	n := 0
	get := func(since time.Time) int {
		v, err := s.Get(t.Context(), &f, f.Count(), since, func(context.Context) (int, error) { n++; return n, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	began := time.Now()
	if a, b := get(began), get(began); a != 1 || b != 1 {
		t.Errorf("got %d and %d", a, b)
	}
	if v := get(time.Now()); v != 2 {
		t.Errorf("an older value is taken for new")
	}
	f.Changed(changeOf("w"))
	if v := get(began); v != 3 {
		t.Errorf("a value from before a change is taken for one from after it")
	}
}
