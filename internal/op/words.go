package op

import "cmp"

// text is one entry of the vocabulary, slot by slot. Names in braces are
// placeholders; see filler.
type text struct {
	label  string // tag of an answer, pill of a run
	title  string // whether it started or how it ended: 60 characters at most
	reason string // the cause, in two to five words
	one    string // reason, when its number is 1
	why    string
	oneWhy string // why, when its number is 1
	next   string
	queued string // of an answer: what it queued
	action action
	who    string // whom to ask when the reader can't fix it; empty: every reader can
}

// action is the link that an entry offers.
type action struct {
	label string
	to    page
}

// over returns t with the slots that o fills replaced.
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

// ending returns t with a sentence added to its why.
func (t text) ending(sentence string) text {
	t.why += " " + sentence
	if t.oneWhy != "" {
		t.oneWhy += " " + sentence
	}
	return t
}

// Simulated is shown on every page of a server whose provider is simulated.
const Simulated = "Simulated Microsoft 365. Nothing here reaches a real tenant."

const (
	// ask replaces an action that the reader may not take.
	ask = "Ask {who}."
	// you is the value of [Fix].Who when the reader can fix it.
	you = "you"
	// anOperator can fix what everybody can who may start operations.
	anOperator = "an operator"
)

// outcomes are the four answers of the gate. Reason, why and next of a blocked
// answer come from its first blocker.
var outcomes = map[Outcome]text{
	Accepted: {
		label:  "Accepted",
		title:  "{operation} is queued",
		reason: "All checks passed",
		why:    "Run {run} is queued on {connection} and starts automatically.",
		next:   "Follow run {run}. You'll be notified when it ends.",
		queued: "Run {run}",
		action: action{"Open run {run}", toRun},
	},
	Deduped: {
		label:  "Already running",
		title:  "{operation} is already running",
		reason: "Same operation is active",
		why:    "{starter} started it on {connection} {started_ago}. Your start joined run {run}.",
		next:   "Follow run {run}. Start again after it ends if you still need to.",
		queued: "Nothing new",
		action: action{"Open run {run}", toRun},
	},
	ScopeBusy: {
		label:  "Connection busy",
		title:  "{operation} did not start",
		reason: "Connection is in use",
		why:    "{other_operation} (run {other_run}) has been using {connection} for {started_for}. Only one operation can use a connection at a time.",
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
	// dedupedQueued: the active run has not started yet.
	dedupedQueued = text{
		title: "{operation} is already queued",
		next:  "Follow run {run}.",
	}
	// dedupedYours: the reader started the active run.
	dedupedYours = text{
		why:  "You started it on {connection} {started_ago}. Your start joined run {run}.",
		next: "Follow run {run}.",
	}
	// replayed: the same request arrived twice.
	replayed = text{
		reason: "Request was already answered",
		why:    "You already sent this request on {checked_at}. Run {run} is now {run_state}.",
		next:   "Follow run {run}.",
		queued: "Nothing new", // by the repeated request
	}
	// targetEdited: the page showed the same connection in an earlier version.
	targetEdited = text{
		why: "{connection} was edited after the page loaded.",
	}
	// busyWaiting: the holder is waiting for the provider.
	busyWaiting = text{
		why:  "{other_operation} (run {other_run}) is holding {connection} while it waits for {provider} until {until}. Only one operation can use a connection at a time.",
		next: "Start again when run {other_run} ends, after {until} at the earliest.",
	}
	// dedupedWaiting: the active run is waiting for the provider.
	dedupedWaiting = text{
		why: "Run {run} on {connection} is waiting for {provider} until {until}, then continues. Your start joined it.",
	}
	// busyHidden: the reader may not see the holder.
	busyHidden = text{
		why:  "Another operation is using {connection}. Only one operation can use a connection at a time.",
		next: "Start again in a few minutes.",
	}
)

// busy are the reasons of a scope_busy answer, laid over the outcome's own words.
var busy = map[Reason]text{
	OtherOperationActive: {},
	SameOperationDifferentParameters: {
		reason: "Running with different parameters",
		why:    "Run {other_run} is the same operation on {connection} with different parameters: {differences}.",
		next:   "Start again when run {other_run} ends.",
	},
	HolderCancelling: {
		reason: "Run is stopping",
		why:    "{other_operation} (run {other_run}) on {connection} is being cancelled.",
		next:   "Start again in a moment.",
	},
	HolderStalled: {
		reason: "Run is making no progress",
		why:    "{other_operation} (run {other_run}) is holding {connection}, but has made no progress since {last_seen}.",
		next:   "Open run {other_run}. Someone with permission can release the connection.",
	},
	ScopeQuarantined: {
		reason: "Connection is being released",
		why:    "Run {other_run} stopped responding. {connection} is free again at {release_at}.",
		next:   "Start again after {release_at}.",
	},
	ScopeInconsistent: {
		reason: "Connection state is unclear",
		why:    "Interlock can't tell whether {connection} is free. It is repairing its records.",
		next:   "Start again in a few minutes. If it happens again, send the reference {reference} to support.",
	},
}

// blockers are why a start is blocked, in the order in which the gate reports them.
var blockers = map[Reason]text{
	ConnectionMissing: {
		reason: "No connection yet",
		why:    "{tenant} has no connection.",
		next:   "Add a connection, verify it, then start again.",
		action: action{"Add connection", toConnectionNew},
		who:    "a workspace owner",
	},
	ConnectionDefaultMissing: {
		reason: "No default connection",
		why:    "{tenant} has {count} connections, but none is the default.",
		oneWhy: "{tenant} has 1 connection, but it isn't the default.",
		next:   "Set a default connection, or start from the connection you want.",
		action: action{"Choose default", toConnections},
		who:    "a workspace owner",
	},
	ConnectionDisabled: {
		reason: "Connection is disabled",
		why:    "{actor} disabled {connection} on {disabled_on}.",
		next:   "Enable the connection, then start again.",
		action: action{"Open connection", toConnection},
		who:    "a workspace owner",
	},
	TargetChanged: {
		reason: "Connection has changed",
		why:    "The page showed {shown_connection}, but the start would now use {connection}.",
		next:   "Check the connection, then start again.",
		action: action{"Reload page", toReload},
	},
	TenantArchived: {
		reason: "Tenant is archived",
		why:    "{tenant} was archived on {archived_on}. Archived tenants are read-only.",
		next:   "Restore the tenant from the archive, then start again.",
		action: action{"Open tenant settings", toTenantSettings},
		who:    "a workspace owner",
	},
	TenantNotActive: {
		reason: "Onboarding is not finished",
		why:    "Onboarding of {tenant} has reached the {step} step.",
		next:   "Finish onboarding, then start again.",
		action: action{"Continue onboarding", toOnboarding},
		who:    "{owner}",
	},
	TenantMismatch: {
		reason: "Wrong directory",
		why:    "{connection} signs in to {actual_directory} instead of directory {expected_directory} of {tenant}.",
		next:   "Correct the directory ID of the connection, then verify it.",
		action: action{"Edit connection", toConnectionReconnect},
		who:    "a workspace owner",
	},
	CredentialMissing: {
		reason: "No credential saved",
		why:    "{connection} has no certificate or secret.",
		next:   "Add a credential, then start again.",
		action: action{"Add credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CredentialExpired: {
		reason: "Credential has expired",
		why:    "The {credential_kind} of {connection} expired on {expired_on}.",
		next:   "Add a new credential, then start again.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CredentialUnreadable: {
		reason: "Credential can't be read",
		why:    "Interlock can't decrypt the {credential_kind} of {connection}.",
		next:   "Add the credential again, then start again.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CredentialInvalid: {
		reason: "Credential was refused",
		why:    "{provider} refused the {credential_kind} of {connection} at {checked_at}. It may have been replaced or deleted.",
		next:   "Add a new credential, then start again.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	CertificateNotRegistered: {
		reason: "Certificate is not registered",
		why:    "The app registration of {connection} in Microsoft Entra doesn't have this certificate.",
		next:   "Upload the certificate to the app registration or save another credential, then verify the connection.",
		action: action{"Renew credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	FederationMissing: {
		reason: "Workload identity is not trusted",
		why:    "The app registration of {connection} in Microsoft Entra has no federated credential that matches the workload identity of this server.",
		next:   "Add a federated credential with the issuer, subject and audience that the credential page shows, then verify the connection.",
		action: action{"Open credential", toConnectionCredential},
		who:    "a workspace owner",
	},
	ApplicationDisabled: {
		reason: "Application is disabled",
		why:    "The application of {connection} is disabled in the directory of {tenant}.",
		next:   "Ask an administrator of {tenant} to enable it, then verify the connection.",
		action: action{"Verify connection", toConnectionVerify},
		who:    "an administrator of {tenant}",
	},
	SignInBlocked: {
		reason: "Sign-in is blocked by policy",
		why:    "A Conditional Access policy of {tenant} blocks the sign-in of {connection}.",
		next:   "Ask an administrator of {tenant} to exclude the application from the policy, then verify the connection.",
		action: action{"Verify connection", toConnectionVerify},
		who:    "an administrator of {tenant}",
	},
	ResourceNotFound: {
		reason: "Service not found in directory",
		why:    "{provider} is not available in the directory of {connection} in the selected cloud.",
		next:   "Check the cloud and the directory ID of the connection, then verify it.",
		action: action{"Edit connection", toConnectionReconnect},
		who:    "a workspace owner",
	},
	DirectoryNotFound: {
		reason: "Directory not found",
		why:    "{provider} has no directory {expected_directory} in the selected cloud.",
		next:   "Check the directory ID and the cloud of the connection, then verify it.",
		action: action{"Edit connection", toConnectionReconnect},
		who:    "a workspace owner",
	},
	DirectoryUnavailable: {
		reason: "Directory is blocked or deleted",
		why:    "{provider} reports that directory {expected_directory} is blocked or deleted.",
		next:   "Ask an administrator of {tenant} to restore it, then verify the connection.",
		action: action{"Verify connection", toConnectionVerify},
		who:    "an administrator of {tenant}",
	},
	ConsentMissing: {
		reason: "Admin consent is missing",
		why:    "No administrator of {tenant} has granted consent for {connection} yet.",
		next:   "Ask an administrator of {tenant} to grant consent, then verify the connection.",
		action: action{"Grant admin consent", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	ConsentPending: {
		reason: "Consent is not finished",
		why:    "Consent for {connection} was requested on {opened_on}, but not completed.",
		next:   "Finish the consent, then verify the connection.",
		action: action{"Continue consent", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	ConsentRevoked: {
		reason: "Admin consent was withdrawn",
		why:    "Consent for {connection} was withdrawn on {revoked_on}.",
		next:   "Ask an administrator of {tenant} to grant consent again.",
		action: action{"Grant admin consent", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	PermissionMissing: {
		reason: "{count} permissions are missing",
		one:    "1 permission is missing",
		why:    "{operation} needs permissions that {connection} doesn't have: {permissions}.",
		next:   "Ask an administrator of {tenant} to grant them, then verify the connection.",
		action: action{"Grant permissions", toConnectionConsent},
		who:    "an administrator of {tenant}",
	},
	VerificationMissing: {
		reason: "Connection is not verified",
		why:    "{connection} has not been verified yet.",
		next:   "Verify the connection, then start again.",
		action: action{"Verify connection", toConnectionVerify},
		who:    anOperator,
	},
	VerificationFailed: {
		reason: "Last verification failed",
		why:    "Verification of {connection} failed {verified_ago}: {verification_reason}.",
		next:   "Fix the cause, verify the connection, then start again.",
		action: action{"Open verification", toVerification},
		who:    anOperator,
	},
	VerificationStale: {
		reason: "Verification is too old",
		why:    "{connection} was last verified on {verified_on}. {operation} needs a verification from the last {max_age}.",
		next:   "Verify the connection, then start again.",
		action: action{"Verify connection", toConnectionVerify},
		who:    anOperator,
	},
	BackupMissing: {
		reason: "Backup not found",
		why:    "The backup doesn't exist, or you don't have access to it.",
		next:   "Choose another backup.",
		action: action{"Choose backup", toRestoreSelect},
	},
	PreviewMissing: {
		reason: "Preview not found",
		why:    "{tenant} has no preview with this hash.",
		next:   "Preview the restore, review the changes, then start again.",
		action: action{"Open tenant", toRestorePreview},
	},
	PreviewStale: {
		reason: "Preview is out of date",
		why:    "The tenant or the connection changed after the preview.",
		next:   "Run the preview again and review the changes.",
		action: action{"Preview again", toRestorePreview},
	},
	WarningsOpen: {
		reason: "{count} warnings are not acknowledged",
		one:    "1 warning is not acknowledged",
		why:    "The preview has warnings that you must acknowledge: {warnings}.",
		next:   "Review the warnings, acknowledge them, then start again.",
		action: action{"Open tenant", toRestorePreview},
	},
	ApprovalMissing: {
		reason: "Approval is missing",
		why:    "In this workspace, a second person must approve a preview before it is executed.",
		next:   "Ask {approvers} to approve the preview, then start again.",
		action: action{"Open tenant", toRestorePreview},
		who:    "{approvers}",
	},
	PrecheckUnavailable: {
		reason: "Checks didn't finish",
		why:    "Interlock couldn't finish the checks for this start.",
		next:   "Start again. If it happens again, send the reference {reference} to support.",
		action: action{"Start again", toRetry},
	},
}

// unknownBlocker stands in for a blocker that this version has no words for.
var unknownBlocker = text{
	reason: "Start is not possible now",
	why:    "The reason code is {code}, which this version can't explain.",
	next:   "Open the connection. If it shows no problem, send the reference {reference} to support.",
	action: action{"Open connection", toConnection},
	who:    "a workspace owner",
}

// states are the runs that have not finished.
var states = map[State]text{
	Queued: {
		label:  "Queued",
		title:  "{operation} is queued",
		reason: "Waiting to start",
		why:    "It starts automatically when its turn comes.",
		next:   "No action needed.",
	},
	Running: {
		label:  "Running",
		title:  "{operation} is running",
		reason: "In progress",
		why:    "{items} completed.",
		next:   "No action needed.",
	},
	Cancelling: {
		label:  "Stopping",
		title:  "{operation} is stopping",
		reason: "{actor} requested cancellation",
		why:    "The current item finishes first.",
		next:   "No action needed.",
	},
}

// endings are the finished runs. Reason, why and next of a failed or a blocked one
// come from its cause.
var endings = map[RunOutcome]text{
	RunSucceeded: {
		label:  "Succeeded",
		title:  "{operation} succeeded",
		reason: "All {total} items completed",
		one:    "1 item completed",
		why:    "It took {took}.",
		next:   "No action needed.",
	},
	RunPartial: {
		label:  "Partly succeeded",
		title:  "{operation} partly succeeded",
		reason: "{failed} items failed",
		one:    "1 item failed",
		why:    "{items} completed. Each failed item shows its reason.",
		next:   "Review the failed items, then start again.",
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
		why:    "{items} completed. Completed items are kept.",
		next:   "Start again when you are ready.",
	},
	RunLost: {
		label:  "Stopped responding",
		title:  "{operation} stopped responding",
		reason: "No update since {last_seen}",
		why:    "{items} completed. Interlock released the connection.",
		next:   "Check the completed items, then start again.",
	},
}

// Variants of the states of a run.
var (
	// stalled: the run responds but makes no progress.
	stalled = text{
		label:  "No progress",
		title:  "{operation} is making no progress",
		reason: "No progress since {last_seen}",
		why:    "The run still responds. {items} completed. It is holding {connection}.",
		next:   "Wait, or release the connection if you have permission.",
	}
	// succeededEmpty: the tenant has none of the requested items.
	succeededEmpty = text{
		reason: "Nothing to read",
		why:    "{tenant} has none of the requested items.",
	}
	// previewMade: a preview stored a plan.
	previewMade = text{
		next: "Review the preview, then have it approved or execute it.",
	}
	// cancelledInLine: the run had not started.
	cancelledInLine = text{
		why: "It had not started. " + nothingChanged,
	}
	// released: a person released the run's connection.
	released = text{
		reason: "Released by {actor}",
		why:    "{actor} released the connection: “{note}”. {items} completed.",
	}
)

// Sentences that end the why of a run that did not succeed.
const (
	nothingChanged = "Nothing was changed in the tenant."  // blocked before it ran
	doneByThen     = "{items} completed before it failed." // failed
)

// stopped are the reasons that only the recheck before the run can find. It can
// also find every blocker.
var stopped = map[Reason]text{
	AuthorizationLost: {
		reason: "Starter lost access",
		why:    "{starter} no longer had permission to run this in {tenant} when the run was due to start.",
		next:   "Ask someone with permission to start it again.",
		action: action{"Open members", toMembers},
	},
	ConnectionChanged: {
		reason: "Connection has changed",
		why:    "{connection} was changed on {changed_at}, after the run was accepted.",
		next:   "Check the connection, then start again.",
		action: action{"Open connection", toConnection},
	},
	ConnectionRemoved: {
		reason: "Connection was removed",
		why:    "{actor} removed {connection} before the run started.",
		next:   "Choose another connection, then start again.",
		action: action{"Open connections", toConnections},
	},
	ExpiredInQueue: {
		reason: "Waited too long",
		why:    "The run was queued for {waited}. The limit for this operation is {limit}.",
		next:   "Start again.",
		action: action{"Start again", toRetry},
	},
}

// discontinued are why a run that has changed something did not continue when its turn
// came again.
var discontinued = map[Reason]text{
	AuthorizationLost: {
		reason: "Starter lost access",
		why:    "{starter} no longer has access to run this in {tenant}, so the run did not continue.",
		next:   "Ask someone with permission to start it again.",
		action: action{"Open members", toMembers},
	},
	ConnectionChanged: {
		reason: "Connection has changed",
		why:    "{connection} was changed on {changed_at}, so the run did not continue.",
		next:   "Check the connection, then start again.",
		action: action{"Open connection", toConnection},
	},
	ConnectionRemoved: {
		reason: "Connection was removed",
		why:    "{actor} removed {connection}, so the run did not continue.",
		next:   "Choose another connection, then start again.",
		action: action{"Open connections", toConnections},
	},
	ExpiredInQueue: {
		reason: "Waited too long",
		why:    "The run waited longer than {limit} to continue.",
		next:   "Start again.",
		action: action{"Start again", toRetry},
	},
}

// failures are why a run failed.
var failures = map[Reason]text{
	RestoreRefused: {
		reason: "Selection can't be restored",
		why:    "Interlock can't plan this restore: {detail}.",
		next:   "Correct the selection, choices and mappings, then preview again.",
	},
	ProviderUnreachable: {
		reason: "{provider} can't be reached",
		why:    "{provider} didn't respond for {duration}.",
		next:   "Start again when {provider} is reachable.",
		action: action{"Start again", toRetry},
	},
	ProviderFault: {
		reason: "{provider} returned an error",
		why:    "{provider} answered a request with {answered}.",
		next:   "Start again in a few minutes. If it continues, check the {provider} status page.",
		action: action{"Start again", toRetry},
	},
	AccessRefused: {
		reason: "{provider} denied access",
		why:    "{provider} denied access although {connection} has {permissions}. It said: “{provider_message}”.",
		next:   "Ask an administrator of {tenant} whether a policy limits the application, then start again.",
		action: action{"Open connection", toConnection},
		who:    "an administrator of {tenant}",
	},
	SignInRefused: {
		reason: "Sign-in was refused",
		why:    "{provider} refused the sign-in of {connection} with {provider_code} and said: “{provider_message}”.",
		next:   "Look up the code, fix the cause, then verify the connection.",
		action: action{"Open connection", toConnection},
		who:    "a workspace owner",
	},
	ConsentSettling: {
		reason: "Consent is not active yet",
		why:    "{provider} is still activating the consent for {connection}.",
		next:   "Start again in a minute.",
		action: action{"Start again", toRetry},
	},
	WorkloadUnavailable: {
		reason: "Workload identity can't be used",
		why:    "The workload identity token of this server {fault}.",
		next:   "Ask the server's administrator to correct it, then start again.",
		action: action{"Start again", toRetry},
	},
	ClockSkew: {
		reason: "Clocks differ too much",
		why:    "The clock of this server and the clock of {provider} differ by {clock_difference}. Sign-in with a certificate fails until they agree.",
		next:   "Ask the server's administrator to correct its clock, then start again.",
		action: action{"Start again", toRetry},
	},
	ProviderThrottled: {
		reason: "{provider} limits the request rate",
		why:    "{provider} limited requests until {retry_at}, which is longer than the run can wait.",
		next:   "Start again after {retry_at}.",
		action: action{"Start again", toRetry},
	},
	ConsentRevoked: {
		reason: "Admin consent was withdrawn",
		why:    "{provider} reports that consent for {connection} was withdrawn.",
		next:   "Ask an administrator of {tenant} to grant consent again.",
		action: action{"Grant admin consent", toConnectionConsent},
	},
	CredentialInvalid: {
		reason: "Credential was refused",
		why:    "{provider} refused the {credential_kind} of {connection}. It may have been replaced, deleted or mistyped.",
		next:   "Add a new credential, then start again.",
		action: action{"Renew credential", toConnectionCredential},
	},
	PermissionMissing: {
		reason: "{count} permissions are missing",
		one:    "1 permission is missing",
		why:    "{connection} doesn't have {permissions}.",
		next:   "Ask an administrator of {tenant} to grant them, then start again.",
		action: action{"Grant permissions", toConnectionConsent},
	},
	ProviderRejected: {
		reason: "{provider} refused the requests",
		why:    "{provider} refused {failed_items}. Each item shows its reason.",
		next:   "Review the failed items.",
		action: action{"Review items", toItems},
	},
	TimeLimit: {
		reason: "Time limit reached",
		why:    "The run reached its limit of {limit}.",
		next:   "Start again.",
		action: action{"Start again", toRetry},
	},
	ConnectionDisabled: {
		reason: "Connection is disabled",
		why:    "{actor} disabled {connection} during the run.",
		next:   "Enable the connection, then start again.",
		action: action{"Open connection", toConnection},
	},
	NothingWritten: {
		reason: "Nothing was written",
		why:    "None of the changes was made.",
		next:   "Review the items, then preview the restore again.",
		action: action{"Review items", toItems},
	},
	InternalFault: {
		reason: "Internal error",
		why:    "Interlock stopped the run because of an internal error.",
		next:   "Start again. If it happens again, send the reference {reference} to support.",
		action: action{"Start again", toRetry},
	},
}

// refusedWhole: the provider refused a request that comes before any item.
var refusedWhole = text{
	reason: "{provider} refused a request",
	why:    "{provider} refused a request that the run needs, and said: “{provider_message}”.",
	next:   "Start again. If it happens again, send the reference {reference} to support.",
	action: action{"Start again", toRetry},
}

// Variants of the reasons, by the facts that are known.
var (
	// expiredSaid: the provider reported it; the date is not stored.
	expiredSaid = text{
		why: "{provider} reports that the {credential_kind} of {connection} has expired.",
	}
	// refusedSilently: with a status, but without a message.
	refusedSilently = text{
		why: "{provider} refused a request that the run needs, with {answered}.",
	}
	// accessRefusedSilently: access was denied without a message.
	accessRefusedSilently = text{
		why: "{provider} denied access although {connection} has {permissions}.",
	}
	// signInRefusedSilently: a sign-in was refused without a message.
	signInRefusedSilently = text{
		why:  "{provider} refused the sign-in of {connection} with {answered}.",
		next: "Start again. If it happens again, send the reference {reference} to support.",
	}
	// signInRefusedUnnumbered: with a message, but without a code to look up.
	signInRefusedUnnumbered = text{
		why:  "{provider} refused the sign-in of {connection} and said: “{provider_message}”.",
		next: "Fix the cause, then verify the connection.",
	}
	// faultNoted: what was wrong with the answer tells more than its status.
	faultNoted = text{
		why: "{provider} returned an answer that can't be used: {fault}.",
	}
	// skewUnmeasured: the provider reported it; its answer had no time to compare.
	skewUnmeasured = text{
		why: "{provider} refused the sign-in of {connection} because of its timestamp. The clock of this server may be wrong.",
	}
	// throttledTriesUnsaid: it limited requests several times, without a time.
	throttledTriesUnsaid = text{
		why:  "{provider} limited requests in each of {tries} tries and did not say until when.",
		next: "Start again in a few minutes.",
	}
	// throttledUnsaid: without a time, perhaps at the first try.
	throttledUnsaid = text{
		why:  "{provider} limited requests and did not say until when.",
		next: "Start again in a few minutes.",
	}
	// itemRefusedSilently: with a status, but without a message.
	itemRefusedSilently = text{
		why: "{provider} refused the request with {answered}.",
	}
)

// answers complete "HTTP 403 and ...": the body when it is not in the provider's
// own form.
var answers = map[AnswerForm]string{
	AnswerPage:     "a web page",
	AnswerEmpty:    "an empty body",
	AnswerText:     "text that is not JSON",
	AnswerUnusable: "JSON that Interlock can't use",
}

// consentText is one outcome of a consent request.
type consentText struct{ title, why, next string }

func (t consentText) answer() ConsentAnswer {
	return ConsentAnswer{Title: t.title, Why: t.why, Next: t.next}
}

var (
	consentDeclined = consentText{
		title: "Consent was declined", why: "The person at the consent page declined the request. No consent was recorded.",
		next: "If that was a mistake, create a new consent link.",
	}
	consentWrongAccount = consentText{
		title: "Wrong account", why: "The account that signed in belongs to another directory, so it can't approve for this one. No consent was recorded.",
		next: "Create a new consent link and open it in a private window, as an administrator of the connection's own directory.",
	}
	consentNoAdmin = consentText{
		title: "Administrator approval required", why: "The account that signed in can't approve applications for its directory. No consent was recorded.",
		next: "Create a new consent link and send it to an administrator who can approve, such as a Cloud Application Administrator.",
	}
	consentNoApplication = consentText{
		title: "Application not found", why: "The provider doesn't know this connection's application in that directory or cloud. No consent was recorded.",
		next: "Check the application ID and the cloud of the connection, then create a new consent link.",
	}
	consentMisconfigured = consentText{
		title: "Requested permissions not found", why: "The permissions in the app registration are missing, or belong to a service that the directory doesn't have. No consent was recorded.",
		next: "Check the permissions of the app registration, then create a new consent link.",
	}
	consentBlocked = consentText{
		title: "Sign-in was blocked", why: "A Conditional Access policy blocked the person who signed in. No consent was recorded.",
		next: "Ask an administrator of the directory to check the policy, then create a new consent link.",
	}
	consentFault = consentText{
		title: "Consent page failed", why: "The provider reported an error of its own. No consent was recorded.",
		next: "Create a new consent link in a few minutes.",
	}
)

// consentAnswers are the answers of the provider's consent page, by its number or
// error. docs: Microsoft Entra error codes, and the admin consent endpoint.
var consentAnswers = map[string]consentText{
	"given": {
		title: "Consent received", why: "The provider reports that the application was approved.",
		next: "The connection's owner should now verify it.",
	},
	"elsewhere": {
		title: "Consent came from another directory", why: "The administrator who approved belongs to another directory than the connection. No consent was recorded.",
		next: "Ask an administrator of the connection's own directory.",
	},
	"unknown": {
		title: "Consent was not given", why: "The provider refused with {provider_code}. No consent was recorded.",
		next: "Look up the code, fix the cause, then create a new consent link.",
	},
	"AADSTS65004": consentDeclined, "access_denied": consentDeclined, "consent_required": consentDeclined, "permission_denied": consentDeclined,
	"AADSTS50020": consentWrongAccount, "AADSTS50177": consentWrongAccount, "AADSTS90072": consentWrongAccount, "AADSTS500208": consentWrongAccount,
	"AADSTS90094": consentNoAdmin, "AADSTS90093": consentNoAdmin, "AADSTS65001": consentNoAdmin,
	"AADSTS700016": consentNoApplication, "unauthorized_client": consentNoApplication,
	"AADSTS650052": consentMisconfigured, "AADSTS650056": consentMisconfigured,
	"AADSTS53003": consentBlocked, "AADSTS53000": consentBlocked,
	"server_error": consentFault, "temporarily_unavailable": consentFault, "AADSTS90033": consentFault,
}

// ageWords say how old the facts about a connection are.
var ageWords = struct{ checked, never, changed string }{
	checked: "Checked {checked_ago}", never: "Never verified", changed: "Not verified since the change",
}

// evidenceWords are the labels of a provider's answer.
var evidenceWords = struct {
	title, call, status, none, code, text, note, request, client, correlation, at string
}{
	title: "Provider response", call: "Call", status: "Status", none: "No response", code: "Provider code", text: "Provider message",
	note: "Interlock found", request: "Request ID", client: "Client request ID", correlation: "Correlation ID", at: "Time",
}

// unknownFailure stands in for a failure that this version has no words for.
var unknownFailure = text{
	reason: "Run ended early",
	why:    "The reason code is {code}, which this version can't explain.",
	next:   "Review the items. If they show no problem, send the reference {reference} to support.",
	action: action{"Review items", toItems},
}

// unreadable counts the objects of a list that could not be stored.
var unreadable = text{label: "{count} objects from the provider could not be read.", one: "1 object from the provider could not be read."}

// items are the reasons of one item of a run.
var items = map[Reason]text{
	RestoreRefused: {
		reason: "Selection can't be restored",
		why:    "Interlock can't plan this restore: {detail}.",
	},
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
		reason: "Result is unknown",
		why:    "{provider} did not confirm this change, so it may or may not have been made. Check {look} in {provider} before you start again.",
	},
	ChangedSincePreview: {
		reason: "Changed since the preview",
		why:    "The policy in {tenant} is not as the preview showed it. It was not changed. Create a new preview to restore it.",
	},
	LeftOutOfPlan: {
		reason: "Left out of the plan",
		why:    "The plan does not write this policy, and says why.",
	},
	DependencyMissing: {
		reason: "Dependency missing",
		why:    "It needs “{needed}”, which was not restored. It was not written.",
	},
	NotAssigned: {
		reason: "Not assigned",
		why:    "The policy was written, but its assignments were not.",
	},
	PartNotWritten: {
		reason: "Incomplete",
		why:    "The policy was written, but these parts were not: {part}.",
	},
	NotAsSent: {
		reason: "Differs from the backup",
		why:    "{provider} accepted the change, but returns other values for {paths}.",
	},
	ApprovalWanted: {
		reason: "Waiting for approval",
		why:    "{provider} wants another administrator to approve this change. It was not made. After the approval, create a new preview.",
	},
	ObjectMalformed: {
		reason: "Unreadable object",
		why:    "{provider} returned something that is not an object. It was not stored.",
	},
	ObjectWithoutID: {
		reason: "Object without an ID",
		why:    "{provider} returned this object without a usable ID. It was not stored.",
	},
	ObjectWithoutName: {
		reason: "Object without a name",
		why:    "{provider} returned this object without a usable name. It is stored and listed by its ID.",
	},
	ObjectTwice: {
		reason: "Duplicate object",
		why:    "{provider} returned this object more than once. The last copy is stored.",
	},
	ObjectIncomplete: {
		reason: "Incomplete policy",
		why:    "{provider} didn't return all of this policy ({detail}). What it returned is kept, but can't be restored.",
	},
	ObjectAdded:   {reason: "Added", why: "New since the last sync."},
	ObjectChanged: {reason: "Changed", why: "Changed since the last sync."},
	ObjectRemoved: {reason: "Removed", why: "No longer there."},
	ListIncomplete: {
		reason: "Incomplete",
		why:    "{failed_objects} could not be read. The others are up to date.",
	},
}

// problems are the refusals and limits that are not answers of the gate.
var problems = map[Problem]text{
	ProblemForbidden: {
		title: "You can't start {operation_in} here",
		why:   "Your role in {tenant} ({role}) doesn't include “{capability}”. Nothing was queued.",
		next:  "Ask a workspace owner for access.",
	},
	ProblemNotFound: {
		title: "Not found",
		why:   "It doesn't exist, or you don't have access.",
		next:  "Check the name or the ID, then try again.",
	},
	ProblemSessionEnded: {
		title: "Your session has ended",
		why:   "You were inactive for {idle}, or the session was ended. Nothing was changed.",
		next:  "Sign in to continue.",
	},
	ProblemFormStale: {
		title: "This form has expired",
		why:   "The page was open for too long, or your sign-in changed since. Nothing was changed.",
		next:  "Reload the page, then try again.",
	},
	ProblemTooManyStarts: {
		title: "Too many starts",
		why:   "You reached the limit of {limit} starts per minute. Nothing was queued.",
		next:  "Try again in {retry_after}.",
	},
	ProblemKeyReused: {
		title: "Idempotency key was already used",
		why:   "The same key was used before with other values: {fields}. Nothing was queued.",
		next:  "Use a new key for a new start.",
	},
	ProblemFault: {
		title: "Interlock couldn't answer this request",
		why:   "Interlock had an internal error and logged it. Running operations are not affected.",
		next:  "Try again. If it happens again, send the reference {reference} to support.",
	},
	ProblemUpdating: {
		title: "Interlock is being updated",
		why:   "Running operations continue. New starts are paused for about {minutes} minutes.",
		next:  "Reload the page in a few minutes.",
	},
	ProblemLiveLost: {
		title: "Live updates are paused",
		why:   "This page last heard from the server at {heard}.",
		next:  "Reload to see the current state.",
	},

	// The design has no words for the rest.
	ProblemSignedOut: {
		title: "Sign in first",
		why:   "The request has no session or token that is still in force.",
		next:  "Sign in or create a new token, then send the request again.",
	},
	ProblemField: {
		title: "Check the request",
		why:   "{field} {detail}.",
		next:  "Correct it, then try again.",
	},
	ProblemTooLarge: {
		title: "Request is too large",
		why:   "The limit is {limit}.",
		next:  "Send less, then try again.",
	},
	ProblemCursor: {
		title: "This page of the list is not available",
		why:   "The cursor is not from this list, or the filters have changed.",
		next:  "Read the list again from its first page.",
	},
	ProblemConflict: {
		title: "Can't make this change now",
		why:   "{conflict}. Nothing was changed.",
		next:  "Check the current state, then try again.",
	},
	ProblemUnavailable: {
		title: "Interlock is temporarily unavailable",
		why:   "The database didn't respond in time. Nothing was changed.",
		next:  "Try again in a minute. If it happens again, send the reference {reference} to support.",
	},
	ProblemNoAddress: {
		title: "Consent can't be requested here",
		why:   "Consent leads back to this server, and its public address is not configured. Nothing was changed.",
		next:  "Ask the server's administrator to set --public-url (INTERLOCK_PUBLIC_URL), then try again.",
	},
	ProblemTooManyRequests: {
		title: "Too many requests",
		why:   "Your network address reached the limit of requests per minute.",
		next:  "Try again in {retry_after}.",
	},
	ProblemTooManyTries: {
		title: "Too many tries",
		why:   "Too many wrong passwords or codes were entered. This one was not checked.",
		next:  "Try again in {retry_after}.",
	},
	ProblemNotFresh: {
		title: "Confirm that it's you",
		why:   "This change needs a sign-in from the last 15 minutes. Nothing was changed.",
		next:  "Confirm your identity, then send the request again.",
	},
	ProblemSecondFactor: {
		title: "Enter your second factor",
		why:   "The password is correct. This account also needs a code.",
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
		why:   "It doesn't belong to an account here, or the request has expired.",
		next:  "Try again, or use your password.",
	},
	ProblemNoPasskeys: {
		title: "Passkeys aren't available here",
		why:   "Passkeys need the server's public address: a name that starts with https://, or localhost.",
		next:  "Use an authenticator app, or ask the server's administrator to set --public-url (INTERLOCK_PUBLIC_URL).",
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
		why:   "No account matches this email and password. Nothing was changed.",
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
		title: "Server is busy",
		why:   "All network connections of the server are in use.",
		next:  "Try again in {retry_after}.",
	},
	ProblemReconnecting: {
		title: "Reconnecting",
		why:   "The connection to the server was lost. This page shows the state at {heard}.",
		next:  "It updates automatically once it has reconnected.",
	},
	ProblemUnreachable: {
		title: "The server can't be reached",
		why:   "Interlock didn't respond.",
		next:  "Check your network, then try again. A start that has already arrived is not repeated.",
	},
}

// Variants of the problems.
var (
	// forbiddenChange: what was refused is not a start.
	forbiddenChange = text{
		title: "You don't have permission to do this",
		why:   "Your role in {tenant} ({role}) doesn't include “{capability}”. Nothing was changed.",
	}
	// forbiddenUnnamed: the missing capability is not known.
	forbiddenUnnamed = text{
		title: "You don't have permission to do this",
		why:   "Your role doesn't include it. Nothing was changed.",
	}
	// pageProblems are laid over the words of problems that are shown as a page.
	pageProblems = map[Problem]text{
		ProblemNotFound: {
			title: "Page not found",
			next:  "Check the address, or go to your tenants.",
		},
		ProblemFault: {
			title: "Interlock couldn't show this page",
			next:  "Reload the page. If it happens again, send the reference {reference} to support.",
		},
	}
)

// preflight are laid over the words of an answer that nobody requested: it says how
// a start would be answered now.
var preflight = map[Outcome]text{
	Accepted: {
		label:  "Ready",
		title:  "{operation} can start",
		why:    "{connection} is free.",
		next:   "Start it when you are ready.",
		queued: "Nothing",
	},
	Deduped: {
		why:    "A start would join run {run} on {connection}, which was started {started_ago}.",
		next:   "Follow run {run}.",
		queued: "Nothing",
	},
	ScopeBusy: {title: "{operation} can't start now"},
	Blocked:   {title: "{operation} can't start now"},
}

// Words for states and items that the design does not describe.
var (
	// waiting: the provider asked the run to come back later. Its reason is what the run waits for.
	waiting = text{
		label:  "Waiting",
		title:  "{operation} is waiting for the provider",
		reason: "Waiting for {provider}",
		why:    "It continues automatically at {retry_at}. {items} completed.",
		next:   "No action needed.",
	}
	// unclear: a state or an outcome that this version does not know.
	unclear = text{
		label:  "State unclear",
		title:  "{operation} is in an unclear state",
		reason: "State is unclear",
		why:    "The state is {code}, which this version can't explain. {items} completed.",
		next:   "Reload the page. If it happens again, send the reference {reference} to support.",
	}
	// unknownItem stands in for the reason of an item that this version has no words for.
	unknownItem = text{why: "The reason code is {code}, which this version can't explain."}
	// came is how many objects an item brought; cameChanged also how many differ from before.
	came        = text{label: "{done} of {total}"}
	cameNone    = text{label: "None in the tenant"}
	cameChanged = text{label: "{done} of {total}, {changed} changed, {removed} removed"}
	// cameSince also tells new ones apart.
	cameSince = text{label: "{done} of {total}, {added} added, {changed} changed, {removed} removed"}
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
	ItemUnknown:   "Unknown",
	ItemPending:   "Pending",

	ItemCreated:      "Created",
	ItemUpdated:      "Updated",
	ItemConflict:     "Conflict",
	ItemUnresolvable: "Unresolvable",
	ItemNotSupported: "Not supported",

	ItemNotApplicable: "Not applicable",
}

// tidied say how a pasted value was corrected.
var tidied = map[Tidied]string{
	TidiedSpace:  "Spaces or line breaks around the pasted value were removed.",
	TidiedQuotes: "Quotation marks around the pasted value were removed.",
	TidiedOrder:  "The certificates were reordered: the one that matches the private key comes first.",
}
