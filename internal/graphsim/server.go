package graphsim

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/graphsim/control"
	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/graph"
	"github.com/interlock-dev/interlock/internal/graphsim/login"
)

// Config configures a simulator. The zero Config listens on a free loopback port with
// TLS, generates its data and does not throttle.
type Config struct {
	// Addr is the listen address; empty means 127.0.0.1:0, a free port.
	Addr string
	// PlainHTTP serves without TLS.
	PlainHTTP bool
	// ControlToken is the bearer token of the control API; empty means a random one, see [Server.ControlToken].
	ControlToken string
	// Seed fixes generated data, fault probabilities and the order of batch answers.
	Seed uint64
	// DataDir is a folder of exported policies and groups that seed every tenant, see [estate.LoadDir]; empty generates them.
	DataDir string
	// Data is used in place of DataDir unless it is nil: policies that the caller has read.
	Data *Data
	// Unpack reads the policies of a zip file that the control API loads; nil refuses zip files.
	Unpack func(file []byte) (*Data, error)
	// StateDir stores the certificate authority and the keys, so that tokens, page links and delta
	// links survive a restart. Empty keeps them in memory.
	StateDir string
	// Throttle scales the service limits of Microsoft Graph: 1 is as published, 0.1 a tenth, 0 (the default) is off.
	Throttle float64
	// LogHeaders names request headers whose values the call log records. Never name Authorization.
	LogHeaders []string
	// Now is the clock; nil means time.Now. The control API can shift it.
	Now func() time.Time
	// Logger receives messages about start and stop; nil discards them.
	Logger *slog.Logger
}

// Server is a running simulator. Its methods are safe for concurrent use.
type Server struct {
	cfg      Config
	log      *slog.Logger
	keys     *login.Keyring
	clock    *control.Clock
	estate   *estate.Estate
	login    *login.Service
	graph    *graph.Service
	throttle *control.Throttle
	faults   *control.Plan
	calls    *control.Log
	closing  chan struct{}
	once     sync.Once

	http *http.Server
	ln   net.Listener
	url  string
}

// New prepares a simulator: it loads keys and seed data. It does not listen yet.
func New(cfg Config) (*Server, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.ControlToken == "" {
		cfg.ControlToken = rand.Text()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Throttle < 0 {
		return nil, fmt.Errorf("graphsim: throttle scale %v is negative", cfg.Throttle)
	}
	keys, err := login.LoadKeyring(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	now := control.NewClock(cfg.Now)
	tenants, err := estate.New(cfg.Seed, cfg.DataDir, cfg.Data, now.Now)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		keys:     keys,
		clock:    now,
		estate:   tenants,
		login:    &login.Service{Keys: keys, Estate: tenants},
		graph:    &graph.Service{Seed: cfg.Seed},
		throttle: control.NewThrottle(cfg.Throttle),
		faults:   control.NewPlan(cfg.Seed),
		calls:    &control.Log{},
		closing:  make(chan struct{}),
	}
	s.graph.Part = s.part
	s.calls.SetHeaders(cfg.LogHeaders)
	return s, nil
}

// Start listens and serves until [Server.Close]. It returns when the port is open. ctx
// limits only the time until then.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("graphsim: listen on %s: %w", s.cfg.Addr, err)
	}
	host, _, _ := net.SplitHostPort(s.cfg.Addr)
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		// No WriteTimeout: a fault rule may hold or drip a response for any time.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.url = "http://" + ln.Addr().String()
	serve := srv.Serve
	if !s.cfg.PlainHTTP {
		if srv.TLSConfig, err = s.keys.ServerTLS(host); err != nil {
			_ = ln.Close()
			return fmt.Errorf("graphsim: server certificate: %w", err)
		}
		s.url = "https://" + ln.Addr().String()
		serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	s.ln, s.http = ln, srv
	s.log.Info("graph simulator listening", slog.String("url", s.url))
	go func() {
		if err := serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("graph simulator stopped", slog.Any("error", err))
		}
	}()
	return nil
}

// Run serves until ctx is done. It calls ready, if not nil, when the port is open.
func Run(ctx context.Context, cfg Config, ready func(*Server) error) error {
	s, err := New(cfg)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer s.Close()
	if ready != nil {
		if err := ready(s); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// Close closes every connection, including those with held responses, and stops listening.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		if s.http != nil {
			_ = s.http.Close()
		}
	})
}

// URL is the base URL of both login and Graph, without a trailing slash; empty before Start.
func (s *Server) URL() string { return s.url }

// Data reports which files of the data folder are served; nil without a folder.
func (s *Server) Data() *estate.DataSummary { return s.estate.Data() }

// ControlToken is the bearer token of the control API.
func (s *Server) ControlToken() string { return s.cfg.ControlToken }

// CAPEM is the certificate, in PEM, of the authority that signed the TLS certificate.
func (s *Server) CAPEM() []byte { return s.keys.CAPEM }

// CAFile is the path of the CA certificate; empty without a StateDir.
func (s *Server) CAFile() string {
	if s.cfg.StateDir == "" {
		return ""
	}
	return filepath.Join(s.cfg.StateDir, login.CACertFile)
}

// Control returns a control client for this server. Call it after Start.
func (s *Server) Control() *control.Client {
	return control.NewClient(s.url, s.cfg.ControlToken, &http.Client{Transport: s.Transport()})
}

// Transport returns a transport that trusts only this server.
func (s *Server) Transport() *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(s.keys.CACert)
	return &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   time.Minute,
	}
}

// AddTenant adds a tenant, or replaces the one with the same ID. Its groups, policies
// and devices are generated when they are first read.
func (s *Server) AddTenant(spec estate.TenantSpec) error { return s.estate.Add(spec) }

// WriteCA writes the CA certificate to a file.
func (s *Server) WriteCA(path string) error { return durable.WriteFile(path, s.keys.CAPEM, 0o644) }
