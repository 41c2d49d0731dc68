package connections

import (
	"errors"
	"net/url"
	"time"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

func showCredential(v *web.Visit) (web.Page, error) { return credentialPage(v, nil) }

// credentialPage is the page of a new credential. It shows none of the input again but
// the date.
func credentialPage(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	frame, p, err := begin(v, "Renew the credential")
	if err != nil {
		return web.Page{}, err
	}
	path := op.RotateCredential.Path(v.Workspace(), p.Tenant.Slug, p.Connection.Slug)
	secret, certificate := ui.Form{Action: path, Fields: secretFields()}, ui.Form{Action: path, Fields: certificateFields()}
	var workload *workloadForm
	if v.Store.ServesWorkload(v.Actor) {
		workload = &workloadForm{Form: ui.Form{Action: path}}
		n, err := v.Store.WorkloadIdentity(v.Actor)
		var unusable *op.FieldError
		if errors.As(err, &unusable) {
			workload.unusable = "It " + unusable.Detail + "."
		}
		workload.details = particulars(n.Details())
	}
	switch v.R.PostFormValue("kind") {
	case certificateForm:
		certificate.Refusal = refusal
	case workloadIdentity:
		if workload == nil {
			workload = &workloadForm{Form: ui.Form{Action: path}}
		}
		workload.Refusal = refusal
	default:
		secret.Refusal, secret.Values = refusal, url.Values{"expires_at": {v.R.PostFormValue("expires_at")}}
	}
	return web.Page{Frame: frame, Body: credentialBody(p, secret, certificate, workload)}, nil
}

// The values of "kind" in the forms.
const (
	secretForm       = "secret"
	certificateForm  = "certificate"
	workloadIdentity = "workload identity"
)

// workloadForm is the form of the workload identity, which has no fields.
type workloadForm struct {
	ui.Form
	details  []particular // of the federated credential that the app registration needs
	unusable string       // why it can't be used now; empty: it can
}

func rotate(v *web.Visit) error {
	credential, err := newCredential(v)
	if err == nil {
		_, err = v.Store.RotateCredential(v.R.Context(), v.Actor, v.Tenant.Tenant.ID, v.R.PathValue("connection"), credential)
	}
	if err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return credentialPage(v, refusal) })
	}
	return tidied(v, op.ConnectionPath(v.Workspace(), v.Tenant.Tenant.Slug, v.R.PathValue("connection")), string(op.RotateCredential), credential.Tidied())
}

func newCredential(v *web.Visit) (store.NewCredential, error) {
	f := v.R.PostForm
	switch f.Get("kind") {
	case certificateForm:
		return store.ClientCertificate(f.Get("certificate"), f.Get("password"))
	case workloadIdentity:
		return v.Store.WorkloadIdentity(v.Actor)
	}
	var expires *time.Time
	if text := f.Get("expires_at"); text != "" {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return store.NewCredential{}, web.BadForm("expires_at", "must be a date, such as 2027-03-31")
		}
		expires = &at
	}
	return store.ClientSecret(f.Get("secret"), expires)
}

// secretFields are the fields of a client secret.
func secretFields() []ui.Field {
	return []ui.Field{
		{Name: "secret", Label: "Secret value", Hint: "The value, not the secret’s ID. It is encrypted and can’t be read back.", Kind: "password", Max: 1024, Fill: "new-password"},
		{Name: "expires_at", Label: "Expires on", Hint: "The date in the app registration. Interlock warns you 14 days before.", Kind: "date", Optional: true},
	}
}

// certificateFields are the fields of a certificate.
func certificateFields() []ui.Field {
	return []ui.Field{
		{
			Name: "certificate", Label: "Certificate with its private key", Kind: "textarea",
			Hint: "PEM, or a PFX file in base64, with an RSA key. It is encrypted and can’t be read back. The expiry date comes from the certificate.",
		},
		{Name: "password", Label: "Password of the PFX file", Kind: "password", Max: 256, Fill: "off", Optional: true},
	}
}
