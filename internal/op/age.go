package op

import "time"

// Age says how old the facts about a connection are: "Checked 29 days ago". checked is
// when a sign-in or a verification last confirmed them, nil for never; changed reports
// that the connection was changed since.
func Age(checked *time.Time, changed bool, now time.Time) string {
	switch {
	case changed:
		return ageWords.changed
	case checked == nil:
		return ageWords.never
	}
	return filler{args: Args{"checked_ago": stamp(*checked)}, ref: now}.fill(ageWords.checked)
}

// Found puts the reason why a verification check or an item failed into words: why,
// what to do next, and who can do it. f provides the links.
func Found(f Facts, c Cause) Explained {
	t := failure(c.Code, c.Args)
	if b, ok := blockers[c.Code]; ok { // the next step concerns the connection, not the run
		t.next, t.action = b.next, b.action
	}
	fill := filler{args: c.Args, ref: f.At}.with(Args{
		"operation": f.Operation.Name(), "tenant": f.Tenant.Name, "reference": f.Reference, "code": string(c.Code),
	})
	where := place{"workspace": f.Workspace, "tenant": f.Tenant.Slug}
	if f.Target != nil {
		where["connection"] = f.Target.Slug
		fill = fill.with(Args{"connection": f.Target.Short, "provider": f.Target.Provider})
	}
	return Explained{
		Code: c.Code, Phase: Execution, Title: fill.fill(fill.pick(t.reason, t.one)),
		Detail: DescribeItem(Item{Reason: c.Code, Args: fill.args, At: f.At}).Detail,
		Next:   fill.fill(t.next), Fix: fill.fix(t, where, f.MayMend),
	}
}
