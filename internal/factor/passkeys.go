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
	// ErrPasskey is returned for a browser's answer that can't be verified: it is for
	// another challenge, site or person, or another key signed it.
	ErrPasskey = errors.New("the passkey's answer can't be verified")
	// ErrCloned is returned for a passkey whose counter did not increase: a copy may be in
	// use. docs: Web Authentication Level 3, section 6.1.1.
	ErrCloned = errors.New("the passkey may have been copied")
)

// Passkeys registers and verifies passkeys of one site. It is safe for concurrent use.
type Passkeys struct{ site *webauthn.WebAuthn }

// Owner is someone with passkeys.
type Owner struct {
	ID       string // the user handle that passkeys store
	Email    string
	Name     string
	Passkeys []string // in the form that [Passkeys.Register] and [Passkeys.Check] return
}

// Reasons why a server can't use passkeys.
var (
	ErrNoSite       = errors.New("the server does not know its own address")
	ErrInsecureSite = errors.New("the server's address does not begin with https://")
	ErrAddressSite  = errors.New("the server's address has an IP address for its host")
)

// NewPasskeys returns the passkeys of the site at publicURL, the address that browsers
// use. It returns [ErrNoSite], [ErrInsecureSite] or [ErrAddressSite] when browsers allow
// no passkeys there. docs: Web Authentication Level 3 requires a domain in a secure
// context; localhost counts as one.
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

// holder adapts an [Owner] to the library's interface.
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

// WebAuthnID returns the user handle.
func (h *holder) WebAuthnID() []byte { return []byte(h.ID) }

// WebAuthnName returns the name that the person signs in with.
func (h *holder) WebAuthnName() string { return h.Email }

// WebAuthnDisplayName returns the person's name.
func (h *holder) WebAuthnDisplayName() string { return h.Name }

// WebAuthnCredentials returns the person's passkeys.
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// Question is a challenge to a passkey.
type Question struct {
	Options json.RawMessage // for the browser
	State   string          // for the server only, to verify one answer
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

// AskNew starts the registration of a passkey. It prefers a passkey that stores its
// owner and verifies them, because such a passkey can replace the password.
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

// Register verifies an answer to [Passkeys.AskNew]. It returns the new passkey and the
// handle to find it by, or [ErrPasskey].
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

// Ask starts a sign-in with one of o's passkeys. With verify, the passkey must also
// verify the person, by PIN or fingerprint, and so counts as two factors.
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

// AskAnyone starts a sign-in without a name: the passkey says whose it is, and must
// verify the person.
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

// Check verifies an answer to [Passkeys.Ask] or [Passkeys.AskAnyone]. It returns the
// passkey with its new counter, which the caller stores, and its handle. It returns
// [ErrPasskey] for an answer that can't be verified, and [ErrCloned] with the handle for
// a valid answer of a passkey that may have been copied.
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
	if len(s.UserID) == 0 { // from AskAnyone
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

// OwnerOf returns the id of the person that an answer to [Passkeys.AskAnyone] names. The
// answer is not verified yet.
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
	c.Attestation = webauthn.CredentialAttestation{} // never used again
	text, err := json.Marshal(c)
	if err != nil {
		return "", "", fmt.Errorf("passkey: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(c.ID), string(text), nil
}
