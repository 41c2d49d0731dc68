package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Each change of a connection is one transaction with its audit record, for actors
// with [tenancy.ManageConnections]. It locks the workspace's row first, so that
// changes which depend on other connections run one after another. Then it locks the
// connection's row, so that a start that is being decided either came first or sees
// the change.

// provider is the provider of every connection.
const provider = "Microsoft 365"

const maxConnectionName = 80 // characters

// NewConnection is a connection to create.
type NewConnection struct {
	Name        string // up to 80 characters
	Slug        string // unique in the tenant; empty: derived from the name
	Cloud       string // the name of one of [tenancy.Clouds]; empty: the first
	DirectoryID string // GUID; empty: the tenant's
	ClientID    string // GUID of the app registration
	Disabled    bool   // only one connection to a directory can be enabled
}

// CreateConnection adds a connection to a tenant. The tenant's first connection
// becomes its default. An invalid value is an [*op.FieldError], an archived tenant
// [op.ErrConflict].
func (s *Store) CreateConnection(ctx context.Context, a access.Actor, tenantRef string, n NewConnection) (tenancy.Connection, error) {
	return query.Write(ctx, s.db, "create connection", func(ctx context.Context, tx db.Tx) (tenancy.Connection, error) {
		ta, err := access.AuthorizeChange(ctx, tx, a, tenantRef, tenancy.ManageConnections)
		if err != nil {
			return tenancy.Connection{}, err
		}
		c := tenancy.Connection{
			ID: access.NewID(), WorkspaceID: ta.Workspace.ID, TenantID: ta.Tenant.ID, Slug: n.Slug, Name: n.Name, Provider: provider,
			Cloud: n.Cloud, DirectoryID: tidyID(n.DirectoryID), ClientID: tidyID(n.ClientID), Enabled: !n.Disabled,
		}
		if c.Slug == "" {
			c.Slug = slugOf(n.Name)
		}
		if c.Cloud == "" {
			c.Cloud = tenancy.Clouds()[0].Name
		}
		if c.DirectoryID == "" {
			c.DirectoryID = ta.Tenant.DirectoryID
		}
		if err := check(c); err != nil {
			return tenancy.Connection{}, err
		}
		if c.Slug == op.ConnectionNew {
			return tenancy.Connection{}, &op.FieldError{Field: "slug", Detail: "must not be " + op.ConnectionNew + ": that is the address of the page that adds one"}
		}
		if err := lockWorkspace(ctx, tx, ta.Workspace.ID); err != nil {
			return tenancy.Connection{}, err
		}
		var taken, others bool
		err = tx.QueryRow(ctx, `SELECT COUNT(CASE WHEN slug = $2 THEN 1 END) > 0, COUNT(CASE WHEN is_default THEN 1 END) > 0
			FROM connections WHERE tenant_id = $1 AND deleted_at IS NULL`, c.TenantID, c.Slug).Scan(&taken, &others)
		if err != nil {
			return tenancy.Connection{}, err
		}
		if taken {
			return tenancy.Connection{}, &op.FieldError{Field: "slug", Detail: "is in use in this tenant"}
		}
		if err := onlyOneEnabled(ctx, tx, c); err != nil {
			return tenancy.Connection{}, err
		}
		_, err = tx.Exec(ctx, `INSERT INTO connections (id, workspace_id, tenant_id, slug, name, name_key, provider, cloud, directory_id, client_id,
			enabled, is_default, version, rev, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 1, interlock_now())`,
			c.ID, c.WorkspaceID, c.TenantID, c.Slug, c.Name, page.NameKey(c.Name), c.Provider, c.Cloud, c.DirectoryID, c.ClientID, c.Enabled, !others)
		if err != nil {
			return tenancy.Connection{}, err
		}
		err = access.Audit(ctx, tx, c.WorkspaceID, access.Entry{Actor: a.Person(), Action: "connection.create", Object: c.ID, Data: map[string]any{
			"tenant": ta.Tenant.Slug, "connection": c.Slug, "name": c.Name, "cloud": c.Cloud,
			"directory_id": c.DirectoryID, "client_id": c.ClientID, "enabled": c.Enabled, "default": !others,
		}})
		if err != nil {
			return tenancy.Connection{}, err
		}
		return connectionByID(ctx, tx, c.ID)
	})
}

// EditConnection is an edit of a connection. Nil fields stay unchanged.
type EditConnection struct {
	Name, Cloud, DirectoryID, ClientID *string
}

// EditConnection edits a connection and raises its version. A change of cloud,
// directory or application clears what verification found out about the
// connection; while a run holds the connection such a change is [op.ErrConflict].
func (s *Store) EditConnection(ctx context.Context, a access.Actor, tenantRef, ref string, e EditConnection) (tenancy.Connection, error) {
	return s.change(ctx, a, tenantRef, ref, "connection.edit", func(ctx context.Context, tx db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		before := c
		for _, f := range []struct {
			to   *string
			from *string
		}{{&c.Name, e.Name}, {&c.Cloud, e.Cloud}, {&c.DirectoryID, lower(e.DirectoryID)}, {&c.ClientID, lower(e.ClientID)}} {
			if f.from != nil {
				*f.to = *f.from
			}
		}
		if err := check(c); err != nil {
			return nil, err
		}
		identity := c.Cloud != before.Cloud || c.DirectoryID != before.DirectoryID || c.ClientID != before.ClientID
		if !identity && c.Name == before.Name {
			return nil, nil
		}
		set.Add(`, version = version + 1, name = %s, name_key = %s`, c.Name, page.NameKey(c.Name))
		if identity {
			if err := notHeld(ctx, tx, c.ID); err != nil {
				return nil, err
			}
			if err := onlyOneEnabled(ctx, tx, c); err != nil {
				return nil, err
			}
			set.Add(`, cloud = %s, directory_id = %s, client_id = %s, changed_at = interlock_now(), credential_state = '', credential_checked_at = NULL,
				sign_in_refusal = '', sign_in_refused_at = NULL,
				consent = 'unknown', consent_at = NULL, permissions = '[]', permissions_at = NULL, actual_directory_id = '',
				verification = 'missing', verification_reason = '', verified_at = NULL`, c.Cloud, c.DirectoryID, c.ClientID)
		}
		return map[string]any{"name": c.Name, "cloud": c.Cloud, "directory_id": c.DirectoryID, "client_id": c.ClientID}, nil
	})
}

// EnableConnection lets operations use a connection. It is [op.ErrConflict] while
// another connection to the same directory is enabled.
func (s *Store) EnableConnection(ctx context.Context, a access.Actor, tenantRef, ref string) (tenancy.Connection, error) {
	return s.change(ctx, a, tenantRef, ref, "connection.enable", func(ctx context.Context, tx db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		if c.Enabled {
			return nil, nil
		}
		c.Enabled = true
		if err := onlyOneEnabled(ctx, tx, c); err != nil {
			return nil, err
		}
		set.Add(`, enabled = TRUE, disabled_by = '', disabled_at = NULL`)
		return nil, nil
	})
}

// SetDefaultConnection makes a connection the default of its tenant: operations use
// it when a start names no connection.
func (s *Store) SetDefaultConnection(ctx context.Context, a access.Actor, tenantRef, ref string) (tenancy.Connection, error) {
	return s.change(ctx, a, tenantRef, ref, "connection.default", func(ctx context.Context, tx db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		if c.Default {
			return nil, nil
		}
		_, err := tx.Exec(ctx, `UPDATE connections SET is_default = FALSE, rev = rev + 1 WHERE tenant_id = $1 AND is_default AND deleted_at IS NULL`, c.TenantID)
		if err != nil {
			return nil, err
		}
		set.Add(`, is_default = TRUE`)
		return nil, nil
	})
}

// RotateCredential saves a new credential, and deletes the old one and its known
// state. The verdict of the last verification stays, because the application is the
// same; it is shown as older than the change.
func (s *Store) RotateCredential(ctx context.Context, a access.Actor, tenantRef, ref string, n NewCredential) (tenancy.Connection, error) {
	return s.change(ctx, a, tenantRef, ref, "connection.credential", func(ctx context.Context, tx db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		if n.kind == "" {
			return nil, &op.FieldError{Field: "credential", Detail: "must not be empty"}
		}
		c.Credential = n.kind
		c.CredentialVersion++
		details, err := json.Marshal(n.details)
		if err != nil {
			return nil, err
		}
		if n.kind == tenancy.WorkloadIdentity {
			err = dropCredentials(ctx, tx, c.ID)
		} else {
			err = s.SealCredential(ctx, tx, c, n.secret)
		}
		if err != nil {
			return nil, err
		}
		var expires *int64
		if n.expires != nil {
			at := db.Micros(*n.expires)
			expires = &at
		}
		set.Add(`, credential = %s, credential_version = %s, credential_state = '', credential_checked_at = NULL, credential_expires_at = %s, credential_details = %s`,
			string(n.kind), c.CredentialVersion, expires, string(details))
		if aboutCredential(op.Reason(c.SignInRefusal)) {
			set.Add(`, sign_in_refusal = '', sign_in_refused_at = NULL`)
		}
		if c.CredentialVersion > 1 { // the first one replaces nothing
			set.Add(`, changed_at = interlock_now()`)
		}
		return map[string]any{"kind": n.kind, "version": c.CredentialVersion, "expires_at": n.expires, "details": n.details}, nil
	})
}

// consentStateTTL is how long a request for consent can be answered.
const consentStateTTL = time.Hour

// BeginConsent returns the address of the provider's page on which an administrator
// of the directory consents. Missing or unknown consent becomes pending. Granted
// consent stays granted, because consent is also requested for more permissions.
// Without [Options.ConsentURL] it is [op.ErrNoAddress].
func (s *Store) BeginConsent(ctx context.Context, a access.Actor, tenantRef, ref string) (address string, err error) {
	_, err = s.change(ctx, a, tenantRef, ref, "connection.consent_begin", func(ctx context.Context, tx db.Tx, c tenancy.Connection, set *query.Query) (any, error) {
		if s.opts.ConsentURL == nil {
			return nil, op.ErrNoAddress
		}
		state := rand.Text()
		if address, err = s.opts.ConsentURL(c, state); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, `INSERT INTO consent_requests (state_hash, connection_id, actor_id, actor, expires_at)
			VALUES ($1, $2, $3, $4, interlock_now() + $5)`, stateHash(state), c.ID, a.ID(), a.Name(), consentStateTTL.Microseconds())
		if err != nil {
			return nil, err
		}
		if c.Consent == tenancy.ConsentUnknown || c.Consent == tenancy.ConsentMissing {
			set.Add(`, consent = 'pending', consent_at = interlock_now()`)
		} else {
			set.Add(`, consent = consent`)
		}
		return nil, nil
	})
	if err != nil {
		return "", err
	}
	return address, nil
}

func stateHash(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:])
}

// Consented names the connection that the provider's answer is about: the slugs of
// its workspace, its tenant and the connection.
type Consented struct {
	Workspace, Tenant, Connection string
}

// CompleteConsent records the provider's answer to a request for consent. state
// identifies the request and works once, within an hour. directory is the directory
// that consented. problem is the provider's error code, of at most 40 characters; empty
// when consent was given.
//
// An unknown state is [op.ErrNotFound], and so is that of an actor who can no longer
// manage the connection. A declined consent is [op.ErrConflict]. Another directory
// than the connection's is an [*op.FieldError].
//
// The answer proves nothing, because anyone can open that address. Consent is
// therefore unknown afterwards, until a verification gets a token that shows it.
func (s *Store) CompleteConsent(ctx context.Context, state, directory, problem string) (Consented, error) {
	var refused error
	out, err := query.Write(ctx, s.db, "complete consent", func(ctx context.Context, tx db.Tx) (out Consented, err error) {
		refused = nil
		var id string
		var by op.Person
		err = tx.QueryRow(ctx, `DELETE FROM consent_requests WHERE state_hash = $1 AND expires_at > interlock_now()
			RETURNING connection_id, actor_id, actor`, stateHash(state)).Scan(&id, &by.ID, &by.Name)
		if errors.Is(err, db.ErrNoRows) {
			return out, op.ErrNotFound
		} else if err != nil {
			return out, err
		}
		c, err := lockConnection(ctx, tx, id)
		if err != nil {
			return out, err
		}
		if may, err := access.StillMay(ctx, tx, c.WorkspaceID, by.ID, c.TenantID, tenancy.ManageConnections); err != nil {
			return out, err
		} else if !may {
			return out, op.ErrNotFound
		}
		err = tx.QueryRow(ctx, `SELECT w.slug, t.slug FROM tenants t JOIN workspaces w ON w.id = t.workspace_id WHERE t.id = $1`, c.TenantID).
			Scan(&out.Workspace, &out.Tenant)
		if err != nil {
			return out, err
		}
		out.Connection = c.Slug

		data := map[string]any{"tenant": out.Tenant, "connection": out.Connection}
		action, consent := "connection.consent_answered", tenancy.ConsentUnknown
		switch {
		case problem != "":
			action, consent = "connection.consent_declined", tenancy.ConsentMissing
			data["problem"] = problem
			refused = op.Conflict("the consent was declined")
		case !strings.EqualFold(directory, c.DirectoryID):
			action, consent = "connection.consent_elsewhere", tenancy.ConsentMissing
			refused = &op.FieldError{Field: "tenant", Detail: "is another directory than the connection's"}
		}
		switch {
		case c.Consent == tenancy.ConsentGranted, refused != nil && c.Consent != tenancy.ConsentPending:
			// An answer never withdraws consent.
		case refused != nil:
			_, err = tx.Exec(ctx, `UPDATE connections SET rev = rev + 1, consent = $2, consent_at = interlock_now() WHERE id = $1`, c.ID, string(consent))
		default:
			_, err = tx.Exec(ctx, `UPDATE connections SET rev = rev + 1, consent = $2, consent_at = interlock_now(),
				verification = 'missing', verification_reason = '', verified_at = NULL WHERE id = $1`, c.ID, string(consent))
		}
		if err != nil {
			return out, err
		}
		return out, access.Audit(ctx, tx, c.WorkspaceID, access.Entry{
			Actor: by, Action: action, Object: c.ID, Data: data,
		})
	})
	if err != nil {
		return Consented{}, err
	}
	return out, refused
}

// change runs fn on a connection whose row is locked, in a transaction of its own.
// See [LockedConnection.save]. An archived tenant is [op.ErrConflict].
func (s *Store) change(ctx context.Context, a access.Actor, tenantRef, ref, action string, fn change) (tenancy.Connection, error) {
	return query.Write(ctx, s.db, action, func(ctx context.Context, tx db.Tx) (tenancy.Connection, error) {
		c, err := s.lock(ctx, tx, a, tenantRef, ref, access.AuthorizeChange)
		if err != nil {
			return tenancy.Connection{}, err
		}
		return c.save(ctx, tx, action, fn)
	})
}

// SweepConsents deletes up to limit expired requests for consent, and returns how
// many it deleted.
func SweepConsents(ctx context.Context, tx db.Tx, limit int64) (int64, error) {
	n, err := tx.Exec(ctx, `DELETE FROM consent_requests WHERE state_hash IN (
		SELECT c.state_hash FROM consent_requests c WHERE c.expires_at <= interlock_now() ORDER BY c.expires_at LIMIT $1)`, limit)
	if err != nil {
		return 0, fmt.Errorf("sweep requests for consent: %w", err)
	}
	return n, nil
}

// lockConnection locks the row of a connection that is not deleted, and returns the
// connection.
func lockConnection(ctx context.Context, tx db.Tx, id string) (tenancy.Connection, error) {
	q := new(query.Query).Add(`UPDATE connections SET rev = rev WHERE deleted_at IS NULL AND id = %s RETURNING id`, id)
	if _, err := query.One(ctx, tx, q, query.ScanText); err != nil {
		return tenancy.Connection{}, err
	}
	return connectionByID(ctx, tx, id)
}

func connectionByID(ctx context.Context, tx db.Tx, id string) (tenancy.Connection, error) {
	q := new(query.Query)
	q.Add(`SELECT `+connectionColumns+` FROM connections c WHERE c.id = %s`, id)
	return query.One(ctx, tx, q, scanConnection)
}

// lockWorkspace makes other changes of the workspace wait until the transaction
// ends. It is the first lock of a transaction.
func lockWorkspace(ctx context.Context, tx db.Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE workspaces SET name = name WHERE id = $1`, id)
	return err
}

// onlyOneEnabled returns a conflict when c and another connection to its directory
// are enabled: their runs would change one directory at the same time.
func onlyOneEnabled(ctx context.Context, tx db.Tx, c tenancy.Connection) error {
	if !c.Enabled {
		return nil
	}
	var another bool
	err := tx.QueryRow(ctx, `SELECT COUNT(*) > 0 FROM connections
		WHERE workspace_id = $1 AND directory_id = $2 AND id <> $3 AND enabled AND deleted_at IS NULL`, c.WorkspaceID, c.DirectoryID, c.ID).Scan(&another)
	if err != nil {
		return err
	}
	if another {
		return op.Conflict("another connection to directory %s is enabled: disable it first", c.DirectoryID)
	}
	return nil
}

func notHeld(ctx context.Context, tx db.Tx, connectionID string) error {
	code, err := holder(ctx, tx, connectionID)
	if err != nil {
		return err
	}
	if code != "" {
		return op.ConflictThen("Try again when run "+code+" ends.", "run %s holds the connection", code)
	}
	return nil
}

// check returns an [*op.FieldError] for an invalid value of a connection.
func check(c tenancy.Connection) error {
	if err := access.CheckName("name", c.Name, maxConnectionName); err != nil {
		return err
	}
	if err := access.CheckSlug("slug", c.Slug); err != nil {
		return err
	}
	if _, known := tenancy.CloudNamed(c.Cloud); !known {
		return &op.FieldError{Field: "cloud", Detail: "must be one of " + strings.Join(tenancy.CloudNames(), ", ")}
	}
	if err := checkGUID("directory_id", c.DirectoryID); err != nil {
		return err
	}
	if err := checkGUID("client_id", c.ClientID); err != nil {
		return err
	}
	if c.ClientID == c.DirectoryID {
		return &op.FieldError{Field: "client_id", Detail: "is the ID of the directory: copy the Application (client) ID of the app registration"}
	}
	return nil
}

func checkGUID(field, value string) error {
	if len(value) != 36 || uuid.Validate(value) != nil {
		return &op.FieldError{Field: field, Detail: "must be a GUID, such as 5b567255-7703-4780-807c-7be8301ae99b"}
	}
	if value == uuid.Nil.String() {
		return &op.FieldError{Field: field, Detail: "is all zeros: copy it from Microsoft Entra"}
	}
	return nil
}

var notInSlug = regexp.MustCompile(`[^a-z0-9]+`)

// slugOf derives a slug from a name; empty when the name has no usable character.
func slugOf(name string) string {
	slug := notInSlug.ReplaceAllString(strings.ToLower(name), "-")
	return strings.Trim(slug[:min(len(slug), 60)], "-")
}

func lower(s *string) *string {
	if s == nil {
		return nil
	}
	l := tidyID(*s)
	return &l
}
