package dbtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/interlock-dev/interlock/internal/db"
)

// Pair interleaves two functions statement by statement on one PostgreSQL database.
// Each has its own handle, as two nodes would. One side moves at a time, so a [Plan]
// always gives the same schedule.
type Pair struct {
	Handles [2]*db.DB

	t      testing.TB
	look   *pgx.Conn
	counts func(db.Point) bool
}

// Plan is a schedule: First passes Turns[0] points, then the other side Turns[1], and
// so on. After the last turn each side runs to its end. A side that waits for a lock of
// the other ends its turn early.
type Plan struct {
	First int // 0 or 1
	Turns []int
}

// Ran is the result of a schedule.
type Ran struct {
	Points   [2]int   // that each side reached
	Deadlock bool     // the two waited for each other
	Trace    []string // the points in order, for people
}

func (r Ran) String() string { return strings.Join(r.Trace, "\n") }

// NewPair opens two handles on a fresh database. counts selects the points at which a
// side may be stopped; the others are passed.
func NewPair(t testing.TB, counts func(db.Point) bool) *Pair {
	t.Helper()
	p := &Pair{t: t, counts: counts}
	address := Server(t)
	for i := range p.Handles {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("application_name", sideName(i))
		u.RawQuery = q.Encode()
		p.Handles[i] = Open(t, db.Config{URL: u.String(), Logger: slog.New(slog.DiscardHandler)}).WithSteps(p.hold)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	p.look = conn
	return p
}

// Script runs statements in one round trip, on a connection that belongs to neither
// side.
func (p *Pair) Script(sql string) {
	p.t.Helper()
	if _, err := p.look.Exec(p.t.Context(), sql); err != nil {
		p.t.Fatalf("%v in %s", err, sql)
	}
}

func sideName(i int) string { return fmt.Sprint("side-", i) }

// side is one of the two functions while it runs.
type side struct {
	index   int
	at      chan string   // it has reached a point
	pass    chan struct{} // it may pass it
	done    chan struct{}
	here    string // the point that it has reached
	stands  bool
	ended   bool
	blocked bool // it waits for a lock of the other side
	points  int
}

type sideKey struct{}

// hold is the step hook of both handles.
func (p *Pair) hold(ctx context.Context, pt db.Point) {
	if !p.counts(pt) {
		return
	}
	what := string(pt.Op)
	if pt.SQL != "" {
		what = strings.Join(strings.Fields(pt.SQL), " ")
		what = what[:min(len(what), 90)]
	}
	Pause(ctx, what)
}

// Pause is a point outside the database, such as a call in progress. Outside a
// [Pair.Run] it does nothing.
func Pause(ctx context.Context, what string) {
	if s, ok := ctx.Value(sideKey{}).(*side); ok {
		s.at <- what
		<-s.pass
	}
}

// Run runs one schedule.
func (p *Pair) Run(ctx context.Context, plan Plan, do [2]func(context.Context)) Ran {
	p.t.Helper()
	var sides [2]*side
	for i := range sides {
		s := &side{index: i, at: make(chan string), pass: make(chan struct{}), done: make(chan struct{})}
		sides[i] = s
		go func() {
			defer close(s.done)
			do[i](context.WithValue(ctx, sideKey{}, s))
		}()
		p.settle(ctx, s)
	}
	var ran Ran
	turns := plan.Turns
	left := -1 // without end
	next := func() {
		left = -1
		if len(turns) > 0 {
			left, turns = turns[0], turns[1:]
		}
	}
	next()
	s, o := sides[plan.First], sides[1-plan.First]
	for !s.ended || !o.ended {
		switch {
		case s.blocked && o.blocked:
			ran.Deadlock = true
			ran.Trace = append(ran.Trace, "the two wait for each other")
			s.blocked, o.blocked = false, false
			for !p.moved(ctx, s) && !p.moved(ctx, o) { // PostgreSQL ends one of them after a second
			}
			p.settle(ctx, s)
			p.settle(ctx, o)
		case s.ended, s.blocked, left == 0 && !o.ended && !o.blocked:
			s, o = o, s
			next()
		default:
			ran.Trace = append(ran.Trace, fmt.Sprintf("%c  %s", 'A'+rune(s.index), s.here))
			s.points++
			left--
			s.stands = false
			s.pass <- struct{}{}
			p.settle(ctx, s)
			if s.blocked {
				ran.Trace = append(ran.Trace, fmt.Sprintf("%c  waits for a lock", 'A'+rune(s.index)))
			}
			if o.blocked {
				p.settle(ctx, o)
			}
		}
	}
	for i, s := range sides {
		ran.Points[i] = s.points
	}
	return ran
}

// settle waits until s is at a point, has ended, or waits for a lock.
func (p *Pair) settle(ctx context.Context, s *side) {
	for s.blocked = false; !p.moved(ctx, s); {
		if p.waits(ctx, s) {
			s.blocked = true
			return
		}
	}
}

// moved waits briefly, and reports whether s is at a point or has ended.
func (p *Pair) moved(ctx context.Context, s *side) bool {
	if s.stands || s.ended {
		return true
	}
	pause := time.NewTimer(2 * time.Millisecond)
	defer pause.Stop()
	select {
	case s.here = <-s.at:
		s.stands = true
	case <-s.done:
		s.ended = true
	case <-ctx.Done():
		p.t.Fatal("an interleaving was not over in time")
	case <-pause.C: // this decides nothing: the lock table does
		return false
	}
	return true
}

// waits reports whether s waits for a lock of the other side, as the server sees it.
func (p *Pair) waits(ctx context.Context, s *side) (blocked bool) {
	err := p.look.QueryRow(ctx, `SELECT EXISTS (
		SELECT 1 FROM pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) b(pid) JOIN pg_stat_activity o ON o.pid = b.pid
		WHERE a.datname = current_database() AND a.application_name = $1 AND a.wait_event_type = 'Lock'
		AND o.datname = current_database() AND o.application_name = $2)`, sideName(s.index), sideName(1-s.index)).Scan(&blocked)
	if err != nil {
		p.t.Fatal(err)
	}
	return blocked
}
