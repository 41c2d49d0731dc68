// Package factor implements second factors: authenticator app codes, passkeys and
// recovery codes. It stores nothing and makes no decisions about people; package access
// does both.
package factor

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// Issuer is the name that authenticator apps and browsers show for accounts of this
// server.
const Issuer = "Interlock"

// docs: RFC 6238, with the values that every authenticator app accepts: SHA-1, six
// digits, 30 seconds.
const (
	period     = 30 // seconds
	digits     = otp.DigitsSix
	secretSize = 20 // bytes
)

// NewTOTP returns a new secret for an authenticator app, in base32.
func NewTOTP() (secret string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: Issuer, AccountName: "new", SecretSize: secretSize})
	if err != nil {
		return "", fmt.Errorf("new authenticator secret: %w", err)
	}
	return key.Secret(), nil
}

// TOTPAddress returns the URI that an authenticator app reads from a QR code. docs: Key
// URI Format of Google Authenticator.
func TOTPAddress(secret, account string) string {
	u := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/" + Issuer + ":" + account,
		RawQuery: "secret=" + secret + "&issuer=" + Issuer,
	}
	return u.String()
}

// Step returns the time step that a code belongs to. It accepts the current step and
// one step on either side, for clocks that differ and people who type slowly. A step
// may be used once only: the caller must refuse a step that is not later than the last.
func Step(secret, code string, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	at := now.Unix() / period
	for _, step := range []int64{at, at - 1, at + 1} {
		valid, err := hotp.ValidateCustom(code, uint64(step), secret, hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1})
		if err == nil && valid {
			return step, true
		}
	}
	return 0, false
}

// QR is a QR code: a square of Size modules. Path is an SVG path of its dark modules.
type QR struct {
	Size int
	Path string
}

// NewQR returns the QR code of a text, including its quiet zone.
func NewQR(text string) (QR, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return QR{}, fmt.Errorf("QR code: %w", err)
	}
	const quiet = 4 // modules; docs: ISO/IEC 18004
	size := code.Bounds().Dx()
	var path strings.Builder
	for y := range size {
		for x := 0; x < size; x++ {
			from := x
			for x < size && dark(code.At(x, y)) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return QR{Size: size + 2*quiet, Path: path.String()}, nil
}

func dark(c interface{ RGBA() (r, g, b, a uint32) }) bool {
	r, _, _, _ := c.RGBA()
	return r == 0
}
