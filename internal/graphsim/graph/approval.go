package graph

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// Multi Admin Approval: a policy of deviceManagement/operationApprovalPolicies guards the writes of
// its policyType, also those of applications (docs). A write that is guarded
//
//   - without the header x-msft-approval-justification is refused with 400 (observed; docs say 403);
//   - with it, in base64, files a request: 412 with the code of the request in x-msft-approval-code
//     (docs; 403 was observed, too);
//   - with x-msft-approval-code of a request that is approved takes effect, if method, path and
//     body are those of the request (docs).
//
// Nobody approves by Graph here: the control API sets the status of the request.

const (
	approvalPolicies = "devicemanagement/operationapprovalpolicies"
	approvalRequests = "devicemanagement/operationapprovalrequests"
	// approvalLife is how long a request waits (docs).
	approvalLife = 3 * 24 * time.Hour
	// maxJustification is the length of a justification in bytes (docs: characters).
	maxJustification = 1024
)

// approval returns the answer to a write that Multi Admin Approval holds up, or nil.
func (w *write) approval() *wire.Reply {
	w.t.Touch()
	w.t.Lock()
	defer w.t.Unlock()
	guards := w.t.Find(estate.Collections[approvalPolicies], &odata.Query{})
	if !slices.ContainsFunc(guards, func(it *estate.Item) bool { return it.Body.Text("policyType") == w.how.guard }) {
		return nil
	}
	refuse := func(text string) *wire.Reply { return w.c.IntuneError(http.StatusBadRequest, "BadRequest", text) }
	if code := w.c.Header.Get("x-msft-approval-code"); code != "" {
		if text := w.approved(code); text != "" {
			return refuse(text)
		}
		return nil
	}
	sent := w.c.Header.Get("x-msft-approval-justification")
	if sent == "" {
		return refuse("Header 'x-msft-approval-justification' is required to request approval")
	}
	justification, err := base64.StdEncoding.DecodeString(sent)
	switch {
	case err != nil: // observed: text that is not base64 is refused; the wording is assumed
		return refuse("Header 'x-msft-approval-justification' must be base64 encoded")
	case len(justification) > maxJustification: // observed
		return refuse("Decoded content of 'x-msft-approval-justification' header must be no greater than 1024 characters")
	}
	code := w.request(string(justification))
	re := w.c.IntuneError(http.StatusPreconditionFailed, "BadRequest",
		"Approval Required. Request Approval using the request ID returned as part of the x-msft-approval-code response header. x-msft-approval-code: "+code)
	re.Header.Set("x-msft-approval-code", code)
	return re
}

// request files a request for approval and returns its id. The caller holds the tenant's lock.
func (w *write) request(justification string) string {
	id := uuid.NewString()
	none := odata.F("user", nil)
	w.t.Commit(estate.Collections[approvalRequests], estate.Draft{
		ID: id,
		Body: odata.Object{
			odata.F("id", id), odata.F("requestDateTime", estate.Stamp(w.c.At)), odata.F("expirationDateTime", estate.Stamp(w.c.At.Add(approvalLife))),
			odata.F("lastModifiedDateTime", estate.Stamp(w.c.At)), odata.F("status", "needsApproval"), odata.F("requestJustification", justification),
			odata.F("approvalJustification", ""), odata.F("requiredOperationApprovalPolicyTypes", []string{w.how.guard}),
			odata.F("requestor", odata.Object{odata.F("application", odata.Object{odata.F("id", w.c.AppID), odata.F("displayName", nil)}), odata.F("device", nil), none}),
			odata.F("approver", odata.Object{odata.F("application", nil), odata.F("device", nil), none}),
		},
		Navs: map[string][]odata.Object{"call": {{odata.F("digest", w.digest())}}}, // no call reads it
	}, time.Time{})
	return id
}

// approved completes the request with an id, or says why it can't. The texts are assumed. The
// caller holds the tenant's lock.
func (w *write) approved(id string) string {
	col := estate.Collections[approvalRequests]
	it := w.t.Latest(col, id)
	if it == nil {
		return "Approval request '" + id + "' does not exist."
	}
	d := w.t.Edit(col, it)
	status := it.Body.Text("status")
	expires, err := time.Parse(time.RFC3339, it.Body.Text("expirationDateTime"))
	switch {
	case err == nil && !w.c.At.Before(expires):
		return "Approval request '" + id + "' has expired."
	case status != "approved":
		return "Approval request '" + id + "' is not approved. Its status is " + status + "."
	case d.Navs["call"][0].Text("digest") != w.digest():
		return "Approval request '" + id + "' is for another operation."
	}
	d.Body = estate.Touched(d.Body.With("status", "completed"), w.c.At)
	w.t.Commit(col, d, time.Time{})
	return ""
}

// digest identifies a call by method, path and body.
func (w *write) digest() string {
	sum := sha256.Sum256([]byte(w.c.Method + " " + w.c.ResourcePath() + "\n" + string(w.c.Payload)))
	return hex.EncodeToString(sum[:])
}
