package op

// Problem is a refusal or a limit that is not an answer of the gate. It has the words
// of an error page and of a problem document (RFC 9457).
type Problem string

// The problems.
const (
	ProblemForbidden       Problem = "forbidden"              // args: operation (of a start only), tenant, role, capability
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
	ProblemConflict        Problem = "conflict"               // args: detail, next
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

// Words returns what happened, why, and what to do next, for programs and for parts of
// a page. args are the facts by placeholder; "operation" is a [Kind]. An unknown
// problem has the words of [ProblemFault].
func (p Problem) Words(args Args) (title, why, next string) { return p.text(args).problem(args) }

// PageWords is [Problem.Words] for a problem that is shown as a page of its own.
func (p Problem) PageWords(args Args) (title, why, next string) {
	return p.text(args).over(pageProblems[p]).problem(args)
}

func (p Problem) text(args Args) text {
	t, ok := problems[p]
	switch {
	case !ok:
		return problems[ProblemFault]
	case p == ProblemForbidden && args["capability"] == "":
		return t.over(forbiddenUnnamed)
	case p == ProblemForbidden && args["operation"] == "":
		return t.over(forbiddenChange)
	case p == ProblemConflict:
		return t.over(text{next: args["next"]})
	}
	return t
}

func (t text) problem(args Args) (title, why, next string) {
	f := filler{args: args}.with(Args{
		"operation_in": lowerFirst(Kind(args["operation"]).Name()), "heard": args["last_seen"], "conflict": args["detail"],
	})
	return f.fill(t.title), f.fill(t.why), f.fill(t.next)
}
