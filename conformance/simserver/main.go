// Command simserver runs a simulator for a client in another language. It writes the
// certificates to a folder, prints one JSON line that says where everything is, and ends
// when its standard input does.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim"
)

const (
	tenantID = "5b1c2f6e-8f4e-4c1b-9b7e-0d6f3a2b1c01"
	appID    = "c0ffee00-1111-4222-8333-444455556666"
	secret   = "conformance~secret"
	groups   = 250
)

func main() {
	dir := flag.String("dir", "", "folder for certificates (required)")
	flag.Parse()
	if err := run(*dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "simserver:", err)
		os.Exit(1)
	}
}

func run(dir string, in io.Reader, out io.Writer) error {
	if dir == "" {
		return fmt.Errorf("-dir is empty")
	}
	cert, err := writeClientCertificate(filepath.Join(dir, "client.pem"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return graphsim.Run(ctx, graphsim.Config{}, func(s *graphsim.Server) error {
		ca := filepath.Join(dir, "ca.pem")
		if err := s.WriteCA(ca); err != nil {
			return err
		}
		if err := s.AddTenant(graphsim.TenantSpec{
			ID: tenantID, DisplayName: "Conformance", Domain: "conformance.example", Intune: true, Groups: groups,
			Apps: []graphsim.AppSpec{{
				AppID: appID, Name: "Conformance", Secrets: []graphsim.Secret{{Value: secret}}, Certificates: []string{cert}, Consented: true,
				Requested: []string{"Organization.Read.All", "Group.Read.All", "DeviceManagementConfiguration.ReadWrite.All"},
			}},
		}); err != nil {
			return err
		}
		line, err := json.Marshal(map[string]any{
			"url": s.URL(), "ca": ca, "certificate": filepath.Join(dir, "client.pem"), "control": s.ControlToken(),
			"tenant": tenantID, "app": appID, "secret": secret, "groups": groups,
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", line); err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(io.Discard, in) // the end of the input is the sign to stop
			cancel()
		}()
		return nil
	})
}

// writeClientCertificate makes a key with a certificate, writes both to path and returns the certificate as PEM.
func writeClientCertificate(path string) (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Conformance"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), cert...)
	return string(cert), os.WriteFile(path, both, 0o600)
}
