package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// GraphAppID is the application id of Microsoft Graph itself, in every cloud.
const GraphAppID = "00000003-0000-0000-c000-000000000000"

// GraphError returns an error in the format of Microsoft Graph.
func (c *Call) GraphError(status int, code, message string) *Reply {
	return c.graphErrorInner(status, code, message, nil)
}

func (c *Call) graphErrorInner(status int, code, message string, inner odata.Object) *Reply {
	inner = append(inner,
		odata.F("date", c.At.Format("2006-01-02T15:04:05")),
		odata.F("request-id", c.RequestID),
		odata.F("client-request-id", c.ClientRequestID))
	return JSONReply(status, odata.Object{odata.F("error", odata.Object{
		odata.F("code", code), odata.F("message", message), odata.F("innerError", inner),
	})})
}

// ModelFailure returns the 400 for a body that does not fit the service's types. Its inner error
// repeats the message (observed).
func (c *Call) ModelFailure(message string) *Reply {
	return c.graphErrorInner(http.StatusBadRequest, "ModelValidationFailure", message, odata.Object{odata.F("message", message)})
}

// IntuneError returns an error in the format of Intune: JSON inside the message string (recorded).
func (c *Call) IntuneError(status int, code, text string) *Reply {
	return c.GraphError(status, code, c.intuneMessage(text))
}

func (c *Call) intuneMessage(text string) string {
	service := "DeviceConfiguration_2602/StatelessDeviceConfigurationFEService"
	path := c.ResourcePath()
	switch {
	case strings.HasPrefix(path, "deviceManagement/managedDevices"):
		service = "DeviceFE/StatelessDeviceFEService"
	case strings.HasPrefix(path, "deviceAppManagement/"):
		service = "StatelessAppMetadataFEService"
	case strings.HasPrefix(path, "deviceManagement/deviceEnrollmentConfigurations"):
		service = "StatelessEnrollmentFEService"
	}
	m := odata.Object{
		odata.F("_version", 3),
		odata.F("Message", text+" - Operation ID (for customer support): 00000000-0000-0000-0000-000000000000 - Activity ID: "+
			c.RequestID+" - Url: https://fef.msub01.manage.microsoft.com/"+service+"/"+path+"?api-version=5026-01-10"),
		odata.F("CustomApiErrorPhrase", ""),
		odata.F("RetryAfter", nil),
		odata.F("ErrorSourceService", ""),
		odata.F("HttpHeaders", "{}"),
	}
	var b bytes.Buffer
	_ = json.Indent(&b, m.Encode(), "", "  ") // m is valid JSON by construction
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

// ServiceError returns an error in the format of the called service.
func (c *Call) ServiceError(status int, code, message string) *Reply {
	if odata.IsIntune(c.ResourcePath()) {
		return c.IntuneError(status, code, message)
	}
	return c.GraphError(status, code, message)
}

// StsError returns an error of the token service, with trace lines in its description.
func (c *Call) StsError(status int, code string, number int, text string) *Reply {
	correlation := c.ClientRequestID
	at := c.At.Format("2006-01-02 15:04:05Z")
	return JSONReplyUTF8(status, odata.Object{
		odata.F("error", code),
		odata.F("error_description", fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s", number, text, c.RequestID, correlation, at)),
		odata.F("error_codes", []int{number}),
		odata.F("timestamp", at),
		odata.F("trace_id", c.RequestID),
		odata.F("correlation_id", correlation),
		odata.F("error_uri", fmt.Sprintf("%s/error?code=%d", c.Base, number)),
	})
}

// JSONReplyUTF8 is [JSONReply] with the content type of the login service.
func JSONReplyUTF8(status int, v any) *Reply {
	re := JSONReply(status, v)
	re.Header.Set("Content-Type", "application/json; charset=utf-8")
	return re
}

// Unauthorized returns a 401 with the service's WWW-Authenticate header, to which extra is appended.
func (c *Call) Unauthorized(code, message, extra string) *Reply {
	re := c.GraphError(http.StatusUnauthorized, code, message)
	re.Header.Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="", authorization_uri="%s/common/oauth2/authorize", client_id="%s"%s`, c.Base, GraphAppID, extra))
	return re
}

// Challenge returns a 401 that asks for a newer token (continuous access evaluation). azcore
// gets one and retries once.
func (c *Call) Challenge(notBefore int64) *Reply {
	claims := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, notBefore)))
	return c.Unauthorized("InvalidAuthenticationToken",
		"Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp",
		`, error="insufficient_claims", claims="`+claims+`"`)
}

// NoSegment returns the 400 for an unknown path segment.
func (c *Call) NoSegment(name string) *Reply {
	return c.GraphError(http.StatusBadRequest, "BadRequest", "Resource not found for the segment '"+name+"'.")
}

// DirectoryNotFound returns the 404 for a directory object.
func (c *Call) DirectoryNotFound(id string) *Reply {
	return c.GraphError(http.StatusNotFound, "Request_ResourceNotFound",
		"Resource '"+id+"' does not exist or one of its queried reference-property objects are not present.")
}

// QueryError returns the 400 for invalid query options, in the format of the called service.
func (c *Call) QueryError(err error) *Reply {
	var oe *odata.Error
	if !errors.As(err, &oe) {
		return c.GraphError(http.StatusInternalServerError, "InternalServerError", err.Error())
	}
	if odata.IsIntune(c.ResourcePath()) {
		return c.IntuneError(http.StatusBadRequest, "BadRequest", oe.Msg)
	}
	return c.GraphError(http.StatusBadRequest, "BadRequest", oe.Msg)
}

// IdentityNotFound returns the 401 for an app without a service principal in the tenant.
func (c *Call) IdentityNotFound() *Reply {
	return c.GraphError(http.StatusUnauthorized, "Authorization_IdentityNotFound", "The identity of the calling application could not be established.")
}

// Throttled returns the 429 of the called service.
func (c *Call) Throttled() *Reply {
	switch {
	case !c.IsGraph:
		return c.StsError(http.StatusTooManyRequests, "temporarily_unavailable", 90055, "The server is temporarily too busy to handle the request.")
	case odata.IsIntune(c.ResourcePath()):
		return c.IntuneError(http.StatusTooManyRequests, "TooManyRequests", "An error has occurred")
	}
	return c.GraphError(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
}

// SyncStateNotFound returns the 400 for a delta token that is too old.
func (c *Call) SyncStateNotFound() *Reply {
	return c.GraphError(http.StatusBadRequest, "syncStateNotFound", "The sync state generation is not found.")
}

// Resync returns the 410 that makes a client start a full delta round (docs: Location has an
// empty token).
func (c *Call) Resync() *Reply {
	re := c.GraphError(http.StatusGone, "resyncRequired", "Resync required. Replace any local items with the server's version.")
	re.Header.Set("Location", c.Base+"/"+c.Version()+"/groups/delta?$deltatoken=")
	return re
}
