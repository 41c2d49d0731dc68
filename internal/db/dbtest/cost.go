package dbtest

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/jackc/pgx/v5"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/interlock-dev/interlock/internal/db"
)

// Statement is one that a transaction has run.
type Statement struct {
	SQL   string
	Args  []any
	Write bool // in a transaction that may write
	Anew  bool // planned for its arguments each time
}

// Recording holds the statements that ran on a database.
type Recording struct {
	mu   sync.Mutex
	list []Statement
}

// Record records the statements of transactions that begin on d from now on.
func Record(d *db.DB) *Recording {
	r := new(Recording)
	d.WithSteps(func(_ context.Context, p db.Point) {
		if p.SQL != "" {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.list = append(r.list, Statement{p.SQL, p.Args, p.Write, p.Anew})
		}
	})
	return r
}

// Take returns the statements since the last Take.
func (r *Recording) Take() []Statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.list
	r.list = nil
	return list
}

// Cost is how much of a database a statement read. It is counted, not timed, so it is
// the same on every machine.
type Cost struct {
	// Rows is how many rows PostgreSQL read, including those that it filtered out. On
	// SQLite it is a tenth of the steps of its virtual machine, which takes about ten
	// steps for a row.
	Rows int64
	// Steps is the number of steps of SQLite's virtual machine; 0 on PostgreSQL.
	Steps int64
	// Pages is how many pages PostgreSQL read; 0 on SQLite.
	Pages int64
	// Plan is the engine's query plan.
	Plan string
}

// CostOf runs s again, counts, and rolls back.
func CostOf(ctx context.Context, d *db.DB, s Statement) (Cost, error) {
	if d.Engine() == db.SQLite {
		s.SQL = strings.ReplaceAll(s.SQL, ` COLLATE "C"`, "") // as the engine does
		return costOnSQLite(ctx, d, s)
	}
	return costOnPostgres(ctx, d, s)
}

func costOnPostgres(ctx context.Context, d *db.DB, s Statement) (Cost, error) {
	custom, err := explainCustom(ctx, d, s)
	if err != nil {
		return Cost{}, err
	}
	if !s.Anew {
		generic, err := explainGeneric(ctx, d, s, custom.Total)
		if err != nil {
			return Cost{}, fmt.Errorf("as a generic plan: %w", err)
		}
		if generic.rows() > custom.rows() {
			custom = generic
		}
	}
	return Cost{Rows: int64(custom.rows()), Pages: custom.Hit + custom.Read, Plan: custom.text}, nil
}

// explainCustom runs s with the plan that PostgreSQL makes for its arguments.
// Whatever s does is undone.
func explainCustom(ctx context.Context, d *db.DB, s Statement) (planNode, error) {
	tx, err := d.Pool().Begin(ctx)
	if err != nil {
		return planNode{}, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // undoing is all that is wanted
	// Described each time, because the statement under the EXPLAIN is not kept.
	return explain(ctx, tx, analyze+s.SQL, append([]any{pgx.QueryExecModeDescribeExec}, s.Args...)...)
}

// explain returns the plan of what follows EXPLAIN.
func explain(ctx context.Context, tx pgx.Tx, sql string, args ...any) (planNode, error) {
	var text string
	if err := tx.QueryRow(ctx, `EXPLAIN `+sql, args...).Scan(&text); err != nil {
		return planNode{}, err
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		return planNode{}, err
	}
	plans[0].Plan.text = text
	return plans[0].Plan, nil
}

// analyze makes EXPLAIN run the statement and tell what it looked at.
const analyze = `(ANALYZE, BUFFERS, FORMAT JSON) `

// explainGeneric runs s with the plan that PostgreSQL makes without looking at the
// arguments, if it is one that PostgreSQL would use: from the sixth run on it does
// when the plan seems to cost no more than those for the arguments, here estimated
// at custom, and their planning. Otherwise it returns a plan that looked at nothing.
// Whatever s does is undone.
func explainGeneric(ctx context.Context, d *db.DB, s Statement, custom float64) (planNode, error) {
	conn, err := d.Pool().Acquire(ctx)
	if err != nil {
		return planNode{}, err
	}
	defer conn.Release()
	defer conn.Exec(ctx, `DEALLOCATE costed`) //nolint:errcheck // a prepared statement outlives its transaction
	tx, err := conn.Begin(ctx)
	if err != nil {
		return planNode{}, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // undoing is all that is wanted
	if _, err := tx.Exec(ctx, `SET LOCAL plan_cache_mode = force_generic_plan`); err != nil {
		return planNode{}, err
	}
	if _, err := tx.Exec(ctx, `PREPARE costed AS `+s.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
		return planNode{}, err
	}
	execute := `EXECUTE costed`
	if len(s.Args) > 0 {
		literals := make([]string, len(s.Args))
		for i, a := range s.Args {
			literals[i] = literal(a)
		}
		execute += "(" + strings.Join(literals, ", ") + ")"
	}
	plan, err := explain(ctx, tx, `(FORMAT JSON) `+execute, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return planNode{}, err
	}
	charge := 2.5 * float64(plan.scans()+1) // src/backend/utils/cache/plancache.c: cached_plan_cost
	if plan.Total > custom+charge {
		return planNode{}, nil
	}
	return explain(ctx, tx, analyze+execute, pgx.QueryExecModeSimpleProtocol)
}

// literal writes an argument as PostgreSQL reads it, whatever its type is.
func literal(arg any) string {
	if arg == nil {
		return "NULL"
	}
	v := reflect.ValueOf(arg)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "NULL"
		}
		return literal(v.Elem().Interface())
	}
	var text string
	switch a := arg.(type) {
	case []byte:
		text = fmt.Sprintf(`\x%x`, a)
	default:
		if v.Kind() == reflect.Slice {
			elements := make([]string, v.Len())
			for i := range elements {
				elements[i] = strconv.Quote(fmt.Sprint(v.Index(i).Interface()))
			}
			text = "{" + strings.Join(elements, ",") + "}"
		} else {
			text = fmt.Sprint(a)
		}
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}

type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Rows     float64    `json:"Actual Rows"`
	Loops    float64    `json:"Actual Loops"`
	Filtered float64    `json:"Rows Removed by Filter"`
	Recheck  float64    `json:"Rows Removed by Index Recheck"`
	Hit      int64      `json:"Shared Hit Blocks"`
	Read     int64      `json:"Shared Read Blocks"`
	Total    float64    `json:"Total Cost"` // as PostgreSQL estimated it
	Plans    []planNode `json:"Plans"`

	text string
}

// scans is how many relations the plan reads.
func (p planNode) scans() (n int) {
	if p.Relation != "" {
		n = 1
	}
	for _, c := range p.Plans {
		n += c.scans()
	}
	return n
}

// rows is how many rows the scans below looked at.
func (p planNode) rows() (n float64) {
	if strings.HasSuffix(p.Type, "Scan") && p.Type != "Bitmap Index Scan" { // its heap scan counts
		n = (p.Rows + p.Filtered + p.Recheck) * p.Loops
	}
	for _, c := range p.Plans {
		n += c.rows()
	}
	return n
}

func costOnSQLite(ctx context.Context, d *db.DB, s Statement) (cost Cost, err error) {
	conn, err := d.Writer().Conn(ctx)
	if err != nil {
		return Cost{}, err
	}
	defer conn.Close() //nolint:errcheck // back to the pool
	rows, err := conn.QueryContext(ctx, `EXPLAIN QUERY PLAN `+s.SQL, s.Args...)
	if err != nil {
		return Cost{}, err
	}
	defer rows.Close() //nolint:errcheck // read to the end
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return Cost{}, err
		}
		cost.Plan += step + "\n"
	}
	if err := rows.Err(); err != nil {
		return Cost{}, err
	}
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return Cost{}, err
	}
	defer func() {
		_, rerr := conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
		err = errors.Join(err, rerr)
	}()
	err = conn.Raw(func(raw any) error {
		steps, err := stepsOf(ctx, raw, s)
		cost.Rows, cost.Steps = steps/10, steps
		return err
	})
	return cost, err
}

// stepsOf runs s on a connection of the driver and returns the steps of SQLite's
// virtual machine, which the driver does not expose.
func stepsOf(ctx context.Context, raw any, s Statement) (steps int64, err error) {
	stmt, err := raw.(driver.ConnPrepareContext).PrepareContext(ctx, s.SQL) //nolint:forcetypeassert // the driver's are
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	args := make([]driver.NamedValue, len(s.Args))
	for i, a := range s.Args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return 0, err
		}
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, args) //nolint:forcetypeassert // the driver's are
	if err != nil {
		return 0, err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for err == nil {
		err = rows.Next(row)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, rows.Close()); err != nil {
		return 0, err
	}
	handle := reflect.ValueOf(stmt).Elem().FieldByName("pstmt")
	thread := reflect.ValueOf(stmt).Elem().FieldByName("c").Elem().FieldByName("tls")
	if !handle.IsValid() || handle.Uint() == 0 || !thread.IsValid() {
		return 0, fmt.Errorf("%T is not the statement of SQLite's driver that it was", stmt)
	}
	const vmSteps = 4 // docs: SQLITE_STMTSTATUS_VM_STEP
	out := reflect.ValueOf(sqlite3.Xsqlite3_stmt_status).Call([]reflect.Value{
		reflect.NewAt(thread.Type(), unsafe.Pointer(thread.UnsafeAddr())).Elem(), // the field is not exported
		reflect.ValueOf(uintptr(handle.Uint())), reflect.ValueOf(int32(vmSteps)), reflect.ValueOf(int32(0)),
	})
	return out[0].Int(), nil
}
