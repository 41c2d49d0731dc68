package login

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is defined as a SHA-1 thumbprint
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// Keyring holds the keys that must survive a restart so that clients keep working: the
// certificate authority, the key that signs tokens, and the key that seals page tokens.
type Keyring struct {
	CAPEM  []byte
	CACert *x509.Certificate
	caKey  *ecdsa.PrivateKey
	sign   *rsa.PrivateKey
	kid    string
	Seal   odata.Sealer
}

// The files of a state folder.
const (
	CACertFile = "graphsim-ca.pem"
	keysFile   = "graphsim-keys.pem"
)

// memoryKeys are generated once per process: an RSA key costs more than the rest of a simulator,
// and tests start many.
var memoryKeys = sync.OnceValues(newKeyring)

// LoadKeyring reads the keys from dir, or generates them on the first run. An empty dir keeps
// them in memory.
func LoadKeyring(dir string) (*Keyring, error) {
	if dir == "" {
		return memoryKeys()
	}
	keys, err := os.ReadFile(filepath.Join(dir, keysFile))
	if errors.Is(err, fs.ErrNotExist) {
		k, err := newKeyring()
		if err != nil {
			return nil, err
		}
		return k, k.save(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("graphsim: read keys: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, CACertFile))
	if err != nil {
		return nil, fmt.Errorf("graphsim: read CA: %w", err)
	}
	k, err := parseKeyring(ca, keys)
	if err != nil {
		return nil, fmt.Errorf("graphsim: the keys in %s are damaged: remove that folder, and new ones are made: %w", dir, err)
	}
	return k, nil
}

func newKeyring() (*Keyring, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	sign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Interlock Graph simulator CA"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return assemble(cert, caKey, sign)
}

func assemble(cert *x509.Certificate, caKey *ecdsa.PrivateKey, sign *rsa.PrivateKey) (*Keyring, error) {
	block, err := aes.NewCipher(sealKey(sign))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	thumb := sha1.Sum(x509.MarshalPKCS1PublicKey(&sign.PublicKey)) // an identifier, not protection
	return &Keyring{
		CAPEM:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		CACert: cert,
		caKey:  caKey,
		sign:   sign,
		kid:    base64.RawURLEncoding.EncodeToString(thumb[:]),
		Seal:   odata.NewSealer(gcm),
	}, nil
}

// sealKey derives the key for page tokens from the signing key, so that the file needs no third key.
func sealKey(sign *rsa.PrivateKey) []byte {
	sum := sha256.Sum256(append([]byte("graphsim page tokens\x00"), x509.MarshalPKCS1PrivateKey(sign)...))
	return sum[:]
}

func (k *Keyring) save(dir string) error {
	ca, err := x509.MarshalPKCS8PrivateKey(k.caKey)
	if err != nil {
		return err
	}
	sign, err := x509.MarshalPKCS8PrivateKey(k.sign)
	if err != nil {
		return err
	}
	keys := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ca})
	keys = append(keys, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: sign})...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("graphsim: state folder: %w", err)
	}
	// The CA is written first: after a crash between the two there is no keys file, and the next start
	// generates both again.
	if err := durable.WriteFile(filepath.Join(dir, CACertFile), k.CAPEM, 0o644); err != nil { // a public certificate
		return fmt.Errorf("graphsim: write CA: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, keysFile), keys, 0o600); err != nil {
		return fmt.Errorf("graphsim: write keys: %w", err)
	}
	return nil
}

func parseKeyring(caPEM, keysPEM []byte) (*Keyring, error) {
	block, _ := pem.Decode(caPEM)
	if block == nil {
		return nil, errors.New("no PEM block in the CA file")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	var caKey *ecdsa.PrivateKey
	var sign *rsa.PrivateKey
	for block, rest := pem.Decode(keysPEM); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		switch key := key.(type) {
		case *ecdsa.PrivateKey:
			caKey = key
		case *rsa.PrivateKey:
			sign = key
		}
	}
	if caKey == nil || sign == nil {
		return nil, errors.New("expected one EC and one RSA key")
	}
	if !caKey.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the CA certificate does not belong to the CA key")
	}
	return assemble(cert, caKey, sign)
}

// ServerTLS issues a certificate for host (a name or an address) and the loopback names, valid
// for a year.
func (k *Keyring) ServerTLS(host string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "graphsim"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
	} else if host != "" {
		tmpl.DNSNames = append(tmpl.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, k.CACert, key.Public(), k.caKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, k.CACert.Raw}, PrivateKey: crypto.PrivateKey(key)}},
	}, nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // crypto/rand.Read never fails (Go 1.24)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
