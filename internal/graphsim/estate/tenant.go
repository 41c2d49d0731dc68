package estate

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// TenantSpec describes a tenant in its initial state. The same spec, seed and data folder
// give the same tenant, including its ids, in every process.
type TenantSpec struct {
	ID          string    `json:"id"`          // directory (tenant) id, a GUID
	DisplayName string    `json:"displayName"` // of the organization
	Domain      string    `json:"domain"`      // the verified default domain, unique among tenants; empty: generated
	Intune      bool      `json:"intune"`      // licensed for Intune; without a license every Intune call returns 400
	Apps        []AppSpec `json:"apps,omitempty"`

	// How much to generate. 0 is the default, a negative number is none.
	Groups     int `json:"groups,omitempty"`     // default 2,000
	Policies   int `json:"policies,omitempty"`   // default 300, or all of the data folder
	Devices    int `json:"devices,omitempty"`    // default 150
	MobileApps int `json:"mobileApps,omitempty"` // default 60

	// DeltaPage is the number of groups per page of groups/delta; 0 means 100.
	DeltaPage int `json:"deltaPage,omitempty"`
	// DeltaLagMS is how long groups/delta does not show a change, in milliseconds.
	DeltaLagMS int `json:"deltaLagMs,omitempty"`
	// ConsentDelayMS is how long a consent on the page takes to act, in milliseconds.
	ConsentDelayMS int `json:"consentDelayMs,omitempty"`

	// Lags holds how long collections take to show a write, by path; "*" is all others.
	Lags map[string]Lag `json:"lags,omitempty"`
	// Lenient makes writes ignore read-only properties. Otherwise a write that has one returns 400.
	Lenient bool `json:"lenient,omitempty"`
}

// AppSpec is an app registration together with its service principal in the tenant.
type AppSpec struct {
	AppID        string   `json:"appId"` // client id, a GUID
	Name         string   `json:"name"`
	Secrets      []Secret `json:"secrets,omitempty"`
	Certificates []string `json:"certificates,omitempty"` // PEM
	// Federated holds the identities of other issuers that may sign in as the app.
	Federated    []FederatedCredential `json:"federated,omitempty"`
	RedirectURIs []string              `json:"redirectUris,omitempty"`
	// Requested holds the application permissions that an admin consent grants.
	Requested []string `json:"requested,omitempty"`
	// Consented means that the service principal exists. Otherwise the token endpoint returns AADSTS700016.
	Consented bool `json:"consented,omitempty"`
	// Roles holds the granted application permissions; nil means Requested. An empty list is a
	// service principal without permissions: its tokens have no roles.
	Roles []string `json:"roles,omitzero"`
	// A disabled service principal gets AADSTS7000112, a blocked one AADSTS53003 (conditional access).
	Disabled bool `json:"disabled,omitempty"`
	Blocked  bool `json:"blocked,omitempty"`
}

// FederatedCredential trusts the tokens of another issuer that have this subject and one of
// these audiences.
type FederatedCredential struct {
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences"`
	// Keys is the issuer's JSON Web Key Set. The real service gets it from the issuer.
	Keys json.RawMessage `json:"keys"`
}

// Secret is a client secret. With a zero Expires it never expires.
type Secret struct {
	Value   string    `json:"value"`
	Expires time.Time `json:"expires,omitzero"`
}

const (
	defaultGroups     = 2000
	defaultDevices    = 150
	defaultMobileApps = 60
)

// Tenant is one directory. Its apps exist from the start; groups and collections are built by
// [Tenant.Touch].
type Tenant struct {
	estate *Estate
	ID     string // lower-case GUID
	Domain string
	ns     uuid.UUID // namespace of all ids in this tenant

	First TenantSpec // as added; a reset restores it

	sync.RWMutex // guards the fields below

	Spec  TenantSpec      // as it is now
	Apps  map[string]*App // by lower-case client id
	World *world
}

// App is an app registration and its service principal.
type App struct {
	AppSpec
	Certs      []*x509.Certificate
	ObjectID   string    // of the service principal
	visible    time.Time // when a new consent starts to act
	Generation int       // older tokens are challenged (continuous access evaluation)
	Granted    time.Time
}

// DomainName matches a DNS name in lower case.
var DomainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$`)

func newTenant(e *Estate, spec TenantSpec) (*Tenant, error) {
	ns, err := uuid.Parse(spec.ID)
	if err != nil {
		return nil, fmt.Errorf("graphsim: tenant id %q is not a GUID", spec.ID)
	}
	spec.ID = ns.String()
	if spec.DisplayName == "" {
		return nil, fmt.Errorf("graphsim: tenant %s: displayName is empty", spec.ID)
	}
	spec.Domain = strings.ToLower(spec.Domain)
	if spec.Domain == "" {
		sum := sha256.Sum256(ns[:])
		spec.Domain = "sim" + hex.EncodeToString(sum[:6]) + ".onmicrosoft.com"
	}
	if !DomainName.MatchString(spec.Domain) {
		return nil, fmt.Errorf("graphsim: tenant %s: domain %q is not a DNS name", spec.ID, spec.Domain)
	}
	if err := checkLags(spec.Lags); err != nil {
		return nil, fmt.Errorf("graphsim: tenant %s: %w", spec.ID, err)
	}
	t := &Tenant{estate: e, ID: spec.ID, Domain: spec.Domain, ns: ns, First: spec, Spec: spec, Apps: map[string]*App{}}
	for _, a := range spec.Apps {
		if err := t.PutApp(a); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// PutApp adds or replaces an app. The caller holds the lock of t, unless t is not shared yet.
func (t *Tenant) PutApp(spec AppSpec) error {
	id, err := uuid.Parse(spec.AppID)
	if err != nil {
		return fmt.Errorf("graphsim: tenant %s: appId %q is not a GUID", t.ID, spec.AppID)
	}
	spec.AppID = id.String()
	if spec.Name == "" {
		spec.Name = "Interlock"
	}
	for _, role := range slices.Concat(spec.Requested, spec.Roles) {
		if AppRoleIDs[role] == "" {
			return fmt.Errorf("graphsim: tenant %s: app %s: unknown application permission %q", t.ID, spec.AppID, role)
		}
	}
	if spec.Roles == nil && spec.Consented {
		spec.Roles = spec.Requested
	}
	a := &App{AppSpec: spec, ObjectID: t.Derive("servicePrincipal", spec.AppID), Granted: t.estate.now()}
	for i, text := range spec.Certificates {
		cert, err := parseCertificate(text)
		if err != nil {
			return fmt.Errorf("graphsim: tenant %s: app %s: certificate %d: %w", t.ID, spec.AppID, i, err)
		}
		a.Certs = append(a.Certs, cert)
	}
	t.Apps[spec.AppID] = a
	return nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// App returns an app by client id, or nil. The caller holds the lock of t as long as it uses the
// app.
func (t *Tenant) App(clientID string) *App { return t.Apps[strings.ToLower(clientID)] }

// Principal reports whether the service principal exists and is effective.
func (a *App) Principal(now time.Time) bool {
	return a != nil && a.Consented && !now.Before(a.visible)
}

// Consent grants the requested permissions, effective after delay. The caller holds the tenant's
// lock.
func (a *App) Consent(now time.Time, delay time.Duration) {
	a.Consented, a.Roles, a.Granted, a.visible = true, a.Requested, now, now.Add(delay)
}

// Derive returns a stable id for a thing in this tenant.
func (t *Tenant) Derive(kind, name string) string {
	return uuid.NewHash(sha256.New(), t.ns, []byte(kind+"\x00"+name), 4).String()
}
