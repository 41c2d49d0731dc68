// Package graphsim is a simulator of Microsoft Graph and of the Entra login service,
// for tests and demonstrations of programs that speak to them. One process serves any
// number of tenants on one address, with TLS under a certificate authority of its own.
//
// # What it serves
//
//   - Login: OpenID configuration, instance discovery, signing keys, the token endpoint (client
//     credentials by secret or certificate, authorization codes), admin consent, sign-in.
//   - Graph, below /v1.0 and /beta: organization, groups with members and delta, service
//     principals, subscribed SKUs, the Intune and conditional access collections, $batch.
//     Assignment filters can be created, changed and deleted; other writes answer 405.
//
// Tokens are real signed JWTs. Permissions are decided from the roles in the token, so a
// grant or a revoke acts on tokens issued later, as with the real service. Error bodies,
// page links, counts and omissions follow recorded answers where there are any; what is
// assumed says so where it is written.
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
// The same seed and spec give the same tenant, ids included. Groups, policies and devices are
// made on first use, so hundreds of tenants cost little until they are read.
//
// # Control API
//
// Below /_sim/, JSON in and out, with the bearer token of [Config.ControlToken]; errors are
// {"error": "…"}. [Control] is its Go client.
//
//	GET    /_sim/tenants                       state of all tenants
//	PUT    /_sim/tenants                       add or replace one (TenantSpec)
//	GET    /_sim/tenants/{t}                   state of one; {t} is its id or domain
//	PATCH  /_sim/tenants/{t}                   licence, name, delta behaviour (TenantPatch)
//	POST   /_sim/tenants/{t}/reset             back to its spec
//	POST   /_sim/tenants/{t}/groups            change groups ([]GroupChange)
//	PUT    /_sim/tenants/{t}/items/{path}      add or replace an entity, such as of deviceManagement/intents
//	DELETE /_sim/tenants/{t}/items/{path}/{id}
//	PUT    /_sim/tenants/{t}/apps              add or replace an app (AppSpec)
//	PATCH  /_sim/tenants/{t}/apps/{app}        consent, roles, secrets, state (AppPatch)
//	GET, POST, DELETE /_sim/faults             the fault plan (Fault)
//	DELETE /_sim/faults/{id}
//	GET    /_sim/holds                         answers that wait
//	POST   /_sim/holds/release?id=&fault=      let them go
//	GET    /_sim/calls?since=&tenant=          the call log; DELETE empties it
//	PUT    /_sim/calls/headers                 request headers to record (["X-Fence"])
//	GET, PUT /_sim/clock                       {"offsetMs": 3600000}
//
// The consent and sign-in pages are for people; with _sim=accept or _sim=cancel in the
// address they decide by themselves.
package graphsim
