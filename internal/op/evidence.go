package op

import (
	"strconv"
	"strings"
	"time"
)

// Evidence is the provider's answer to one failed call, unchanged: what an operator
// searches for and sends to the provider's support. It is stored with the run, the item
// or the check, and shown to everyone who may see that. It holds no secret, no query
// and no body; each text has a few hundred characters at most.
type Evidence struct {
	Call            string    `json:"call,omitempty"`              // method and path, such as "GET /v1.0/organization"
	Status          int       `json:"status,omitempty"`            // HTTP status; 0: no response
	Code            string    `json:"code,omitempty"`              // the provider's own, such as "AADSTS7000222"
	Text            string    `json:"text,omitempty"`              // the provider's own words
	Note            string    `json:"note,omitempty"`              // what Interlock found wrong with the answer
	RequestID       string    `json:"request_id,omitempty"`        // the provider's id of the call
	ClientRequestID string    `json:"client_request_id,omitempty"` // Interlock's id of the call
	CorrelationID   string    `json:"correlation_id,omitempty"`    // the sign-in service's
	At              time.Time `json:"at"`                          // by the provider's clock, else ours
}

// EvidenceLine is one fact of [Evidence] with its label.
type EvidenceLine struct {
	Label string
	Value string
	Code  bool // an id or a code, to be copied
}

// Lines returns the known facts in reading order.
func (e *Evidence) Lines() []EvidenceLine {
	if e == nil {
		return nil
	}
	var status string
	switch {
	case e.Status != 0:
		status = "HTTP " + strconv.Itoa(e.Status)
	case e.Call != "":
		status = evidenceWords.none
	}
	var at string
	if !e.At.IsZero() {
		at = e.At.UTC().Format(day + ", " + "15:04:05 UTC")
	}
	all := []EvidenceLine{
		{evidenceWords.call, e.Call, true},
		{evidenceWords.status, status, false},
		{evidenceWords.code, e.Code, true},
		{evidenceWords.text, e.Text, false},
		{evidenceWords.note, upperFirst(e.Note), false},
		{evidenceWords.request, e.RequestID, true},
		{evidenceWords.client, e.ClientRequestID, true},
		{evidenceWords.correlation, e.CorrelationID, true},
		{evidenceWords.at, at, false},
	}
	lines := all[:0]
	for _, l := range all {
		if strings.TrimSpace(l.Value) != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// EvidenceTitle is the heading of evidence.
func EvidenceTitle() string { return evidenceWords.title }

// AnswerForm is the form of an answer that is not in the provider's own form.
type AnswerForm string

// The forms. The empty one is the provider's own: JSON with an error in it.
const (
	AnswerPage     AnswerForm = "page"     // HTML, as gateways and proxies send it
	AnswerEmpty    AnswerForm = "empty"    // no body
	AnswerText     AnswerForm = "text"     // neither HTML nor JSON
	AnswerUnusable AnswerForm = "unusable" // JSON of another shape than asked for
)

// answered completes "answered with ...": the status and the form of the body.
func (f filler) answered() string {
	status := clean(f.args["status"])
	if status == "" {
		return ""
	}
	s := "HTTP " + status
	if form, ok := answers[AnswerForm(f.args["answer"])]; ok {
		s += " and " + form
	}
	return s
}

// variant returns the words that replace those of a reason, by the facts that are known.
func variant(code Reason, args Args) text {
	has := func(name string) bool { return clean(args[name]) != "" }
	switch code { //nolint:exhaustive // the others have one wording
	case CredentialExpired:
		if !has("expired_on") && has("provider_said") {
			return expiredSaid
		}
	case PreviewStale:
		return stale[args["stale"]]
	case TargetChanged:
		if has("edited") {
			return targetEdited
		}
	case AccessRefused:
		if !has("provider_message") {
			return accessRefusedSilently
		}
	case SignInRefused:
		switch {
		case !has("provider_message"):
			return signInRefusedSilently
		case !has("provider_code"):
			return signInRefusedUnnumbered
		}
	case ProviderFault:
		if has("fault") && !has("answer") { // the form of the answer says more
			return faultNoted
		}
	case ClockSkew:
		if !has("clock_difference") {
			return skewUnmeasured
		}
	case ProviderThrottled:
		switch {
		case has("retry_at"):
		case has("tries"):
			return throttledTriesUnsaid
		default:
			return throttledUnsaid
		}
	case ItemRefused:
		if !has("provider_message") {
			return itemRefusedSilently
		}
	}
	return text{}
}
