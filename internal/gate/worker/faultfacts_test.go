package worker

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (l *faultLab) access() (ta access.TenantAccess) {
	l.t.Helper()
	l.Write(func(ctx context.Context, tx db.Tx) (err error) {
		ta, err = access.Authorize(ctx, tx, l.Owner, "kestrel", tenancy.View)
		return err
	})
	return ta
}

// facts are what an operation keeps, before or after a run.
type facts struct {
	rows  []string // that readers see, with their datasets
	asOf  []string // of the datasets
	plans int64
}

func (l *faultLab) facts() facts {
	l.t.Helper()
	return facts{
		rows: l.texts(`SELECT d.name || ' ' || r.id || ' ' || r.data FROM datasets d JOIN records r ON r.generation = d.generation
			UNION ALL SELECT d.name || ' members ' || CAST(d.member_count AS TEXT) FROM datasets d ORDER BY 1`),
		asOf:  l.texts(`SELECT name || ' ' || CAST(COALESCE(as_of, 0) AS TEXT) FROM datasets ORDER BY name`),
		plans: l.Int(`SELECT COUNT(*) FROM plans WHERE ready`),
	}
}

var completed = regexp.MustCompile(`(All|No|\d+)(?: (\d+))?(?: of (\d+))? (?:item|part|type|polic|check)[a-z]* completed`)

// saysWhatIsStored compares the sentences about a run with its stored facts.
func (l *faultLab) saysWhatIsStored(run op.Run, items []op.Item) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	now := run.AcceptedAt.Add(l.moved)
	words := op.DescribeRun(run, now)
	sentences := []string{words.Title, words.Reason, words.Why, words.Next}
	good, bad := 0, 0
	for _, it := range items {
		said := op.DescribeItem(it)
		sentences = append(sentences, said.Detail)
		fine := slices.Contains([]op.ItemResult{op.ItemDone, op.ItemUnchanged, op.ItemCreated, op.ItemUpdated}, it.Result) && it.Counts.Failed == 0
		switch {
		case fine:
			good++
		case it.Result == op.ItemNotApplicable || it.Result == op.ItemNotSupported || it.Result == op.ItemSkipped:
		default:
			bad++
		}
		if !fine && it.Reason == "" && it.Result != op.ItemNotApplicable && it.Result != op.ItemDone {
			say("the item %s is %s and says no reason", it.Key, it.Result)
		}
	}
	for _, s := range sentences {
		if strings.ContainsAny(s, "{}") {
			say("a sentence has a gap: %q", s)
		}
		for _, m := range completed.FindAllStringSubmatch(s, -1) {
			done, total := run.Counts.Done, run.Counts.Total
			if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && (n != done || m[3] != "" && m[3] != fmt.Sprint(total)) ||
				m[1] == "All" && (done != total || m[2] != "" && m[2] != fmt.Sprint(done)) || m[1] == "No" && done != 0 {
				say("%q, and stored are %d of %d", m[0], done, total)
			}
		}
	}
	switch run.Outcome {
	case op.RunSucceeded:
		if bad > 0 {
			say("it succeeded, with %d bad items", bad)
		}
		if run.Counts.Failed > 0 || run.Counts.Done != run.Counts.Total {
			say("it succeeded, with the counts %+v", run.Counts)
		}
	case op.RunPartial:
		if bad == 0 {
			say("it is partial, and no item is bad")
		}
	case op.RunFailed:
		if run.Cause == nil || words.Why == "" {
			say("it failed and says no reason: %+v", words)
		}
		if good > 0 && run.Counts.Done == 0 {
			say("%d items are good, and no item counts as done", good)
		}
	case op.RunBlocked, op.RunCancelled, op.RunLost:
		say("it ended as %s", run.Outcome)
	}
	return wrong
}

// keepsWhatItHad compares what the run kept with what it read, or wrote.
func (l *faultLab) keepsWhatItHad(run op.Run, items []op.Item, before facts) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	after := l.facts()
	if !slices.Equal(after.rows, before.rows) { // nothing in the tenant's lists changes in this test
		say("readers see\n%s\nbefore it was\n%s", strings.Join(after.rows, "\n"), strings.Join(before.rows, "\n"))
	}
	stale := l.texts(`SELECT name FROM datasets WHERE stale_reason <> ''`)
	if run.Outcome == op.RunSucceeded && len(stale) > 0 && !absentIn(items) {
		say("it succeeded, and the lists %q are stale", stale)
	}
	if run.Outcome != op.RunSucceeded && len(before.asOf) > 0 && len(stale) == 0 && !onlyAbsent(items) {
		say("it is %s, and no list says that it is older", run.Outcome)
	}
	switch kept := len(l.texts(fmt.Sprintf(`SELECT id FROM backup_sets WHERE run_id = '%s' AND state = 'kept'`, run.ID))); {
	case run.Operation != "policy.backup":
		if kept != 0 {
			say("%d backups came", kept)
		}
	case run.Outcome != op.RunFailed && kept != 1:
		say("%d backups were kept", kept)
	case kept == 1:
		wrong = append(wrong, l.backupIsTrue(run, absentIn(items))...)
	}
	switch made := after.plans - before.plans; {
	case run.Operation != op.PolicyRestorePreview:
		if made != 0 {
			say("%d plans came", made)
		}
	case run.Outcome == op.RunSucceeded && made != 1:
		say("%d plans were stored", made)
	}
	if run.Operation == op.PolicyRestore {
		wrong = append(wrong, l.restoreIsTrue(run, items)...)
	}
	return wrong
}

// absentIn reports whether an item is about a service that the tenant lacks.
func absentIn(items []op.Item) bool {
	return slices.ContainsFunc(items, func(it op.Item) bool { return it.Result == op.ItemNotApplicable })
}

// onlyAbsent reports whether all bad items are about services that the tenant lacks.
func onlyAbsent(items []op.Item) bool {
	return !slices.ContainsFunc(items, func(it op.Item) bool { return it.Result == op.ItemFailed || it.Result == op.ItemSkipped })
}

// backupIsTrue compares the newest backup with the two policies of the tenant.
func (l *faultLab) backupIsTrue(run op.Run, absent bool) (wrong []string) {
	const newest = ` FROM backup_sets s WHERE s.run_id = '%s' AND s.state = 'kept'`
	of := fmt.Sprintf(newest, run.ID)
	complete := l.Text(`SELECT CASE WHEN complete THEN 'complete' ELSE 'incomplete' END`+of) == "complete"
	if complete != (run.Outcome == op.RunSucceeded) {
		wrong = append(wrong, fmt.Sprintf("the run is %s, and the backup says complete: %t", run.Outcome, complete))
	}
	items := l.texts(`SELECT i.object_id || ' ' || i.missing FROM backup_items i WHERE i.set_id = (SELECT s.id` + of + `) ORDER BY i.object_id`)
	if whole := []string{oneKiosk + " []", oneNetwork + " []"}; complete && !absent && !slices.Equal(items, whole) {
		wrong = append(wrong, fmt.Sprintf("the backup calls itself complete and has %q", items))
	}
	return wrong
}

// restoreIsTrue compares the items of a restore with what is in the tenant: no policy is
// there twice, and each item says what became of its policy.
func (l *faultLab) restoreIsTrue(run op.Run, items []op.Item) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	count, kiosk := map[string]int{}, ""
	for _, objects := range l.there() {
		for _, o := range objects {
			count[o.DisplayName]++
			if o.ID == oneKiosk {
				kiosk = o.Description
			}
		}
	}
	for name, n := range count {
		if n > 1 {
			say("%s is there %d times", name, n)
		}
	}
	said := map[string]bool{}
	for _, it := range items {
		said[it.Name] = true
		there := count[it.Name] == 1
		if it.Name == "Kiosk" {
			there = kiosk == "as backed up"
		}
		switch it.Result { //nolint:exhaustive // the others say nothing about the tenant
		case op.ItemCreated, op.ItemUpdated:
			if !there && it.Reason != op.NotAsSent {
				say("%s is %s, and it is not there as it was sent", it.Name, it.Result)
			}
		case op.ItemFailed, op.ItemSkipped, op.ItemConflict:
			if there {
				say("%s is %s (%s), and it is there", it.Name, it.Result, it.Reason)
			}
		}
	}
	if len(said) != 3 {
		say("of 3 policies, %d have an item", len(said))
	}
	return wrong
}
