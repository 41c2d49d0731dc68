package odata

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Cursor is the content of a page token or delta token. Tokens are encrypted, so that
// clients can only follow links, as with the real service.
type Cursor struct {
	Kind   string   `json:"k"`           // "skip" or "delta"
	Tenant string   `json:"t"`           // a token is valid only in its own tenant
	Path   string   `json:"p"`           // resource path
	At     int64    `json:"a"`           // Unix seconds of issue
	Pos    int      `json:"n,omitempty"` // items already returned
	Sub    int      `json:"m,omitempty"` // members already returned of the item at Pos
	Select []string `json:"s,omitempty"`
	IDs    []string `json:"i,omitempty"` // of a filtered delta
	Min    bool     `json:"r,omitempty"` // Prefer: return=minimal
	Round  *Round   `json:"d,omitempty"`
}

// Round is the range of changes of a delta round.
type Round struct {
	Initial bool   `json:"i,omitempty"`
	From    int    `json:"f"` // changes after this sequence number
	To      int    `json:"o"` // up to and including this one
	State   string `json:"s"` // identifies the change log
}

// ErrToken is returned for a token that was not made with this key.
var ErrToken = errors.New("token is not one of ours")

const tokenMagic = "DSpt" // real directory tokens start with these bytes (recorded: RFNwd...)

// NewSealer returns a sealer that uses aead.
func NewSealer(aead cipher.AEAD) Sealer { return Sealer{aead} }

// Sealer encrypts cursors into tokens and decrypts them.
type Sealer struct{ aead cipher.AEAD }

// SealCursor returns the token of a cursor.
func (s Sealer) SealCursor(c Cursor) string {
	plain, err := json.Marshal(c)
	if err != nil {
		return "" // every cursor can be encoded
	}
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out := s.aead.Seal(append([]byte(tokenMagic), nonce...), nonce, plain, []byte(tokenMagic))
	return base64.RawURLEncoding.EncodeToString(out)
}

// OpenCursor returns the cursor of a token, or [ErrToken].
func (s Sealer) OpenCursor(token string) (Cursor, error) {
	var c Cursor
	b, err := base64.RawURLEncoding.DecodeString(token)
	n := len(tokenMagic) + s.aead.NonceSize()
	if err != nil || len(b) < n || string(b[:len(tokenMagic)]) != tokenMagic {
		return c, ErrToken
	}
	plain, err := s.aead.Open(nil, b[len(tokenMagic):n], b[n:], []byte(tokenMagic))
	if err != nil {
		return c, ErrToken
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, ErrToken
	}
	return c, nil
}

// CosmosToken formats a sealed cursor as a continuation token of configurationPolicies
// (recorded). It is percent-encoded twice, so that a client fails if it decodes and encodes
// links instead of following them verbatim.
func CosmosToken(sealed string) string {
	plain := `[cosmosdb][{"compositeToken":{"token":"` + sealed + `","range":{"min":"","max":"FF"}},"skipCount":1}]`
	return url.QueryEscape(plain)
}

// OpenCosmosToken returns the sealed cursor of a token made by [CosmosToken].
func OpenCosmosToken(v string) (string, error) {
	if !strings.HasPrefix(v, "%5B") { // the client decoded it
		return "", ErrToken
	}
	plain, err := url.QueryUnescape(v)
	if err != nil {
		return "", ErrToken
	}
	rest, ok := strings.CutPrefix(plain, `[cosmosdb][{"compositeToken":{"token":"`)
	sealed, _, found := strings.Cut(rest, `"`)
	if !ok || !found {
		return "", ErrToken
	}
	return sealed, nil
}

// PageLink returns a page link: address with the given options. Their order is $select, $top,
// $filter, others; the paging option comes last (recorded).
func PageLink(address string, options url.Values, last, value string) string {
	var b strings.Builder
	b.WriteString(address)
	sep := byte('?')
	add := func(k, v string) {
		b.WriteByte(sep)
		b.WriteString(k + "=" + v)
		sep = '&'
	}
	keys := make([]string, 0, len(options))
	for k := range options {
		if low := strings.ToLower(k); low != "$skiptoken" && low != "$skip" && low != "$deltatoken" {
			keys = append(keys, k)
		}
	}
	rank := func(k string) int {
		if i := slices.Index([]string{"$select", "$top", "$filter"}, strings.ToLower(k)); i >= 0 {
			return i
		}
		return 3
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, k := range keys {
		add(Escape(k), Escape(options.Get(k)))
	}
	add(last, value)
	return b.String()
}
