package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

func (a *app) credential() *cobra.Command {
	var tenant, connection, secret, certificate, password, expires string
	var workload bool
	c := &cobra.Command{
		Use:   "credential --tenant TENANT --connection CONNECTION",
		Short: "Save a new credential for a connection",
		Long: `Save a new credential for a connection: a client secret, or a certificate with its
private key, as PEM in any order or as a PFX file. It replaces the previous one
immediately and can't be read back. Without a file you are asked for the client secret.

With --workload-identity nothing secret is saved: the connection signs in with the token
that the server gets from its platform. The command prints the federated credential that
the app registration in Microsoft Entra needs.

This needs a sign-in from the last 15 minutes with interlock login; API tokens can't do
it. If your sign-in is older, you are asked to confirm your identity.`,
		Example: `  interlock credential --tenant kestrel --connection primary --secret-file secret.txt --expires 2027-03-31
  interlock credential --tenant kestrel --connection primary --certificate interlock.pfx --pfx-password-file password.txt
  interlock credential --tenant kestrel --connection primary --workload-identity`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need("tenant", tenant); err != nil {
				return err
			}
			if err := need("connection", connection); err != nil {
				return err
			}
			n := client.NewCredential{Workload: true}
			if !workload {
				var err error
				if n, err = a.newCredential(secret, certificate, password, expires); err != nil {
					return err
				}
			}
			return a.fresh(c.Context(), func(ctx context.Context, cl *client.Client) error {
				saved, err := cl.RotateCredential(ctx, tenant, connection, n)
				if err != nil || a.json() {
					return err
				}
				out := a.page(a.Err)
				for _, d := range []struct{ name, value string }{
					{"Thumbprint", saved.CredentialDetails.Thumbprint},
					{"Issuer", saved.CredentialDetails.Issuer},
					{"Subject", saved.CredentialDetails.Subject},
					{"Audience", saved.CredentialDetails.Audience},
				} {
					if d.value != "" {
						out.slot(d.name, d.value)
					}
				}
				if at := saved.CredentialExpiresAt; at != nil {
					out.slot("Expires", op.Day(*at))
				}
				out.line("Saved the credential of %s. To try it:", saved.Name)
				out.slot("", fmt.Sprintf("interlock start connection.verify --tenant %s --connection %s", tenant, saved.Slug))
				for _, note := range saved.Notes {
					out.slot("Note", note)
				}
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVarP(&tenant, "tenant", "t", "", "id or name of the tenant")
	f.StringVarP(&connection, "connection", "c", "", "id or name of the connection")
	f.StringVar(&secret, "secret-file", "", `file with the client secret; "-" reads standard input`)
	f.StringVar(&certificate, "certificate", "", `PEM or PFX file with the certificate and its private key; "-" reads standard input`)
	f.StringVar(&password, "pfx-password-file", "", "file with the password of the PFX file")
	f.StringVar(&expires, "expires", "", "when the client secret expires, such as 2027-03-31")
	f.BoolVar(&workload, "workload-identity", false, "sign in with the workload identity of the server; nothing secret is saved")
	c.MarkFlagsMutuallyExclusive("secret-file", "certificate", "workload-identity")
	c.MarkFlagsMutuallyExclusive("expires", "workload-identity")
	c.MarkFlagsMutuallyExclusive("pfx-password-file", "workload-identity")
	c.MarkFlagsMutuallyExclusive("expires", "certificate")
	a.completeTenants(c)
	return c
}

// newCredential reads the credential that the flags name.
func (a *app) newCredential(secret, certificate, password, expires string) (n client.NewCredential, err error) {
	if expires != "" {
		at, err := time.Parse(time.DateOnly, expires)
		if err != nil {
			return n, usagef("--expires must be a date, such as 2027-03-31, not %q", expires)
		}
		n.ExpiresAt = &at
	}
	switch {
	case certificate != "":
		text, err := a.readFile("certificate", certificate)
		if err != nil {
			return n, err
		}
		// A PFX file is binary, and travels in base64.
		if n.Certificate = string(text); !bytes.Contains(text, []byte("-----BEGIN ")) {
			n.Certificate = base64.StdEncoding.EncodeToString(text)
		}
		if password != "" {
			text, err := a.readFile("pfx-password-file", password)
			if err != nil {
				return n, err
			}
			n.Password = string(bytes.TrimRight(text, "\r\n"))
		}
	case password != "":
		return n, usagef("--pfx-password-file is for --certificate")
	case secret != "":
		text, err := a.readFile("secret-file", secret)
		if err != nil {
			return n, err
		}
		n.Secret = string(text)
	default:
		if n.Secret, err = a.hiddenLine("Client secret: "); err != nil {
			return n, err
		}
	}
	return n, nil
}

// maxFile is the most that is read of a credential's file, in bytes. The server takes
// less.
const maxFile = 1 << 20

func (a *app) readFile(flag, name string) ([]byte, error) {
	var in io.Reader = a.lines
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usagef("--%s: %w", flag, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile))
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return text, nil
}
