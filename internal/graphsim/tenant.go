package graphsim

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// TenantSpec describes a tenant as it is at sequence zero. The same spec, seed and
// data folder give the same tenant, ids included, in every process.
type TenantSpec struct {
	ID          string    `json:"id"`          // directory (tenant) id, a GUID
	DisplayName string    `json:"displayName"` // of the organization
	Domain      string    `json:"domain"`      // the verified default domain, unique among tenants; made up when empty
	Intune      bool      `json:"intune"`      // licensed for Intune; without it every Intune call answers 400
	Apps        []AppSpec `json:"apps,omitempty"`

	// How much to generate. 0 takes the default, a negative number means none.
	Groups     int `json:"groups,omitempty"`     // default 2,000
	Policies   int `json:"policies,omitempty"`   // default 300, or all of the data folder
	Devices    int `json:"devices,omitempty"`    // default 150
	MobileApps int `json:"mobileApps,omitempty"` // default 60

	// DeltaPage is the number of groups on a page of groups/delta; 0 means 100.
	DeltaPage int `json:"deltaPage,omitempty"`
	// DeltaLagMS is how long a change stays invisible to groups/delta, in milliseconds.
	DeltaLagMS int `json:"deltaLagMs,omitempty"`
	// ConsentDelayMS is how long a consent given on the page takes to act, in milliseconds.
	ConsentDelayMS int `json:"consentDelayMs,omitempty"`
}

// AppSpec is an app registration together with its service principal in the tenant.
type AppSpec struct {
	AppID        string   `json:"appId"` // client id, a GUID
	Name         string   `json:"name"`
	Secrets      []Secret `json:"secrets,omitempty"`
	Certificates []string `json:"certificates,omitempty"` // PEM
	RedirectURIs []string `json:"redirectUris,omitempty"`
	// Requested are the application permissions that an admin consent grants.
	Requested []string `json:"requested,omitempty"`
	// Consented says that the service principal exists. Without it the token endpoint answers AADSTS700016.
	Consented bool `json:"consented,omitempty"`
	// Roles are the granted application permissions; nil means Requested. An empty list is a
	// service principal without grants: its tokens carry no roles.
	Roles []string `json:"roles,omitzero"`
	// Disabled service principals get AADSTS7000112, Blocked ones AADSTS53003 (conditional access).
	Disabled bool `json:"disabled,omitempty"`
	Blocked  bool `json:"blocked,omitempty"`
}

// Secret is a client secret. A zero Expires never expires.
type Secret struct {
	Value   string    `json:"value"`
	Expires time.Time `json:"expires,omitzero"`
}

const (
	defaultGroups     = 2000
	defaultDevices    = 150
	defaultMobileApps = 60
)

// tenant is the state of one directory. Identity state (apps) exists from the start;
// the world (groups, collections) is built on first touch.
type tenant struct {
	srv    *Server
	id     string // lower-case GUID
	domain string
	ns     uuid.UUID // namespace of every id in this tenant

	first TenantSpec // as it was added; a reset goes back to it

	mu    sync.RWMutex
	spec  TenantSpec      // as it is now
	apps  map[string]*app // by lower-case client id
	world *world
}

// app is a registration and its service principal.
type app struct {
	AppSpec
	certs      []*x509.Certificate
	objectID   string    // of the service principal
	visible    time.Time // when a fresh consent starts to act
	generation int       // tokens of an older one are challenged (continuous access evaluation)
	granted    time.Time
}

var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$`)

func newTenant(s *Server, spec TenantSpec) (*tenant, error) {
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
	if !domainName.MatchString(spec.Domain) {
		return nil, fmt.Errorf("graphsim: tenant %s: domain %q is not a DNS name", spec.ID, spec.Domain)
	}
	t := &tenant{srv: s, id: spec.ID, domain: spec.Domain, ns: ns, first: spec, spec: spec, apps: map[string]*app{}}
	for _, a := range spec.Apps {
		if err := t.putApp(a); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// putApp adds or replaces an app. The caller holds t.mu, or owns t alone.
func (t *tenant) putApp(spec AppSpec) error {
	id, err := uuid.Parse(spec.AppID)
	if err != nil {
		return fmt.Errorf("graphsim: tenant %s: appId %q is not a GUID", t.id, spec.AppID)
	}
	spec.AppID = id.String()
	if spec.Name == "" {
		spec.Name = "Interlock"
	}
	for _, role := range slices.Concat(spec.Requested, spec.Roles) {
		if appRoleIDs[role] == "" {
			return fmt.Errorf("graphsim: tenant %s: app %s: unknown application permission %q", t.id, spec.AppID, role)
		}
	}
	if spec.Roles == nil && spec.Consented {
		spec.Roles = spec.Requested
	}
	a := &app{AppSpec: spec, objectID: t.derive("servicePrincipal", spec.AppID), granted: t.srv.now()}
	for i, text := range spec.Certificates {
		cert, err := parseCertificate(text)
		if err != nil {
			return fmt.Errorf("graphsim: tenant %s: app %s: certificate %d: %w", t.id, spec.AppID, i, err)
		}
		a.certs = append(a.certs, cert)
	}
	t.apps[spec.AppID] = a
	return nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// app finds a registration by client id; nil when there is none.
// The caller holds t.mu and keeps the result no longer than that.
func (t *tenant) app(clientID string) *app { return t.apps[strings.ToLower(clientID)] }

// principal reports whether the service principal exists and already acts.
func (a *app) principal(now time.Time) bool {
	return a != nil && a.Consented && !now.Before(a.visible)
}

// derive makes the stable id of a thing in this tenant.
func (t *tenant) derive(kind, name string) string {
	return uuid.NewHash(sha256.New(), t.ns, []byte(kind+"\x00"+name), 4).String()
}
