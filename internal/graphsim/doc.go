// Package graphsim simulates Microsoft Graph and the Entra login service, for tests and
// demonstrations of programs that use them. One process serves any number of tenants on
// one address, with TLS from its own certificate authority.
//
// # What it serves
//
//   - Login: OpenID configuration, instance discovery, signing keys, the token endpoint (client
//     credentials by secret or certificate, authorization codes), admin consent, sign-in.
//   - Graph, below /v1.0 and /beta: organization, groups with members and delta, service
//     principals, subscribed SKUs, the Intune and conditional access collections, $batch.
//     Policies of every type can be created, changed, assigned and deleted; other writes return 405.
//
// Tokens are signed JWTs. Permissions come from the roles in the token, so that a grant or a
// revocation affects only tokens issued later, as with the real service. Error bodies, page
// links, counts and omissions follow recorded responses where there are any. Where one is
// assumed, a comment says so.
//
// # Rooms
//
// Each package below this one imports only packages above it in this list:
//
//   - odata: JSON objects, query options, $filter, paths, page tokens
//   - model: the types that Microsoft publishes
//   - estate: tenants and what they hold; generates, loads and changes it
//   - wire: one request on its way, its response, and the error formats
//   - login, graph: the two services
//   - control: faults, call log, service limits, clock, and the API that sets them
//
// This package assembles them into a server. Package simtest starts one for a test.
//
// # Use
//
//	srv, err := graphsim.New(graphsim.Config{})
//	err = srv.Start(ctx)
//	defer srv.Close()
//	err = srv.AddTenant(graphsim.TenantSpec{ID: "…", DisplayName: "Contoso", Intune: true, Apps: …})
//	client := &http.Client{Transport: srv.Transport()}
//	// authority and Graph base are both srv.URL()
//
// The same seed and spec give the same tenant, including its ids. Groups, policies and devices
// are generated on first use, so that hundreds of tenants cost little until they are read.
//
// # Control API
//
// The control API is below /_sim/. It takes and returns JSON and needs the bearer token of
// [Config.ControlToken]. Errors are {"error": "…"}. [Control] is its Go client.
//
//	GET    /_sim/tenants                       state of all tenants
//	PUT    /_sim/tenants                       add or replace one (TenantSpec)
//	GET    /_sim/tenants/{t}                   state of one; {t} is its id or domain
//	PATCH  /_sim/tenants/{t}                   licence, name, lags, leniency, delta behaviour (TenantPatch)
//	POST   /_sim/tenants/{t}/reset             back to its spec
//	PUT    /_sim/tenants/{t}/data              load policies (Data, or a zip file)
//	POST   /_sim/tenants/{t}/groups            change groups ([]GroupChange)
//	PUT    /_sim/tenants/{t}/items/{path}      add or replace an entity, such as of deviceManagement/intents
//	PATCH  /_sim/tenants/{t}/items/{path}/{id} change properties of an entity
//	DELETE /_sim/tenants/{t}/items/{path}/{id}
//	PUT    /_sim/tenants/{t}/apps              add or replace an app (AppSpec)
//	PATCH  /_sim/tenants/{t}/apps/{app}        consent, roles, secrets, state (AppPatch)
//	GET, POST, DELETE /_sim/faults             the fault plan (Fault)
//	DELETE /_sim/faults/{id}
//	GET    /_sim/holds                         responses that are held back, calls that act later
//	POST   /_sim/holds/release?id=&fault=      release them
//	GET    /_sim/calls?since=&tenant=          the call log; DELETE clears it
//	PUT    /_sim/calls/headers                 request headers to record (["X-Fence"])
//	GET, PUT /_sim/throttle                    service limits: {"scale": 1}, and their use
//	GET, PUT /_sim/clock                       {"offsetMs": 3600000}
//
// The consent and sign-in pages are for people. With _sim=accept or _sim=cancel in the URL
// they need nobody.
package graphsim
