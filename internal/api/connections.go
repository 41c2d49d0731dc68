package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveConnections() {
	serve(s, Route{
		ID: "list-connections", Method: http.MethodGet, Path: "/tenants/{tenant}/connections", Object: Tenant, Needs: tenancy.View,
		Summary: "List the connections of a tenant, by name",
	}, s.connections)
	serve(s, Route{
		ID: "get-connection", Method: http.MethodGet, Path: "/tenants/{tenant}/connections/{connection}", Object: Connection, Needs: tenancy.View,
		Summary: "Get a connection with its readiness",
	}, s.connection)
	for _, r := range []struct {
		id, method, path, summary string
		change                    func(context.Context, access.Actor, string, string) (tenancy.Connection, error)
	}{
		{"enable-connection", http.MethodPost, "/enable", "Enable a connection", s.store.EnableConnection},
		{"disable-connection", http.MethodPost, "/disable", "Disable a connection; a run that uses it is stopped", s.flow.DisableConnection},
		{"set-default-connection", http.MethodPost, "/default", "Make a connection the default for starts that name none", s.store.SetDefaultConnection},
		{"revoke-consent", http.MethodDelete, "/consent", "Mark admin consent as withdrawn; a run that uses the connection is stopped", s.flow.RevokeConsent},
	} {
		serve(s, manages(r.id, r.method, r.path, r.summary), func(ctx context.Context, _ *ConnectionID) (*one[ConnectionDetail], error) {
			v := at(ctx)
			return s.changed(ctx)(r.change(ctx, v.actor, v.tenant.Tenant.ID, v.connection.ID))
		})
	}
	create := Route{
		ID: "create-connection", Method: http.MethodPost, Path: "/tenants/{tenant}/connections", Object: Tenant, Needs: tenancy.ManageConnections,
		Success: http.StatusCreated, Conflicts: true,
		Summary: "Add a connection; the first of a tenant becomes its default",
	}
	serve(s, create, s.createConnection)
	serve(s, manages("edit-connection", http.MethodPatch, "", "Edit a connection"), s.editConnection)
	serve(s, manages("rotate-credential", http.MethodPost, "/credential", "Save a new credential, which can't be read back"), s.rotateCredential)
	serve(s, manages("begin-consent", http.MethodPost, "/consent", "Create a link to the provider's consent page"), s.beginConsent)
	remove := manages("delete-connection", http.MethodDelete, "", "Delete a connection, its credential and the data read through it")
	remove.Success = http.StatusNoContent
	serve(s, remove, s.deleteConnection)
}

// manages returns the row of a route that changes a connection. None of them starts
// anything.
func manages(id, method, path, summary string) Route {
	return Route{
		ID: id, Method: method, Path: "/tenants/{tenant}/connections/{connection}" + path, Object: Connection,
		Needs: tenancy.ManageConnections, Conflicts: true, Summary: summary,
	}
}

// ConnectionID names the connection of a route.
type ConnectionID struct {
	TenantID
	Connection string `path:"connection" doc:"Id or name."`
}

// ConnectionDetail is a connection with what blocks work on it.
type ConnectionDetail struct {
	store.ConnectionView
	Blockers []Blocker `json:"blockers" nullable:"false" doc:"What blocks operations, the most important first."`
	Notes    []string  `json:"notes,omitempty" doc:"How pasted values were corrected before they were saved, such as removed spaces."`
	Age
}

// noting adds to an answer how pasted values were tidied.
func noting(what []op.Tidied) func(*one[ConnectionDetail], error) (*one[ConnectionDetail], error) {
	return func(out *one[ConnectionDetail], err error) (*one[ConnectionDetail], error) {
		if err == nil {
			out.Body.Notes = each(what, op.Tidied.Words)
		}
		return out, err
	}
}

// pasted tidies pasted ids and returns what it did; nil ids were left out of the
// request.
func pasted(ids ...*string) (what []op.Tidied) {
	for _, id := range ids {
		if id == nil {
			continue
		}
		_, done := store.Tidy(*id)
		for _, t := range done {
			if !slices.Contains(what, t) {
				what = append(what, t)
			}
		}
	}
	return what
}

// Age is the age of what is known about a connection.
type Age struct {
	CheckedAt    *time.Time `json:"checked_at" doc:"When a sign-in or a verification last confirmed the connection; null: never."`
	ChangedSince bool       `json:"not_verified_since_change" doc:"Whether the credential, application, directory or cloud has changed since."`
}

func ageOf(c *tenancy.Connection) Age {
	if c == nil {
		return Age{}
	}
	return Age{c.CheckedAt(), c.ChangedSince()}
}

func (v *visit) connectionDetail(c store.ConnectionView) ConnectionDetail {
	return ConnectionDetail{ConnectionView: c, Blockers: v.blockers(c.Tenant, &c.Connection, c.Causes), Age: ageOf(&c.Connection)}
}

func (s *server) connections(ctx context.Context, in *struct {
	TenantID
	Paging
},
) (*list[ConnectionDetail], error) {
	v := at(ctx)
	connections, next, err := s.store.Connections(ctx, v.tenant.Scope, store.ConnectionFilter{Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return page(each(connections, v.connectionDetail), next), nil
}

func (s *server) connection(ctx context.Context, _ *ConnectionID) (*one[ConnectionDetail], error) {
	v := at(ctx)
	return &one[ConnectionDetail]{Body: v.connectionDetail(v.connection)}, nil
}

// changed answers a change with the connection as it is now.
func (s *server) changed(ctx context.Context) func(tenancy.Connection, error) (*one[ConnectionDetail], error) {
	return func(c tenancy.Connection, err error) (*one[ConnectionDetail], error) {
		if err != nil {
			return nil, err
		}
		v := at(ctx)
		view, err := s.store.Connection(ctx, v.tenant, c.ID)
		if err != nil {
			return nil, err
		}
		return &one[ConnectionDetail]{Body: v.connectionDetail(view)}, nil
	}
}

func (s *server) createConnection(ctx context.Context, in *struct {
	TenantID
	Body struct {
		Name        string `json:"name" minLength:"1" maxLength:"80"`
		Slug        string `json:"slug,omitempty" maxLength:"63" doc:"Unique in the tenant. Default: generated from the name."`
		Cloud       string `json:"cloud,omitempty" doc:"global, gcc, gcchigh, dod or china. Default: global."`
		DirectoryID string `json:"directory_id,omitempty" doc:"GUID. Default: that of the tenant."`
		ClientID    string `json:"client_id" doc:"GUID of the app registration."`
		Disabled    bool   `json:"disabled,omitempty" doc:"Only one connection to a directory can be enabled."`
	} `nameHint:"CreateConnection"`
},
) (*one[ConnectionDetail], error) {
	v := at(ctx)
	return noting(pasted(&in.Body.DirectoryID, &in.Body.ClientID))(s.changed(ctx)(
		s.store.CreateConnection(ctx, v.actor, v.tenant.Tenant.ID, store.NewConnection(in.Body))))
}

func (s *server) editConnection(ctx context.Context, in *struct {
	ConnectionID
	Body struct {
		Name        *string `json:"name,omitempty" minLength:"1" maxLength:"80"`
		Cloud       *string `json:"cloud,omitempty" doc:"global, gcc, gcchigh, dod or china."`
		DirectoryID *string `json:"directory_id,omitempty" doc:"GUID."`
		ClientID    *string `json:"client_id,omitempty" doc:"GUID of the app registration."`
	} `nameHint:"EditConnection"`
},
) (*one[ConnectionDetail], error) {
	v := at(ctx)
	return noting(pasted(in.Body.DirectoryID, in.Body.ClientID))(s.changed(ctx)(
		s.store.EditConnection(ctx, v.actor, v.tenant.Tenant.ID, v.connection.ID, store.EditConnection(in.Body))))
}

func (s *server) rotateCredential(ctx context.Context, in *struct {
	ConnectionID
	Body struct {
		Secret      string     `json:"secret,omitempty" writeOnly:"true" doc:"Client secret."`
		ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"When the client secret expires."`
		Certificate string     `json:"certificate,omitempty" writeOnly:"true" doc:"A certificate with its private key, instead of a client secret: PEM in any order, or a PFX file in base64."`
		Password    string     `json:"password,omitempty" writeOnly:"true" maxLength:"256" doc:"Password of the PFX file."`
		Workload    bool       `json:"workload_identity,omitempty" doc:"Sign in with the server's workload identity instead: nothing secret is saved. The answer has the issuer, subject and audience of the federated credential that the app registration needs."`
	} `nameHint:"Credential"`
},
) (*one[ConnectionDetail], error) {
	var credential store.NewCredential
	var err error
	v := at(ctx)
	switch b := in.Body; {
	case b.Workload && (b.Secret != "" || b.Certificate != "" || b.Password != "" || b.ExpiresAt != nil):
		return nil, &op.FieldError{Field: "workload_identity", Detail: "can't be given together with another credential"}
	case b.Workload:
		credential, err = s.store.WorkloadIdentity(v.actor)
	case b.Secret != "" && b.Certificate != "":
		return nil, &op.FieldError{Field: "certificate", Detail: "can't be given together with a secret"}
	case b.Certificate == "" && b.Password != "":
		return nil, &op.FieldError{Field: "password", Detail: "is for a PFX file: give it as certificate"}
	case b.Certificate != "" && b.ExpiresAt != nil:
		return nil, &op.FieldError{Field: "expires_at", Detail: "is said by the certificate itself"}
	case b.Certificate != "":
		credential, err = store.ClientCertificate(b.Certificate, b.Password)
	default:
		credential, err = store.ClientSecret(b.Secret, b.ExpiresAt)
	}
	if err != nil {
		return nil, err
	}
	return noting(credential.Tidied())(s.changed(ctx)(s.store.RotateCredential(ctx, v.actor, v.tenant.Tenant.ID, v.connection.ID, credential)))
}

// Consent is the page where an administrator consents.
type Consent struct {
	URL string `json:"url" format:"uri" doc:"Link for an administrator of the directory, valid for an hour. Verify the connection afterwards."`
}

func (s *server) beginConsent(ctx context.Context, _ *ConnectionID) (*one[Consent], error) {
	v := at(ctx)
	address, err := s.store.BeginConsent(ctx, v.actor, v.tenant.Tenant.ID, v.connection.ID)
	if err != nil {
		return nil, err
	}
	return &one[Consent]{Body: Consent{URL: address}}, nil
}

func (s *server) deleteConnection(ctx context.Context, _ *ConnectionID) (*none, error) {
	v := at(ctx)
	return nil, s.flow.DeleteConnection(ctx, v.actor, v.tenant.Tenant.ID, v.connection.ID)
}
