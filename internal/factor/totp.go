// Package factor knows how second factors work: codes of authenticator apps,
// passkeys and recovery codes. It stores nothing and decides nothing about people;
// package access does.
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

// Issuer is what authenticator apps and browsers call this server's accounts.
const Issuer = "Interlock"

// A code changes every period. docs: RFC 6238, with the values that every
// authenticator app takes: SHA-1, six digits, 30 seconds.
const (
	period     = 30
	digits     = otp.DigitsSix
	secretSize = 20
)

// NewTOTP returns a new secret of an authenticator app, in base32.
func NewTOTP() (secret string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: Issuer, AccountName: "new", SecretSize: secretSize})
	if err != nil {
		return "", fmt.Errorf("new authenticator secret: %w", err)
	}
	return key.Secret(), nil
}

// TOTPAddress is what an authenticator app reads from a QR code.
// docs: Key URI Format of Google Authenticator.
func TOTPAddress(secret, account string) string {
	u := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/" + Issuer + ":" + account,
		RawQuery: "secret=" + secret + "&issuer=" + Issuer,
	}
	return u.String()
}

// Step returns the step of time whose code it is: the one of now, or one next to it,
// for clocks that differ and for people who type slowly. Each step is good once: the
// caller refuses one that is not later than the last.
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

// QR is a QR code: a square of Size modules in which Path, of an SVG, is dark.
type QR struct {
	Size int
	Path string
}

// NewQR returns the QR code of a text, with the quiet zone around it.
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
