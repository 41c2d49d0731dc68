package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// Rules say how long the backups of a tenant are kept. A backup is kept as long as one of
// the rules, or a pin, keeps it. The rules apply to backups of runs and to uploads
// separately. For each type of policy, the newest complete backup that
// a run made of it is kept whatever the rules say.
type Rules struct {
	Newest  int `json:"newest" doc:"How many of the newest backups are kept. 1 to 400." minimum:"1" maximum:"400"`
	Daily   int `json:"daily" doc:"For how many days the last backup of each day (UTC) is kept. 0 to 400." minimum:"0" maximum:"400"`
	Monthly int `json:"monthly" doc:"For how many months the last backup of each month (UTC) is kept. 0 to 120." minimum:"0" maximum:"120"`
}

// DefaultRules apply to a workspace that has not chosen its own.
var DefaultRules = Rules{Newest: 10, Daily: 30, Monthly: 12}

// Check returns an [*op.FieldError] for a rule outside its limits.
func (r Rules) Check() error {
	for _, f := range []struct {
		name        string
		value       int
		least, most int
	}{{"newest", r.Newest, 1, 400}, {"daily", r.Daily, 0, 400}, {"monthly", r.Monthly, 0, 120}} {
		if f.value < f.least || f.value > f.most {
			return &op.FieldError{Field: f.name, Detail: fmt.Sprintf("must be from %d to %d", f.least, f.most)}
		}
	}
	return nil
}

// The rules that keep a backup, as [Kept] names them.
const (
	ByPin     = "pinned"
	ByNewest  = "newest"
	ByLast    = "last" // the newest complete backup of a type of policy
	ByDaily   = "daily"
	ByMonthly = "monthly"
)

// Kept says whether a backup is kept, and until when.
type Kept struct {
	Kept  bool
	Until time.Time // zero: as long as it is pinned, among the newest, or the last of a type
	By    []string  // the rules that keep it, the strongest first
}

// Keep judges the backups of one tenant, newest first. The last backup of a day or month
// is the newest one of it. The rules apply to the backups of runs and to uploads by
// themselves: an upload never displaces the backup of a run.
func (r Rules) Keep(sets []Set, now time.Time) []Kept {
	all := make([]Kept, len(sets))
	days, months, types := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	newer := make(map[Origin]int) // how many of the same origin are newer
	for i, s := range sets {
		at := s.AsOf.UTC()
		day, month := string(s.Origin)+at.Format(time.DateOnly), string(s.Origin)+at.Format("2006-01")
		if !days[day] {
			days[day] = true
			all[i].until(now, at.AddDate(0, 0, r.Daily), ByDaily)
		}
		if !months[month] {
			months[month] = true
			// The first of a month plus months: 31 January plus a month is no day of February.
			first := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
			all[i].until(now, first.AddDate(0, r.Monthly+1, 0), ByMonthly)
		}
		if newestOf(s, types) {
			all[i] = Kept{Kept: true, By: append([]string{ByLast}, all[i].By...)}
		}
		if newer[s.Origin] < r.Newest {
			all[i] = Kept{Kept: true, By: append([]string{ByNewest}, all[i].By...)}
		}
		newer[s.Origin]++
		if s.Pinned {
			all[i] = Kept{Kept: true, By: append([]string{ByPin}, all[i].By...)}
		}
	}
	return all
}

// newestOf reports whether a set is the newest complete one of any of its types, and adds
// them to those that were seen.
func newestOf(s Set, seen map[string]bool) (newest bool) {
	if s.Origin != FromRun || !s.Complete { // an upload has the policies that somebody packed
		return false
	}
	for _, t := range s.Types {
		if !t.Absent && !seen[t.Type] {
			seen[t.Type], newest = true, true
		}
	}
	return newest
}

// until adds a rule that keeps the backup until end, which may be over.
func (k *Kept) until(now, end time.Time, rule string) {
	if !end.After(now) {
		return
	}
	k.Kept = true
	if end.After(k.Until) {
		k.Until, k.By = end, append([]string{rule}, k.By...)
	} else {
		k.By = append(k.By, rule)
	}
}

// rulesOf returns the rules of a workspace.
func rulesOf(ctx context.Context, tx db.Tx, workspace string) (Rules, error) {
	var newest, daily, monthly int64
	err := tx.QueryRow(ctx, `SELECT newest, daily, monthly FROM backup_rules WHERE workspace_id = $1`, workspace).Scan(&newest, &daily, &monthly)
	if errors.Is(err, db.ErrNoRows) {
		return DefaultRules, nil
	}
	if err != nil {
		return Rules{}, fmt.Errorf("keep rules: %w", err)
	}
	return Rules{int(newest), int(daily), int(monthly)}, nil
}
