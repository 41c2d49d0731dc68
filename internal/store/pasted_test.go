package store_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
)

func TestPastedSecrets(t *testing.T) {
	const good = "aB3~q.sample-secret_0001"
	for pasted, want := range map[string][]op.Tidied{
		good: nil, good + "\n": {op.TidiedSpace}, "\ufeff " + good + "\u00a0\r\n": {op.TidiedSpace}, "\u200b" + good: {op.TidiedSpace},
		`"` + good + `"`: {op.TidiedQuotes}, "“" + good + "”": {op.TidiedQuotes}, " '" + good + " ' ": {op.TidiedSpace, op.TidiedQuotes},
		"`" + good + "`": {op.TidiedQuotes},
	} {
		n, err := store.ClientSecret(pasted, nil)
		if err != nil || !slices.Equal(n.Tidied(), want) {
			t.Errorf("%q: %v, %v, want %v", pasted, n.Tidied(), err, want)
		}
		if got, _ := store.Tidy(pasted); got != good {
			t.Errorf("%q is taken for %q", pasted, got)
		}
	}
	for _, kept := range []string{`"`, `"a`, `a"b`, "''"[:1]} {
		if got, _ := store.Tidy(kept); got != kept {
			t.Errorf("%q is taken for %q", kept, got)
		}
	}
	for pasted, says := range map[string]string{
		"":                                     "must not be empty",
		" \n ":                                 "must not be empty",
		`""`:                                   "must not be empty",
		"a\nb":                                 "has a space or a line break in it",
		"a b":                                  "has a space or a line break in it",
		"a\x00b":                               "has a space or a line break in it",
		"5b567255-7703-4780-807c-7be8301ae99b": "looks like the secret's ID, not its value",
		" {5B567255-7703-4780-807C-7BE8301AE99B}\n": "looks like the secret's ID, not its value",
		"-----BEGIN PRIVATE KEY-----\nMII":          "save it as a certificate",
		"\xff\xfe":                                  "must be text",
	} {
		_, err := store.ClientSecret(pasted, nil)
		refused(t, pasted, err, "secret", says)
	}
}

// refused fails the test unless err names the field and says what is wrong with it,
// without quoting what was pasted.
func refused(t *testing.T, what string, err error, field, says string) {
	t.Helper()
	var wrong *op.FieldError
	if !errors.As(err, &wrong) || wrong.Field != field || !strings.Contains(wrong.Detail, says) {
		t.Errorf("%.60q: got %v, want that %s %s", what, err, field, says)
	}
}

// issued makes a certificate of a key, signed by another or by itself.
func issued(t *testing.T, name string, key crypto.Signer, by *x509.Certificate, with crypto.Signer, ends time.Duration) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(ends), IsCA: by == nil, BasicConstraintsValid: true,
	}
	if ends > 1000*time.Hour*24 { // not yet valid
		template.NotBefore = time.Now().Add(24 * time.Hour)
	}
	if by == nil {
		by, with = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newRSA(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func encoded(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encoded("PRIVATE KEY", der)
}

func TestPastedCertificates(t *testing.T) {
	const year = 365 * 24 * time.Hour
	caKey, key, other, short := newRSA(t, 2048), newRSA(t, 2048), newRSA(t, 2048), newRSA(t, 1024)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := issued(t, "Contoso CA", caKey, nil, nil, year)
	leaf := issued(t, "interlock.contoso.example", key, ca, caKey, year)
	cert := func(c *x509.Certificate) string { return encoded("CERTIFICATE", c.Raw) }
	pfx := func(password string) string {
		data, err := pkcs12.Modern.Encode(key, leaf, []*x509.Certificate{ca}, password)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(data)
	}
	pkcs1 := encoded("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))

	for name, c := range map[string]struct {
		pasted, password string
		tidied           []op.Tidied
	}{
		"certificate, key":              {cert(leaf) + pkcs8(t, key), "", nil},
		"key, certificate":              {pkcs8(t, key) + cert(leaf), "", nil},
		"a key of OpenSSL":              {pkcs1 + cert(leaf), "", nil},
		"with its chain":                {cert(leaf) + cert(ca) + pkcs8(t, key), "", nil},
		"the CA first":                  {cert(ca) + cert(leaf) + pkcs8(t, key), "", []op.Tidied{op.TidiedOrder}},
		"the key between":               {cert(ca) + pkcs8(t, key) + cert(leaf), "", []op.Tidied{op.TidiedOrder}},
		"another key besides":           {pkcs8(t, other) + cert(leaf) + pkcs8(t, key), "", nil},
		"with what OpenSSL prints":      {"Bag Attributes\n  friendlyName: x\n" + cert(leaf) + "Key Attributes: <No Attributes>\n" + pkcs8(t, key), "", []op.Tidied{op.TidiedSpace}},
		"with Windows' line ends":       {"\ufeff" + strings.ReplaceAll(cert(leaf)+pkcs8(t, key), "\n", "\r\n"), "", []op.Tidied{op.TidiedSpace}},
		"a PFX file":                    {pfx("pass word"), "pass word", nil},
		"a PFX file without a password": {pfx(""), "", nil},
		"a PFX file in lines":           {strings.Join(slices.Collect(chunks(pfx("p"), 64)), "\n"), "p", nil},
	} {
		n, err := store.ClientCertificate(c.pasted, c.password)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tidied := slices.DeleteFunc(slices.Clone(n.Tidied()), func(d op.Tidied) bool { return d == op.TidiedSpace })
		want := slices.DeleteFunc(slices.Clone(c.tidied), func(d op.Tidied) bool { return d == op.TidiedSpace })
		if !slices.Equal(tidied, want) {
			t.Errorf("%s: %v, want %v", name, n.Tidied(), c.tidied)
		}
		// What is saved is what a client signs in with: the certificate of the key first.
		saved := store.SecretOf(n).Reveal()
		pair, err := tls.X509KeyPair([]byte(saved), []byte(saved))
		if err != nil || !pair.Leaf.Equal(leaf) {
			t.Errorf("%s: the saved PEM does not begin with the certificate of the key: %v", name, err)
		}
	}

	for name, c := range map[string]struct{ pasted, password, field, says string }{
		"nothing":                    {"", "", "certificate", "must not be empty"},
		"a word":                     {"hello", "", "certificate", "is neither PEM nor a PFX file"},
		"other base64":               {base64.StdEncoding.EncodeToString([]byte("hello there")), "", "certificate", "is neither PEM nor a PFX file"},
		"without a key":              {cert(leaf), "", "certificate", "has no private key with it: paste both"},
		"DER":                        {base64.StdEncoding.EncodeToString(leaf.Raw), "", "certificate", "has no private key with it: export both"},
		"without a certificate":      {pkcs8(t, key), "", "certificate", "has a private key and no certificate"},
		"key of another certificate": {cert(leaf) + pkcs8(t, other), "", "certificate", "does not belong to the private key: the key is that of another certificate than “interlock.contoso.example”"},
		"elliptic curve":             {cert(issued(t, "ec", curve, nil, nil, year)) + pkcs8(t, curve), "", "certificate", "has an elliptic curve key: Microsoft Entra takes RSA keys only"},
		"1024 bits":                  {cert(issued(t, "short", short, nil, nil, year)) + pkcs8(t, short), "", "certificate", "has an RSA key of 1024 bits"},
		"encrypted":                  {cert(leaf) + encoded("ENCRYPTED PRIVATE KEY", []byte("x")), "", "certificate", "is encrypted with a password"},
		"encrypted by OpenSSL":       {cert(leaf) + strings.Replace(pkcs1, "-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1), "", "certificate", "is encrypted with a password"},
		"a request":                  {encoded("CERTIFICATE REQUEST", []byte("x")) + pkcs8(t, key), "", "certificate", "is a certificate request"},
		"a public key":               {cert(leaf) + encoded("PUBLIC KEY", []byte("x")), "", "certificate", "paste the private key"},
		"cut off":                    {(cert(leaf) + pkcs8(t, key))[:2000], "", "certificate", "is cut off"},
		"damaged certificate":        {encoded("CERTIFICATE", leaf.Raw[:100]) + pkcs8(t, key), "", "certificate", "number 1 can't be read"},
		"damaged key":                {cert(leaf) + encoded("PRIVATE KEY", []byte("x")), "", "certificate", "has a private key that can't be read"},
		"expired":                    {cert(issued(t, "old", key, ca, caKey, -time.Hour)) + pkcs8(t, key), "", "certificate", "expired on "},
		"not yet valid":              {cert(issued(t, "new", key, ca, caKey, 4*year)) + pkcs8(t, key), "", "certificate", "is not valid before "},
		"PFX, wrong password":        {pfx("right"), "wrong", "password", "is not that of the PFX file"},
		"PFX, no password":           {pfx("right"), "", "password", "is missing: the PFX file has one"},
		"cut-off PFX":                {pfx("right")[:200], "right", "certificate", "is neither PEM nor a PFX file"},
	} {
		_, err := store.ClientCertificate(c.pasted, c.password)
		refused(t, name, err, c.field, c.says)
		if err != nil && (strings.Contains(err.Error(), "right") || strings.Contains(err.Error(), "MII")) {
			t.Errorf("%s: the error quotes what was pasted: %v", name, err)
		}
	}
}

func chunks(s string, n int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > 0 {
			k := min(n, len(s))
			if !yield(s[:k]) {
				return
			}
			s = s[k:]
		}
	}
}
