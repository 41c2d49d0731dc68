package factor

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

var (
	// ErrPasskey is returned for an answer of a browser that proves nothing: for
	// another challenge, site or person, or signed by another key.
	ErrPasskey = errors.New("the passkey proves nothing")
	// ErrCloned is returned for a passkey whose counter did not grow: a copy of it may
	// be in use. docs: Web Authentication Level 3, section 6.1.1.
	ErrCloned = errors.New("the passkey may have been copied")
)

// Passkeys registers passkeys for one site and checks them.
type Passkeys struct{ site *webauthn.WebAuthn }

// Owner is someone with passkeys.
type Owner struct {
	ID       string // names the person to their passkeys
	Email    string
	Name     string
	Passkeys []string // as [Passkeys.Register] and [Passkeys.Check] returned them
}

// Why a server has no passkeys.
var (
	ErrNoSite       = errors.New("the server does not know its own address")
	ErrInsecureSite = errors.New("the server's address does not begin with https://")
	ErrAddressSite  = errors.New("the server's address has an IP address for its host")
)

// NewPasskeys returns the passkeys of the site at the address that browsers reach
// the server at. A site that browsers let have none is [ErrNoSite],
// [ErrInsecureSite] or [ErrAddressSite]. docs: Web Authentication Level 3: a site is
// a domain, in a secure context, which localhost is as well.
func NewPasskeys(publicURL string) (*Passkeys, error) {
	if publicURL == "" {
		return nil, ErrNoSite
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" {
		return nil, ErrNoSite
	}
	host := u.Hostname()
	switch {
	case net.ParseIP(host) != nil:
		return nil, ErrAddressSite
	case u.Scheme != "https" && host != "localhost":
		return nil, ErrInsecureSite
	}
	site, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: Issuer, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return &Passkeys{site}, nil
}

// holder is an [Owner] as the library asks for one.
type holder struct {
	Owner
	credentials []webauthn.Credential
}

func newHolder(o Owner) (*holder, error) {
	h := &holder{Owner: o}
	for _, text := range o.Passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return nil, fmt.Errorf("stored passkey: %w", err)
		}
		h.credentials = append(h.credentials, c)
	}
	return h, nil
}

// WebAuthnID returns what names the person to a passkey.
func (h *holder) WebAuthnID() []byte { return []byte(h.ID) }

// WebAuthnName returns what the person signs in with.
func (h *holder) WebAuthnName() string { return h.Email }

// WebAuthnDisplayName returns the person's name.
func (h *holder) WebAuthnDisplayName() string { return h.Name }

// WebAuthnCredentials returns the person's passkeys.
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// Question is what a browser asks a passkey, and what its answer is held against.
type Question struct {
	Options json.RawMessage // for the browser
	State   string          // for the server alone; good for one answer
}

func question(options any, s *webauthn.SessionData) (Question, error) {
	o, err := json.Marshal(options)
	if err != nil {
		return Question{}, fmt.Errorf("passkey: %w", err)
	}
	state, err := json.Marshal(s)
	if err != nil {
		return Question{}, fmt.Errorf("passkey: %w", err)
	}
	return Question{Options: o, State: string(state)}, nil
}

// AskNew asks for a new passkey. It prefers one that knows its person, so that it can
// be a whole sign-in.
func (p *Passkeys) AskNew(o Owner) (Question, error) {
	h, err := newHolder(o)
	if err != nil {
		return Question{}, err
	}
	creation, s, err := p.site.BeginRegistration(h,
		webauthn.WithExclusions(webauthn.Credentials(h.credentials).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		}))
	if err != nil {
		return Question{}, fmt.Errorf("passkey: %w", err)
	}
	return question(creation.Response, s)
}

// Register returns the passkey of an answer to [Passkeys.AskNew], and the handle by
// which it is found; or [ErrPasskey].
func (p *Passkeys) Register(o Owner, state, answer string) (handle, passkey string, err error) {
	h, s, err := p.resume(o, state)
	if err != nil {
		return "", "", err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return "", "", ErrPasskey
	}
	c, err := p.site.CreateCredential(h, s, parsed)
	if err != nil {
		return "", "", ErrPasskey
	}
	return encode(c)
}

// Ask asks for one of someone's passkeys. verify asks the passkey to prove its
// person as well, by a PIN or a finger: with that it is more than a thing one has.
func (p *Passkeys) Ask(o Owner, verify bool) (Question, error) {
	h, err := newHolder(o)
	if err != nil {
		return Question{}, err
	}
	assertion, s, err := p.site.BeginLogin(h, webauthn.WithUserVerification(verification(verify)))
	if err != nil {
		return Question{}, fmt.Errorf("passkey: %w", err)
	}
	return question(assertion.Response, s)
}

// AskAnyone asks for a passkey of whoever has one, who proves to it who they are.
func (p *Passkeys) AskAnyone() (Question, error) {
	assertion, s, err := p.site.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Question{}, fmt.Errorf("passkey: %w", err)
	}
	return question(assertion.Response, s)
}

func verification(required bool) protocol.UserVerificationRequirement {
	if required {
		return protocol.VerificationRequired
	}
	return protocol.VerificationPreferred
}

// Check holds an answer against the question to someone, and returns the passkey as
// it is to be stored from now on. What proves nothing is [ErrPasskey]; an answer
// that is right from a passkey that may have been copied is [ErrCloned], with the
// handle.
func (p *Passkeys) Check(o Owner, state, answer string) (handle, passkey string, err error) {
	h, s, err := p.resume(o, state)
	if err != nil {
		return "", "", err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return "", "", ErrPasskey
	}
	var c *webauthn.Credential
	if len(s.UserID) == 0 { // asked of anyone
		c, err = p.site.ValidateDiscoverableLogin(func(_, id []byte) (webauthn.User, error) {
			if string(id) != o.ID {
				return nil, ErrPasskey
			}
			return h, nil
		}, s, parsed)
	} else {
		c, err = p.site.ValidateLogin(h, s, parsed)
	}
	if err != nil {
		return "", "", ErrPasskey
	}
	if c.Authenticator.CloneWarning {
		return base64.RawURLEncoding.EncodeToString(c.ID), "", ErrCloned
	}
	return encode(c)
}

// OwnerOf returns the id of the person whom an answer to [Passkeys.AskAnyone] names.
// It proves nothing yet.
func OwnerOf(answer string) (id string, err error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil || len(parsed.Response.UserHandle) == 0 {
		return "", ErrPasskey
	}
	return string(parsed.Response.UserHandle), nil
}

func (p *Passkeys) resume(o Owner, state string) (*holder, webauthn.SessionData, error) {
	var s webauthn.SessionData
	if err := json.Unmarshal([]byte(state), &s); err != nil {
		return nil, s, fmt.Errorf("stored question to a passkey: %w", err)
	}
	h, err := newHolder(o)
	return h, s, err
}

func encode(c *webauthn.Credential) (handle, passkey string, err error) {
	c.Attestation = webauthn.CredentialAttestation{} // nobody asks for it again
	text, err := json.Marshal(c)
	if err != nil {
		return "", "", fmt.Errorf("passkey: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(c.ID), string(text), nil
}
