package client

import (
	"encoding/json"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Page is one page of a list.
type Page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // cursor of the next page; nil on the last one
}

// Workspace is the workspace that a token is good for.
type Workspace struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// Me is the person that a token acts for.
type Me struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Email        string    `json:"email"`
	Workspace    Workspace `json:"workspace"`
	Role         string    `json:"role"`
	Capabilities []string  `json:"capabilities"`
}

// Session is a session that was just opened.
type Session struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	Person    Me        `json:"person"`
}

// Token is a token or session, without its secret.
type Token struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"` // token or session
	Name       string    `json:"name"`
	Only       []string  `json:"only"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	Current    bool      `json:"current"`
}

// NewToken is a token that was just created. Its secret is shown once.
type NewToken struct {
	Secret string `json:"secret"`
	Token  Token  `json:"token"`
}

// Operation is one operation that can be started.
type Operation struct {
	Kind           op.Kind         `json:"kind"`
	Name           string          `json:"name"`
	Does           string          `json:"does"`
	Capability     string          `json:"capability"`
	CapabilityName string          `json:"capability_name"`
	Allowed        bool            `json:"allowed"`
	Permissions    []string        `json:"permissions"`
	Parameters     json.RawMessage `json:"parameters"` // JSON Schema
	Baseline       bool            `json:"baseline"`   // a tenant is ready only when it can run
	Datasets       []Dataset       `json:"datasets"`   // that it reads
}

// Dataset is what an operation reads and keeps. [Client.List] lists it.
type Dataset struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Items string   `json:"items"` // what its rows are, such as "groups"
	Types []string `json:"types"` // what the list can be narrowed to
}

// Blocker is one thing that blocks work.
type Blocker struct {
	Code  op.Reason `json:"code"`
	Title string    `json:"title"`
	Fix   *op.Fix   `json:"fix"`
}

// Tenant is one tenant.
type Tenant struct {
	ID          string      `json:"id"`
	Slug        string      `json:"slug"`
	Name        string      `json:"name"`
	Domain      string      `json:"domain"`
	DirectoryID string      `json:"directory_id"`
	Status      string      `json:"status"`
	Readiness   string      `json:"readiness"`
	Blockers    []Blocker   `json:"blockers"`
	Connections int         `json:"connections"`
	Default     *Connection `json:"default_connection"`
	Active      *op.RunRef  `json:"active"`
	Latest      *op.RunRef  `json:"latest"`

	CheckedAt    *time.Time `json:"checked_at"`                // of its default connection
	ChangedSince bool       `json:"not_verified_since_change"` //
}

// Connection is one connection of a tenant.
type Connection struct {
	ID                  string     `json:"id"`
	Slug                string     `json:"slug"`
	Name                string     `json:"name"`
	Provider            string     `json:"provider"`
	Cloud               string     `json:"cloud"`
	DirectoryID         string     `json:"directory_id"`
	ClientID            string     `json:"client_id"`
	Enabled             bool       `json:"enabled"`
	Default             bool       `json:"default"`
	Version             int64      `json:"version"`
	Credential          string     `json:"credential"`
	CredentialExpiresAt *time.Time `json:"credential_expires_at"`

	CredentialDetails CredentialDetails `json:"credential_details"`

	Consent      string     `json:"consent"`
	Verification string     `json:"verification"`
	VerifiedAt   *time.Time `json:"verified_at"`
	Readiness    string     `json:"readiness"`
	Blockers     []Blocker  `json:"blockers"`
	Active       *op.RunRef `json:"active"`
	CheckedAt    *time.Time `json:"checked_at"`
	ChangedSince bool       `json:"not_verified_since_change"`
	Notes        []string   `json:"notes,omitempty"` // of a change: how pasted values were tidied
}

// CredentialDetails are what is not secret of a saved credential.
type CredentialDetails struct {
	Thumbprint       string `json:"thumbprint"` // of a certificate: SHA-1, in hex
	ThumbprintSHA256 string `json:"thumbprint_sha256"`
	Issuer           string `json:"issuer"` // of a workload identity, with the two below
	Subject          string `json:"subject"`
	Audience         string `json:"audience"`
}

// NewCredential is a credential to save: a client secret; a certificate with its private
// key, as PEM or as a base64-encoded PFX file with its password; or the workload identity
// of the server.
type NewCredential struct {
	Secret      string     `json:"secret,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"` // of the client secret
	Certificate string     `json:"certificate,omitempty"`
	Password    string     `json:"password,omitempty"` // of the PFX file
	Workload    bool       `json:"workload_identity,omitempty"`
}

// Attempt is the record of a start request, with its answer.
type Attempt struct {
	ID         string          `json:"id"`
	Actor      op.Person       `json:"actor"`
	Surface    op.Surface      `json:"surface"`
	At         time.Time       `json:"at"`
	LastAt     time.Time       `json:"last_at"`
	Presses    int64           `json:"presses"`
	Parameters json.RawMessage `json:"parameters"`
	RequestID  string          `json:"request_id"`
	Answer     op.Answer       `json:"answer"`
}

// Line is one line of a run's timeline.
type Line struct {
	Seq  int64     `json:"seq"`
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	Text string    `json:"text"`
}

// Record is one object that was read from a directory.
type Record struct {
	Kind       string          `json:"kind"` // of inventory
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Type       string          `json:"type"` // of a group, such as "security" or "dynamic_security"; else as the provider wrote it
	ModifiedAt string          `json:"modified_at"`
	Data       json.RawMessage `json:"data"` // as the provider wrote it
}

// InventoryType is the state of one type of the inventory.
type InventoryType struct {
	Type  string     `json:"type"`
	AsOf  *time.Time `json:"as_of"`
	Count int64      `json:"count"`
	Stale op.Reason  `json:"stale_reason"`

	Unreadable int64 `json:"unreadable"` // objects that could not be read
}

// CompliancePolicy is a compliance policy with the number of devices in each state.
type CompliancePolicy struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`

	Compliant     int64 `json:"compliant"`
	Noncompliant  int64 `json:"noncompliant"`
	Error         int64 `json:"error"`
	Conflict      int64 `json:"conflict"`
	Pending       int64 `json:"pending"`
	NotApplicable int64 `json:"not_applicable"`
}

// ComplianceMoment is one compliance snapshot, as counts.
type ComplianceMoment struct {
	At       time.Time        `json:"at"`
	Run      string           `json:"run_id"` // it may have been deleted since
	Complete bool             `json:"complete"`
	Devices  int64            `json:"devices"`
	Counts   ComplianceCounts `json:"counts"`
}

// ComplianceCounts are devices by compliance state, as the provider counts them.
type ComplianceCounts struct {
	Compliant     int64 `json:"compliant"`
	Noncompliant  int64 `json:"noncompliant"`
	InGracePeriod int64 `json:"in_grace_period"`
	Error         int64 `json:"error"`
	Conflict      int64 `json:"conflict"`
	Unknown       int64 `json:"unknown"`
	NotApplicable int64 `json:"not_applicable"`
	Remediated    int64 `json:"remediated"`
	ConfigManager int64 `json:"config_manager"`
}

// Verification is the last verification of a connection.
type Verification struct {
	Connection op.Target  `json:"connection"`
	Verdict    string     `json:"verdict"`
	Reason     op.Reason  `json:"reason"`
	Checks     []Check    `json:"checks"`
	At         time.Time  `json:"at"`
	Run        *op.RunRef `json:"run"`
}

// Check is one step of a verification.
type Check struct {
	Key    string    `json:"key"`
	Name   string    `json:"name"`
	Result string    `json:"result"` // ok, failed, inconclusive, not_reached, not_applicable
	Reason op.Reason `json:"reason"`
	Detail string    `json:"detail"`
	Next   string    `json:"next"`

	Evidence *op.Evidence `json:"evidence"`
}

// Member is a person in the workspace.
type Member struct {
	ID         string      `json:"id"` // of the person
	Name       string      `json:"name"`
	Email      string      `json:"email"`
	Role       string      `json:"role"`
	Denied     []string    `json:"denied"` // what the role may do and this member may not
	AllTenants bool        `json:"all_tenants"`
	Tenants    []op.Tenant `json:"tenants"` // unless all
	Disabled   bool        `json:"disabled"`
	CreatedAt  time.Time   `json:"created_at"`
}

// MemberChange is a change of a member. nil fields stay as they are.
type MemberChange struct {
	Role       *string   `json:"role,omitempty"`
	Denied     *[]string `json:"denied,omitempty"`
	AllTenants *bool     `json:"all_tenants,omitempty"`
	Tenants    *[]string `json:"tenants,omitempty"` // ids or names; replaces the list
}

// Invitation is an open invitation to the workspace.
type Invitation struct {
	ID         string      `json:"id"`
	Email      string      `json:"email"`
	Role       string      `json:"role"`
	Denied     []string    `json:"denied"`
	AllTenants bool        `json:"all_tenants"`
	Tenants    []op.Tenant `json:"tenants"` // unless all
	InvitedBy  op.Person   `json:"invited_by"`
	CreatedAt  time.Time   `json:"created_at"`
	ExpiresAt  time.Time   `json:"expires_at"`
}

// Invite names the person to invite, and what they may see and do.
type Invite struct {
	Email   string   `json:"email"`
	Role    string   `json:"role"`
	Denied  []string `json:"denied,omitempty"`
	Tenants []string `json:"tenants,omitempty"` // ids or names; none: all
}

// Link is a one-time link that was just created. It is shown once.
type Link struct {
	Href      string    `json:"href"` // address on the server
	ExpiresAt time.Time `json:"expires_at"`
}

// NewInvitation is an invitation that was just created.
type NewInvitation struct {
	Invitation Invitation `json:"invitation"`
	Link       Link       `json:"link"`
}

// Offer is an invitation as the person with its link sees it.
type Offer struct {
	Workspace string    `json:"workspace"` // its name in addresses
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	Role      string    `json:"role"`
	InvitedBy string    `json:"invited_by"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Place is a workspace of the person.
type Place struct {
	Workspace
	Role    string `json:"role"`
	Tenants int64  `json:"tenants"` // that the person may see
}

// Security describes the person's second factors.
type Security struct {
	Factors       []Factor `json:"factors"`
	RecoveryCodes int64    `json:"recovery_codes"` // left
	RequiredBy    []string `json:"required_by"`    // names of the person's workspaces that require a second factor
}

// Factor is a second factor.
type Factor struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"` // totp or passkey
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"` // nil: never
}

// NewAuthenticator is an authenticator app that is not confirmed yet.
type NewAuthenticator struct {
	Secret  string `json:"secret"`  // base32, to type in
	Address string `json:"address"` // content of a QR code for the app
}

// RecoveryCodes are codes that replace lost second factors. Empty means that the
// earlier ones stay.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

// Policy is what a workspace requires of its members.
type Policy struct {
	SecondFactor bool `json:"second_factor"`
}
