package op

import (
	"cmp"
	"strings"
	"time"
)

// Kept says in one sentence how long a backup is kept. rules are the codes of the rules
// that keep it; none: it is removed with the tenant's next backup. until is zero for a
// backup that stays as long as it is pinned, among the newest, or the last of a type.
func Kept(rules []string, until time.Time) string {
	switch {
	case len(rules) == 0:
		return "No rule keeps it: it is removed with the tenant's next backup."
	case until.IsZero():
		return keepRules[rules[0]] + "."
	}
	return "Kept until " + until.UTC().Format("2 Jan 2006") + ": " + lowerFirst(keepRules[rules[0]]) + "."
}

// keepRules say why a rule keeps a backup.
var keepRules = map[string]string{
	"pinned":  "Pinned: kept until someone unpins it",
	"newest":  "Kept as long as it is among the newest backups of the tenant",
	"last":    "Kept as the newest complete backup of a type of policy",
	"daily":   "It is the last backup of its day",
	"monthly": "It is the last backup of its month",
}

// Unread says in a few words why something could not be read for a backup, such as
// "1 permission is missing".
func Unread(code Reason) string {
	f := filler{args: Args{"code": string(code)}}
	t := items[code].over(explained(code))
	if t.reason == "" {
		return f.fill(unknownItem.why)
	}
	return f.fill(cmp.Or(t.one, t.reason))
}

// NotCompared says in one sentence why a policy, or a type of policies, is left out when
// backups are compared. parts are the missing parts of a policy; none: it is a whole type.
func NotCompared(older bool, parts []string) string {
	which := "newer"
	if older {
		which = "older"
	}
	if len(parts) == 0 {
		return "The " + which + " backup doesn't hold all policies of this type. Policies that only the other backup has are left out."
	}
	return "In the " + which + " backup this policy lacks: " + clean(strings.Join(parts, ", ")) + "."
}
