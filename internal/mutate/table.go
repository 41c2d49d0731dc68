package mutate

const (
	ledger  = "internal/gate/internal/ledger/ledger.go"
	workers = "internal/gate/worker"
)

// Table lists the guarded places. When a guarded line changes, its row changes with
// it: archtest.TestMutations finds rows whose text is gone.
var Table = []Mutation{
	// The gate and the moves of a run.
	{
		Name: "admit-revision", Guard: "A run is admitted only on the connection revision that was judged", File: ledger,
		Old: "WHERE id = $1 AND workspace_id = $2 AND rev = $3 AND", New: "WHERE id = $1 AND workspace_id = $2 AND (rev = $3 OR TRUE) AND",
		Dir: workers, Test: "TestEveryPairInterleaved",
	},
	{
		Name: "begin-revision", Guard: "A run begins only on the connection revision that was rechecked", File: ledger,
		Old: "WHERE id = $1 AND rev = $2 AND", New: "WHERE id = $1 AND (rev = $2 OR TRUE) AND",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "begin-fence", Guard: "A worker begins a run only with its current fence", File: ledger,
		Old: "boot_id = $4, resends = 0\n\t\tWHERE run_id = $1 AND fence = $2`", New: "boot_id = $4, resends = 0\n\t\tWHERE run_id = $1 AND (fence = $2 OR TRUE)`",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "begin-state", Guard: "Only a queued run begins", File: ledger,
		Old: "WHERE id = $1 AND state = 'queued'`, c.RunID, limit", New: "WHERE id = $1 AND (state = 'queued' OR TRUE)`, c.RunID, limit",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "beat-fence", Guard: "A heartbeat renews only the lease of its own fence", File: ledger,
		Old: "WHERE run_id = $1 AND fence = $2 AND lease_until IS NOT NULL", New: "WHERE run_id = $1 AND (fence = $2 OR TRUE) AND lease_until IS NOT NULL",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "data-fence", Guard: "A worker without the current fence writes no data of the run", File: ledger,
		Old: "SET fence = fence WHERE run_id = $1 AND fence = $2`", New: "SET fence = fence WHERE run_id = $1 AND (fence = $2 OR TRUE)`",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "reap-heartbeat", Guard: "A run whose worker sent a heartbeat in the meantime is not reaped", File: ledger,
		Old: "WHERE run_id = $1 AND heartbeat = $2`", New: "WHERE run_id = $1 AND (heartbeat = $2 OR TRUE)`",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "requeue-state", Guard: "Only a running run goes back to the queue", File: ledger,
		Old: "WHERE id = $1 AND state = 'running'`,\n\t\tc.RunID, fence", New: "WHERE id = $1 AND (state = 'running' OR TRUE)`,\n\t\tc.RunID, fence",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "requeue-fence", Guard: "A run goes back to the queue only with the fence that was judged", File: ledger,
		Old: "queue_until = $5 WHERE run_id = $1 AND fence = $2`", New: "queue_until = $5 WHERE run_id = $1 AND (fence = $2 OR TRUE)`",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "resend-state", Guard: "Only a queued run is sent again", File: ledger,
		Old: "SET fence = $2 WHERE id = $1 AND state = 'queued'`", New: "SET fence = $2 WHERE id = $1 AND (state = 'queued' OR TRUE)`",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "release-fence", Guard: "A forced release evicts only the worker that was judged", File: ledger,
		Old: "SET fence = $3, boot_id = '' WHERE run_id = $1 AND fence = $2`", New: "SET fence = $3, boot_id = '' WHERE run_id = $1 AND (fence = $2 OR TRUE)`",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "cancel-state", Guard: "Only a running run moves to cancelling", File: ledger,
		Old: "(state = 'running' OR state = 'cancelling'", New: "(state <> '' OR state = 'cancelling'",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "finish-fence", Guard: "Only the holder of the current fence ends a run", File: ledger,
		Old: "FROM run_claims WHERE run_id = $1 AND fence = $2`", New: "FROM run_claims WHERE run_id = $1 AND (fence = $2 OR TRUE)`",
		Dir: workers, Test: "TestMovesCompareWhatWasJudged",
	},
	{
		Name: "heal-finished", Guard: "A claim of a living run is never removed as inconsistent", File: ledger,
		Old: "AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = $2 AND runs.state <> 'finished')", New: "AND (TRUE OR NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = $2 AND runs.state <> 'finished'))",
		Dir: workers, Test: "TestHealing",
	},
	{
		Name: "start-capability", Guard: "Each operation is started only with its own capability", File: "internal/gate/gate.go",
		Old: "access.Authorize(ctx, tx, actor, req.Tenant, def.Capability)", New: "access.Authorize(ctx, tx, actor, req.Tenant, tenancy.View)",
		Test: "TestShapeComesAfterCapability",
	},
	{
		Name: "idempotency-request", Guard: "An idempotency key is refused for a different request", File: "internal/gate/attempt.go",
		Old: "if before[field] != value {", New: "if before[field] != value && field == \"\" {",
		Test: "TestIdempotencyKeys",
	},
	{
		Name: "hidden-holder", Guard: "A start joins only a run that the caller may open", File: "internal/gate/gate.go",
		Old: "if holder == nil || !p.ta.Grants.Has(tenancy.View) {", New: "if holder == nil {",
		Test: "TestHolderIsHiddenFromThoseWhoMayNotOpenIt",
	},
	{
		Name: "recheck-access", Guard: "A run of someone who lost access does not begin", File: workers + "/recheck.go",
		Old: "\tif !may {", New: "\tif !may && c == nil {",
		Test: "TestRecheckBlocksBeforeTheProviderIsTouched",
	},
	{
		Name: "queue-limit", Guard: "A run that waited past its queue limit does not begin", File: workers + "/recheck.go",
		Old: "if c.Now.After(c.QueueUntil) {", New: "if c.Now.After(c.QueueUntil) && c.RunID == \"\" {",
		Test: "TestRecheckBlocksBeforeTheProviderIsTouched",
	},
	{
		Name: "token-tenant", Guard: "A token of another directory (tid) stops the run", File: workers + "/execution.go",
		Old: "if token.Directory != x.pinned.Connection.DirectoryID {", New: "if token.Directory == \"\" {",
		Test: "TestSignInIsHeldAgainstTheConnection",
	},
	{
		Name: "token-roles", Guard: "A token without permissions stops the run", File: workers + "/execution.go",
		Old: "if len(token.Roles) == 0 {", New: "if token.Roles == nil && token.Directory == \"\" {",
		Test: "TestSignInIsHeldAgainstTheConnection",
	},
	{
		Name: "organization", Guard: "A connection that opens another organization stops the run", File: workers + "/execution.go",
		Old: "case id != x.pinned.Connection.DirectoryID:", New: "case id == \"\":",
		Test: "TestEveryRunChecksTheOrganization",
	},
	{
		Name: "two-clocks", Guard: "Database time alone never declares a worker dead", File: workers + "/house.go",
		Old: "if !(expired && silent >= w.cfg.Lease) &&", New: "if !expired &&",
		Test: "TestClockJumps",
	},
	{
		Name: "quarantine", Guard: "A lost run frees its connection only after the quarantine", File: workers + "/house.go",
		Old: "expired := c.Now.After(c.Lease.Add(w.cfg.Quarantine))", New: "expired := c.Now.After(*c.Lease)",
		Test: "TestQuarantineOutlastsTheLease",
	},
	{
		Name: "resend-limit", Guard: "A run that no worker can begin ends", File: workers + "/house.go",
		Old: "if c.Resends >= maxResends {", New: "if c.Resends >= maxResends<<20 {",
		Test: "TestRunThatNobodyCanBeginEnds",
	},
	{
		Name: "retention-finished", Guard: "Retention keeps runs that have not finished", File: workers + "/sweep.go",
		Old: "SELECT r.id FROM runs r WHERE r.id < $3 AND r.ended_at < $2 ORDER", New: "SELECT r.id FROM runs r WHERE r.id < $3 AND (r.ended_at < $2 OR r.ended_at IS NULL) ORDER",
		Test: "TestSweepKeepsUnfinishedRuns",
	},

	{
		Name: "retention-keys", Guard: "An idempotency key stays as long as its run is unfinished", File: workers + "/sweep.go",
		Old: "(r.id IS NULL OR r.ended_at < $2)", New: "(r.id IS NULL OR r.ended_at IS NULL OR r.ended_at < $2)",
		Test: "TestSweepKeepsUnfinishedRuns",
	},
	{
		Name: "lease-expiry", Guard: "A worker that can't renew its lease stops when it has passed", File: workers + "/lease.go",
		Old: "if time.Since(last) > x.w.cfg.Lease {", New: "if time.Since(last) > x.w.cfg.Lease<<20 {",
		Test: "TestLeaseThatCannotBeRenewedStopsTheWork",
	},

	// Changes at a provider.
	{
		Name: "write-without-intent", Guard: "A change is sent only after its intent was committed", File: workers + "/writes.go",
		Old: "\tcase !ok:\n", New: "\tcase !ok && key == \"\":\n",
		Test: "TestJournalOrderIsEnforced",
	},
	{
		Name: "intend-fence", Guard: "A worker without the current fence intends nothing", File: "internal/gate/internal/journal/journal.go",
		Old: "if err := ledger.Guard(ctx, tx, run, fence); err != nil {\n\t\treturn err\n\t}\n\tmost", New: "if err := ledger.Guard(ctx, tx, run, fence); err != nil && fence < 0 {\n\t\treturn err\n\t}\n\tmost",
		Dir: workers, Test: "TestJournalComparesTheFence",
	},
	{
		Name: "settle-fence", Guard: "A worker without the current fence settles nothing", File: "internal/gate/internal/journal/journal.go",
		Old: "if err := ledger.Guard(ctx, tx, run, fence); err != nil {\n\t\treturn err\n\t}\n\terr := one(", New: "if err := ledger.Guard(ctx, tx, run, fence); err != nil && fence < 0 {\n\t\treturn err\n\t}\n\terr := one(",
		Dir: workers, Test: "TestJournalComparesTheFence",
	},
	{
		Name: "settle-open", Guard: "Only an open step is settled", File: "internal/gate/internal/journal/journal.go",
		Old: "AND item = $5 AND (state = 'open' OR", New: "AND item = $5 AND (TRUE OR state = 'open' OR",
		Dir: workers, Test: "TestJournalOrderIsEnforced",
	},
	{
		Name: "same-change", Guard: "A step repeats only the change that it was", File: "internal/gate/internal/journal/journal.go",
		Old: "AND run_journal.call = excluded.call AND run_journal.body_hash = excluded.body_hash`", New: "AND (TRUE OR run_journal.call = excluded.call AND run_journal.body_hash = excluded.body_hash)`",
		Dir: workers, Test: "TestJournalOrderIsEnforced",
	},
	{
		Name: "doubtful-tries", Guard: "A change whose repeat is doubtful is intended twice at most", File: "internal/gate/internal/journal/journal.go",
		Old: "AND run_journal.tries < $10", New: "AND (run_journal.tries < $10 OR TRUE)",
		Dir: workers, Test: "TestJournalOrderIsEnforced",
	},
	{
		Name: "doubt-not-repeated", Guard: "A change whose response was lost is not sent again", File: "internal/provider/graph/write.go",
		Old: "return !call.doubt && (err != nil", New: "return (err != nil",
		Test: "TestWriteIsSentOnceWhenInDoubt",
	},
	{
		Name: "journal-settled", Guard: "A settled step is not intended again", File: "internal/gate/internal/journal/journal.go",
		Old: "WHERE run_journal.state IN ('open', 'not_made') AND", New: "WHERE run_journal.state <> '' AND",
		Dir: workers, Test: "TestJournalOrderIsEnforced",
	},
	{
		Name: "journal-open-is-unknown", Guard: "A run that ends with an open step says that its result is not known", File: "internal/gate/internal/ending/ending.go",
		Old: "if err := journal.Close(ctx, tx, c); err != nil {", New: "if err := error(nil); err != nil {",
		Dir: workers, Test: "TestReleaseLeavesOpenStepsUnknown",
	},
	{
		Name: "journal-any-is-failed", Guard: "A run that changed something and may not continue is not called blocked", File: "internal/gate/internal/ending/ending.go",
		Old: "\tif changed {\n", New: "\tif changed && c == nil {\n",
		Dir: workers, Test: "TestResumedRunThatMayNotGoOnHasFailed",
	},
	{
		Name: "write-once", Guard: "An intent allows one write", File: "internal/gate/worker/writes.go",
		Old: "\tdelete(x.changes.intended, key)\n", New: "",
		Dir: workers, Test: "TestJournalOrderIsEnforced",
	},
	{
		Name: "write-again", Guard: "An operation that is made again from the start can't write", File: "internal/gate/worker/writes.go",
		Old: "if x.def.Recovery == catalogue.Again {\n\t\treturn fmt", New: "if x.def.Recovery == \"\" {\n\t\treturn fmt",
		Dir: workers, Test: "TestJournalOrderIsEnforced",
	},
	{
		Name: "write-item-is-finished", Guard: "A cancel does not cut off an item that has begun", File: "internal/gate/worker/writes.go",
		Old: "if busy && !atOnce(stop) {", New: "if busy && stop == nil {",
		Dir: workers, Test: "TestCancelActsBetweenItems",
	},
	{
		Name: "refusal-keeps-doubt", Guard: "A repeat that was refused does not end the doubt about the first try", File: "internal/gate/internal/journal/journal.go",
		Old: "SET state = CASE WHEN tries > 1 THEN", New: "SET state = CASE WHEN tries > 99 THEN",
		Dir: workers, Test: "TestRunThatEndsInDoubtSaysSo",
	},
	{
		Name: "closed-at-once", Guard: "A run whose connection was closed makes no further call", File: "internal/gate/worker/writes.go",
		Old: "errors.Is(stop, errLost) || errors.Is(stop, errClosed)", New: "errors.Is(stop, errLost)",
		Dir: workers, Test: "TestClosedConnectionStopsWithinAnItem",
	},
	{
		Name: "write-stops", Guard: "After a cancel no further item begins", File: "internal/gate/worker/writes.go",
		Old: "stop != nil && (fresh || atOnce(stop))", New: "stop != nil && atOnce(stop)",
		Dir: workers, Test: "TestJournalInterleaved",
	},
	{
		Name: "write-wait-is-free", Guard: "A long wait uses up no try", File: "internal/gate/worker/settle.go",
		Old: "w.For, w.Counts = max(pe.RetryAfter, x.w.cfg.Backoff), false", New: "w.For, w.Counts = max(pe.RetryAfter, x.w.cfg.Backoff), true",
		Dir: workers, Test: "TestReadingRunThrottledForAnHour",
	},
	{
		Name: "short-wait", Guard: "A provider that asks for a moment is not asked all the time", File: "internal/gate/worker/settle.go",
		Old: "w.For, w.Counts = max(pe.RetryAfter, x.w.cfg.Backoff), false", New: "w.For, w.Counts = pe.RetryAfter, false",
		Dir: workers, Test: "TestShortWaitsAreNotAskedAllTheTime",
	},
	{
		Name: "resume-heartbeat", Guard: "A run whose worker sent a heartbeat in the meantime is not sent again", File: "internal/gate/internal/ending/ending.go",
		Old: "\tif err := ledger.Still(ctx, tx, c); err != nil {\n\t\treturn false, err", New: "\tif err := error(nil); err != nil {\n\t\treturn false, err",
		Dir: workers, Test: "TestResumingComparesTheHeartbeat",
	},
	{
		Name: "items-made-again", Guard: "Items of a try that was made again do not decide how the run ended", File: "internal/gate/worker/settle.go",
		Old: "catalogue.Again && x.claim.BeganAt != nil {", New: "catalogue.Again && false {",
		Dir: workers, Test: "TestItemsOfATryMadeAgainAreForgotten",
	},
	{
		Name: "snapshot-fence", Guard: "A run that lost its connection shows no snapshot", File: "internal/gate/worker/snapshots.go",
		Old: "err = s.x.write(ctx", New: "err = s.x.record(ctx",
		Dir: workers, Test: "TestSnapshotsAreKeptTogether",
	},
	{
		Name: "snapshot-moment", Guard: "All parts of a snapshot are as of one moment", File: "internal/gate/worker/snapshots.go",
		Old: "Unreadable: p.Unreadable, At: kept.At}", New: "Unreadable: p.Unreadable}",
		Dir: workers, Test: "TestSnapshotsAreKeptTogether",
	},
	{
		Name: "snapshot-history", Guard: "The history of snapshots has 400 at most", File: "internal/mirror/history.go",
		Old: "LIMIT 10 OFFSET $3", New: "LIMIT 0 OFFSET $3",
		Dir: workers, Test: "TestSnapshotsKeepTheirHistory",
	},
	{
		Name: "restore-forged-plan", Guard: "A stored plan is checked once more before a restore executes it", File: "internal/catalogue/policy_restore.go",
		Old: "if err := plan.Allowed(); err != nil {", New: "if err := plan.Allowed(); err != nil && ctx == nil {",
		Dir: workers, Test: "TestRestoreRefusesAForgedPlan",
	},
	{
		Name: "restore-waits", Guard: "A create in doubt is repeated only after its object would have appeared", File: "internal/catalogue/policy_restore_look.go",
		Old: "left > 0 && !t.Repeatable(call)", New: "left > appears && !t.Repeatable(call)",
		Dir: workers, Test: "TestRestoreWaitsBeforeItRepeats",
	},
	{
		Name: "restore-looks", Guard: "A create in doubt is looked for before it is repeated", File: "internal/catalogue/journal.go",
		Old: "case seen.There:\n", New: "case seen.There && e == nil:\n",
		Dir: workers, Test: "TestRestoreReadsBackLostAnswers",
	},
	{
		Name: "restore-woken", Guard: "A worker that lost its run makes no further call at the provider", File: workers + "/lease.go",
		Old: "case c == nil || c.Fence != x.claim.Fence:", New: "case c == nil:",
		Dir: workers, Test: "TestRestoreWorkerWakesBesideItsHeir",
	},
	{
		Name: "restore-items-stay", Guard: "A policy that was tried and not written has an item that says so", File: "internal/catalogue/policy_restore.go",
		Old: "first.State == StepNotMade && first.Tries == 0", New: "first.State == StepNotMade && first.Tries == -1",
		Dir: workers, Test: "TestRestoreKeepsItemsOfEarlierDispatches",
	},
	{
		Name: "restore-changed-target", Guard: "A policy that changed since the preview is not written", File: "internal/catalogue/policy_restore_step.go",
		Old: "if !s.Holds(now) {", New: "if !s.Holds(now) && now == \"\" {",
		Dir: workers, Test: "TestRestoreWritesNothingThatChanged",
	},
	{
		Name: "restore-namesake", Guard: "A policy is not created beside one of its name that appeared since the preview", File: "internal/catalogue/policy_restore_step.go",
		Old: "case len(others) > 0:\n\t\t\treturn &conflict, nil", New: "case len(others) > 1:\n\t\t\treturn &conflict, nil",
		Dir: workers, Test: "TestRestoreWritesNothingThatChanged",
	},

	// The steps of a restore.
	{
		Name: "preview-tenant", Guard: "A preview of another tenant can't be executed", File: "internal/plans/plans.go",
		Old: "WHERE p.tenant_id = $1 AND p.hash = $2 AND p.ready`, tenant, hash).", New: "WHERE (p.tenant_id = $1 OR TRUE) AND p.hash = $2 AND p.ready`, tenant, hash).",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "preview-whole", Guard: "A preview that is still being stored can't be executed", File: "internal/plans/plans.go",
		Old: "AND p.hash = $2 AND p.ready`, tenant, hash).", New: "AND p.hash = $2`, tenant, hash).",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "preview-once", Guard: "A preview is executed by one run", File: "internal/plans/plans.go",
		Old: "AND ready AND executed_by IN ('', $3)`", New: "AND ready AND (executed_by IN ('', $3) OR TRUE)`",
		Test: "TestAPlanIsExecutedByOneRun",
	},
	{
		Name: "preview-changed", Guard: "A stored plan with another hash is not executed", File: "internal/plans/plans.go",
		Old: "if plan.Hash() != hash {", New: "if false {",
		Test: "TestChangedPlansAreNotExecuted",
	},
	{
		Name: "preview-bodies", Guard: "A stored body with another hash is not sent", File: "internal/plans/plans.go",
		Old: "h != \"\" && h != restore.HashOf(bodies[i])", New: "h != \"\" && false",
		Test: "TestChangedPlansAreNotExecuted",
	},
	{
		Name: "preview-mappings", Guard: "A preview is out of date when a mapping that it uses has changed", File: "internal/catalogue/policy_restore_start.go",
		Old: "Remapped: p.Remapped}", New: "Remapped: false}",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "restore-backup", Guard: "A restore needs its backup", File: "internal/catalogue/policy_restore_start.go",
		Old: "\t\tif !there {", New: "\t\tif !there && p.Set == \"\" {",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "restore-stale", Guard: "A preview that is out of date is not executed", File: "internal/catalogue/policy_restore_start.go",
		Old: "if len(stale) > 0 {", New: "if false {",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "restore-warnings", Guard: "A restore needs the acknowledgement of each warning", File: "internal/catalogue/policy_restore_start.go",
		Old: "if len(open) > 0 {", New: "if false {",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "restore-approval", Guard: "A restore needs an approval where the workspace requires it", File: "internal/catalogue/policy_restore_start.go",
		Old: "if p.MustApprove && !q.Begun &&", New: "if false && !q.Begun &&",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "approval-author", Guard: "The author of a preview can't approve it", File: "internal/plans/list.go",
		Old: "case d.Facts.Author == a.ID():", New: "case false:",
		Test: "TestApprovals",
	},
	{
		Name: "approval-starter", Guard: "The starter of a restore can't approve it", File: "internal/catalogue/policy_restore_start.go",
		Old: "a.Person.ID != starter && ", New: "",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "approval-right", Guard: "An approval by someone who may no longer approve does not count", File: "internal/plans/plans.go",
		Old: "all[i].Withdrawn = !may", New: "all[i].Withdrawn = false && may",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "restore-name", Guard: "A restore is confirmed with the name of the tenant", File: "internal/gate/gate.go",
		Old: "if err == nil && def.Confirm != nil {", New: "if false {",
		Dir: "internal/apptest/restorechain", Test: "TestMatrix",
	},
	{
		Name: "restore-recheck", Guard: "A restore that lost a prerequisite in the queue does not begin", File: workers + "/recheck.go",
		Old: "if len(causes) > 0 {", New: "if false {",
		Test: "TestRestoreIsJudgedAgain",
	},
	{
		Name: "restore-starter", Guard: "A restore whose starter lost the right writes no further policy", File: workers + "/writes.go",
		Old: "if err == nil && !may {", New: "if err == nil && !may && ctx == nil {",
		Test: "TestRestoreIsJudgedBetweenTwoChanges",
	},
	{
		Name: "late-change", Guard: "A change is not sent after its deadline, by a process that stood still", File: "internal/provider/graph/attempt.go",
		Old: "if now := time.Now(); now.After(b.deadline) ||", New: "if now := time.Now(); now.IsZero() || p == nil &&",
		Test: "TestLateChangeIsNotSent",
	},
	{
		Name: "transport-doubt", Guard: "The transport does not repeat a change by itself", File: "internal/provider/graph/attempt.go",
		Old: "req.Raw().GetBody = nil // ", New: "_ = req // ",
		Test: "TestTransportCantRepeatAChange",
	},
	{
		Name: "write-lanes", Guard: "Changes wait in a lane of their own", File: "internal/provider/graph/lanes.go",
		Old: "if _, apart := writePaces[s]; !writes || !apart {", New: "if _, apart := writePaces[s]; !writes || apart {",
		Test: "TestLanesOfChanges",
	},

	// Backups as people meet them.
	{
		Name: "backup-mask", Guard: "Secrets of a backup are masked", File: "internal/policy/secrets.go",
		Old: "parent[name] = Shown\n\t\tsecrets++", New: "_, _ = parent, name\n\t\tsecrets++",
		Dir: "internal/api", Test: "TestSecretsOfBackups",
	},
	{
		Name: "backup-download", Guard: "A backup with its secrets needs backups.export", File: "internal/backup/files.go",
		Old:  "return query.Write(ctx, f.db, \"download the backup\", func(ctx context.Context, tx db.Tx) (Download, error) {\n\t\tta, s, err := find(ctx, tx, a, tenant, id, tenancy.ExportBackups)",
		New:  "return query.Write(ctx, f.db, \"download the backup\", func(ctx context.Context, tx db.Tx) (Download, error) {\n\t\tta, s, err := find(ctx, tx, a, tenant, id, tenancy.ViewBackups)",
		Test: "TestRoundTripUpload",
	},
	{
		Name: "backup-rules", Guard: "Keep rules need a fresh sign-in", File: "internal/backup/list.go",
		Old: "if err := access.RequireFresh(ctx, tx, a); err != nil {", New: "if err := access.RequireFresh(ctx, tx, a); err != nil && false {",
		Test: "TestRulesAreTheOwners",
	},
	{
		Name: "compare-unread", Guard: "A policy of a type that was not read counts neither as added nor as removed", File: "internal/backup/compare.go",
		Old: "older && sides[0].set.whole(c.Type) || !older && sides[1].set.whole(c.Type)", New: "older || sides[1].set.whole(c.Type)",
		Test: "TestCompareSaysWhatItCantKnow",
	},
	{
		Name: "compare-incomplete", Guard: "A policy that lacks a part is not compared", File: "internal/backup/compare.go",
		Old: "if skip[id] || !ids[id] && skip[c.Type+\"//\"+c.Name] {", New: "if skip[id] {",
		Test: "TestCompareSaysWhatItCantKnow",
	},
	{
		Name: "upload-turns", Guard: "One upload is read at a time", File: "internal/api/backup_files.go",
		Old: "case turns <- struct{}{}:", New: "case make(chan struct{}, 1) <- struct{}{}:",
		Test: "TestUploadsTakeTurns",
	},
	{
		Name: "upload-patience", Guard: "An upload may arrive slowly", File: "internal/api/backup_files.go",
		Old: "_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadWithin)) //", New: "_ = uploadWithin //",
		Test: "TestUploadIsPatient",
	},

	// Who may see and do what.
	{
		Name: "authorize-capability", Guard: "A tenant opens only with the needed capability", File: "internal/access/authorize.go",
		Old: "if !ta.Grants.Has(need) {", New: "if !ta.Grants.Has(need) && need == \"\" {",
		Test: "TestAuthorize",
	},
	{
		Name: "confined-member", Guard: "A confined member sees only their tenants", File: "internal/access/authorize.go",
		Old: "t.workspace_id = m.workspace_id AND (m.all_tenants OR", New: "t.workspace_id = m.workspace_id AND (TRUE OR m.all_tenants OR",
		Test: "TestAuthorize",
	},
	{
		Name: "foreign-is-404", Guard: "A foreign tenant is not found, not forbidden", File: "internal/access/authorize.go",
		Old: "return TenantAccess{}, op.ErrNotFound", New: "return TenantAccess{}, op.ErrForbidden",
		Test: "TestAuthorize",
	},
	{
		Name: "list-workspace", Guard: "A list shows rows of the caller's workspace only", File: "internal/access/authorize.go",
		Old: "where := workspaceColumn + \" = \" + ws\n", New: "where := \"(TRUE OR \" + workspaceColumn + \" = \" + ws + \")\"\n",
		Test: "TestScope",
	},
	{
		Name: "disabled-account", Guard: "A disabled account is out at its next request", File: "internal/access/authorize.go",
		Old: "JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL\n\tJOIN tokens", New: "JOIN users u ON u.id = m.user_id\n\tJOIN tokens",
		Test: "TestAnyEndIsEnough",
	},
	{
		Name: "revoked-secret", Guard: "A revoked session or token authorizes nothing", File: "internal/access/authorize.go",
		Old: "AND k.id = $3 AND k.revoked_at IS NULL AND", New: "AND k.id = $3 AND",
		Test: "TestAnyEndIsEnough",
	},
	{
		Name: "fresh-sign-in", Guard: "Risky changes need a fresh sign-in", File: "internal/access/fresh.go",
		Old: "\tif !fresh {", New: "\tif !fresh && a.token == \"\" {",
		Test: "TestFactorChangesNeedAFreshSignIn",
	},
	{
		Name: "fresh-token", Guard: "An API token never counts as a fresh sign-in", File: "internal/access/fresh.go",
		Old: "\tif a.kind != SignInSession {\n\t\treturn ErrNoSession\n\t}\n\tvar fresh", New: "\tvar fresh",
		Dir: "internal/api", Test: "TestTokensChangeNoMembers",
	},
	{
		Name: "sign-in-budget", Guard: "Wrong sign-ins are limited by account and address", File: "internal/access/limits.go",
		Old: "if failures > int64(b.limit) {", New: "if failures > int64(b.limit)<<20 {",
		Test: "TestGuessingIsSlowAndLocksNobodyOut",
	},
	{
		Name: "last-owner", Guard: "The last owner who can sign in stays one", File: "internal/store/members.go",
		Old: "\tif !others {", New: "\tif !others && userID == \"\" {",
		Test: "TestMembers",
	},
	{
		Name: "nobody-gives-what-they-lack", Guard: "Nobody gives a right that they lack", File: "internal/access/membership.go",
		Old: "if missing := g.Beyond(m.grants); len(missing) > 0 {", New: "if missing := g.Beyond(m.grants); len(missing) > 1<<20 {",
		Dir: "internal/store", Test: "TestNobodyGivesOrTakesWhatTheyLack",
	},
	{
		Name: "audit-chain", Guard: "Each audit record covers the one before it", File: "internal/access/audit.go",
		Old: "[]string{\"interlock audit 1\", previous, workspaceID,", New: "[]string{\"interlock audit 1\", \"\", workspaceID,",
		Test: "TestForgedRecordBreaksTheChain",
	},
	{
		Name: "audit-tail", Guard: "A cut tail shows against a kept checkpoint", File: "internal/access/audit.go",
		Old: "for c := range missing {\n\t\tif err == nil {", New: "for c := range missing {\n\t\tif err == nil && c.Seq < 0 {",
		Test: "TestACheckpointShowsACutTail",
	},

	// What stands at the front.
	{
		Name: "cross-origin", Guard: "A change that another site requests is refused", File: "internal/httpx/session.go",
		Old: " || crossOrigin.Check(r) != nil {", New: " {",
		Test: "TestCheckOrigin",
	},
	{
		Name: "cookie-flags", Guard: "Scripts can't read the session cookie", File: "internal/httpx/session.go",
		Old: "Secure: true, HttpOnly: true,", New: "Secure: true, HttpOnly: false,",
		Test: "TestSessionCookie",
	},
	{
		Name: "no-store", Guard: "No cache keeps an answer", File: "internal/httpx/front.go",
		Old: "h.Set(\"Cache-Control\", \"no-store\")", New: "h.Set(\"Cache-Control\", \"no-cache\")",
		Test: "TestSecurityHeaders",
	},
	{
		Name: "framing", Guard: "No site can frame an answer", File: "internal/httpx/front.go",
		Old: "form-action 'none'; frame-ancestors 'none'\"", New: "form-action 'none'\"",
		Test: "TestSecurityHeaders",
	},
	{
		Name: "inline-script", Guard: "A page runs no inline script", File: "internal/console/console.go",
		Old: "script-src 'self';", New: "script-src 'self' 'unsafe-inline';",
		Test: "TestPolicyIsStrict",
	},
	{
		Name: "hsts", Guard: "An answer over TLS asks for TLS from then on", File: "internal/httpx/front.go",
		Old: "h.Set(\"Strict-Transport-Security\", \"max-age=31536000\")", New: "h.Set(\"X-Strict-Transport-Security\", \"max-age=31536000\")",
		Test: "TestStrictTransport",
	},
	{
		Name: "trusted-proxy", Guard: "Only a trusted proxy names the client's address", File: "internal/httpx/front.go",
		Old: "if err != nil || !f.trusts(host) {", New: "if err != nil {",
		Test: "TestClientAddress",
	},
	{
		Name: "retry-after", Guard: "A limited request is told when to come again", File: "internal/httpx/problem.go",
		Old: "return p.with(\"Retry-After\",", New: "return p.with(\"X-Retry-After\",",
		Test: "TestRetryAfter",
	},
	{
		Name: "stream-cap", Guard: "One person holds only so many streams", File: "internal/httpx/streams.go",
		Old: "if s.open[person] >= s.most {", New: "if s.open[person] >= s.most<<20 {",
		Test: "TestStreamsOfAPerson",
	},
	{
		Name: "connection-cap", Guard: "A full server answers 503 and closes", File: "internal/httpx/crowd.go",
		Old: "if c.open.Add(1) <= c.most {", New: "if c.open.Add(1) <= c.most<<20 {",
		Test: "TestCrowd",
	},
	{
		Name: "json-names-once", Guard: "JSON with a name twice is refused", File: "internal/strictjson/strictjson.go",
		Old: "\t\t\tif seen[name] {", New: "\t\t\tif seen[name] && name == \"\" {",
		Test: "TestCheck",
	},
	{
		Name: "json-white-space", Guard: "Only JSON's own white space may follow a value, no form feed", File: "internal/strictjson/strictjson.go",
		Old: "const space = \" \\t\\r\\n\"", New: "const space = \" \\t\\r\\n\\f\"",
		Test: "TestCheck",
	},
	{
		Name: "json-unknown-names", Guard: "An unknown name in a body is refused", File: "internal/strictjson/strictjson.go",
		Old: "return shown(strings.TrimPrefix(unknown(data, reflect.TypeOf(v).Elem(), \"\"), \".\"))", New: "_ = unknown\n\treturn shown(strings.TrimPrefix(\"\", \".\"))",
		Test: "TestUnknown",
	},

	// The database.
	{
		Name: "sqlite-full", Guard: "SQLite syncs at each commit (synchronous FULL)", File: "internal/db/sqlite.go",
		Old: "\"synchronous(FULL)\"", New: "\"synchronous(NORMAL)\"",
		Test: "TestValuesComeBackAsTheyWere",
	},
	{
		Name: "sqlite-full-checked", Guard: "A connection without synchronous FULL is refused", File: "internal/db/sqlite.go",
		Old: "if synchronous < full {", New: "if synchronous < full-full {",
		Test: "TestWriterMustBeDurable",
	},
	{
		Name: "postgres-commit", Guard: "PostgreSQL syncs at each commit whatever its settings", File: "internal/db/postgres.go",
		Old: "READ WRITE; SET LOCAL synchronous_commit = on\"", New: "READ WRITE\"",
		Test: "TestWriteIsDurableWhateverTheDatabaseSays",
	},
	{
		Name: "newer-schema", Guard: "A program older than the schema refuses to start", File: "internal/db/migrate.go",
		Old: "if have > want {", New: "if have > want<<20 {",
		Test: "TestMigrateTwiceAndAtTheSameTime",
	},
	{
		Name: "statement-eviction", Guard: "The statement that was used longest ago is evicted", File: "internal/db/statements.go",
		Old: "c.used.Remove(c.used.Back()).(kept)", New: "c.used.Remove(c.used.Front()).(kept)",
		Test: "TestStatementsAreBounded",
	},
	{
		Name: "statistics", Guard: "Tables without statistics get them", File: "internal/db/statistics.go",
		Old: "AND c.reltuples < 0 AND", New: "AND c.reltuples < -1 AND",
		Test: "TestAnalyze",
	},

	// Secrets.
	{
		Name: "secret-is-masked", Guard: "A secret in JSON or a log shows as a mask", File: "internal/vault/secret.go",
		Old: "func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }", New: "func (s Secret) MarshalText() ([]byte, error) { return []byte(s.Reveal()), nil }",
		Test: "TestSecretIsNotShown",
	},
	{
		Name: "root-key-mode", Guard: "A root key file that others can read is refused", File: "internal/vault/root.go",
		Old: "mode&0o027 != 0 {", New: "mode&0o027 == 0o1000 {",
		Test: "TestKeyFile",
	},
	{
		Name: "root-key-id", Guard: "A keyset opens only with the root key that its seal names", File: "internal/vault/vault.go",
		Old: "\t\tif key.id != id {", New: "\t\tif key.id != id && id == \"\" {",
		Test: "TestRotationOfTheRootKey",
	},
	{
		Name: "provider-echo", Guard: "A secret that a provider echoes is taken out of its text", File: "internal/provider/graph/redact.go",
		Old: "\ts = strings.NewReplacer(r.secrets...).Replace(s)\n", New: "",
		Test: "TestRedact",
	},
	{
		Name: "checkpoint-signature", Guard: "A checkpoint with a wrong signature is refused", File: "internal/checkpoint/checkpoint.go",
		Old: "if e.Key != public || !vault.Signed(public, data, e.Signature) {", New: "if e.Key != public && len(data) == 0 {",
		Test: "TestExportsAreReadAsTheyWereSigned",
	},

	// What goes out.
	{
		Name: "redirects", Guard: "Outbound requests follow no redirect", File: "internal/outbound/outbound.go",
		Old:  "_ []*http.Request) error {\n\t\t\treturn &Refused{Redirect, next.URL.Host}",
		New:  "via []*http.Request) error {\n\t\t\tif len(via) < 3 {\n\t\t\t\treturn nil\n\t\t\t}\n\t\t\treturn &Refused{Redirect, next.URL.Host}",
		Test: "TestRedirectsAreRefusedBeforeTheBodyGoesOut",
	},
	{
		Name: "outbound-hosts", Guard: "Outbound requests reach only hosts on the list", File: "internal/outbound/outbound.go",
		Old: "if !g.hosts[net.JoinHostPort(strings.ToLower(u.Hostname()), port)] {", New: "if !g.hosts[net.JoinHostPort(strings.ToLower(u.Hostname()), port)] && port == \"\" {",
		Test: "TestOnlyHostsOnTheList",
	},
	{
		Name: "outbound-addresses", Guard: "No host name leads to an inner address", File: "internal/outbound/outbound.go",
		Old: "!allowed(addr, loopback) {", New: "!allowed(addr, loopback) && network == \"\" {",
		Test: "TestInnerAddressesAreRefusedWhateverTheirName",
	},
	{
		Name: "token-application", Guard: "A token for another application is refused", File: "internal/provider/graph/token.go",
		Old: "if err == nil && !strings.EqualFold(claims.ClientID, c.clientID) {", New: "if err == nil && claims.ClientID == \"\" {",
		Test: "TestTokenOfAnotherApplication",
	},
	{
		Name: "batch-weight", Guard: "A batch counts as what it contains", File: "internal/provider/graph/batch.go",
		Old: "call := &call{service: of, weight: len(parts)}", New: "call := &call{service: of, weight: 1}",
		Test: "TestBatchTakesATokenForEachPart",
	},
	{
		Name: "batch-service", Guard: "A batch counts against the service of its parts", File: "internal/provider/graph/batch.go",
		Old: "call := &call{service: of, weight: len(parts)}", New: "call := &call{weight: len(parts)}",
		Test: "TestBatchTakesATokenForEachPart",
	},
	{
		Name: "batch-parts", Guard: "Only the parts that were refused are sent again", File: "internal/provider/graph/batch.go",
		Old: "\t\tleft = again\n", New: "",
		Test: "TestBatchWaitsForItsParts",
	},
	{
		Name: "part-closes-lane", Guard: "A part that was throttled closes its lane", File: "internal/provider/graph/batch.go",
		Old: "lane.close(p.err.RetryAfter)", New: "_ = lane",
		Test: "TestThrottledPartClosesItsLane",
	},
	{
		Name: "lane-an-hour", Guard: "A faulty header does not close a lane for days", File: "internal/provider/graph/lanes.go",
		Old: "now.Add(min(d, maxPause))", New: "now.Add(d)",
		Test: "TestLaneOpensAfterAnHour",
	},
	{
		Name: "sign-in-no-doubt", Guard: "A change whose sign-in failed is not in doubt", File: "internal/provider/graph/attempt.go",
		Old: "change := call.writes && service != login", New: "change := call.writes",
		Test: "TestWriteWithoutSignIn",
	},
	{
		Name: "workload-workspace", Guard: "A workspace that the administrator did not name can't save a workload identity", File: "internal/store/credentials.go",
		Old: "if !s.opts.Workload.Serves(a.WorkspaceSlug()) {", New: "if false {",
		Test: "TestWorkloadIdentity",
	},
	{
		Name: "workload-sign-in", Guard: "A workspace that lost the workload identity can't sign in with it", File: "internal/app/app.go",
		Old: "if i < 0 || !identity.Serves(workspaces[i].Slug) {", New: "if i < 0 {",
		Dir: "e2e", Test: "TestWorkloadIdentity",
	},
	{
		Name: "backup-put-fence", Guard: "A worker that lost its run adds nothing to a backup", File: "internal/gate/worker/backups.go",
		Old: "r.x.write(ctx, func(ctx context.Context, tx db.Tx) error { return backup.Put", New: "r.x.record(ctx, func(ctx context.Context, tx db.Tx) error { return backup.Put",
		Test: "TestBackupsInterleaved",
	},
	{
		Name: "backup-commit-fence", Guard: "A worker that lost its run completes no backup", File: "internal/gate/worker/backups.go",
		Old: "r.x.write(ctx, func(ctx context.Context, tx db.Tx) error {\n\t\t_, err := backup.Commit", New: "r.x.record(ctx, func(ctx context.Context, tx db.Tx) error {\n\t\t_, err := backup.Commit",
		Test: "TestBackupsInterleaved",
	},
	{
		Name: "backup-put-building", Guard: "Nothing is added to a backup that is complete or removed", File: "internal/backup/write.go",
		Old: "size = size + $4 WHERE id = $1 AND state = 'building'", New: "size = size + $4 WHERE id = $1",
		Test: "TestSetThatIsNotBuilding",
	},
	{
		Name: "backup-commit-building", Guard: "A backup that was removed does not become visible again", File: "internal/backup/write.go",
		Old: "complete = (incomplete = 0 AND $3) WHERE id = $1 AND state = 'building'", New: "complete = (incomplete = 0 AND $3) WHERE id = $1",
		Test: "TestSetThatIsNotBuilding",
	},
	{
		Name: "backup-content-lock", Guard: "The sweep keeps a content that a backup is using again", File: "internal/backup/sweep.go",
		Old: "UPDATE backup_blobs SET used_at = used_at WHERE workspace_id = $1 AND hash = $2", New: "UPDATE backup_blobs SET used_at = used_at WHERE workspace_id = $1 AND hash = $2 AND 1 = 0",
		Test: "TestContentUsedWhileItIsSwept",
	},
	{
		Name: "backup-content-order", Guard: "Backups write their contents in one order", File: "internal/backup/write.go",
		Old: "for _, hash := range slices.Sorted(maps.Keys(blobs)) {", New: "for hash := range maps.Keys(blobs) {",
		Test: "TestTwoBackupsOfOneContent",
	},
	{
		Name: "backup-keep-last", Guard: "The newest complete backup of a type of policy stays", File: "internal/backup/rules.go",
		Old: "if newestOf(s, types) {", New: "if newestOf(s, types) && false {",
		Test: "TestKeepRules",
	},
	{
		Name: "backup-keep-pinned", Guard: "A pinned backup stays", File: "internal/backup/rules.go",
		Old: "\t\tif s.Pinned {", New: "\t\tif s.Pinned && false {",
		Test: "TestKeepRules",
	},
	{
		Name: "backup-damaged", Guard: "A stored content that was changed is not used", File: "internal/backup/backup.go",
		Old: " || hashOf(text) != hash", New: "",
		Test: "TestOneBadPolicy",
	},
	{
		Name: "backup-lost-content", Guard: "A content that is gone makes its policy incomplete", File: "internal/backup/read.go",
		Old: "LEFT JOIN backup_blobs", New: "JOIN backup_blobs",
		Test: "TestOneBadPolicy",
	},
	{
		Name: "settings-counted", Guard: "A policy with fewer settings than it says is incomplete", File: "internal/provider/policies/policies.go",
		Old: "\t\t\tall[i].count()\n", New: "",
		Test: "TestOne",
	},
	{
		Name: "archive-path", Guard: "An upload with a path that leaves its folder is refused", File: "internal/archive/zip.go",
		Old: " || slices.Contains(strings.Split(name, \"/\"), \"..\")", New: " || slices.Contains(strings.Split(name, \"/\"), \"...\")",
		Test: "TestRefused",
	},
	{
		Name: "archive-bomb", Guard: "An upload that expands too much is refused", File: "internal/archive/zip.go",
		Old: "total > freeRatio && total > maxRatio*uint64(size)", New: "total > MaxTotal",
		Test: "TestRefused",
	},
	{
		Name: "archive-same-id", Guard: "An upload with two policies of one id is refused", File: "internal/archive/read.go",
		Old: "\t\tcase r.versions:\n", New: "\t\tcase true:\n",
		Test: "TestSameID",
	},
	{
		Name: "page-links", Guard: "A page link to another host is not followed", File: "internal/provider/graph/client.go",
		Old: "return u.Scheme+\"://\"+u.Host == c.endpoints.Graph && (", New: "return (",
		Test: "TestLinks",
	},
}
