// Package tenancy holds the nouns of who owns what: workspaces, their tenants,
// the provider connections of a tenant, and the members with what they may do.
// It imports the standard library only.
package tenancy

import "time"

// Workspace is one organization's island: nothing in it can be seen from another.
type Workspace struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// TenantStatus is where a tenant is in its life.
type TenantStatus string

// The statuses of a tenant. Operations start on active ones only.
const (
	TenantOnboarding TenantStatus = "onboarding"
	TenantActive     TenantStatus = "active"
	TenantArchived   TenantStatus = "archived"
)

// Tenant is one managed Microsoft 365 directory.
type Tenant struct {
	ID             string       `json:"id"`
	WorkspaceID    string       `json:"-"`
	Slug           string       `json:"slug"` // unique in the workspace
	Name           string       `json:"name"`
	Domain         string       `json:"domain"`
	DirectoryID    string       `json:"directory_id"` // GUID, lower case
	Status         TenantStatus `json:"status"`
	OnboardingStep string       `json:"onboarding_step,omitempty"`
	Owner          string       `json:"owner,omitempty"` // who looks after it
	ArchivedAt     *time.Time   `json:"archived_at,omitempty"`
	CreatedAt      time.Time    `json:"created_at"`
}

// Consent is what is known of the admin consent of a connection.
type Consent string

// The states of consent.
const (
	ConsentUnknown Consent = "unknown" // never looked
	ConsentMissing Consent = "missing"
	ConsentPending Consent = "pending" // the consent page was opened, not finished
	ConsentGranted Consent = "granted"
	ConsentRevoked Consent = "revoked"
)

// CredentialKind is what a connection signs in with.
type CredentialKind string

// The kinds of credential. The empty kind means that none is saved.
const (
	ClientSecret      CredentialKind = "client_secret"
	ClientCertificate CredentialKind = "certificate"
	WorkloadIdentity  CredentialKind = "workload_identity" // the token of this server, for which nothing secret is stored
)

// Words returns the kind as sentences name it.
func (k CredentialKind) Words() string {
	switch k {
	case ClientCertificate:
		return "certificate"
	case WorkloadIdentity:
		return "workload identity"
	case ClientSecret:
	}
	return "client secret"
}

// CredentialDetails are what is not secret of a saved credential, as Microsoft Entra shows
// it in the app registration. They are as of when it was saved.
type CredentialDetails struct {
	Thumbprint       string `json:"thumbprint,omitempty"`        // of a certificate: SHA-1 of its DER form, in hex
	ThumbprintSHA256 string `json:"thumbprint_sha256,omitempty"` // SHA-256

	// Of a workload identity: the federated credential that the app registration needs.
	Issuer   string `json:"issuer,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Audience string `json:"audience,omitempty"`
}

// ExpiresSoon is how long before its end a credential asks for care.
const ExpiresSoon = 14 * 24 * time.Hour

// CredentialState is what is known of a saved credential.
type CredentialState string

// The states of a saved credential.
const (
	CredentialOK         CredentialState = "ok"
	CredentialInvalid    CredentialState = "invalid"    // the provider refused it
	CredentialUnreadable CredentialState = "unreadable" // the vault can't open it
)

// Verification is the verdict of the last connection verification.
type Verification string

// The verdicts.
const (
	VerificationMissing Verification = "missing"
	VerificationOK      Verification = "ok"
	VerificationFailed  Verification = "failed"
)

// Connection is one way into a tenant's directory: an app registration with its
// credential, and what is known of its readiness. Readiness is a stored fact with
// the time it was learnt; the gate never asks the provider.
type Connection struct {
	ID          string `json:"id"`
	WorkspaceID string `json:"-"`
	TenantID    string `json:"tenant_id"`
	Slug        string `json:"slug"` // unique in the tenant
	Name        string `json:"name"` // short name, such as "Kestrel primary"
	Provider    string `json:"provider"`
	Cloud       string `json:"cloud"` // the name of one of [Clouds]
	DirectoryID string `json:"directory_id"`
	ClientID    string `json:"client_id"`
	Enabled     bool   `json:"enabled"`
	Default     bool   `json:"default"`

	// Version grows with every edit of what the connection is; Rev grows with
	// every change of its readiness too. The gate admits only at the Rev it judged.
	Version int64 `json:"version"`
	Rev     int64 `json:"-"`

	DisabledBy string     `json:"disabled_by,omitempty"`
	DisabledAt *time.Time `json:"disabled_at,omitempty"`

	Credential          CredentialKind  `json:"credential,omitempty"`
	CredentialVersion   int64           `json:"credential_version"`
	CredentialState     CredentialState `json:"credential_state,omitempty"`
	CredentialExpiresAt *time.Time      `json:"credential_expires_at,omitempty"`
	CredentialCheckedAt *time.Time      `json:"credential_checked_at,omitempty"`

	CredentialDetails CredentialDetails `json:"credential_details,omitzero"`

	// SignInRefusal is why the provider refuses to sign the connection in (an
	// op.Reason), as an answer proved that came at SignInRefusedAt. Empty: it does
	// not refuse, as far as is known.
	SignInRefusal   string     `json:"sign_in_refusal,omitempty"`
	SignInRefusedAt *time.Time `json:"sign_in_refused_at,omitempty"`

	Consent   Consent    `json:"consent"`
	ConsentAt *time.Time `json:"consent_at,omitempty"` // when that state was learnt

	Permissions   []string   `json:"permissions"` // application roles seen in the last token
	PermissionsAt *time.Time `json:"permissions_at,omitempty"`

	ActualDirectoryID string `json:"actual_directory_id,omitempty"` // learnt from the token

	Verification       Verification `json:"verification"`
	VerificationReason string       `json:"verification_reason,omitempty"` // op.Reason
	VerifiedAt         *time.Time   `json:"verified_at,omitempty"`

	// ChangedAt is when the credential was replaced, or application, directory or
	// cloud were changed.
	ChangedAt *time.Time `json:"changed_at,omitempty"`

	CreatedAt time.Time `json:"created_at"`
}

// CheckedAt is when a sign-in or a verification last confirmed what is known of
// the connection; nil when none has.
func (c Connection) CheckedAt() *time.Time {
	if c.VerifiedAt == nil || c.PermissionsAt != nil && c.PermissionsAt.After(*c.VerifiedAt) {
		return c.PermissionsAt
	}
	return c.VerifiedAt
}

// ChangedSince reports that the connection was changed after it was last checked:
// what is known of it was learnt with another credential, or of something else.
func (c Connection) ChangedSince() bool {
	at := c.CheckedAt()
	return c.ChangedAt != nil && (at == nil || at.Before(*c.ChangedAt))
}

// FullName is the identity an operator sees, such as "Microsoft 365 · Kestrel primary".
func (c Connection) FullName() string { return c.Provider + " · " + c.Name }

// Readiness is a tenant's state at a glance.
type Readiness string

// The readiness of a tenant.
const (
	ReadyToStart   Readiness = "ready"
	NotReady       Readiness = "blocked"
	NeedsCare      Readiness = "needs_care" // works, but something runs out soon
	BeingOnboarded Readiness = "onboarding"
	Archived       Readiness = "archived"
)
