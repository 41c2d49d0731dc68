package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Version is the version of the API's contract.
const Version = "1.0.0"

// bearer is the name of the security scheme in the document.
const bearer = "bearer"

const about = `Starts of provider-backed operations go through one gate, which answers exactly one of
**accepted** (202), **deduped** (200), **scope_busy** (409) and **blocked** (422), always with why and what to do next.
Codes are the contract; sentences are for people and may be reworded.

Refusals and faults are problem documents (RFC 9457). What does not exist and what you may not see
are the same 404. Lists answer ` + "`{\"items\": [...], \"next\": cursor or null}`" + `.`

// document returns the framework's configuration: JSON and the document, without
// documentation pages, which load scripts from elsewhere, and without links to schemas
// in every answer.
func document() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	for t, alias := range closed {
		registry.RegisterTypeAlias(t, alias)
	}
	registry.Schema(reflect.TypeFor[httpx.Problem](), true, "")
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Interlock", Version: Version, Description: about,
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{{URL: "/"}},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					bearer: {Type: "http", Scheme: "bearer", Description: "An API token, or the secret that a sign-in answered with."},
				},
			},
		},
		Formats:       huma.DefaultFormats,
		DefaultFormat: "application/json",
		// A misspelt filter must not return everything.
		RejectUnknownQueryParameters: true,
	}
}

// schemaName names a schema after its type, without the type's package.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	return strings.TrimSuffix(name, "Struct")
}

// document serves the document. It is generated once, from the registered operations.
func (s *server) document() http.Handler {
	text := sync.OnceValues(func() ([]byte, error) {
		nullable(s.huma.OpenAPI().Components.Schemas)
		return json.Marshal(s.huma.OpenAPI())
	})
	return httpx.Handler(func(w http.ResponseWriter, r *http.Request) error {
		httpx.Of(r.Context()).Route = "GET " + Base + "/openapi.json"
		b, err := text()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(b) // the client is gone
		return nil
	})
}

// nullable marks every property that is a pointer to a struct as nullable, as the
// framework does for scalars.
func nullable(registry huma.Registry) {
	for name, schema := range registry.Map() {
		t := registry.TypeFromRef("#/components/schemas/" + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			property, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			ps := schema.Properties[property]
			if f.Type.Kind() != reflect.Pointer || ps == nil || ps.Ref == "" || strings.Contains(options, "omitempty") {
				continue
			}
			schema.Properties[property] = &huma.Schema{AnyOf: []*huma.Schema{{Ref: ps.Ref}, {Type: "null"}}, Description: ps.Description}
		}
	}
}

// closed maps types with a fixed set of values to their schema types. Reasons are not
// among them: new ones may be added at any time.
var closed = map[reflect.Type]reflect.Type{
	reflect.TypeFor[op.Kind]():              reflect.TypeFor[enum[op.Kind]](),
	reflect.TypeFor[op.Outcome]():           reflect.TypeFor[enum[op.Outcome]](),
	reflect.TypeFor[op.State]():             reflect.TypeFor[enum[op.State]](),
	reflect.TypeFor[op.RunOutcome]():        reflect.TypeFor[enum[op.RunOutcome]](),
	reflect.TypeFor[op.Surface]():           reflect.TypeFor[enum[op.Surface]](),
	reflect.TypeFor[op.Phase]():             reflect.TypeFor[enum[op.Phase]](),
	reflect.TypeFor[op.ItemResult]():        reflect.TypeFor[enum[op.ItemResult]](),
	reflect.TypeFor[tenancy.Capability]():   reflect.TypeFor[enum[tenancy.Capability]](),
	reflect.TypeFor[tenancy.Role]():         reflect.TypeFor[enum[tenancy.Role]](),
	reflect.TypeFor[tenancy.TenantStatus](): reflect.TypeFor[enum[tenancy.TenantStatus]](),
	reflect.TypeFor[tenancy.Readiness]():    reflect.TypeFor[enum[tenancy.Readiness]](),
	reflect.TypeFor[tenancy.Consent]():      reflect.TypeFor[enum[tenancy.Consent]](),
	reflect.TypeFor[tenancy.Verification](): reflect.TypeFor[enum[tenancy.Verification]](),
	reflect.TypeFor[tenancy.GroupType]():    reflect.TypeFor[enum[tenancy.GroupType]](),
}

// values returns the members of the closed types. Operations register some of them when
// the program initialises, so they are read when the document is generated.
func values() map[reflect.Type][]any {
	return map[reflect.Type][]any{
		reflect.TypeFor[op.Kind]():              anys(kinds()),
		reflect.TypeFor[op.Outcome]():           {op.Accepted, op.Deduped, op.ScopeBusy, op.Blocked},
		reflect.TypeFor[op.State]():             {op.Queued, op.Running, op.Cancelling, op.Finished},
		reflect.TypeFor[op.RunOutcome]():        {op.RunSucceeded, op.RunPartial, op.RunFailed, op.RunBlocked, op.RunCancelled, op.RunLost},
		reflect.TypeFor[op.Surface]():           {op.SurfaceWeb, op.SurfaceAPI, op.SurfaceCLI},
		reflect.TypeFor[op.Phase]():             {op.Admission, op.Execution},
		reflect.TypeFor[op.ItemResult]():        {op.ItemDone, op.ItemUnchanged, op.ItemFailed, op.ItemSkipped, op.ItemUnknown, op.ItemPending, op.ItemNotApplicable, op.ItemCreated, op.ItemUpdated, op.ItemConflict, op.ItemUnresolvable, op.ItemNotSupported},
		reflect.TypeFor[tenancy.Capability]():   anys(tenancy.Capabilities()),
		reflect.TypeFor[tenancy.Role]():         anys(tenancy.Roles()),
		reflect.TypeFor[tenancy.TenantStatus](): {tenancy.TenantOnboarding, tenancy.TenantActive, tenancy.TenantArchived},
		reflect.TypeFor[tenancy.Readiness](): {
			tenancy.ReadyToStart, tenancy.NotReady, tenancy.NeedsCare, tenancy.BeingOnboarded, tenancy.Archived,
		},
		reflect.TypeFor[tenancy.Consent](): {
			tenancy.ConsentUnknown, tenancy.ConsentMissing, tenancy.ConsentPending, tenancy.ConsentGranted, tenancy.ConsentRevoked,
		},
		reflect.TypeFor[tenancy.Verification](): {tenancy.VerificationMissing, tenancy.VerificationOK, tenancy.VerificationFailed},
		reflect.TypeFor[tenancy.GroupType]():    anys(tenancy.GroupTypes()),
	}
}

// enum is the schema type of the closed type T.
type enum[T any] string

// Schema implements huma.SchemaProvider.
func (enum[T]) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: each(values()[reflect.TypeFor[T]()], func(v any) any {
		return reflect.ValueOf(v).String()
	})}
}

func kinds() []op.Kind {
	return each(catalogue.All(), func(d *catalogue.Definition) op.Kind { return d.Kind })
}

func anys[T any](list []T) []any { return each(list, func(v T) any { return v }) }
