package graphsim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/durable"
)

// Config says how a simulator listens and what it holds. The zero Config is a
// simulator on a free loopback port with TLS, generated data and no throttling.
type Config struct {
	// Addr is the listen address; empty means 127.0.0.1:0, a free port.
	Addr string
	// PlainHTTP serves without TLS.
	PlainHTTP bool
	// ControlToken is the bearer token of the control API; empty means a random one, see [Server.ControlToken].
	ControlToken string
	// Seed fixes generated data, fault probabilities and the order of batch answers.
	Seed uint64
	// DataDir is a folder of exported policies and groups that seed every tenant, see [LoadDir]; empty means generated ones.
	DataDir string
	// StateDir keeps the certificate authority and the keys, so that tokens, page links and delta
	// links outlive a restart; empty keeps them in memory.
	StateDir string
	// Throttle scales the service limits of Microsoft Graph: 1 is as published, 0.1 a tenth, 0 (the default) is off.
	Throttle float64
	// LogHeaders names request headers whose values the call log records. Never name Authorization.
	LogHeaders []string
	// Now is the clock; nil means time.Now. The control API can shift it.
	Now func() time.Time
	// Logger receives life-cycle messages; nil discards them.
	Logger *slog.Logger
}

// Server is a running simulator. Its methods are safe for concurrent use.
type Server struct {
	cfg      Config
	log      *slog.Logger
	boot     string // names this process in delta tokens whose change log dies with it
	keys     *keyring
	seeds    *seeds
	throttle *throttle
	faults   faultPlan
	calls    callLog
	jtis     replayGuard
	codes    codeStore
	offset   atomic.Int64 // of the clock, nanoseconds
	closing  chan struct{}
	once     sync.Once

	mu      sync.RWMutex
	tenants map[string]*tenant // by lower-case GUID
	domains map[string]*tenant // by lower-case verified domain
	order   []*tenant

	http *http.Server
	ln   net.Listener
	url  string
}

// New prepares a simulator: it loads keys and seed data, and listens nowhere yet.
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
	keys, err := loadKeyring(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	seeds, err := newSeeds(cfg.Seed, cfg.DataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		boot:     uuid.NewString(),
		keys:     keys,
		seeds:    seeds,
		throttle: newThrottle(cfg.Throttle),
		closing:  make(chan struct{}),
		tenants:  map[string]*tenant{},
		domains:  map[string]*tenant{},
	}
	s.faults.init(cfg.Seed)
	s.calls.setHeaders(cfg.LogHeaders)
	return s, nil
}

// Start listens and serves until [Server.Close]. It returns once the port is open; ctx bounds only that.
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
		// No WriteTimeout: held and dripping answers last as long as a fault rule says.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.url = "http://" + ln.Addr().String()
	serve := srv.Serve
	if !s.cfg.PlainHTTP {
		if srv.TLSConfig, err = s.keys.serverTLS(host); err != nil {
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

// Run serves until ctx is done. ready, if not nil, is called once the port is open.
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

// Close drops every connection, held answers included, and stops listening.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		if s.http != nil {
			_ = s.http.Close()
		}
	})
}

// URL is the base address of login and Graph alike, without a trailing slash; empty before Start.
func (s *Server) URL() string { return s.url }

// Data tells what became of the files of the data folder; nil without one.
func (s *Server) Data() *DataSummary { return s.seeds.data }

// ControlToken is the bearer token that the control API asks for.
func (s *Server) ControlToken() string { return s.cfg.ControlToken }

// CAPEM is the certificate of the authority that signed the TLS certificate.
func (s *Server) CAPEM() []byte { return s.keys.caPEM }

// CAFile is where New wrote the CA certificate; empty without a StateDir.
func (s *Server) CAFile() string {
	if s.cfg.StateDir == "" {
		return ""
	}
	return filepath.Join(s.cfg.StateDir, caCertFile)
}

// WriteCA writes the CA certificate to path, for clients that take a file.
func (s *Server) WriteCA(path string) error { return durable.WriteFile(path, s.keys.caPEM, 0o644) }

// now is the simulator's clock.
func (s *Server) now() time.Time { return s.cfg.Now().Add(time.Duration(s.offset.Load())).UTC() }

// tenant finds a tenant by GUID or verified domain, or answers nil.
func (s *Server) tenant(name string) *tenant {
	name = strings.ToLower(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.tenants[name]; t != nil {
		return t
	}
	return s.domains[name]
}

// AddTenant registers a tenant, or replaces the one with the same ID. Its groups,
// policies and devices are generated when they are first asked for.
func (s *Server) AddTenant(spec TenantSpec) error {
	t, err := newTenant(s, spec)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.domains[t.domain]; other != nil && other.id != t.id {
		return fmt.Errorf("graphsim: domain %s belongs to tenant %s", t.domain, other.id)
	}
	if old := s.tenants[t.id]; old != nil {
		delete(s.domains, old.domain)
		for i := range s.order {
			if s.order[i] == old {
				s.order[i] = t
			}
		}
	} else {
		s.order = append(s.order, t)
	}
	s.tenants[t.id], s.domains[t.domain] = t, t
	return nil
}

// allTenants lists the tenants in the order in which they were added.
func (s *Server) allTenants() []*tenant {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]*tenant(nil), s.order...)
}
