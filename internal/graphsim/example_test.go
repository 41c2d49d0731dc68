package graphsim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim"
)

// Starts a simulator, loads the groups of a directory from a folder, and reads them
// with net/http as any program reads Microsoft Graph.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "graphsim")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	for name, text := range map[string]string{
		"policies/index.json":   `[]`,
		"directory/groups.json": `{"groups": [{"displayName": "Sales"}, {"displayName": "Kiosk devices", "membershipRule": "(device.model -eq \"Kiosk\")"}]}`,
	} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}

	sim, err := graphsim.New(graphsim.Config{DataDir: folder})
	if err != nil {
		log.Fatal(err)
	}
	if err := sim.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer sim.Close()
	const tenant, app = "8c4e0d2a-6a3f-4f53-9a1e-0c9d5b7e91d2", "0f6f3a52-5d0e-4a0c-8a51-3a4a3f9b7c11"
	err = sim.AddTenant(graphsim.TenantSpec{
		ID: tenant, DisplayName: "Contoso", Domain: "contoso.example", Groups: 2,
		Apps: []graphsim.AppSpec{{
			AppID: app, Name: "Reader", Secrets: []graphsim.Secret{{Value: "a client secret"}},
			Requested: []string{"Group.Read.All"}, Consented: true,
		}},
	})
	if err != nil {
		log.Fatal(err)
	}

	client := &http.Client{Transport: sim.Transport()} // trusts the simulator's certificate
	call := func(req *http.Request, err error) (answer map[string]any) {
		if err != nil {
			log.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck // it is read to the end
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			log.Fatal(err)
		}
		return answer
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {app}, "client_secret": {"a client secret"}, "scope": {"https://graph.microsoft.com/.default"},
	}
	login, err := http.NewRequestWithContext(ctx, http.MethodPost, sim.URL()+"/"+tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err == nil {
		login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	token := call(login, err)
	list, err := http.NewRequestWithContext(ctx, http.MethodGet, sim.URL()+"/v1.0/groups?$select=displayName,groupTypes", nil)
	if err == nil {
		list.Header.Set("Authorization", fmt.Sprint("Bearer ", token["access_token"]))
	}
	groups, _ := call(list, err)["value"].([]any)
	for _, g := range groups {
		g, _ := g.(map[string]any)
		fmt.Println(g["displayName"], g["groupTypes"])
	}
	// Output:
	// Sales []
	// Kiosk devices [DynamicMembership]
}

// A fault rule makes the simulator answer as a busy Microsoft Graph does, once.
func ExampleControl_AddFault() {
	ctx := context.Background()
	sim, err := graphsim.New(graphsim.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := sim.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer sim.Close()
	_, err = sim.Control().AddFault(ctx, graphsim.Fault{
		Path: "/v1.0/*", Times: 1, Action: graphsim.Action{Kind: graphsim.ActThrottle, RetryAfter: "30"},
	})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: sim.Transport()}
	for range 2 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, sim.URL()+"/v1.0/organization", nil)
		if err != nil {
			log.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(res.StatusCode, res.Header.Get("Retry-After"))
		_ = res.Body.Close() // it is not read
	}
	// Output:
	// 429 30
	// 401
}
