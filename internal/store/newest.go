package store

import (
	"context"
	"slices"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
)

// list is a list of rows, newest ids first, such as the list of all runs. It reads
// no more of the history than it shows: each of its spans is a range of one index in
// the order of ids, and has the page's limit.
type list struct {
	rows  string // SELECT .. FROM .. WHERE .. AND, up to the conditions
	table string // with its alias
	alias string
	scope access.Scope

	// seen: the conditions select one tenant, connection or run that was found in the
	// scope, so that its rows are in the scope, too.
	seen bool
	// ofPerson: the conditions select one person. The workspace is then compared with
	// that of the row's tenant, so that no plan starts at the workspace's rows.
	ofPerson   bool
	conditions span   // each begins with AND
	spans      []span // nil: the conditions alone are one range of an index
	eachTenant bool   // for a member of some tenants, each tenant is a range
}

// span is a condition that makes a list one range of an index: text with a %s for
// each argument.
type span struct {
	text string
	args []any
}

// scoped adds the condition that the rows are in the scope.
func (l *list) scoped(q *query.Query) *query.Query {
	switch {
	case l.seen:
		return q.Add(`TRUE`)
	case l.ofPerson:
		return q.Add(l.scope.WhereEach(q.Bind, "t.workspace_id", "t.id"))
	}
	return q.Add(l.scope.WhereEach(q.Bind, l.alias+".workspace_id", l.alias+".tenant_id"))
}

// where adds a condition, which begins with AND.
func (l *list) where(text string, args ...any) {
	l.conditions.text += text
	l.conditions.args = append(l.conditions.args, args...)
}

// byID is the order of lists. Their indexes have it. PostgreSQL's primary keys do
// not: with them it could serve any list by reading all rows.
const byID = `.id COLLATE "C"`

// maxSpans bounds the spans of one statement. SQLite allows 500 SELECTs in one.
const maxSpans = 64

// newest returns the first limit rows of l.
func newest[T any](ctx context.Context, tx db.Tx, l list, limit int, scan func(db.Row) (T, error)) ([]T, error) {
	spans := l.spans
	if l.eachTenant && l.scope.Some() {
		var err error
		if spans, err = l.tenantSpans(ctx, tx, limit); err != nil {
			return nil, err
		}
		if len(spans) == 0 {
			return nil, nil
		}
		l.seen = true
	}
	order := ` ORDER BY ` + l.alias + byID + ` DESC`
	if spans == nil {
		q := new(query.Query).PlanAnew()
		l.scoped(q.Add(l.rows)).Add(l.conditions.text, l.conditions.args...).Add(order+` LIMIT %s`, limit)
		return query.All(ctx, tx, q, scan)
	}
	var ids []string
	for part := range slices.Chunk(spans, maxSpans) {
		found, err := query.All(ctx, tx, l.union(part, limit), query.ScanText)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	slices.Reverse(ids)
	ids = ids[:min(len(ids), limit)]
	if len(ids) == 0 {
		return nil, nil
	}
	q := new(query.Query).PlanAnew()
	return query.All(ctx, tx, q.Add(l.rows+l.alias+`.id IN `).In(ids).Add(order), scan)
}

// union returns a query for the newest ids of each span.
func (l *list) union(spans []span, limit int) *query.Query {
	q, from := new(query.Query).PlanAnew(), l.table+` WHERE `
	if l.ofPerson && !l.seen {
		from = l.table + ` CROSS JOIN tenants t WHERE t.id = ` + l.alias + `.tenant_id AND `
	}
	for i := range query.RoundUp(len(spans)) { // few lengths, few texts
		if i > 0 {
			q.Add(` UNION ALL `)
		}
		s := span{text: `FALSE`}
		if i < len(spans) {
			s = spans[i]
		}
		l.scoped(q.Add(`SELECT * FROM (SELECT `+l.alias+`.id FROM `+from)).Add(l.conditions.text, l.conditions.args...).
			Add(` AND `+s.text, s.args...).Add(` ORDER BY `+l.alias+byID+` DESC LIMIT %s) part`, limit)
	}
	return q
}

// tenantSpans returns the spans of l in each tenant that can have a row among the
// first limit: the tenants with the newest rows.
func (l *list) tenantSpans(ctx context.Context, tx db.Tx, limit int) ([]span, error) {
	own := l.spans
	if own == nil {
		own = []span{{text: `TRUE`}}
	}
	q := new(query.Query).PlanAnew()
	q.Add(`SELECT x.id FROM (SELECT t.id, (SELECT MAX(part.id) FROM (`)
	for i, s := range own {
		if i > 0 {
			q.Add(` UNION ALL `)
		}
		q.Add(`SELECT * FROM (SELECT `+l.alias+`.id FROM `+l.table+` WHERE `+l.alias+`.tenant_id = t.id`).Add(l.conditions.text, l.conditions.args...).
			Add(` AND `+s.text, s.args...).Add(` ORDER BY ` + l.alias + byID + ` DESC LIMIT 1) one`)
	}
	q.Add(`) part) AS latest FROM tenants t WHERE `).Add(l.scope.Where(q.Bind, "t.workspace_id", "t.id"))
	tenants, err := query.All(ctx, tx, q.Add(`) x WHERE x.latest IS NOT NULL ORDER BY x.latest DESC LIMIT %s`, limit), query.ScanText)
	if err != nil {
		return nil, err
	}
	var spans []span
	for _, t := range tenants {
		for _, s := range own {
			spans = append(spans, span{l.alias + `.tenant_id = %s AND ` + s.text, append([]any{t}, s.args...)})
		}
	}
	return spans, nil
}
