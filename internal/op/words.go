package op

import "cmp"

// text is one entry of the vocabulary, slot by slot. Braces are placeholders,
// which filler fills.
type text struct {
	label  string // tag of an answer, pill of a run
	title  string // did it start, or how did it end: 60 characters at most
	reason string // the cause, in two to five words
	one    string // reason, when its number is 1
	why    string
	oneWhy string // why, when the number of the reason is 1
	next   string
	queued string // of an answer: what is in line because of it
	action action
	who    string // whom to ask when the reader may not mend it; empty: any reader may
}

// action is the one thing that an entry offers to do.
type action struct {
	label string
	to    page
}

// over returns t with every slot that o fills.
func (t text) over(o text) text {
	return text{
		label:  cmp.Or(o.label, t.label),
		title:  cmp.Or(o.title, t.title),
		reason: cmp.Or(o.reason, t.reason),
		one:    cmp.Or(o.one, t.one),
		why:    cmp.Or(o.why, t.why),
		oneWhy: cmp.Or(o.oneWhy, t.oneWhy),
		next:   cmp.Or(o.next, t.next),
		queued: cmp.Or(o.queued, t.queued),
		action: cmp.Or(o.action, t.action),
		who:    cmp.Or(o.who, t.who),
	}
}

// Simulated stands on every page of a server whose provider is simulated.
const Simulated = "Simulated Microsoft 365. Nothing here reaches a real tenant."

const (
	// ask stands in for an action that the reader may not take.
	ask = "Ask {who}."
	// you is who mends what the reader may mend.
	you = "you"
	// anOperator mends what anybody may mend who can start operations.
	anOperator = "an operator"
)

// outcomes are the four answers of the gate. Reason, why and next of a blocked
// answer come from its first blocker.
var outcomes = map[Outcome]text{
	Accepted: {
		label:  "Accepted",
		title:  "{operation} is queued",
		reason: "All checks passed",
		why:    "Run {run} is in line on {connection} and starts by itself.",
		next:   "Follow run {run}. We notify you when it ends.",
		queued: "Run {run}",
		action: action{"Open run {run}", toRun},
	},
	Deduped: {
		label:  "Already running",
		title:  "{operation} is already running",
		reason: "Same operation is active",
		why:    "{starter} started it on {connection} {started_ago}. Your start joined run {run}. Nothing new was queued.",
		next:   "Follow run {run}. Start again after it ends if you still need to.",
		queued: "Nothing new",
		action: action{"Open run {run}", toRun},
	},
	ScopeBusy: {
		label:  "Connection busy",
		title:  "{operation} did not start",
		reason: "Connection is in use",
		why:    "{other_operation} is using {connection} (run {other_run}, {started_ago}). Only one operation can use a connection at a time. Nothing was queued.",
		next:   "Start again when run {other_run} ends.",
		queued: "Nothing",
		action: action{"Open run {other_run}", toOtherRun},
	},
	Blocked: {
		label:  "Blocked",
		title:  "{operation} did not start",
		queued: "Nothing",
	},
}

// Variants of the answers, laid over the outcome's own words.
var (
	// dedupedQueued: the active run has not begun yet.
	dedupedQueued = text{
		title: "{operation} is already queued",
		next:  "Follow run {run}.",
	}
	// dedupedYours: the reader started the active run.
	dedupedYours = text{
		why:  "You started it on {connection} {started_ago}. Your start joined run {run}. Nothing new was queued.",
		next: "Follow run {run}.",
	}
	// replayed: the same press arrived twice.
	replayed = text{
		reason: "Start was already received",
		why:    "This answers your first press at {checked_at}. Run {run} is now {run_state}. Nothing new was queued.",
		next:   "Follow run {run}.",
		queued: "Nothing new", // because of this press
	}
	// targetEdited: it is the connection that the page showed, but no longer the
	// same version of it.
	targetEdited = text{
		why: "{connection} was edited after the page was loaded. Nothing was queued.",
	}
	// busyWaiting: the run that holds the connection waits for the provider.
	busyWaiting = text{
		why:  "{other_operation} (run {other_run}) holds {connection} and waits for {provider} until {until}. Only one operation can use a connection at a time. Nothing was queued.",
		next: "Start again when run {other_run} ends, which is after {until}.",
	}
	// dedupedWaiting: the active run waits for the provider.
	dedupedWaiting = text{
		why: "Run {run} on {connection} waits for {provider} until {until}, then continues. Your start joined it. Nothing new was queued.",
	}
	// busyHidden: the reader may not open the run that holds the connection.
	busyHidden = text{
		why:  "Another operation is using {connection}. Only one operation can use a connection at a time. Nothing was queued.",
		next: "Start again in a few minutes.",
	}
)

// busy are the reasons of a scope_busy answer, laid over the outcome's own words.
var busy = map[Reason]text{
	OtherOperationActive: {},
	SameOperationDifferentParameters: {
		reason: "Running with other choices",
		why:    "Run {other_run} does the same on {connection}, but with other choices: {differences}. Nothing was queued.",
		next:   "Start again when run {other_run} ends.",
	},
	HolderCancelling: {
		reason: "Run is stopping",
		why:    "{other_operation} on {connection} is being cancelled (run {other_run}). Nothing was queued.",
		next:   "Start again in a moment.",
	},
	HolderStalled: {
		reason: "Run makes no progress",
		why:    "{other_operation} holds {connection}, but run {other_run} made no progress since {last_seen}. Nothing was queued.",
		next:   "Open run {other_run}. Someone with the capability can release the connection.",
	},
	ScopeQuarantined: {
		reason: "Connection is being released",
		why:    "Run {other_run} stopped responding. {connection} is free again at {release_at}. Nothing was queued.",
		next:   "Start again after {release_at}.",
	},
	ScopeInconsistent: {
		reason: "State is unclear",
		why:    "Interlock cannot tell whether {connection} is free. To be safe, nothing was queued. It is being repaired.",
		next:   "Start again in a few minutes. If it happens twice, send the reference {reference} to support.",
	},
}

// blockers are why a start is blocked, in the order in which the gate reports them.
var blockers = map[Reason]text{
	ConnectionMissing: {
		reason: "No connection yet",
		why:    "{tenant} has no provider connection. Nothing was queued.",
		next:   "Add a connection, verify it, then start again.",
		action: action{"Add connection", toConnectionNew},
		who:    "a workspace owner",
	},
	ConnectionDefaultMissing: {
		reason: "No default connection",
		why:    "{tenant} has {count} connections, and none is the default. Interlock does not guess. Nothing was queued.",
		oneWhy: "{tenant} has 1 connection, and it is not the default. Interlock does not guess. Nothing was queued.",
		next:   "Set a default connection, or start from the connection you want.",
		action: action{"Choose default", toConnections},
		who:    "a workspace owner",
	},
	ConnectionDisabled: {
		reason: "Connection is disabled",
		why:    "{actor} disabled {connection} on {disabled_on}. Nothing was queued.",
		next:   "Enable the connection, then start again.",
		action: action{"Open connection", toConnection},
		who:    "a workspace owner",
	},
	TargetChanged: {
		reason: "Connection changed meanwhile",
		why:    "The page showed {shown_connection}. The start would now use {connection}. Nothing was queued.",
		next:   "Check the connection, then start again.",
		action: action{"Reload page", toReload},
	},
	TenantArchived: {
		reason: "Tenant is archived",
		why:    "{tenant} was archived on {archived_on}. Archived tenants are read-only. Nothing was queued.",
		next:   "Restore the tenant from the archive, then start again.",
		action: action{"Open tenant settings", toTenantSettings},
		who:    "a workspace owner",
	},
	TenantNotActive: {
		reason: "Onboarding is not finished",
		why:    "{tenant} is at step {step} of onboarding. Nothing was queued.",
		next:   "Finish onboarding, then start again.",
		action: action{"Continue onboarding", toOnboarding},
		who:    "{owner}",
	},
	TenantMismatch: {
		reason: "Connection points elsewhere",
		why:    "{connection} signs in to directory {actual_directory}, but {tenant} is directory {expected_directory}. Nothing was queued.",
		next:   "Reconnect with an account of {tenant}.",
		action: action{"Reconnect", toConnectionReconnect},
		who:    "a workspace owner",
	},
	CredentialMissing: {
		reason: "No credential saved",
		why:    "{connection} has no certificate or secret. Nothing was queued.",
		next:   "Add a credential to the connection, then start again.",
		action: action{"Add credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CredentialExpired: {
		reason: "Credential has expired",
		why:    "The {credential_kind} of {connection} expired on {expired_on}. Nothing was queued.",
		next:   "Add a new credential, then start again.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CredentialUnreadable: {
		reason: "Credential cannot be read",
		why:    "Interlock cannot decrypt the {credential_kind} of {connection}. Nothing was queued.",
		next:   "Add the credential again, then start.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CredentialInvalid: {
		reason: "Credential was refused",
		why:    "{provider} refused the {credential_kind} of {connection} at {checked_at}. It may have been replaced or deleted. Nothing was queued.",
		next:   "Add a new credential, then start again.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CertificateNotRegistered: {
		reason: "Certificate is not registered",
		why:    "The application of {connection} does not have this certificate in Microsoft Entra. Nothing was queued.",
		next:   "Upload the certificate to the application, or save another credential. Then verify the connection.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	ApplicationDisabled: {
		reason: "Application is disabled",
		why:    "The application of {connection} is disabled in the directory of {tenant}. Nothing was queued.",
		next:   "Ask an administrator of {tenant} to enable it, then verify the connection.",
		action: action{"Verify connection", toConnectionVerify},
		who:    "an administrator of {tenant}",
	},
	SignInBlocked: {
		reason: "Sign-in is blocked by policy",
		why:    "A conditional access policy of {tenant} blocks the sign-in of {connection}. Nothing was queued.",
		next:   "Ask an administrator of {tenant} to exclude the application from the policy, then verify the connection.",
		action: action{"Verify connection", toConnectionVerify},
		who:    "an administrator of {tenant}",
	},
	ResourceNotFound: {
		reason: "Service not found in directory",
		why:    "The directory of {connection} does not have {provider} as it exists in the chosen cloud. Nothing was queued.",
		next:   "Check the cloud and the directory of the connection, then verify it.",
		action: action{"Edit connection", toConnectionReconnect},
		who:    "a workspace owner",
	},
	DirectoryNotFound: {
		reason: "Directory was not found",
		why:    "{provider} has no directory {expected_directory} in the chosen cloud. Nothing was queued.",
		next:   "Check the directory ID and the cloud of the connection, then verify it.",
		action: action{"Edit connection", toConnectionReconnect},
		who:    "a workspace owner",
	},
	DirectoryUnavailable: {
		reason: "Directory is blocked or deleted",
		why:    "{provider} reports that directory {expected_directory} is blocked or deleted. Nothing was queued.",
		next:   "Ask an administrator of {tenant} to restore it, then verify the connection.",
		action: action{"Verify connection", toConnectionVerify},
		who:    "an administrator of {tenant}",
	},
	ConsentMissing: {
		reason: "Admin consent is missing",
		why:    "No administrator of {tenant} has approved Interlock for {connection} yet. Nothing was queued.",
		next:   "Ask an administrator of {tenant} to grant consent, then verify the connection.",
		action: action{"Grant admin consent", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	ConsentPending: {
		reason: "Consent is not finished",
		why:    "The consent link for {connection} was opened on {opened_on} but not completed. Nothing was queued.",
		next:   "Finish the consent, then verify the connection.",
		action: action{"Continue consent", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	ConsentRevoked: {
		reason: "Admin consent was withdrawn",
		why:    "{provider} reports that consent for {connection} was withdrawn on {revoked_on}. Nothing was queued.",
		next:   "Ask an administrator of {tenant} to grant consent again.",
		action: action{"Grant admin consent", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	PermissionMissing: {
		reason: "{count} permissions are missing",
		one:    "1 permission is missing",
		why:    "{operation} needs permissions that {connection} does not have: {permissions}. Nothing was queued.",
		next:   "Ask an administrator of {tenant} to grant them, then verify the connection.",
		action: action{"Grant permissions", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	VerificationMissing: {
		reason: "Connection was never verified",
		why:    "{connection} has not been verified yet. Nothing was queued.",
		next:   "Verify the connection, then start again.",
		action: action{"Verify connection", toConnectionVerify},
		who:    anOperator,
	},
	VerificationFailed: {
		reason: "Last verification failed",
		why:    "Verification of {connection} failed {verified_ago}: {verification_reason}. Nothing was queued.",
		next:   "Fix the cause, verify again, then start.",
		action: action{"Open verification", toVerification},
		who:    anOperator,
	},
	VerificationStale: {
		reason: "Verification is too old",
		why:    "{connection} was last verified on {verified_on}. {operation} needs a verification from the last {max_age}. Nothing was queued.",
		next:   "Verify the connection, then start again.",
		action: action{"Verify connection", toConnectionVerify},
		who:    anOperator,
	},
	PrecheckUnavailable: {
		reason: "Checks could not finish",
		why:    "Interlock could not finish the checks for this start. To be safe, nothing was queued.",
		next:   "Start again. If it happens twice, send the reference {reference} to support.",
		action: action{"Start again", toRetry},
	},
}

// unknownBlocker stands in for a blocker that this version has no words for.
var unknownBlocker = text{
	reason: "Start is not possible now",
	why:    "Interlock did not start it for a reason this version has no words for: {code}. Nothing was queued.",
	next:   "Open the connection. If nothing is marked there, send the reference {reference} to support.",
	action: action{"Open connection", toConnection},
	who:    "a workspace owner",
}

// states are the runs on their way.
var states = map[State]text{
	Queued: {
		label:  "Queued",
		title:  "{operation} is queued",
		reason: "In line",
		why:    "It starts by itself when a place is free.",
		next:   "Nothing is needed.",
	},
	Running: {
		label:  "Running",
		title:  "{operation} is running",
		reason: "In progress",
		why:    "{done} of {total} items are done.",
		next:   "Nothing is needed.",
	},
	Cancelling: {
		label:  "Stopping",
		title:  "{operation} is stopping",
		reason: "{actor} asked to cancel",
		why:    "The current item finishes first.",
		next:   "Nothing is needed.",
	},
}

// endings are the finished runs. Reason, why and next of a failed or a blocked one
// come from its cause.
var endings = map[RunOutcome]text{
	RunSucceeded: {
		label:  "Succeeded",
		title:  "{operation} succeeded",
		reason: "Everything is done",
		why:    "{total} of {total} items.",
		next:   "Nothing is needed.",
	},
	RunPartial: {
		label:  "Partly succeeded",
		title:  "{operation} partly succeeded",
		reason: "{failed} items failed",
		one:    "1 item failed",
		why:    "{done} of {total} items are done. Each failed item shows its own reason.",
		next:   "Review the failed items, then start again for those.",
	},
	RunFailed: {
		label: "Failed",
		title: "{operation} failed",
	},
	RunBlocked: {
		label: "Blocked before run",
		title: "{operation} was blocked before it ran",
	},
	RunCancelled: {
		label:  "Cancelled",
		title:  "{operation} was cancelled",
		reason: "Cancelled by {actor}",
		why:    "{done} of {total} items were done by then. Finished items stay as they are.",
		next:   "Start again when you are ready.",
	},
	RunLost: {
		label:  "Stopped responding",
		title:  "{operation} stopped responding",
		reason: "No update since {last_seen}",
		why:    "{done} of {total} items were done by then. Interlock released the connection.",
		next:   "Check the finished items, then start again.",
	},
}

// Variants of the states of a run.
var (
	// stalled: it holds its connection and answers, but makes no progress.
	stalled = text{
		label:  "No progress",
		title:  "{operation} makes no progress",
		reason: "No progress since {last_seen}",
		why:    "The run still answers. {done} of {total} items are done. It holds {connection}.",
		next:   "Wait, or release the connection if you have the capability.",
	}
	// succeededEmpty: the tenant has nothing of what was asked for.
	succeededEmpty = text{
		reason: "Nothing to read",
		why:    "{tenant} has nothing of what was asked for.",
	}
	// cancelledInLine: it had not begun.
	cancelledInLine = text{
		why: "It had not begun. Nothing was changed in the tenant.",
	}
	// released: a person took the connection away from it.
	released = text{
		reason: "Released by {actor}",
		why:    "{actor} released the connection: “{note}”. {done} of {total} items were done by then.",
	}
)

// stopped are the reasons that only the check before the run can find. It can
// also find every blocker.
var stopped = map[Reason]text{
	AuthorizationLost: {
		reason: "Starter lost access",
		why:    "{starter} no longer had access to run this in {tenant} when its turn came. Nothing was changed in the tenant.",
		next:   "Ask someone with the capability to start it again.",
		action: action{"Open members", toMembers},
	},
	ConnectionChanged: {
		reason: "Connection changed",
		why:    "The run was accepted for {connection}. That connection was changed on {changed_at}, before the run began. Nothing was changed in the tenant.",
		next:   "Check the connection, then start again.",
		action: action{"Open connection", toConnection},
	},
	ConnectionRemoved: {
		reason: "Connection was removed",
		why:    "{actor} removed {connection} before the run began. Nothing was changed in the tenant.",
		next:   "Choose another connection, then start again.",
		action: action{"Open connections", toConnections},
	},
	ExpiredInQueue: {
		reason: "Waited too long",
		why:    "The run was in line for {waited}. This operation may wait {limit} at most. Nothing was changed in the tenant.",
		next:   "Start again.",
		action: action{"Start again", toRetry},
	},
}

// discontinued are why a run that has changed something did not continue when its turn
// came again.
var discontinued = map[Reason]text{
	AuthorizationLost: {
		reason: "Starter lost access",
		why:    "{starter} no longer has access to run this in {tenant}, so the run did not continue. {done} of {total} items were done by then.",
		next:   "Ask someone with the capability to start it again.",
		action: action{"Open members", toMembers},
	},
	ConnectionChanged: {
		reason: "Connection changed",
		why:    "{connection} was changed on {changed_at}, so the run did not continue. {done} of {total} items were done by then.",
		next:   "Check the connection, then start again.",
		action: action{"Open connection", toConnection},
	},
	ConnectionRemoved: {
		reason: "Connection was removed",
		why:    "{actor} removed {connection}, so the run did not continue. {done} of {total} items were done by then.",
		next:   "Choose another connection, then start again.",
		action: action{"Open connections", toConnections},
	},
	ExpiredInQueue: {
		reason: "Waited too long",
		why:    "The run waited longer than {limit} to continue. {done} of {total} items were done by then.",
		next:   "Start again.",
		action: action{"Start again", toRetry},
	},
}

// failures are why a run failed.
var failures = map[Reason]text{
	ProviderUnreachable: {
		reason: "{provider} cannot be reached",
		why:    "{provider} gave no answer for {duration}. {done} of {total} items were done by then.",
		next:   "Start again when {provider} is reachable.",
		action: action{"Start again", toRetry},
	},
	ProviderFault: {
		reason: "{provider} answered with a fault",
		why:    "{provider} answered a request with {answered}. {done} of {total} items were done by then.",
		next:   "Start again in a few minutes. If it continues, check the {provider} status page.",
		action: action{"Start again", toRetry},
	},
	AccessRefused: {
		reason: "{provider} refused access",
		why:    "{provider} refused access although {connection} has {permissions}. It said: “{provider_message}”. {done} of {total} items were done by then.",
		next:   "Ask an administrator of {tenant} whether a policy limits the application, then start again.",
		action: action{"Open connection", toConnection},
		who:    "an administrator of {tenant}",
	},
	SignInRefused: {
		reason: "Sign-in was refused",
		why:    "{provider} refused the sign-in of {connection} with {provider_code} and said: “{provider_message}”. {done} of {total} items were done by then.",
		next:   "Look up the code, mend what it names, then verify the connection.",
		action: action{"Open connection", toConnection},
		who:    "a workspace owner",
	},
	ConsentSettling: {
		reason: "Consent is not active yet",
		why:    "{provider} is still setting up the consent for {connection}. {done} of {total} items were done by then.",
		next:   "Start again in a minute.",
		action: action{"Start again", toRetry},
	},
	ClockSkew: {
		reason: "Clocks differ",
		why:    "The clock of this server differs from the clock of {provider} by {clock_difference}. A certificate cannot sign in until both agree. {done} of {total} items were done by then.",
		next:   "Ask whoever runs this server to set its clock, then start again.",
		action: action{"Start again", toRetry},
	},
	ProviderThrottled: {
		reason: "{provider} asks to slow down",
		why:    "{provider} limited requests until {retry_at}, which is longer than the run may wait. {done} of {total} items were done by then.",
		next:   "Start again after {retry_at}.",
		action: action{"Start again", toRetry},
	},
	ConsentRevoked: {
		reason: "Admin consent was withdrawn",
		why:    "{provider} reports that consent for {connection} was withdrawn. {done} of {total} items were done by then.",
		next:   "Ask an administrator of {tenant} to grant consent again.",
		action: action{"Grant admin consent", toConnectionConsent},
	},
	CredentialInvalid: {
		reason: "Credential was refused",
		why:    "{provider} refused the {credential_kind} of {connection}. It may have been replaced, deleted or mistyped. {done} of {total} items were done by then.",
		next:   "Add a new credential, then start again.",
		action: action{"Renew credential", toConnectionCredential},
	},
	PermissionMissing: {
		reason: "{count} permissions are missing",
		one:    "1 permission is missing",
		why:    "{connection} does not have {permissions}. {done} of {total} items were done by then.",
		next:   "Ask an administrator of {tenant} to grant them, then start again.",
		action: action{"Grant permissions", toConnectionConsent},
	},
	ProviderRejected: {
		reason: "{provider} refused the requests",
		why:    "{provider} refused {failed} of {total} items. Each item shows its own reason.",
		next:   "Review the failed items.",
		action: action{"Review items", toItems},
	},
	TimeLimit: {
		reason: "Time limit reached",
		why:    "The run reached its limit of {limit}. {done} of {total} items were done.",
		next:   "Start again to continue with the rest.",
		action: action{"Start again", toRetry},
	},
	ConnectionDisabled: {
		reason: "Connection is disabled",
		why:    "{actor} disabled {connection} while the run was working. {done} of {total} items were done by then.",
		next:   "Enable the connection, then start again.",
		action: action{"Open connection", toConnection},
	},
	InternalFault: {
		reason: "Fault in Interlock",
		why:    "Interlock stopped the run because of its own fault. {done} of {total} items were done by then.",
		next:   "Start again. If it happens twice, send the reference {reference} to support.",
		action: action{"Start again", toRetry},
	},
}

// refusedWhole: the provider refused what comes before any item.
var refusedWhole = text{
	reason: "{provider} refused a request",
	why:    "{provider} refused a request that the run needs, and said: “{provider_message}”. {done} of {total} items were done by then.",
	next:   "Start again. If it happens twice, send the reference {reference} to support.",
	action: action{"Start again", toRetry},
}

// Variants of the reasons, for the facts that are known or not.
var (
	// expiredSaid: the provider said it; when it expired is not stored.
	expiredSaid = text{
		why: "{provider} reports that the {credential_kind} of {connection} has expired. Nothing was queued.",
	}
	// refusedSilently: with a status, and without words.
	refusedSilently = text{
		why: "{provider} refused a request that the run needs, with {answered}. {done} of {total} items were done by then.",
	}
	// accessRefusedSilently: the same of a refused access.
	accessRefusedSilently = text{
		why: "{provider} refused access although {connection} has {permissions}. {done} of {total} items were done by then.",
	}
	// signInRefusedSilently: the same of a sign-in.
	signInRefusedSilently = text{
		why:  "{provider} refused the sign-in of {connection} with {answered}. {done} of {total} items were done by then.",
		next: "Start again. If it happens twice, send the reference {reference} to support.",
	}
	// signInRefusedUnnumbered: with words, and without a code to look up.
	signInRefusedUnnumbered = text{
		why:  "{provider} refused the sign-in of {connection} and said: “{provider_message}”. {done} of {total} items were done by then.",
		next: "Mend what it names, then verify the connection.",
	}
	// faultNoted: the status tells less than what was found in the answer.
	faultNoted = text{
		why: "{provider} gave an answer that makes no sense: {fault}. {done} of {total} items were done by then.",
	}
	// skewUnmeasured: the provider said so; its answer had no time to compare.
	skewUnmeasured = text{
		why: "{provider} refused the sign-in of {connection} because of its time. The clock of this server may be wrong. {done} of {total} items were done by then.",
	}
	// throttledTries: it asked to wait again and again.
	throttledTries = text{
		why: "{provider} limited requests in each of {tries} tries, the last time until {retry_at}. {done} of {total} items were done by then.",
	}
	// throttledTriesUnsaid: and never said for how long.
	throttledTriesUnsaid = text{
		why:  "{provider} limited requests in each of {tries} tries and did not say until when. {done} of {total} items were done by then.",
		next: "Start again in a few minutes.",
	}
	// throttledUnsaid: without a time; a first try may be all there is.
	throttledUnsaid = text{
		why:  "{provider} limited requests and did not say until when. {done} of {total} items were done by then.",
		next: "Start again in a few minutes.",
	}
	// itemRefusedSilently: with a status, and without words.
	itemRefusedSilently = text{
		why: "{provider} refused the request with {answered}.",
	}
)

// answers complete "HTTP 403 and ...": what came instead of an answer in the
// provider's own form.
var answers = map[AnswerForm]string{
	AnswerPage:     "a web page",
	AnswerEmpty:    "nothing in it",
	AnswerText:     "text that is not JSON",
	AnswerUnusable: "JSON that Interlock cannot use",
}

// consentText is what becomes of a consent that was asked for.
type consentText struct{ title, why, next string }

func (t consentText) answer() ConsentAnswer {
	return ConsentAnswer{Title: t.title, Why: t.why, Next: t.next}
}

var (
	consentDeclined = consentText{
		title: "Consent was declined", why: "The person at the consent page declined the request. No consent was noted.",
		next: "Create a new consent link if that was not intended.",
	}
	consentWrongAccount = consentText{
		title: "Wrong account", why: "The account that signed in belongs to another directory, so it cannot approve for this one. No consent was noted.",
		next: "Create a new consent link and open it in a private window, with an administrator of the connection’s own directory.",
	}
	consentNoAdmin = consentText{
		title: "An administrator has to approve", why: "The account that signed in may not approve applications for its directory. No consent was noted.",
		next: "Create a new consent link and send it to an administrator who may, such as a Cloud Application Administrator.",
	}
	consentNoApplication = consentText{
		title: "Application was not found", why: "The provider does not know the application of this connection in that directory or cloud. No consent was noted.",
		next: "Check the application ID and the cloud of the connection, then create a new consent link.",
	}
	consentMisconfigured = consentText{
		title: "Application asks for nothing that exists", why: "The permissions in the application registration are missing, or belong to a service that the directory does not have. No consent was noted.",
		next: "Check the permissions of the application registration, then create a new consent link.",
	}
	consentBlocked = consentText{
		title: "Sign-in was blocked", why: "A conditional access policy blocked the person who signed in. No consent was noted.",
		next: "Ask an administrator of the directory which policy it was, then create a new consent link.",
	}
	consentFault = consentText{
		title: "Consent page failed", why: "The provider reports a fault of its own. No consent was noted.",
		next: "Create a new consent link in a few minutes.",
	}
)

// consentAnswers are the answers of the provider's consent page, by its number or
// error. docs: Microsoft Entra error codes, and the admin consent endpoint.
var consentAnswers = map[string]consentText{
	"given": {
		title: "Consent was answered", why: "The provider reports that the application was approved.",
		next: "The connection has to be verified now: only a sign-in shows what was granted.",
	},
	"elsewhere": {
		title: "Consent came from another directory", why: "The administrator who approved belongs to another directory than the connection. No consent was noted.",
		next: "It takes an administrator of the connection’s own directory.",
	},
	"unknown": {
		title: "Consent was not given", why: "The provider refused with {provider_code}. No consent was noted.",
		next: "Look up the code, mend what it names, then create a new consent link.",
	},
	"AADSTS65004": consentDeclined, "access_denied": consentDeclined, "consent_required": consentDeclined, "permission_denied": consentDeclined,
	"AADSTS50020": consentWrongAccount, "AADSTS50177": consentWrongAccount, "AADSTS90072": consentWrongAccount, "AADSTS500208": consentWrongAccount,
	"AADSTS90094": consentNoAdmin, "AADSTS90093": consentNoAdmin, "AADSTS65001": consentNoAdmin,
	"AADSTS700016": consentNoApplication, "unauthorized_client": consentNoApplication,
	"AADSTS650052": consentMisconfigured, "AADSTS650056": consentMisconfigured,
	"AADSTS53003": consentBlocked, "AADSTS53000": consentBlocked,
	"server_error": consentFault, "temporarily_unavailable": consentFault, "AADSTS90033": consentFault,
}

// ageWords tell how old what is known of a connection is.
var ageWords = struct{ checked, never, changed string }{
	checked: "Checked {checked_ago}", never: "Never verified", changed: "Not verified since the change",
}

// evidenceWords are the labels of a provider's answer.
var evidenceWords = struct {
	title, call, status, none, code, text, note, request, client, correlation, at string
}{
	title: "What the provider answered", call: "Call", status: "Status", none: "No answer", code: "Provider’s code", text: "Provider’s text",
	note: "Interlock found", request: "Request ID", client: "Client request ID", correlation: "Correlation ID", at: "At",
}

// unknownFailure stands in for a failure that this version has no words for.
var unknownFailure = text{
	reason: "Run ended early",
	why:    "The run ended for a reason this version has no words for: {code}. {done} of {total} items were done by then.",
	next:   "Review the items. If nothing is marked there, send the reference {reference} to support.",
	action: action{"Review items", toItems},
}

// unreadable tells how many objects of what is shown could not be kept.
var unreadable = text{label: "{count} objects that the provider sent could not be read.", one: "1 object that the provider sent could not be read."}

// items are the reasons of one item of a run.
var items = map[Reason]text{
	ItemRefused: {
		reason: "{provider} refused it",
		why:    "{provider} said: “{provider_message}”.",
	},
	NotLicensed: {
		reason: "Not licensed",
		why:    "{tenant} has no licence for this service, so there is nothing to read.",
	},
	ItemNotReached: {
		reason: "Not reached",
		why:    "The run ended before this item.",
	},
	WriteInDoubt: {
		reason: "Result not known",
		why:    "{provider} did not confirm this change. It may or may not have been made. Check {look} in {provider} before you start again.",
	},
	ObjectMalformed: {
		reason: "Unreadable object",
		why:    "{provider} sent something that is not an object. It could not be kept.",
	},
	ObjectWithoutID: {
		reason: "Object without an ID",
		why:    "{provider} sent this object without a usable ID. It could not be kept.",
	},
	ObjectWithoutName: {
		reason: "Object without a name",
		why:    "{provider} sent this object without a usable name. It is kept and listed by its ID.",
	},
	ObjectTwice: {
		reason: "Object sent twice",
		why:    "{provider} sent this object more than once. The last copy is kept.",
	},
	ListIncomplete: {
		reason: "Incomplete",
		why:    "{failed} of {total} objects could not be read. The others are up to date.",
	},
}

// problems are the refusals and limits that are no answer of the gate.
var problems = map[Problem]text{
	ProblemForbidden: {
		title: "You cannot start {operation_in} here",
		why:   "Your role in {tenant} ({role}) does not include “{capability}”. Nothing was queued.",
		next:  "Ask a workspace owner for the capability.",
	},
	ProblemNotFound: {
		title: "This page is not here",
		why:   "The address is not in use, or it is not part of your workspaces.",
		next:  "Check the address, or go to your tenants.",
	},
	ProblemSessionEnded: {
		title: "Your session has ended",
		why:   "You were signed out after {idle} without activity. Nothing was sent.",
		next:  "Sign in to continue where you were.",
	},
	ProblemFormStale: {
		title: "This form is out of date",
		why:   "The page was open for a long time, so Interlock did not accept it. Nothing was queued.",
		next:  "Reload the page and start again.",
	},
	ProblemTooManyStarts: {
		title: "Too many starts in a short time",
		why:   "You reached the limit of {limit} starts a minute. Nothing was queued.",
		next:  "Try again in {retry_after}.",
	},
	ProblemKeyReused: {
		title: "This start was not accepted",
		why:   "The same key came before with other values: {fields}. Nothing was queued.",
		next:  "Send a new key for a new start.",
	},
	ProblemFault: {
		title: "Interlock could not show this page",
		why:   "The fault is on our side and has been recorded. Running operations are not affected.",
		next:  "Reload the page. If it happens twice, send the reference {reference} to support.",
	},
	ProblemUpdating: {
		title: "Interlock is being updated",
		why:   "Running operations continue. New starts are paused for about {minutes} minutes.",
		next:  "Reload the page in a few minutes.",
	},
	ProblemLiveLost: {
		title: "Live updates are paused",
		why:   "This page last heard from the server at {last_seen}.",
		next:  "Reload to see the current state.",
	},

	// The rest are words of ours: what the API refuses beside the pages.
	ProblemSignedOut: {
		title: "Sign in first",
		why:   "The request carries no sign-in that is in force. Nothing was queued.",
		next:  "Sign in, or make a new token, then send the request again.",
	},
	ProblemField: {
		title: "This request was not accepted",
		why:   "The field {field} {detail}. Nothing was queued.",
		next:  "Change the field, then send the request again.",
	},
	ProblemTooLarge: {
		title: "This request is too large",
		why:   "A request may have {limit} at most. Nothing was queued.",
		next:  "Send less, then try again.",
	},
	ProblemCursor: {
		title: "This page of the list is not there",
		why:   "The cursor is not one that this list gave out, or the filters changed since.",
		next:  "Read the list again from its beginning.",
	},
	ProblemConflict: {
		title: "This change is not possible now",
		why:   "The state of it does not allow the change: {detail}. Nothing was changed.",
		next:  "Read it again, then decide anew.",
	},
	ProblemUnavailable: {
		title: "Interlock cannot save right now",
		why:   "The database gave no answer in time. Nothing was queued.",
		next:  "Try again in a minute. If it happens twice, send the reference {reference} to support.",
	},
	ProblemNoAddress: {
		title: "Consent cannot be asked for here",
		why:   "Consent leads back to this server, and the server does not know the address that browsers reach it at. Nothing was changed.",
		next:  "Ask whoever runs the server to set --public-url (INTERLOCK_PUBLIC_URL), then try again.",
	},
	ProblemTooManyRequests: {
		title: "Too many requests in a short time",
		why:   "Your address reached the limit of requests a minute. This one was not looked at.",
		next:  "Try again in {retry_after}.",
	},
	ProblemTooManyTries: {
		title: "Too many tries in a short time",
		why:   "The limit of wrong passwords was reached. This one was not looked at.",
		next:  "Try again in {retry_after}.",
	},
	ProblemNotFresh: {
		title: "Confirm that it's you",
		why:   "This change needs a sign-in from the last 15 minutes. Nothing was changed.",
		next:  "Prove who you are, then send the request again.",
	},
	ProblemSecondFactor: {
		title: "Enter your second factor",
		why:   "The password is right. This account also needs a code.",
		next:  "Send the sign-in again with a code from your authenticator app, or with a recovery code.",
	},
	ProblemFactorMissing: {
		title: "Add a second factor first",
		why:   "This workspace requires a second factor, and you don't have one yet. Nothing was changed.",
		next:  "Add an authenticator app or a passkey on your Security page.",
	},
	ProblemSignInOver: {
		title: "Start signing in again",
		why:   "The second factor took more than 10 minutes or 5 tries. You are not signed in.",
		next:  "Enter your email and password again.",
	},
	ProblemPasskeyRefused: {
		title: "Couldn't sign in with this passkey",
		why:   "It doesn't belong to an account here, or it was asked for too long ago.",
		next:  "Try again, or use your password.",
	},
	ProblemNoPasskeys: {
		title: "Passkeys aren't available here",
		why:   "Passkeys need the server's public address: a name that starts with https://, or localhost.",
		next:  "Use an authenticator app, or ask whoever runs the server to set --public-url (INTERLOCK_PUBLIC_URL).",
	},
	ProblemSessionOnly: {
		title: "API tokens can't make this change",
		why:   "This change needs a person who signed in during the last 15 minutes. Nothing was changed.",
		next:  "Sign in with your own account, then send the request again.",
	},
	ProblemLink: {
		title: "This link can't be used",
		why:   "It has expired, was already used, or isn't meant for you. Nothing was changed.",
		next:  "Ask whoever sent it for a new one.",
	},
	ProblemJoinRefused: {
		title: "Couldn't join",
		why:   "No account matches this address and password. Nothing was changed.",
		next:  "Check the password. If you have no account yet, create one.",
	},
	ProblemBeyondAccess: {
		title: "This goes beyond your own access",
		why:   "It includes {detail}, which you don't have. Nothing was changed.",
		next:  "Ask an owner who has it.",
	},
	ProblemTooManyStreams: {
		title: "Too many live streams",
		why:   "You reached the limit of {limit} browsers and commands that follow changes.",
		next:  "Close one of them, then try again in {retry_after}.",
	},
	ProblemCrowded: {
		title: "The server has too many connections",
		why:   "All connections of the server are in use. Nothing was queued.",
		next:  "Try again in {retry_after}.",
	},
	ProblemReconnecting: {
		title: "Reconnecting",
		why:   "The connection to the server was lost. This page shows the state at {last_seen}.",
		next:  "It catches up by itself.",
	},
	ProblemUnreachable: {
		title: "The server can't be reached",
		why:   "Interlock gave no answer.",
		next:  "Check your network, then try again. A start that arrived after all is not repeated.",
	},
}

// preflight are the words of an answer that nobody pressed for: it tells what a
// start would be answered now. They are ours, laid over everything else.
var preflight = map[Outcome]text{
	Accepted: {
		label:  "Ready",
		title:  "{operation} can start",
		why:    "{connection} is free. Nothing was queued.",
		next:   "Start it when you are ready.",
		queued: "Nothing",
	},
	Deduped: {
		why:    "A start would join run {run} on {connection}, which was started {started_ago}. Nothing was queued.",
		next:   "Follow run {run}.",
		queued: "Nothing",
	},
	ScopeBusy: {title: "{operation} cannot start now"},
	Blocked:   {title: "{operation} cannot start now"},
}

// Words of ours, in the voice of the vocabulary, for what it does not tell.
var (
	// waiting: the provider asked the run to come back later. Its reason is what the run waits for.
	waiting = text{
		label:  "Waiting",
		title:  "{operation} waits for the provider",
		reason: "Waiting for {provider}",
		why:    "It continues by itself at {retry_at}. {done} of {total} items are done.",
		next:   "Nothing is needed.",
	}
	// unclear: a state or an outcome that this version does not know.
	unclear = text{
		label:  "State unclear",
		title:  "{operation} is in an unclear state",
		reason: "State is unclear",
		why:    "The run is in a state that this version has no words for: {code}. {done} of {total} items are done.",
		next:   "Reload the page. If it happens twice, send the reference {reference} to support.",
	}
	// unknownItem stands in for the reason of an item that this version has no words for.
	unknownItem = text{why: "It ended for a reason this version has no words for: {code}."}
	// came is what an item brought, cameChanged what it brought that was not there before.
	came        = text{label: "{done} of {total}"}
	cameNone    = text{label: "None in the tenant"}
	cameChanged = text{label: "{done} of {total}, {changed} changed, {removed} removed"}
)

// nowIs completes "Run K7QM2X is now ..." where the pill of the ending can't.
var nowIs = map[RunOutcome]string{
	RunBlocked: "blocked",
	RunLost:    "lost",
}

// itemResults are the results of an item.
var itemResults = map[ItemResult]string{
	ItemDone:      "Done",
	ItemUnchanged: "Unchanged",
	ItemFailed:    "Failed",
	ItemSkipped:   "Skipped",
	ItemUnknown:   "Not known",
	ItemPending:   "Not done yet",

	ItemNotApplicable: "Not applicable",
}

// tidied is what was done to a pasted value.
var tidied = map[Tidied]string{
	TidiedSpace:  "Spaces or line breaks around the pasted value were removed.",
	TidiedQuotes: "Quotation marks around the pasted value were removed.",
	TidiedOrder:  "The certificates were put in order: the one that belongs to the private key comes first.",
}
