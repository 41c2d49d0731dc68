// Package wire is one call on its way through the simulator: what was read from the
// request and found out about it, the answer before it is sent, and the error forms of
// Microsoft Graph, Intune and the login service.
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

// Call is one request on its way: what was read from it and what was found out about it.
type Call struct {
	*http.Request
	sealer          odata.Sealer // of page links and delta links
	At              time.Time
	Base            string // scheme and host that the client used: links must lead back to it
	RequestID       string
	ClientRequestID string
	Payload         []byte         // the body, decompressed; at most maxBody
	Params          url.Values     // of a login request: from its address and its form
	IsGraph         bool           // else the login service
	Tenant          *estate.Tenant // nil while unknown
	AppID           string         // client id, lower case, "" while unknown
	Token           *Claims        // of a Graph call; nil when missing or unusable
	TokenErr        error
	Empty           bool // a fault asks for an empty page that goes on
	Replayed        bool // a fault asks for a delta page that repeats itself
}

// Reply is an answer before it is sent. Handlers build it without touching the
// connection, so that no lock is held while an answer is held, delayed or dripped.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// MaxBody is the largest request body that is read, before and after decompression.
const MaxBody = 4 << 20

// ErrBodyTooLarge is returned by [Call.Read] for a body over the limit.
var ErrBodyTooLarge = errors.New("request body over 4 MiB")

// NewCall begins a call that arrived at a time.
func NewCall(r *http.Request, at time.Time, seal odata.Sealer) *Call {
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	c := &Call{Request: r, sealer: seal, At: at, Base: scheme + "://" + r.Host, RequestID: uuid.NewString()}
	c.ClientRequestID = r.Header.Get("client-request-id")
	if c.ClientRequestID == "" {
		c.ClientRequestID = c.RequestID // recorded: equal to request-id when none was sent
	}
	return c
}

// Read takes in the body, decompressed: msgraph-sdk-go compresses every body it sends (observed).
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

// JSONReply answers with v as JSON.
func JSONReply(status int, v any) *Reply {
	return &Reply{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: odata.Raw(v)}
}

// HTMLReply answers with a web page.
func HTMLReply(status int, body string) *Reply {
	return &Reply{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: []byte(body)}
}

// RedirectReply sends the client to an address.
func RedirectReply(to string) *Reply {
	return &Reply{Status: http.StatusFound, Header: http.Header{"Location": {to}}}
}

// Entity is a successful Graph answer in the content type of the real service.
func (c *Call) Entity(body odata.Object) *Reply {
	level := MetadataLevel(c.Header.Get("Accept"))
	h := http.Header{
		"Content-Type":  {"application/json;odata.metadata=" + level + ";odata.streaming=true;IEEE754Compatible=false;charset=utf-8"},
		"Odata-Version": {"4.0"},
	}
	return &Reply{Status: http.StatusOK, Header: h, Body: body.Encode()}
}

// MetadataLevel is the level of OData metadata that an Accept header asks for: minimal, full or none.
func MetadataLevel(accept string) string {
	accept = strings.ToLower(accept)
	for _, level := range []string{"full", "none"} {
		if strings.Contains(accept, "odata.metadata="+level) {
			return level
		}
	}
	return "minimal"
}

// ResourcePath is the path below the version root, without slashes at its ends.
func (c *Call) ResourcePath() string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	return strings.Trim(rest, "/")
}

// Finish sets the headers that every answer of the service carries.
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

// Open reads a token that must belong to this call's tenant and path.
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

// Seal makes a token for the same tenant and path.
func (c *Call) Seal(cur odata.Cursor) string {
	cur.Tenant, cur.At = c.Tenant.ID, c.At.Unix()
	return c.sealer.SealCursor(cur)
}

// Link builds a page link: the address of this call with some options replaced.
func (c *Call) Link(options url.Values, last, value string) string {
	return odata.PageLink(c.Base+c.URL.EscapedPath(), options, last, value)
}

// Version is the API version of the call as the service writes it.
func (c *Call) Version() string {
	first, _, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	return strings.ToLower(first)
}

// ContextURL is the @odata.context of a list: it names the fields that were selected (recorded).
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
