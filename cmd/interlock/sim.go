package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/demo"
	"github.com/interlock-dev/interlock/internal/graphsim"
)

func simCommand() *cobra.Command {
	var (
		cfg    graphsim.Config
		domain string
		id     string
	)
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run the Microsoft 365 simulator alone",
		Long: `Run the simulator of Microsoft Graph and of its sign-in alone, to test other
programs against. It prints one line of JSON: its address, the token of its control
API under /_sim/, its certificate authority, and one tenant with an application that
has been consented to. More tenants come through the control API.

Whatever Microsoft 365 may answer can be had on demand. A rule of the fault plan says
which calls it is for and what they get, for example

  refuse to sign in with any number:
    POST /_sim/faults {"path":"/*/oauth2/v2.0/token","action":{"kind":"sign_in","number":7000229}}
  answer a web page with 403:
    POST /_sim/faults {"path":"/v1.0/groups*","action":{"kind":"page","status":403}}
  throttle twice, for a day:
    POST /_sim/faults {"path":"/beta/*","times":2,"action":{"kind":"throttle","retryAfter":"86400"}}
  set the provider's clock two hours ahead:
    PUT /_sim/clock {"offsetMs":7200000}

With --data the policies of a folder or a zip file are served: a backup of Interlock, an
export of IntuneCD or IntuneManagement, CIPP templates, or any files with policies as
Microsoft Graph returns them. They keep their ids. In a folder with
policies/index.json, that file says which file is of which collection. Every file is
read, or named with the reason why not, here and at GET /_sim/data.

GET /_sim/sign-in lists the numbers whose true texts are known, DELETE /_sim/faults
ends all rules, GET /_sim/calls shows what was called. Each call of the control API
carries "Authorization: Bearer CONTROL_TOKEN".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			cfg.Unpack = unpack
			if err := simTenant(&cfg, &id); err != nil {
				return err
			}
			return graphsim.Run(cmd.Context(), cfg, func(s *graphsim.Server) error {
				if d := s.Data(); d != nil {
					cmd.PrintErrf("Data %s: %d policies and %d groups read, %d left out\n", d.Folder, d.Policies, d.Groups, len(d.LeftOut))
					for _, l := range d.LeftOut {
						cmd.PrintErrf("  %s: %s\n", l.File, l.Reason)
					}
				}
				app := graphsim.AppSpec{
					AppID: uuid.NewString(), Name: "Simulated application", Consented: true,
					Secrets: []graphsim.Secret{{Value: rand.Text()}}, Requested: demo.Permissions(),
				}
				tenant := graphsim.TenantSpec{ID: id, DisplayName: "Simulated tenant", Domain: domain, Intune: true, Apps: []graphsim.AppSpec{app}}
				if err := s.AddTenant(tenant); err != nil {
					return err
				}
				err := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
					"url": s.URL(), "control_token": s.ControlToken(), "ca": string(s.CAPEM()),
					"tenant": tenant.ID, "domain": domain, "client_id": app.AppID, "client_secret": app.Secrets[0].Value,
				})
				if err != nil {
					return fmt.Errorf("print the address: %w", err)
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Addr, "addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	f.BoolVar(&cfg.PlainHTTP, "plain-http", false, "serve without TLS")
	f.StringVar(&cfg.ControlToken, "control-token", "", "token of the control API; empty: a random one")
	f.Uint64Var(&cfg.Seed, "seed", 1, "fixes generated data and chances")
	f.StringVar(&cfg.DataDir, "data", "", "folder or zip file of exported policies to load, see above; empty: generated ones")
	f.StringVar(&id, "tenant", "", "id of the tenant, a GUID; empty: that of the data, or a new one")
	f.StringVar(&cfg.StateDir, "state-dir", "", "folder for keys, so that tokens and links outlive a restart; empty: memory")
	f.Float64Var(&cfg.Throttle, "throttle", 0, "scale of Microsoft Graph's own limits: 1 as published, 0 off")
	f.StringVar(&domain, "domain", "sim.example", "verified domain of the tenant")
	return cmd
}

// simTenant reads the data that cfg names, and sets an id that is empty: to that of the tenant of
// the data, or to a new one.
func simTenant(cfg *graphsim.Config, id *string) error {
	if *id != "" {
		if _, err := uuid.Parse(*id); err != nil {
			return fmt.Errorf("--tenant %q is not a GUID", *id)
		}
	}
	if cfg.DataDir != "" {
		data, directory, err := simData(cfg.DataDir)
		if err != nil {
			return err
		}
		cfg.Data = data
		if _, err := uuid.Parse(directory); err == nil && *id == "" {
			*id = directory
		}
	}
	if *id == "" {
		*id = uuid.NewString()
	}
	return nil
}
