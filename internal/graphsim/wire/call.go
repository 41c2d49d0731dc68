// Package wire represents one call to the simulator: the request with what is known about
// it, the response before it is sent, and the error formats of Microsoft Graph, Intune and
// the login service.
package wire

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// Call is a request with what is known about it.
type Call struct {
	*http.Request
	sealer          odata.Sealer // for page links and delta links
	At              time.Time    // of the simulated clock
	Began           time.Time    // of the real clock, from which delays count
	Base            string       // scheme and host that the client used; links use them too
	RequestID       string
	ClientRequestID string
	Payload         []byte         // the body, decompressed; at most [MaxBody] bytes
	Params          url.Values     // of a login request: query and form values
	IsGraph         bool           // false: the login service
	Tenant          *estate.Tenant // nil while unknown
	AppID           string         // client id, lower case, "" while unknown
	Token           *Claims        // of a Graph call; nil when missing or unusable
	TokenErr        error
	Empty           bool // a fault makes this page empty, with a next link
	Replayed        bool // a fault makes this delta page repeat an object
	Discard         bool // a fault makes this write change nothing, although its response says that it did
}

// Reply is a response before it is sent. Handlers build it without using the
// connection, so that no lock is held while a response is held, delayed or dripped.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// MaxBody is the largest request body in bytes, before and after decompression.
const MaxBody = 4 << 20

// ErrBodyTooLarge is returned by [Call.Read] for a body over the limit.
var ErrBodyTooLarge = errors.New("request body over 4 MiB")

// NewCall returns the call of a request that arrived at the given time.
func NewCall(r *http.Request, at time.Time, seal odata.Sealer) *Call {
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	c := &Call{Request: r, sealer: seal, At: at, Began: time.Now(), Base: scheme + "://" + r.Host, RequestID: uuid.NewString()}
	c.ClientRequestID = r.Header.Get("client-request-id")
	if c.ClientRequestID == "" {
		c.ClientRequestID = c.RequestID // recorded: equal to request-id when none was sent
	}
	return c
}

// Read reads and decompresses the body: msgraph-sdk-go compresses every body (observed).
func (c *Call) Read() error {
	body, err := readLimited(c.Request.Body)
	if err != nil {
		return err
	}
	if strings.EqualFold(c.Header.Get("Content-Encoding"), "gzip") && len(body) > 0 {
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("gzip body: %w", err)
		}
		if body, err = readLimited(zr); err != nil {
			return err
		}
	}
	c.Payload = body
	return nil
}

func readLimited(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, ErrBodyTooLarge
	}
	return body, nil
}

// JSONReply returns a response with v as JSON.
func JSONReply(status int, v any) *Reply {
	return &Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: odata.Raw(v)}
}

// HTMLReply returns a response with a web page.
func HTMLReply(status int, body string) *Reply {
	return &Reply{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: []byte(body)}
}

// RedirectReply returns a redirect (302) to a URL.
func RedirectReply(to string) *Reply {
	return &Reply{Status: http.StatusFound, Header: http.Header{"Location": {to}}}
}

// Entity returns a successful Graph response with the content type of the real service.
func (c *Call) Entity(body odata.Object) *Reply {
	level := MetadataLevel(c.Header.Get("Accept"))
	h := http.Header{
		"Content-Type":  {"application/json;odata.metadata=" + level + ";odata.streaming=true;IEEE754Compatible=false;charset=utf-8"},
		"Odata-Version": {"4.0"},
	}
	return &Reply{Status: http.StatusOK, Header: h, Body: body.Encode()}
}

// MetadataLevel returns the OData metadata level of an Accept header: minimal, full or none.
func MetadataLevel(accept string) string {
	accept = strings.ToLower(accept)
	for _, level := range []string{"full", "none"} {
		if strings.Contains(accept, "odata.metadata="+level) {
			return level
		}
	}
	return "minimal"
}

// ResourcePath returns the path below the version, without leading or trailing slashes.
func (c *Call) ResourcePath() string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	return strings.Trim(rest, "/")
}

// Finish sets the headers of every response of the service.
func (c *Call) Finish(re *Reply) {
	h := re.Header
	if h == nil {
		h = http.Header{}
		re.Header = h
	}
	set := func(k, v string) {
		if h.Get(k) == "" {
			h.Set(k, v)
		}
	}
	set("Strict-Transport-Security", "max-age=31536000")
	if c.IsGraph {
		set("Cache-Control", "no-cache")
		set("Vary", "Accept-Encoding")
		set("request-id", c.RequestID)
		set("client-request-id", c.ClientRequestID)
		set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"West Europe","Slice":"E","Ring":"5","ScaleUnit":"001","RoleInstance":"SIM00000001"}}`)
	} else {
		set("Cache-Control", "no-store, no-cache")
		set("Pragma", "no-cache")
		set("x-ms-request-id", c.RequestID)
		if id := c.Header.Get("client-request-id"); id != "" {
			set("client-request-id", id)
		}
	}
	set("Date", c.At.Format(http.TimeFormat))
	set("Content-Length", strconv.Itoa(len(re.Body)))
}

// Open opens a page token. It must belong to the call's tenant and to path.
func (c *Call) Open(token, kind, path string) (odata.Cursor, error) {
	cur, err := c.sealer.OpenCursor(token)
	if err != nil {
		return cur, err
	}
	if cur.Kind != kind || cur.Tenant != c.Tenant.ID || !strings.EqualFold(cur.Path, path) {
		return cur, odata.ErrToken
	}
	return cur, nil
}

// Seal returns a page token for the call's tenant.
func (c *Call) Seal(cur odata.Cursor) string {
	cur.Tenant, cur.At = c.Tenant.ID, c.At.Unix()
	return c.sealer.SealCursor(cur)
}

// Link returns a page link: the URL of the call with other query options.
func (c *Call) Link(options url.Values, last, value string) string {
	return odata.PageLink(c.Base+c.URL.EscapedPath(), options, last, value)
}

// Version returns the API version of the call, in lower case.
func (c *Call) Version() string {
	first, _, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	return strings.ToLower(first)
}

// ContextURL returns the @odata.context of a list. It names the selected properties (recorded).
func (c *Call) ContextURL(path string, q *odata.Query) string {
	ctx := c.Base + "/" + c.Version() + "/$metadata#" + path
	if sel := q.Raw.Get("$select"); sel != "" || len(q.Expand) > 0 {
		var parts []string
		if sel != "" {
			parts = append(parts, sel)
		}
		for _, e := range q.Expand {
			parts = append(parts, e.Name+"()")
		}
		ctx += "(" + strings.Join(parts, ",") + ")"
	}
	return ctx
}
