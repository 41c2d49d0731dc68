package wire

// Claims are the claims of an access token for Microsoft Graph, in version 1.0 format.
type Claims struct {
	Audience   string   `json:"aud"`
	Issuer     string   `json:"iss"`
	IssuedAt   int64    `json:"iat"`
	NotBefore  int64    `json:"nbf"`
	Expiry     int64    `json:"exp"`
	AppName    string   `json:"app_displayname"`
	AppID      string   `json:"appid"`
	AuthMethod string   `json:"appidacr"` // 1 secret, 2 certificate
	Provider   string   `json:"idp"`
	IDType     string   `json:"idtyp"` // app, or user
	ObjectID   string   `json:"oid"`
	Roles      []string `json:"roles,omitempty"` // docs: absent, not empty, if nothing is granted
	Scopes     string   `json:"scp,omitempty"`
	Subject    string   `json:"sub"`
	Tenant     string   `json:"tid"`
	UniqueName string   `json:"unique_name,omitempty"`
	ID         string   `json:"uti"`
	Version    string   `json:"ver"`
	Generation int      `json:"sim_generation"` // not in real tokens: a token of an older generation is challenged
}

// tokenError is the service's message about an unusable token.
type tokenError string

func (e tokenError) Error() string { return string(e) }

// The reasons why a token is refused.
const (
	ErrTokenMissing   tokenError = "Access token is empty."
	ErrTokenMalformed tokenError = "CompactToken validation failed with reason code: 80049228."
	ErrTokenExpired   tokenError = "Lifetime validation failed, the token is expired."
	ErrTokenAudience  tokenError = "Access token validation failure. Invalid audience."
)
