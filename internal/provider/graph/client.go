// Package graph is the Microsoft Graph client: it signs in to a tenant's
// directory as an application, reads and changes objects as raw JSON, and reports
// failed calls by our own reasons.
//
// It consists of azidentity and azcore's pipeline, with one policy of ours at the end
// that every attempt passes, sign-ins and retries included.
package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/outbound"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// Priority tells Graph which calls to serve first when it is busy.
type Priority string

// The priorities. High is for calls that somebody waits for.
const (
	PriorityHigh Priority = "High"
	PriorityLow  Priority = "Low"
)

// Config configures a client. Fields are required unless their comment says otherwise.
type Config struct {
	Endpoints Endpoints
	Directory string // GUID of the directory to sign in to
	ClientID  string // of the application

	// Credential says what the client signs in with: with Secret, which is a client secret,
	// or a certificate with its private key, both PEM; or with the workload identity.
	Credential tenancy.CredentialKind
	Secret     vault.Secret
	// Assertion returns the token of the workload identity, whenever the client signs in. An
	// error is a clause about the token, without a secret. nil: there is no such identity.
	Assertion func(ctx context.Context) (string, error)
	// NoCredential, if set, is why Secret is not: credential_missing or
	// credential_unreadable. Sign-in then fails with it, without a call.
	NoCredential op.Reason

	// HTTP makes the calls. It is a client of package outbound, which follows no redirects
	// and limits the size and the time of every answer.
	HTTP *http.Client
	// Lanes are shared by all clients of a process. nil: the client has its own.
	Lanes *Lanes
	// Before is called before every attempt, sign-ins included. It returns the attempt's
	// deadline. If it returns an error, no attempt is made and the call returns that
	// error. nil: only the context limits attempts.
	Before func(ctx context.Context) (deadline time.Time, err error)
	// Priority of the calls. Empty: the provider's default.
	Priority Priority
	// MaxRetries of one call. 0: 3. Negative: none.
	MaxRetries int
	// MaxWait is the longest wait between two attempts. If the provider asks for a longer
	// one, the call ends with an error that says how long. 0: 20 s.
	MaxWait time.Duration
	// CallTimeout limits one attempt, including its answer. 0: 60 s.
	CallTimeout time.Duration
	// Logger gets a debug line for each attempt and a warning for each failed call, without
	// query or body. nil: no log.
	Logger *slog.Logger
}

// Client reads and changes one tenant through one connection with one version of its
// credential. It caches its token. Each dispatch of a run makes its own client, so that a
// verification never judges by an older token. It is safe for concurrent use.
type Client struct {
	endpoints  Endpoints
	directory  string
	clientID   string
	credential func() (azcore.TokenCredential, error)
	redactor   redactor
	lanes      *Lanes
	before     func(ctx context.Context) (time.Time, error)
	priority   Priority
	retry      policy.RetryOptions
	transport  policy.Transporter
	anonymous  runtime.Pipeline
	log        *slog.Logger

	mu      sync.Mutex
	session *session
	vain    time.Time // start of the first attempt since the last answer; zero: the last attempt was answered
}

var (
	_ provider.Client = (*Client)(nil)
	_ provider.Writer = (*Client)(nil)
)

// New returns a client. It makes no call. Its error names the invalid field. An unusable
// credential is no error here: the sign-in reports it, like a credential that is refused.
func New(cfg Config) (*Client, error) {
	if err := cfg.Endpoints.check(); err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	switch {
	case cfg.HTTP == nil:
		return nil, errors.New("graph: HTTP client is missing")
	case !idShape.MatchString(cfg.Directory):
		return nil, fmt.Errorf("graph: directory %.40q: must be a GUID or a domain", cfg.Directory)
	case !idShape.MatchString(cfg.ClientID):
		return nil, fmt.Errorf("graph: client id %.40q: must be a GUID", cfg.ClientID)
	}
	c := &Client{
		endpoints: cfg.Endpoints,
		directory: cfg.Directory,
		clientID:  cfg.ClientID,
		lanes:     cfg.Lanes,
		priority:  cfg.Priority,
		transport: cfg.HTTP,
		log:       cfg.Logger,
		retry: policy.RetryOptions{
			MaxRetries:    int32(max(-1, min(cmp.Or(cfg.MaxRetries, 3), 10))), //nolint:gosec // bounded
			MaxRetryDelay: cmp.Or(cfg.MaxWait, 20*time.Second),
			StatusCodes: []int{
				http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
				http.StatusServiceUnavailable, http.StatusGatewayTimeout, 509, // bandwidth limit exceeded
			},
		},
	}
	c.retry.RetryDelay = min(800*time.Millisecond, c.retry.MaxRetryDelay/20)
	if c.lanes == nil {
		c.lanes = NewLanes()
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	timeout := cmp.Or(cfg.CallTimeout, time.Minute)
	c.before = func(ctx context.Context) (time.Time, error) {
		latest := time.Now().Add(timeout)
		if cfg.Before == nil {
			return latest, nil
		}
		deadline, err := cfg.Before(ctx)
		if err == nil && deadline.After(latest) {
			deadline = latest
		}
		return deadline, err
	}
	c.anonymous = runtime.NewPipeline("interlock", "v1", runtime.PipelineOptions{}, c.options())
	c.credential = c.credentialOf(cfg)
	return c, nil
}

// idShape matches a GUID or a domain, which need no escaping in a URL.
var idShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$`)

// options returns the options of every pipeline of the client.
func (c *Client) options() *policy.ClientOptions {
	return &policy.ClientOptions{
		Transport:        c.transport,
		Retry:            c.retry,
		Telemetry:        policy.TelemetryOptions{ApplicationID: "interlock"},
		PerRetryPolicies: []policy.Policy{attempt{c}},
	}
}

// service returns the service that u belongs to, and whether u is one of the connection's
// endpoints at all. The sign-in service tells the library where to send the secret; only
// the configured endpoint is accepted. Instance discovery is the one request that all of
// Microsoft's clouds answer at the global endpoint.
func (c *Client) service(u *url.URL) (service, bool) {
	switch at := u.Scheme + "://" + u.Host; {
	case c.reads(u):
		return serviceOf(u), true
	case at == c.endpoints.Login:
		return login, true
	case c.endpoints.microsoft() && at == tenancy.Clouds()[0].Login && u.Path == "/common/discovery/instance":
		return login, true
	default:
		return "", false
	}
}

// reads reports whether u is below one of Graph's two versions. The token is sent nowhere
// else.
func (c *Client) reads(u *url.URL) bool {
	version, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(u.Path), "/"), "/")
	return u.Scheme+"://"+u.Host == c.endpoints.Graph && (version == "v1.0" || version == "beta")
}

// Discover implements [provider.Client].
func (c *Client) Discover(ctx context.Context) error {
	a, err := c.send(ctx, c.anonymous, c.endpoints.Login+"/"+c.directory+"/v2.0/.well-known/openid-configuration")
	if err != nil {
		return err
	}
	var metadata struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := json.Unmarshal(a.text(), &metadata); err != nil || !strings.HasPrefix(metadata.TokenEndpoint, c.endpoints.Login+"/") {
		return c.told(&provider.Error{
			Reason: op.ProviderFault, Call: discovery(c.directory), Status: http.StatusOK, Note: "the sign-in service names a token endpoint elsewhere",
			At: time.Now(), Err: provider.ErrForeignLink,
		})
	}
	return nil
}

// Get implements [provider.Client].
func (c *Client) Get(ctx context.Context, path string) (json.RawMessage, error) {
	return c.read(ctx, path)
}

// Page implements [provider.Client]. A link is sent byte for byte, and only to Graph.
func (c *Client) Page(ctx context.Context, next string) (provider.Page, error) {
	body, err := c.read(ctx, next)
	if err != nil {
		return provider.Page{}, err
	}
	page, err := provider.Result{Path: next, Body: body}.Page()
	var pe *provider.Error
	if errors.As(err, &pe) {
		return provider.Page{}, c.told(pe)
	}
	return page, err
}

// maxLink is the longest link that is followed, in bytes; real ones are under 8 KiB.
const maxLink = 32 << 10

// read gets a path or a link, with a token.
func (c *Client) read(ctx context.Context, path string) ([]byte, error) {
	address, err := c.address(path)
	if err != nil {
		return nil, c.foreign(err)
	}
	a, err := c.signed(ctx, func(p runtime.Pipeline) (*answer, error) { return c.send(ctx, p, address) })
	if err != nil {
		return nil, err
	}
	return a.text(), nil
}

// signed makes a call through a pipeline that signs in. When Graph refuses the token, it
// makes the call once more with a new one.
func (c *Client) signed(ctx context.Context, do func(runtime.Pipeline) (*answer, error)) (*answer, error) {
	s, err := c.signedIn()
	if err != nil {
		return nil, err
	}
	a, err := do(s.pipeline)
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return a, err
	}
	if doubtsToken(pe) && !pe.Doubtful {
		// Only a new sign-in shows whether the token, the consent or the credential is to
		// blame, and the library needs a new credential object for it. A refused sign-in is
		// proof. After a successful one, the provider contradicts itself.
		if s, err = c.signInAnew(s); err != nil {
			return nil, err
		}
		if a, err = do(s.pipeline); !errors.As(err, &pe) {
			return a, err
		}
		if doubtsToken(pe) {
			contradicted(pe)
		}
	}
	return nil, c.explained(ctx, pe)
}

// contradicted notes that Graph refused a token that is new. The provider then contradicts
// itself, and the credential is not to blame.
func contradicted(e *provider.Error) {
	e.Reason, e.Temporary, e.Note = op.ProviderFault, true, "it refused a token that its own sign-in service had just issued"
}

// explained holds a refused access against the token, and returns e.
func (c *Client) explained(ctx context.Context, e *provider.Error) *provider.Error {
	if e.Reason != op.PermissionMissing && e.Reason != op.ConsentMissing && !doubtsToken(e) {
		return e
	}
	token, lost := c.Token(ctx)
	switch {
	case lost != nil:
	case len(token.Roles) == 0:
		// A token without roles means that consent is missing, not one permission.
		e.Reason, e.Proven, e.Temporary, e.Note = op.ConsentMissing, true, false, ""
	default:
		e.Granted = token.Roles
		if e.Reason == op.ConsentMissing { // the token has roles, so there is consent
			e.Reason = op.PermissionMissing
		}
	}
	return e
}

// foreign returns the error of a link that is not followed.
func (c *Client) foreign(err error) error {
	return c.told(&provider.Error{Reason: op.ProviderFault, Note: err.Error(), At: time.Now(), Err: provider.ErrForeignLink})
}

// doubtsToken reports whether Graph refuses the token or the identity in it.
func doubtsToken(e *provider.Error) bool {
	return e.Status == http.StatusUnauthorized && (e.Reason == op.ProviderFault && e.Form != op.AnswerPage && e.Form != op.AnswerText || e.Reason == op.ConsentMissing)
}

// address returns the URL of a path or link. A URL outside Graph is an error.
func (c *Client) address(path string) (string, error) {
	if strings.HasPrefix(path, "/") {
		path = c.endpoints.Graph + path
	}
	u, err := url.Parse(path)
	switch {
	case len(path) > maxLink:
		return "", fmt.Errorf("a link of %d bytes; %d is the limit", len(path), maxLink)
	case err != nil || u.User != nil || u.Opaque != "" || !c.reads(u):
		return "", errors.New("a link leads away from the provider")
	}
	return path, nil
}

// inVersion splits an address below Graph: its version, the rest byte for byte, and the
// service that it belongs to.
func (c *Client) inVersion(address string) (version, rest string, of service) {
	version, rest, _ = strings.Cut(strings.TrimPrefix(address, c.endpoints.Graph+"/"), "/")
	if u, err := url.Parse(address); err == nil {
		of = serviceOf(u)
	}
	return version, "/" + rest, of
}

// send gets the address through a pipeline and returns a successful answer.
func (c *Client) send(ctx context.Context, p runtime.Pipeline, address string) (*answer, error) {
	call := &call{}
	req, err := c.request(ctx, call, http.MethodGet, address)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, p, call, req)
}

// allMembers asks for the values of enumerations that were added after their
// unknownFutureValue. docs: without it, that value comes in their place, and a backup
// would keep the wrong one.
const allMembers = "include-unknown-enum-members"

// request returns a request with the headers that all of the client's requests have.
func (c *Client) request(ctx context.Context, call *call, method, address string) (*policy.Request, error) {
	req, err := runtime.NewRequest(context.WithValue(ctx, callKey{}, call), method, address)
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	req.Raw().Header.Set("Accept", "application/json")
	if !call.writes {
		req.Raw().Header.Set("Prefer", allMembers)
	}
	if c.priority != "" {
		req.Raw().Header.Set("x-ms-throttle-priority", string(c.priority))
	}
	return req, nil
}

// do sends req through a pipeline and returns a successful answer.
func (c *Client) do(ctx context.Context, p runtime.Pipeline, call *call, req *policy.Request) (*answer, error) {
	resp, err := p.Do(req)
	if resp != nil {
		_ = resp.Body.Close() // the attempt has read it
	}
	if err != nil || call.last == nil || call.last.status >= 300 {
		return nil, c.failure(ctx, call, err)
	}
	if call.last.refused {
		return nil, c.told(classify(*call.last))
	}
	return call.last, nil
}

// unanswered returns the error of a call that got no answer, or an unusable one; a is that
// answer, if there is one.
func unanswered(a *answer, err error) *provider.Error {
	e := &provider.Error{Reason: op.ProviderUnreachable, Temporary: true, At: time.Now(), Note: err.Error()}
	if a != nil && a.status != 0 {
		e.Reason, e.Status, e.Form = op.ProviderFault, a.status, formOf(a.body)
		e.At = dateOf(a.header, a.at)
		if a.status < 300 && json.Valid(a.body) { // only a sign-in comes here; the library's error quotes the answer
			e.Note = "it has no usable token"
		}
	}
	var at *url.Error
	if errors.As(err, &at) {
		e.Note = at.Err.Error() // without the address: links contain tokens
	}
	var refused *outbound.Refused
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &at) && at.Timeout():
		e.Note = "no answer in time"
	case errors.Is(err, errNotOurs):
		e.Reason, e.Temporary, e.Err = op.ProviderFault, false, provider.ErrForeignLink
	case errors.As(err, &refused):
		e.Temporary, e.Note, e.Err = false, refused.Error(), refused
		if refused.Rule == outbound.Redirect || refused.Rule == outbound.TooLarge {
			e.Reason = op.ProviderFault // there was an answer, which can't be used
		}
	}
	return e
}

func discovery(directory string) string {
	return provider.CallName(http.MethodGet, "/"+directory+"/v2.0/.well-known/openid-configuration")
}

// Root returns the address of Microsoft Graph, such as "https://graph.microsoft.com".
func (c *Client) Root() string { return c.endpoints.Graph }
