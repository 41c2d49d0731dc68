package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/app"
)

func serveCommand() *cobra.Command {
	var (
		s                       settings
		addr, public, cert, key string
		behindProxy             bool
		workers                 int
		proxies                 []string
		simulator               app.Simulator
		cfg                     app.Config
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: the start gate, the API and the workers, in one process.

The first start creates the database and the root key. Keep a copy of the root key
apart from the database: without it, saved credentials can't be decrypted. Then create
the first owner with "interlock bootstrap": with SQLite while the server is stopped,
with PostgreSQL at any time.

On other addresses than loopback the server needs HTTPS (--tls-cert, --tls-key), or a
proxy that provides HTTPS (--behind-proxy, with --trust-proxy ADDRESS).`,
		Example: `  interlock serve
  interlock serve --addr :8443 --tls-cert cert.pem --tls-key key.pem
  interlock serve --database postgres://interlock@db/interlock --behind-proxy --trust-proxy 10.0.0.5 --addr :8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			log, err := s.logger()
			if err != nil {
				return err
			}
			if err := reachable(addr, cert, key, behindProxy); err != nil {
				return err
			}
			if cfg.Proxies, err = prefixes("--trust-proxy", proxies); err != nil {
				return err
			}
			if behindProxy && len(cfg.Proxies) == 0 {
				return errors.New("--behind-proxy: set --trust-proxy (INTERLOCK_TRUST_PROXIES) to the address of your proxy, such as 10.0.0.5 or 10.0.0.0/8. " +
					"Without it everybody behind the proxy shares one address, and ten wrong passwords of a stranger lock everybody out")
			}
			for flag, n := range map[string]int{
				"--requests-per-minute": cfg.RequestsPerMinute, "--starts-per-minute": cfg.StartsPerMinute,
				"--streams-per-person": cfg.StreamsPerPerson, "--connections": cfg.Connections,
			} {
				if n < 0 {
					return fmt.Errorf("%s: %d is below 0", flag, n)
				}
			}
			cfg.Root, err = s.root(true)
			if err != nil {
				return err
			}
			cfg.Database, cfg.Logger, cfg.Workers = s.database, log, workers
			cfg.SignIn = access.Limits{PerAccount: 10, PerAddress: 50, Window: 15 * time.Minute}
			if cert != "" {
				if cfg.TLS, err = app.ServerTLS(cert, key, log); err != nil {
					return fmt.Errorf("--tls-cert, --tls-key: %w", err)
				}
			}
			if simulator.URL != "" {
				cfg.Simulator = &simulator
			}
			ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
			if err != nil {
				return fmt.Errorf("--addr: %w", err)
			}
			cfg.AuditExport = s.exportFile()
			cfg.PublicURL = strings.TrimRight(public, "/")
			if cfg.PublicURL == "" && !behindProxy {
				cfg.PublicURL = urlOf(ln, cert != "")
			}
			a, err := app.New(ctx, cfg)
			if err != nil {
				return errors.Join(err, ln.Close())
			}
			if err := a.Start(ctx); err != nil {
				return errors.Join(err, ln.Close(), a.Close())
			}
			defer s.listenLocally(ctx, log, a, cfg.Root)()
			if cfg.Simulator != nil {
				log.WarnContext(ctx, "a simulator stands in for Microsoft's clouds: nothing reaches a real tenant", "simulator", cfg.Simulator.URL)
			}
			log.InfoContext(ctx, "Interlock is ready", "url", cmp.Or(cfg.PublicURL, "not known"), "addr", ln.Addr().String(), "engine", a.DB.Engine())
			err = a.Serve(ctx, ln)
			return errors.Join(err, a.Close())
		},
	}
	s.flags(cmd)
	s.exportFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&addr, "addr", env("INTERLOCK_ADDR", "127.0.0.1:8080"), "address to listen on (INTERLOCK_ADDR)")
	f.StringVar(&public, "public-url", os.Getenv("INTERLOCK_PUBLIC_URL"), "address that browsers use, if it differs from --addr; needed to request admin consent (INTERLOCK_PUBLIC_URL)")
	f.StringVar(&cert, "tls-cert", os.Getenv("INTERLOCK_TLS_CERT"), "PEM file with the certificate (INTERLOCK_TLS_CERT)")
	f.StringVar(&key, "tls-key", os.Getenv("INTERLOCK_TLS_KEY"), "PEM file with its private key (INTERLOCK_TLS_KEY)")
	f.BoolVar(&behindProxy, "behind-proxy", os.Getenv("INTERLOCK_BEHIND_PROXY") != "", "plain HTTP to a proxy that speaks HTTPS; requires --trust-proxy (INTERLOCK_BEHIND_PROXY)")
	f.StringSliceVar(&proxies, "trust-proxy", list("INTERLOCK_TRUST_PROXIES"), "addresses or CIDRs of your proxies, whose X-Forwarded-For gives the client's address (INTERLOCK_TRUST_PROXIES)")
	f.IntVar(&cfg.RequestsPerMinute, "requests-per-minute", 0, "limit of requests per minute from one address; 0: none")
	f.IntVar(&cfg.StartsPerMinute, "starts-per-minute", 0, "limit of starts per minute by one person; 0: none")
	f.IntVar(&cfg.StreamsPerPerson, "streams-per-person", 32, "limit of browsers and commands of one person that follow changes; 0: none")
	f.IntVar(&cfg.Connections, "connections", 4096, "limit of network connections; 0: none")
	f.IntVar(&workers, "workers", 32, "runs at a time in this process")
	f.DurationVar(&cfg.Lease, "lease", time.Minute, "how long a run keeps its connection without a heartbeat")
	f.DurationVar(&cfg.Quarantine, "quarantine", 30*time.Second, "how long a connection stays closed after the lease of a lost run")
	f.DurationVar(&cfg.Heartbeat, "heartbeat", 0, "how often a lease is renewed (default a quarter of it)")
	f.DurationVar(&cfg.ReapEvery, "reap-every", 5*time.Second, "how often leases are checked")
	f.DurationVar(&cfg.Backoff, "backoff", 15*time.Second, "wait before a run that failed for a temporary reason is retried; doubles each time")
	f.DurationVar(&cfg.MaxWait, "max-wait", 20*time.Second, "longest wait inside a run when the provider says when to come back; for a longer wait the run goes back to the queue")
	f.DurationVar(&cfg.StallAfter, "stall-after", 10*time.Minute, "a run without progress for this long is shown as stalled")
	f.StringVar(&cfg.FederatedTokenFile, "federated-token-file", os.Getenv("INTERLOCK_FEDERATED_TOKEN_FILE"), "file in which the platform keeps the token of this server's workload identity (INTERLOCK_FEDERATED_TOKEN_FILE)")
	f.StringSliceVar(&cfg.FederatedWorkspaces, "federated-workspaces", list("INTERLOCK_FEDERATED_WORKSPACES"), "URL names of the workspaces whose connections may sign in with the workload identity (INTERLOCK_FEDERATED_WORKSPACES)")
	f.StringVar(&simulator.URL, "simulator", os.Getenv("INTERLOCK_SIMULATOR"), `use a simulator ("interlock sim") on this machine in place of Microsoft's clouds; every page says so (INTERLOCK_SIMULATOR)`)
	f.StringVar(&simulator.CAFile, "simulator-ca", os.Getenv("INTERLOCK_SIMULATOR_CA"), "PEM file with the simulator's certificate authority (INTERLOCK_SIMULATOR_CA)")
	return cmd
}

// reachable refuses plain HTTP that other machines can reach, unless a proxy is
// declared: tokens would be readable.
func reachable(addr, cert, key string, behindProxy bool) error {
	if (cert == "") != (key == "") {
		return errors.New("--tls-cert and --tls-key: give both or none")
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--addr: %q is not HOST:PORT", addr)
	}
	ip := net.ParseIP(host)
	if cert != "" || behindProxy || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--addr %s is reachable from other machines: give --tls-cert and --tls-key, or --behind-proxy", addr)
}

// list returns a setting of several values, separated by commas.
func list(name string) []string {
	return strings.FieldsFunc(os.Getenv(name), func(r rune) bool { return r == ',' || r == ' ' })
}

// prefixes parses the addresses and CIDRs of a flag.
func prefixes(flag string, values []string) (all []netip.Prefix, err error) {
	for _, v := range values {
		p, err := netip.ParsePrefix(v)
		if err != nil {
			a, err := netip.ParseAddr(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %q is neither an address nor a CIDR such as 10.0.0.0/8", flag, v)
			}
			a = a.Unmap()
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("%s: %q is every address: anybody could then claim to be anybody. Name your proxies only", flag, v)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// urlOf returns the address of a listener for browsers; empty if it listens on every
// address.
func urlOf(ln net.Listener, secure bool) string {
	if at, ok := ln.Addr().(*net.TCPAddr); ok && at.IP.IsUnspecified() {
		return ""
	}
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return scheme + "://" + ln.Addr().String()
}
