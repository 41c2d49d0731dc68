package login

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// SignInRefusal is the response to a refused sign-in.
type SignInRefusal struct {
	Number int    `json:"number"` // of the AADSTS code
	Status int    `json:"status"` // HTTP status
	Error  string `json:"error"`  // error code of RFC 6749
	Text   string `json:"text"`   // text of error_description, after the number
}

// signInRefusals holds the numbers whose responses are known. Any other number returns
// 400 invalid_request.
//
// docs: Microsoft Entra authentication and authorization error codes. The status of
// 7000215, 7000222 and 7000229 was observed (401). The others follow RFC 6749: 401 if
// the client could not be authenticated, else 400.
var signInRefusals = func() map[int]SignInRefusal {
	all := make(map[int]SignInRefusal)
	for _, r := range []SignInRefusal{
		{50020, 400, "invalid_grant", "User account '{user}' from identity provider '{idp}' does not exist in tenant '{tenant}' and cannot access the application '{app}' in that tenant."},
		{53003, 400, "invalid_grant", "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
		{65001, 400, "invalid_grant", "The user or administrator has not consented to use the application with ID '{app}'. Send an interactive authorization request for this user and resource."},
		{65004, 400, "consent_required", "The resource owner or authorization server denied the request."},
		{70011, 400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid."},
		{90002, 400, "invalid_tenant", "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."},
		{90033, 503, "temporarily_unavailable", "A transient error has occurred. Please try again."},
		{90055, 429, "temporarily_unavailable", "The server is temporarily too busy to handle the request."},
		{90094, 400, "access_denied", "An administrator of {tenant} has set a policy that prevents you from granting {app} the permissions it is requesting."},
		{500011, 400, "invalid_resource", "The resource principal named https://graph.microsoft.com was not found in the tenant named {tenant}."},
		{650051, 400, "invalid_client", "The application needs access to a service whose service principal is being set up in tenant {tenant}. Try again later."},
		{650052, 400, "invalid_client", "The app needs access to a service that your organization {tenant} has not subscribed to or enabled."},
		{700016, 400, "unauthorized_client", "Application with identifier '{app}' was not found in the directory '{tenant}'."},
		{70021, 401, "invalid_client", "No matching federated identity record found for presented assertion."},
		{700211, 401, "invalid_client", "No matching federated identity record found for presented assertion issuer. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion."},
		{700212, 401, "invalid_client", "No matching federated identity record found for presented assertion audience. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion."},
		{700213, 401, "invalid_client", "No matching federated identity record found for presented assertion subject. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion."},
		{700024, 401, "invalid_client", "Client assertion is not within its valid time range."},
		{700027, 401, "invalid_client", "The certificate with identifier used to sign the client assertion is not registered on application."},
		{900023, 400, "invalid_request", "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."},
		{900144, 400, "invalid_request", "The request body must contain the following parameter: 'scope'."},
		{5000224, 400, "invalid_grant", "We are sorry, this resource is not available."},
		{5000225, 400, "invalid_grant", "This tenant has been blocked due to inactivity. To learn more about tenant lifecycle policies, see https://aka.ms/TenantLifecycle"},
		{7000112, 400, "unauthorized_client", "Application '{app}' is disabled."},
		{7000215, 401, "invalid_client", "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{app}'."},
		{7000218, 401, "invalid_client", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."},
		{7000222, 401, "invalid_client", "The provided client secret keys for app '{app}' are expired."},
		{7000229, 401, "invalid_client", "The client application {app} is missing service principal in the tenant {tenant}. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119"},
	} {
		all[r.Number] = r
	}
	return all
}()

// SignInRefusals returns the refusals whose responses are known, ordered by number.
func SignInRefusals() []SignInRefusal {
	list := make([]SignInRefusal, 0, len(signInRefusals))
	for _, n := range slices.Sorted(maps.Keys(signInRefusals)) {
		list = append(list, signInRefusals[n])
	}
	return list
}

// Refuse returns the response to a sign-in refused with a number. Fields of as that are not
// empty replace the known ones. Without a number the error has none. On the consent page
// the refusal is a redirect, as with the real service.
func (s *Service) Refuse(c *wire.Call, as SignInRefusal) *wire.Reply {
	r, ok := signInRefusals[as.Number]
	if !ok {
		r = SignInRefusal{Number: as.Number, Status: http.StatusBadRequest, Error: "invalid_request", Text: "The request was refused."}
	}
	r.Status = cmp.Or(as.Status, r.Status)
	r.Error = cmp.Or(as.Error, r.Error)
	r.Text = cmp.Or(as.Text, r.Text)
	tenant := ""
	if c.Tenant != nil {
		tenant = c.Tenant.ID
	}
	r.Text = strings.NewReplacer("{app}", c.AppID, "{tenant}", tenant, "{user}", "someone@elsewhere.example", "{idp}", "https://sts.windows.net/elsewhere/").Replace(r.Text)
	if strings.HasSuffix(strings.ToLower(c.URL.Path), "adminconsent") {
		_, _, back, re := s.registration(c)
		if re != nil {
			return re
		}
		out := url.Values{"error": {r.Error}, "error_description": {r.Text}, "state": {c.URL.Query().Get("state")}}
		if r.Number != 0 {
			out.Set("error_description", fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s", r.Number, r.Text, c.RequestID, c.ClientRequestID))
			out.Set("error_subcode", fmt.Sprint(r.Number))
		}
		return backTo(back, out)
	}
	if r.Number == 0 {
		return wire.JSONReplyUTF8(r.Status, odata.Object{odata.F("error", r.Error), odata.F("error_description", r.Text)})
	}
	return c.StsError(r.Status, r.Error, r.Number, r.Text)
}
