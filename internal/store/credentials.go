package store

import (
	"context"
	"crypto/sha1" // the thumbprint that Microsoft Entra shows
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// ErrUnreadable is returned for a saved credential that the vault can't open: it was
// sealed with another key, or the stored text was not sealed for this connection.
var ErrUnreadable = errors.New("the credential can't be read")

// Limits of a credential, in bytes.
const (
	maxSecret      = 1024
	maxCertificate = 64 << 10
)

// NewCredential is a checked credential to save with a connection. Its secret can't
// be printed.
type NewCredential struct {
	kind    tenancy.CredentialKind
	secret  vault.Secret // empty: nothing secret belongs to the kind
	expires *time.Time
	details tenancy.CredentialDetails
	tidied  []op.Tidied
}

// ClientSecret checks a pasted client secret. expires is when it stops working; nil
// when that is not known.
func ClientSecret(secret string, expires *time.Time) (NewCredential, error) {
	if len(secret) > maxSecret {
		return NewCredential{}, &op.FieldError{Field: "secret", Detail: fmt.Sprintf("has %d bytes, at most %d are allowed", len(secret), maxSecret)}
	}
	if !utf8.ValidString(secret) {
		return NewCredential{}, &op.FieldError{Field: "secret", Detail: "must be text"}
	}
	secret, done := Tidy(secret)
	if err := checkSecret(secret); err != nil {
		return NewCredential{}, err
	}
	if expires != nil {
		at := expires.UTC().Truncate(time.Microsecond)
		expires = &at
	}
	return NewCredential{kind: tenancy.ClientSecret, secret: vault.NewSecret(secret), expires: expires, tidied: done}, nil
}

// ClientCertificate checks a pasted certificate with its private key: PEM in any order,
// or a PFX file in base64 with the file's password. The credential expires with the
// certificate.
func ClientCertificate(text, password string) (NewCredential, error) {
	if len(text) > maxCertificate {
		return NewCredential{}, &op.FieldError{Field: "certificate", Detail: fmt.Sprintf("has %d bytes, at most %d are allowed", len(text), maxCertificate)}
	}
	fitted, leaf, done, err := fitCertificate(text, password)
	if err != nil {
		return NewCredential{}, err
	}
	expires := leaf.NotAfter.UTC()
	s1, s256 := sha1.Sum(leaf.Raw), sha256.Sum256(leaf.Raw)
	details := tenancy.CredentialDetails{Thumbprint: fmt.Sprintf("%X", s1), ThumbprintSHA256: fmt.Sprintf("%X", s256)}
	return NewCredential{kind: tenancy.ClientCertificate, secret: vault.NewSecret(fitted), expires: &expires, details: details, tidied: done}, nil
}

// WorkloadIdentity is the credential of a connection that signs in as this server's
// workload. Nothing secret is stored. A workspace that may not use the identity, and a
// token that can't be read, are an [*op.FieldError].
func (s *Store) WorkloadIdentity(a access.Actor) (NewCredential, error) {
	refused := func(detail string) error { return &op.FieldError{Field: "workload_identity", Detail: detail} }
	if !s.opts.Workload.Serves(a.WorkspaceSlug()) {
		return NewCredential{}, refused("is not set up for this workspace: ask the server's administrator")
	}
	token, err := s.opts.Workload.Token(time.Now())
	if err != nil {
		return NewCredential{}, refused("can't be used: the server's token " + err.Error())
	}
	return NewCredential{kind: tenancy.WorkloadIdentity, details: tenancy.CredentialDetails{
		Issuer: token.Issuer, Subject: token.Subject, Audience: token.Audience,
	}}, nil
}

// ServesWorkload reports whether connections of the actor's workspace may sign in as this
// server's workload.
func (s *Store) ServesWorkload(a access.Actor) bool { return s.opts.Workload.Serves(a.WorkspaceSlug()) }

// Details are what is not secret of it.
func (n NewCredential) Details() tenancy.CredentialDetails { return n.details }

// Tidied tells the user how the pasted text was cleaned up.
func (n NewCredential) Tidied() []op.Tidied { return n.tidied }

// Credential returns the secret that a connection signs in with; an empty one for a
// workload identity. It is
// [op.ErrNotFound] outside the scope, [op.ErrConflict] when the credential was
// replaced by one of another kind since conn was read, and [ErrUnreadable] when none
// is saved or the vault can't open it.
func (s *Store) Credential(ctx context.Context, tx db.Tx, scope access.Scope, conn tenancy.Connection) (vault.Secret, error) {
	q := new(query.Query)
	q.Add(`SELECT c.id, c.workspace_id, c.tenant_id, c.credential, c.credential_version, COALESCE(d.sealed, ''), w.keyset
		FROM connections c JOIN workspaces w ON w.id = c.workspace_id
		LEFT JOIN credentials d ON d.connection_id = c.id AND d.version = c.credential_version
		WHERE c.deleted_at IS NULL AND `+scope.Where(q.Bind, "c.workspace_id", "c.tenant_id")).Add(` AND c.id = %s`, conn.ID)
	var sealed, keyset string
	c, err := query.One(ctx, tx, q, func(row db.Row) (c tenancy.Connection, err error) {
		var kind string
		err = row.Scan(&c.ID, &c.WorkspaceID, &c.TenantID, &kind, &c.CredentialVersion, &sealed, &keyset)
		c.Credential = tenancy.CredentialKind(kind)
		return c, err
	})
	if err != nil {
		return vault.Secret{}, fmt.Errorf("credential: %w", err)
	}
	switch {
	case c.Credential != conn.Credential:
		return vault.Secret{}, fmt.Errorf("credential: %w", op.Conflict("it was replaced"))
	case c.Credential == tenancy.WorkloadIdentity:
		return vault.Secret{}, nil
	case sealed == "":
		return vault.Secret{}, fmt.Errorf("credential: none is saved: %w", ErrUnreadable)
	}
	keys, err := s.openKeyset(keyset)
	if err != nil {
		return vault.Secret{}, fmt.Errorf("credential: %w: %w", ErrUnreadable, err)
	}
	secret, err := keys.Open(sealed, aadOf(c))
	if err != nil {
		return vault.Secret{}, fmt.Errorf("credential: %w: %w", ErrUnreadable, err)
	}
	return secret, nil
}

// SealCredential stores secret as the credential of c, with the kind and version of
// c, and deletes earlier versions. The caller has locked the connection's row and
// writes those columns.
func (s *Store) SealCredential(ctx context.Context, tx db.Tx, c tenancy.Connection, secret vault.Secret) error {
	keys, err := s.lockKeyset(ctx, tx, c.WorkspaceID)
	if err != nil {
		return fmt.Errorf("seal the credential: %w", err)
	}
	sealed, fingerprint, err := seal(keys, c, secret)
	if err != nil {
		return fmt.Errorf("seal the credential: %w", err)
	}
	if err := dropCredentials(ctx, tx, c.ID); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO credentials (connection_id, version, kind, sealed, fingerprint, created_at)
		VALUES ($1, $2, $3, $4, $5, interlock_now())`, c.ID, c.CredentialVersion, string(c.Credential), sealed, fingerprint)
	if err != nil {
		return fmt.Errorf("seal the credential: %w", err)
	}
	return nil
}

// dropCredentials deletes the sealed credentials of a connection.
func dropCredentials(ctx context.Context, tx db.Tx, connection string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM credentials WHERE connection_id = $1`, connection); err != nil {
		return fmt.Errorf("delete the credential: %w", err)
	}
	return nil
}

// seal returns the sealed credential of c and its fingerprint.
func seal(keys *vault.Keyset, c tenancy.Connection, secret vault.Secret) (sealed, fingerprint string, err error) {
	if sealed, err = keys.Seal(secret, aadOf(c)); err != nil {
		return "", "", err
	}
	fingerprint, err = keys.Fingerprint(secret)
	return sealed, fingerprint, err
}

// aadOf binds a sealed credential to its place: in any other place it can't be opened.
func aadOf(c tenancy.Connection) vault.AAD {
	return vault.AAD{Workspace: c.WorkspaceID, Tenant: c.TenantID, Connection: c.ID, Field: string(c.Credential), Version: c.CredentialVersion}
}

// openKeyset unwraps a workspace's data key, once.
func (s *Store) openKeyset(wrapped string) (*vault.Keyset, error) {
	if k, ok := s.keysets.Load(wrapped); ok {
		return k.(*vault.Keyset), nil
	}
	if s.root == nil {
		return nil, errors.New("there is no root key")
	}
	k, err := s.root.Open(wrapped)
	if err != nil {
		return nil, fmt.Errorf("open the data key: %w", err)
	}
	s.keysets.Store(wrapped, k)
	return k, nil
}
