package op

import (
	"strings"
	"time"
)

// Problem is a refusal or a limit that is no answer of the gate: the words of an
// error page, and of a problem document (RFC 9457).
type Problem string

// The problems.
const (
	ProblemForbidden       Problem = "forbidden"              // args: operation, tenant, role, capability
	ProblemNotFound        Problem = "not_found"              // also for what the reader may not see
	ProblemSessionEnded    Problem = "session_ended"          // args: idle
	ProblemFormStale       Problem = "form_stale"             //
	ProblemTooManyStarts   Problem = "too_many_starts"        // args: limit, retry_after
	ProblemKeyReused       Problem = "idempotency_key_reused" // args: fields
	ProblemFault           Problem = "fault"                  // args: reference
	ProblemUpdating        Problem = "updating"               // args: minutes
	ProblemLiveLost        Problem = "live_lost"              // args: last_seen
	ProblemSignedOut       Problem = "signed_out"             // no sign-in, or one that is no longer in force
	ProblemField           Problem = "field"                  // args: field, detail, as FieldError has them
	ProblemTooLarge        Problem = "too_large"              // args: limit, such as "1 MiB"
	ProblemCursor          Problem = "cursor"                 //
	ProblemConflict        Problem = "conflict"               // args: detail
	ProblemUnavailable     Problem = "unavailable"            // args: reference
	ProblemNoAddress       Problem = "address_missing"        // of this server
	ProblemTooManyRequests Problem = "too_many_requests"      // args: retry_after
	ProblemTooManyTries    Problem = "too_many_tries"         // of passwords; args: retry_after
	ProblemNotFresh        Problem = "fresh_sign_in_required" //
	ProblemSessionOnly     Problem = "session_required"       // a token asked for what only a session may
	ProblemSecondFactor    Problem = "second_factor_required" // the password was right
	ProblemFactorMissing   Problem = "second_factor_missing"  // a workspace requires one
	ProblemSignInOver      Problem = "sign_in_over"           // it took too long, or too many tries
	ProblemPasskeyRefused  Problem = "passkey_refused"        // at the sign-in
	ProblemNoPasskeys      Problem = "passkeys_unavailable"   // of this server
	ProblemLink            Problem = "link_unusable"          // a one-time link, whatever is wrong with it
	ProblemJoinRefused     Problem = "join_refused"           // of who accepts an invitation
	ProblemBeyondAccess    Problem = "beyond_your_access"     // args: detail
	ProblemTooManyStreams  Problem = "too_many_streams"       // of a person; args: limit, retry_after
	ProblemCrowded         Problem = "too_many_connections"   // to this server; args: retry_after
	ProblemReconnecting    Problem = "live_reconnecting"      // in the place of live_lost, at first
	ProblemUnreachable     Problem = "unreachable"            // told by a page while its server gives no answer
)

// Words returns what happened, why, and what to do next. args are the facts by
// placeholder; "operation" is a [Kind]. An unknown problem is told as a fault.
func (p Problem) Words(args Args) (title, why, next string) {
	t, ok := problems[p]
	if !ok {
		t = problems[ProblemFault]
	}
	f := filler{args: args}.with(Args{"operation_in": lowerFirst(Kind(args["operation"]).Name())})
	if p == ProblemLiveLost || p == ProblemReconnecting { // its time is told as the line tells it whose place it takes
		if heard := f.time(args["last_seen"], func(t time.Time) string { return Moment(t, time.Time{}) }); heard != "" {
			t.why = strings.Replace(t.why, "{last_seen}", heard, 1)
		}
	}
	return f.fill(t.title), f.fill(t.why), f.fill(t.next)
}
