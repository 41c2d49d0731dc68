package graphsim

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// call is one request on its way: what was read from it and what was found out about it.
type call struct {
	*http.Request
	srv             *Server
	at              time.Time
	base            string // scheme and host that the client used: links must lead back to it
	requestID       string
	clientRequestID string
	body            []byte     // decoded; at most maxBody
	form            url.Values // of a login request
	graph           bool       // else the login service
	tenant          *tenant    // nil while unknown
	appID           string     // client id, lower case, "" while unknown
	token           *claims    // of a Graph call; nil when missing or unusable
	tokenErr        error
	empty           bool // a fault asks for an empty page that goes on
	replayed        bool // a fault asks for a delta page that repeats itself
}

// reply is an answer before it is sent. Handlers build it without touching the
// connection, so that no lock is held while an answer is held, delayed or dripped.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// maxBody is the largest request body that is read, before and after decompression.
const maxBody = 4 << 20

var errBodyTooLarge = errors.New("request body over 4 MiB")

func (s *Server) newCall(r *http.Request) *call {
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	c := &call{Request: r, srv: s, at: s.now(), base: scheme + "://" + r.Host, requestID: uuid.NewString()}
	c.clientRequestID = r.Header.Get("client-request-id")
	if c.clientRequestID == "" {
		c.clientRequestID = c.requestID // recorded: equal to request-id when none was sent
	}
	return c
}

// read takes in the body, decompressed: msgraph-sdk-go compresses every body it sends (observed).
func (c *call) read() error {
	body, err := readLimited(c.Body)
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
	c.body = body
	return nil
}

func readLimited(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, errBodyTooLarge
	}
	return body, nil
}

func jsonReply(status int, v any) *reply {
	return &reply{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: rawJSON(v)}
}

func htmlReply(status int, body string) *reply {
	return &reply{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: []byte(body)}
}

func redirectReply(to string) *reply {
	return &reply{status: http.StatusFound, header: http.Header{"Location": {to}}}
}

// entity is a successful Graph answer in the content type of the real service.
func (c *call) entity(body object) *reply {
	level := metadataLevel(c.Header.Get("Accept"))
	h := http.Header{
		"Content-Type":  {"application/json;odata.metadata=" + level + ";odata.streaming=true;IEEE754Compatible=false;charset=utf-8"},
		"Odata-Version": {"4.0"},
	}
	return &reply{status: http.StatusOK, header: h, body: body.encode()}
}

func metadataLevel(accept string) string {
	accept = strings.ToLower(accept)
	for _, level := range []string{"full", "none"} {
		if strings.Contains(accept, "odata.metadata="+level) {
			return level
		}
	}
	return "minimal"
}

// graphError is the error envelope of Microsoft Graph.
func (c *call) graphError(status int, code, message string) *reply {
	return c.graphErrorInner(status, code, message, nil)
}

func (c *call) graphErrorInner(status int, code, message string, inner object) *reply {
	inner = append(inner,
		field{"date", rawJSON(c.at.Format("2006-01-02T15:04:05"))},
		field{"request-id", rawJSON(c.requestID)},
		field{"client-request-id", rawJSON(c.clientRequestID)})
	return jsonReply(status, object{{"error", rawJSON(object{
		{"code", rawJSON(code)}, {"message", rawJSON(message)}, {"innerError", rawJSON(inner)},
	})}})
}

// intuneError wraps the text as Intune's front end does: JSON inside the message string (recorded).
func (c *call) intuneError(status int, code, text string) *reply {
	return c.graphError(status, code, c.intuneMessage(text))
}

func (c *call) intuneMessage(text string) string {
	service := "DeviceConfiguration_2602/StatelessDeviceConfigurationFEService"
	path := c.resourcePath()
	switch {
	case strings.HasPrefix(path, "deviceManagement/managedDevices"):
		service = "DeviceFE/StatelessDeviceFEService"
	case strings.HasPrefix(path, "deviceAppManagement/"):
		service = "StatelessAppMetadataFEService"
	case strings.HasPrefix(path, "deviceManagement/deviceEnrollmentConfigurations"):
		service = "StatelessEnrollmentFEService"
	}
	m := object{
		{"_version", rawJSON(3)},
		{"Message", rawJSON(text + " - Operation ID (for customer support): 00000000-0000-0000-0000-000000000000 - Activity ID: " +
			c.requestID + " - Url: https://fef.msub01.manage.microsoft.com/" + service + "/" + path + "?api-version=5026-01-10")},
		{"CustomApiErrorPhrase", rawJSON("")},
		{"RetryAfter", rawJSON(nil)},
		{"ErrorSourceService", rawJSON("")},
		{"HttpHeaders", rawJSON("{}")},
	}
	var b bytes.Buffer
	_ = json.Indent(&b, m.encode(), "", "  ") // m is valid JSON by construction
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

// serviceError is an error in the form of the service that the call is for.
func (c *call) serviceError(status int, code, message string) *reply {
	if isIntune(c.resourcePath()) {
		return c.intuneError(status, code, message)
	}
	return c.graphError(status, code, message)
}

// resourcePath is the path below the version root, without slashes at its ends.
func (c *call) resourcePath() string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, "/"), "/")
	return strings.Trim(rest, "/")
}

func isIntune(resourcePath string) bool {
	first, _, _ := strings.Cut(resourcePath, "/")
	return strings.EqualFold(first, "deviceManagement") || strings.EqualFold(first, "deviceAppManagement")
}

// finish sets the headers that every answer of the service carries.
func (c *call) finish(re *reply) {
	h := re.header
	if h == nil {
		h = http.Header{}
		re.header = h
	}
	set := func(k, v string) {
		if h.Get(k) == "" {
			h.Set(k, v)
		}
	}
	set("Strict-Transport-Security", "max-age=31536000")
	if c.graph {
		set("Cache-Control", "no-cache")
		set("Vary", "Accept-Encoding")
		set("request-id", c.requestID)
		set("client-request-id", c.clientRequestID)
		set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"West Europe","Slice":"E","Ring":"5","ScaleUnit":"001","RoleInstance":"SIM00000001"}}`)
	} else {
		set("Cache-Control", "no-store, no-cache")
		set("Pragma", "no-cache")
		set("x-ms-request-id", c.requestID)
		if id := c.Header.Get("client-request-id"); id != "" {
			set("client-request-id", id)
		}
	}
	set("Date", c.at.Format(http.TimeFormat))
	set("Content-Length", strconv.Itoa(len(re.body)))
}
