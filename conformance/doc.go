// Package conformance has clients that are not ours meet the simulator: go-oidc with
// x/oauth2 here, and Microsoft's JavaScript clients in client.mjs. Run both with
// run.sh. They know the simulator by its address only.
package conformance
