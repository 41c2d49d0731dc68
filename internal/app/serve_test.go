package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/vault"
)

// TestOwnTLS: a server with a certificate speaks HTTP/2 if the client can, accepts the
// configured number of connections, and stops on request.
func TestOwnTLS(t *testing.T) {
	root, err := vault.GenerateRoot()
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	own, err := ServerTLS(certificate(t, quiet))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), Config{Database: dbtest.URL(t, db.SQLite), Root: root, Logger: quiet, TLS: own, Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lasts as long as the test
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, ln) }()

	get := func(http2 bool) (status int, proto string) {
		t.Helper()
		transport := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // it is made here
		t.Cleanup(transport.CloseIdleConnections)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+ln.Addr().String()+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Proto
	}
	for _, want := range []struct {
		http2  bool
		status int
		proto  string
	}{
		{true, http.StatusOK, "HTTP/2.0"},
		{false, http.StatusOK, "HTTP/1.1"},
		{true, http.StatusServiceUnavailable, "HTTP/2.0"}, // the clients keep the earlier ones open
		{false, http.StatusServiceUnavailable, "HTTP/1.1"},
	} {
		if status, proto := get(want.http2); status != want.status || proto != want.proto {
			t.Errorf("answered %d over %s, want %d over %s", status, proto, want.status, want.proto)
		}
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(stopWithin):
		t.Error("the server does not stop")
	}
}

// certificate writes a certificate and its key to files.
func certificate(t *testing.T, log *slog.Logger) (cert, key string, _ *slog.Logger) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, log
}
