package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/demo"
)

func demoCommand() *cobra.Command {
	var (
		cfg     demo.Config
		asJSON  bool
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on this machine, with a simulated Microsoft 365",
		Long: `Run the server and a simulated Microsoft 365 on loopback, with a workspace whose
tenants are in every interesting state: ready, consent missing or withdrawn,
credential expired, permission missing, no default connection, disabled, being
onboarded, archived, one with a long sync running, and one with a history of
snapshots, backups and restores. No account is needed.

Without --data-dir the demo deletes its data at the end. With it, the data is kept for
the next start; the simulator itself starts anew each time.`,
		Example: `  interlock demo
  interlock demo --data-dir ./demo --addr 127.0.0.1:8080
  interlock demo --tenants 200 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelDebug
			}
			cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			d, err := demo.New(ctx, cfg)
			if err != nil {
				return err
			}
			defer d.Close()
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(d.Info); err != nil {
					return fmt.Errorf("print the sign-ins: %w", err)
				}
			} else {
				welcome(cmd.OutOrStdout(), d.Info)
			}
			return d.Serve(ctx)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Addr, "addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	f.StringVar(&cfg.Folder, "data-dir", "", "folder to keep the demo in; empty: a temporary one")
	f.StringVar(&cfg.Database, "database", "", `database: "sqlite:" and a file, or a postgres:// URL; empty: a file in --data-dir`)
	f.IntVar(&cfg.Tenants, "tenants", 0, fmt.Sprintf("more ready tenants, for load; at most %d", demo.MaxTenants))
	f.StringVar(&cfg.Data, "data", "", "folder of real policies for the simulator; empty: generated ones")
	f.BoolVar(&cfg.History, "history", true, "fill one tenant with snapshots, backups and restores; takes some seconds after the start")
	f.BoolVar(&asJSON, "json", false, "print address and sign-ins as one line of JSON")
	f.BoolVar(&verbose, "verbose", false, "log everything")
	f.DurationVar(&cfg.Lease, "lease", 0, "how long a run keeps its connection without a heartbeat (default 1m)")
	f.DurationVar(&cfg.Heartbeat, "heartbeat", 0, "how often a lease is renewed (default a quarter of it)")
	f.DurationVar(&cfg.Quarantine, "quarantine", 0, "how long a connection stays closed after the lease of a lost run (default 30s)")
	f.DurationVar(&cfg.ReapEvery, "reap-every", 0, "how often leases are checked (default 5s)")
	f.DurationVar(&cfg.Backoff, "backoff", 0, "wait before a run that failed for a temporary reason is retried (default 15s)")
	return cmd
}

// welcome prints how to use a demo.
func welcome(w io.Writer, info demo.Info) {
	fmt.Fprintf(w, "Interlock is ready at %s (simulated Microsoft 365 at %s).\n\n", info.URL, info.Simulator)
	fmt.Fprintf(w, "  %-9s  %-12s  %-30s  %s\n", "Role", "Name", "E-mail", "Password")
	for _, u := range info.Users {
		fmt.Fprintf(w, "  %-9s  %-12s  %-30s  %s\n", u.Role, u.Name, u.Email, u.Password)
	}
	operator := info.Users[1]
	fmt.Fprintf(w, `
In another terminal:

  export INTERLOCK_URL=%s INTERLOCK_TOKEN=%s
  interlock tenants
  interlock start inventory.sync --tenant kestrel --wait
  interlock start inventory.sync --tenant bright-quay     # blocked, and why
  interlock start directory.groups.sync --tenant tern-bay # busy, and with what
  interlock compliance history --tenant rowan-hill
  interlock runs --tenant rowan-hill                      # backups, a restore, and what changed

From a checkout, "go run ./cmd/interlock" stands for "interlock". Ctrl-C ends the demo.
`, info.URL, operator.Token)
}
