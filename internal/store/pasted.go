package store

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/interlock-dev/interlock/internal/op"
)

// People paste from mails, chats, spreadsheets and terminals. What surrounds the text is
// removed, and they are told so. A text of the wrong kind is refused by naming its kind.

// Tidy removes what pasting leaves around a secret or an id: space of any kind, and one
// pair of quotation marks.
func Tidy(text string) (string, []op.Tidied) {
	var done []op.Tidied
	trim := func() {
		if t := strings.TrimFunc(text, invisible); t != text {
			text = t
			if !slices.Contains(done, op.TidiedSpace) {
				done = append(done, op.TidiedSpace)
			}
		}
	}
	trim()
	for _, pair := range [][2]string{{`"`, `"`}, {"'", "'"}, {"`", "`"}, {"“", "”"}, {"„", "“"}, {"«", "»"}, {"‘", "’"}} {
		if inner, ok := strings.CutPrefix(text, pair[0]); ok && len(text) > len(pair[0]) {
			if inner, ok = strings.CutSuffix(inner, pair[1]); ok {
				text, done = inner, append(done, op.TidiedQuotes)
				trim()
				break
			}
		}
	}
	return text, done
}

// invisible matches characters that no secret and no id contains: space, control
// characters, and zero-width characters such as the byte order mark.
func invisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// tidyID returns a pasted id as it is stored. Some tools write GUIDs in braces.
func tidyID(text string) string {
	text, _ = Tidy(text)
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		text = strings.TrimSuffix(inner, "}")
	}
	return strings.ToLower(text)
}

// checkSecret returns an error that names what a text is when it is no client secret.
func checkSecret(secret string) error {
	wrong := func(detail string) error { return &op.FieldError{Field: "secret", Detail: detail} }
	switch {
	case secret == "":
		return wrong("must not be empty")
	case strings.Contains(secret, "-----BEGIN "):
		return wrong("is a certificate or a key: save it as a certificate")
	case uuid.Validate(strings.Trim(secret, "{}")) == nil:
		return wrong("looks like the secret's ID, not its value: Microsoft Entra shows the value once, when the secret is created")
	case strings.ContainsFunc(secret, invisible):
		return wrong("has a space or a line break in it: paste the value alone")
	}
	return nil
}

// minRSA is the shortest RSA key that is accepted, in bits. docs: Microsoft Entra,
// certificates for app registrations: 2048 bits.
const minRSA = 2048

// fitCertificate finds the certificate that belongs to the private key in what was
// pasted: PEM in whatever order, or a PFX file in base64, opened by the password. It
// returns PEM with that certificate first, then the key, then the other certificates.
func fitCertificate(text, password string) (fitted string, leaf *x509.Certificate, done []op.Tidied, err error) {
	text, done = Tidy(text)
	if text == "" {
		return "", nil, nil, badCertificate("must not be empty")
	}
	var keys []any
	var certificates []*x509.Certificate
	if strings.Contains(text, "-----BEGIN ") {
		keys, certificates, err = readPEM(text)
	} else {
		keys, certificates, err = readPFX(text, password)
	}
	if err != nil {
		return "", nil, nil, err
	}
	key, leaf, err := fit(keys, certificates)
	if err != nil {
		return "", nil, nil, err
	}
	now := time.Now()
	switch {
	case now.After(leaf.NotAfter):
		return "", nil, nil, badCertificate("expired on %s", op.Day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return "", nil, nil, badCertificate("is not valid before %s", op.Day(leaf.NotBefore))
	}
	if certificates[0] != leaf {
		done = append(done, op.TidiedOrder)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", nil, nil, badCertificate("has a private key that can't be written")
	}
	var out bytes.Buffer
	write := func(kind string, data []byte) { _ = pem.Encode(&out, &pem.Block{Type: kind, Bytes: data}) } // a buffer takes everything
	write("CERTIFICATE", leaf.Raw)
	write("PRIVATE KEY", der)
	for _, c := range certificates {
		if c != leaf {
			write("CERTIFICATE", c.Raw)
		}
	}
	return out.String(), leaf, done, nil
}

func badCertificate(format string, args ...any) error {
	return &op.FieldError{Field: "certificate", Detail: fmt.Sprintf(format, args...)}
}

// readPEM returns the private keys and certificates of a text. Its errors name what
// else the text is. They wrap no cause, which could quote a key.
func readPEM(text string) (keys []any, certificates []*x509.Certificate, err error) {
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch kind := block.Type; {
		case kind == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, badCertificate("number %d can't be read: copy it again, with its BEGIN and END lines", len(certificates)+1)
			}
			certificates = append(certificates, c)
		case kind == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, nil, badCertificate("has a private key that is encrypted with a password: decrypt it first (openssl pkey -in key.pem), or give a PFX file with its password")
		case strings.HasSuffix(kind, "PRIVATE KEY"):
			key, err := readKey(block.Bytes)
			if err != nil {
				return nil, nil, badCertificate("has a private key that can't be read: copy it again, with its BEGIN and END lines")
			}
			keys = append(keys, key)
		case strings.HasSuffix(kind, "CERTIFICATE REQUEST"):
			return nil, nil, badCertificate("is a certificate request: paste the certificate that was made from it")
		case strings.HasSuffix(kind, "PUBLIC KEY"):
			return nil, nil, badCertificate("has a public key in it: paste the private key")
		}
	}
	if strings.Contains(string(rest), "-----BEGIN ") {
		return nil, nil, badCertificate("is cut off: copy it again, with its BEGIN and END lines")
	}
	return keys, certificates, nil
}

func readKey(der []byte) (key any, err error) {
	if key, err = x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err = x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	return x509.ParseECPrivateKey(der)
}

// readPFX returns the private key and the certificates of a PFX file in base64.
func readPFX(text, password string) (keys []any, certificates []*x509.Certificate, err error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, nil, badCertificate("is neither PEM nor a PFX file in base64")
	}
	key, leaf, chain, err := pkcs12.DecodeChain(data, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return nil, nil, &op.FieldError{Field: "password", Detail: "is missing: the PFX file has one"}
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, nil, &op.FieldError{Field: "password", Detail: "is not that of the PFX file"}
	case err != nil:
		if _, err := x509.ParseCertificate(data); err == nil {
			return nil, nil, badCertificate("has no private key with it: export both, as PEM or PFX")
		}
		return nil, nil, badCertificate("is neither PEM nor a PFX file with a certificate and its private key, in base64")
	}
	return []any{key}, append([]*x509.Certificate{leaf}, chain...), nil
}

// fit finds the key and the certificate that belong together.
func fit(keys []any, certificates []*x509.Certificate) (*rsa.PrivateKey, *x509.Certificate, error) {
	switch {
	case len(certificates) == 0 && len(keys) == 0:
		return nil, nil, badCertificate("must be PEM with a certificate and the private key that belongs to it")
	case len(certificates) == 0:
		return nil, nil, badCertificate("has a private key and no certificate: paste both, one below the other")
	case len(keys) == 0:
		return nil, nil, badCertificate("has no private key with it: paste both, one below the other")
	}
	elliptic := false
	for _, k := range keys {
		key, ok := k.(*rsa.PrivateKey)
		if !ok {
			_, ec := k.(*ecdsa.PrivateKey)
			_, ed := k.(ed25519.PrivateKey)
			elliptic = elliptic || ec || ed
			continue
		}
		for _, c := range certificates {
			if !key.PublicKey.Equal(c.PublicKey) {
				continue
			}
			if bits := key.N.BitLen(); bits < minRSA {
				return nil, nil, badCertificate("has an RSA key of %d bits: Microsoft Entra takes %d or more", bits, minRSA)
			}
			return key, c, nil
		}
	}
	if elliptic { // docs: Microsoft Entra, certificate credentials are signed PS256 or RS256
		return nil, nil, badCertificate("has an elliptic curve key: Microsoft Entra takes RSA keys only")
	}
	return nil, nil, badCertificate("does not belong to the private key: the key is that of another certificate than %s", subjects(certificates))
}

// subjects names certificates, so that a person can tell them apart.
func subjects(certificates []*x509.Certificate) string {
	var names []string
	for _, c := range certificates {
		name := c.Subject.CommonName
		if name == "" {
			name = "number " + c.SerialNumber.String()
		}
		if r := []rune(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				return -1
			}
			return r
		}, name)); len(r) > 60 {
			name = string(r[:60]) + "…"
		} else {
			name = string(r)
		}
		names = append(names, "“"+name+"”")
	}
	return strings.Join(names[:min(3, len(names))], ", ")
}
