package graphsim

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// cursor is what a page link or delta link remembers. Links carry it sealed, so
// that clients can only follow them, as with the real service.
type cursor struct {
	Kind   string   `json:"k"`           // "skip" or "delta"
	Tenant string   `json:"t"`           // a link works in its own tenant only
	Path   string   `json:"p"`           // resource path that it belongs to
	At     int64    `json:"a"`           // Unix seconds of issue
	Pos    int      `json:"n,omitempty"` // items passed
	Sub    int      `json:"m,omitempty"` // members passed within the item at Pos
	Select []string `json:"s,omitempty"`
	IDs    []string `json:"i,omitempty"` // of a filtered delta
	Min    bool     `json:"r,omitempty"` // Prefer: return=minimal
	Round  *round   `json:"d,omitempty"`
}

// round is the window of changes that a delta round covers.
type round struct {
	Initial bool   `json:"i,omitempty"`
	From    int    `json:"f"` // changes after this sequence number
	To      int    `json:"o"` // up to and with this one
	State   string `json:"s"` // which change log the numbers count in
}

var errToken = errors.New("token is not one of ours")

const tokenMagic = "DSpt" // real directory tokens begin with these bytes (recorded: RFNwd...)

func (k *keyring) sealCursor(c cursor) string {
	plain, err := json.Marshal(c)
	if err != nil {
		return "" // a cursor holds nothing that can't be encoded
	}
	nonce := make([]byte, k.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out := k.seal.Seal(append([]byte(tokenMagic), nonce...), nonce, plain, []byte(tokenMagic))
	return base64.RawURLEncoding.EncodeToString(out)
}

func (k *keyring) openCursor(token string) (cursor, error) {
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(token)
	n := len(tokenMagic) + k.seal.NonceSize()
	if err != nil || len(b) < n || string(b[:len(tokenMagic)]) != tokenMagic {
		return c, errToken
	}
	plain, err := k.seal.Open(nil, b[len(tokenMagic):n], b[n:], []byte(tokenMagic))
	if err != nil {
		return c, errToken
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, errToken
	}
	return c, nil
}

// open reads a token that must belong to this call's tenant and path.
func (c *call) open(token, kind, path string) (cursor, error) {
	cur, err := c.srv.keys.openCursor(token)
	if err != nil {
		return cur, err
	}
	if cur.Kind != kind || cur.Tenant != c.tenant.id || !strings.EqualFold(cur.Path, path) {
		return cur, errToken
	}
	return cur, nil
}

// seal makes a token for the same tenant and path.
func (c *call) seal(cur cursor) string {
	cur.Tenant, cur.At = c.tenant.id, c.at.Unix()
	return c.srv.keys.sealCursor(cur)
}

// cosmosToken dresses a sealed cursor up as the continuation token of configurationPolicies
// (recorded): percent-encoded once more than the link needs, so that a client that
// decodes and encodes links instead of following them verbatim gets it wrong.
func cosmosToken(sealed string) string {
	plain := `[cosmosdb][{"compositeToken":{"token":"` + sealed + `","range":{"min":"","max":"FF"}},"skipCount":1}]`
	return url.QueryEscape(plain)
}

func openCosmosToken(v string) (string, error) {
	if !strings.HasPrefix(v, "%5B") { // decoded twice on its way here
		return "", errToken
	}
	plain, err := url.QueryUnescape(v)
	if err != nil {
		return "", errToken
	}
	rest, ok := strings.CutPrefix(plain, `[cosmosdb][{"compositeToken":{"token":"`)
	sealed, _, found := strings.Cut(rest, `"`)
	if !ok || !found {
		return "", errToken
	}
	return sealed, nil
}

// link builds a page link: the address of this call with some options replaced.
// Options keep the order $select, $top, $filter, others; the paging option comes last (recorded).
func (c *call) link(options url.Values, last, value string) string {
	var b strings.Builder
	b.WriteString(c.base + c.URL.EscapedPath())
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
		add(escape(k), escape(options.Get(k)))
	}
	add(last, value)
	return b.String()
}
