package estate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// ErrNotThere is wrapped by errors about something that the tenant does not have.
var ErrNotThere = errors.New("not found")

// TenantState is the state of a tenant.
type TenantState struct {
	ID          string     `json:"id"`
	DisplayName string     `json:"displayName"`
	Domain      string     `json:"domain"`
	Intune      bool       `json:"intune"`
	Apps        []AppState `json:"apps"`
	Groups      int        `json:"groups"`  // existing groups; -1 until the tenant is first read
	Changes     int        `json:"changes"` // entries of the change log

	Writes map[string]Writes `json:"writes,omitempty"` // by collection path; only collections that were written to
}

// AppState is the state of an app, without its secrets.
type AppState struct {
	AppID     string   `json:"appId"`
	Name      string   `json:"name"`
	ObjectID  string   `json:"objectId"` // of the service principal
	Consented bool     `json:"consented"`
	Disabled  bool     `json:"disabled"`
	Blocked   bool     `json:"blocked"`
	Roles     []string `json:"roles"`
	Secrets   int      `json:"secrets"`
}

// State returns the current state of the tenant.
func (t *Tenant) State() TenantState {
	t.RLock()
	defer t.RUnlock()
	st := TenantState{ID: t.ID, DisplayName: t.Spec.DisplayName, Domain: t.Domain, Intune: t.Spec.Intune, Groups: -1, Apps: []AppState{}}
	for _, id := range slices.Sorted(maps.Keys(t.Apps)) {
		a := t.Apps[id]
		st.Apps = append(st.Apps, AppState{a.AppID, a.Name, a.ObjectID, a.Consented, a.Disabled, a.Blocked, append([]string{}, a.Roles...), len(a.Secrets)})
	}
	if t.World != nil {
		st.Groups, st.Changes, st.Writes = 0, len(t.World.Changes), maps.Clone(t.World.writes)
		for _, g := range t.World.Groups {
			if g.Alive() {
				st.Groups++
			}
		}
	}
	return st
}

// TenantPatch changes a tenant. Nil fields are not changed.
type TenantPatch struct {
	DisplayName *string `json:"displayName,omitempty"`
	Intune      *bool   `json:"intune,omitempty"`
	DeltaLagMS  *int    `json:"deltaLagMs,omitempty"`
	// Lags replaces all lags.
	Lags *map[string]Lag `json:"lags,omitempty"`
	// Lenient makes writes ignore read-only properties, or refuse them.
	Lenient *bool `json:"lenient,omitempty"`
	// LoseDelta makes every delta token issued so far return 410.
	LoseDelta bool `json:"loseDelta,omitempty"`
}

// Patch changes the tenant. An error names the field; nothing is changed then.
func (t *Tenant) Patch(p TenantPatch) error {
	if p.Lags != nil {
		if err := checkLags(*p.Lags); err != nil {
			return err
		}
	}
	t.Touch()
	t.Lock()
	defer t.Unlock()
	if p.DisplayName != nil {
		t.Spec.DisplayName = *p.DisplayName
	}
	if p.Intune != nil {
		t.Spec.Intune = *p.Intune
	}
	if p.DeltaLagMS != nil {
		t.Spec.DeltaLagMS = *p.DeltaLagMS
	}
	if p.LoseDelta {
		t.World.origin, t.World.log = "lost "+t.World.origin, "lost "+t.World.log
	}
	if p.Lags != nil {
		t.Spec.Lags = *p.Lags
	}
	if p.Lenient != nil {
		t.Spec.Lenient = *p.Lenient
	}
	return nil
}

// AppPatch changes an app and its service principal. Nil fields are not changed.
type AppPatch struct {
	// Secrets replaces all secrets. ExpireSecrets makes the current ones expire now.
	Secrets       []Secret `json:"secrets,omitzero"`
	ExpireSecrets bool     `json:"expireSecrets,omitempty"`
	// Certificates replaces all certificates (PEM).
	Certificates []string `json:"certificates,omitzero"`
	// Federated replaces all federated credentials.
	Federated []FederatedCredential `json:"federated,omitzero"`
	// Consented grants consent with Roles (or the requested permissions), or removes the service
	// principal. DelayMS is how long a consent takes to act, in milliseconds.
	Consented *bool `json:"consented,omitempty"`
	DelayMS   int   `json:"delayMs,omitempty"`
	// Roles replaces the granted permissions. An empty list revokes them and keeps the principal.
	Roles    *[]string `json:"roles,omitempty"`
	Disabled *bool     `json:"disabled,omitempty"`
	Blocked  *bool     `json:"blocked,omitempty"`
	// Challenge makes every token issued so far get a claims challenge.
	Challenge bool `json:"challenge,omitempty"`
}

// PatchApp changes an app. An error names the field, or is [ErrNotThere].
func (t *Tenant) PatchApp(clientID string, p AppPatch, now time.Time) error {
	t.Lock()
	defer t.Unlock()
	a := t.App(clientID)
	if a == nil {
		return fmt.Errorf("%w: there is no app %q in tenant %s", ErrNotThere, clientID, t.ID)
	}
	if p.Roles != nil {
		for _, role := range *p.Roles {
			if AppRoleIDs[role] == "" {
				return fmt.Errorf("roles: unknown application permission %q", role)
			}
		}
	}
	if p.Certificates != nil {
		a.Certs = nil
		for i, text := range p.Certificates {
			cert, err := parseCertificate(text)
			if err != nil {
				return fmt.Errorf("certificates[%d]: %w", i, err)
			}
			a.Certs = append(a.Certs, cert)
		}
	}
	if p.Federated != nil {
		a.Federated = p.Federated
	}
	if p.Secrets != nil {
		a.Secrets = p.Secrets
	}
	if p.ExpireSecrets {
		expired := make([]Secret, len(a.Secrets))
		for i, s := range a.Secrets {
			expired[i] = Secret{Value: s.Value, Expires: now}
		}
		a.Secrets = expired
	}
	if p.Consented != nil {
		if *p.Consented {
			a.Consent(now, time.Duration(p.DelayMS)*time.Millisecond)
		} else {
			a.Consented, a.Roles = false, nil
		}
	}
	if p.Roles != nil {
		a.Roles, a.Granted = *p.Roles, now
	}
	if p.Disabled != nil {
		a.Disabled = *p.Disabled
	}
	if p.Blocked != nil {
		a.Blocked = *p.Blocked
	}
	if p.Challenge {
		a.Generation++
		a.Granted = now
	}
	return nil
}
