package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// pager answers Page from a function; nothing else is asked of it.
type pager struct {
	provider.Client
	page  func(next string) (provider.Page, error)
	calls int
}

func (p *pager) Page(_ context.Context, next string) (provider.Page, error) {
	p.calls++
	return p.page(next)
}

func TestWalk(t *testing.T) {
	t.Parallel()
	item := []json.RawMessage{[]byte(`{}`)}
	gone := errors.New("gone")
	n := 0
	for _, c := range []struct {
		name  string
		page  func(next string) (provider.Page, error)
		err   error
		calls int
	}{
		{"one page", func(string) (provider.Page, error) { return provider.Page{Items: item}, nil }, nil, 1},
		{"some pages, some of them empty", func(next string) (provider.Page, error) {
			return map[string]provider.Page{"a": {Next: "b"}, "b": {Items: item, Next: "c"}, "c": {Next: "d"}, "d": {}}[next], nil
		}, nil, 4},
		{"an error in the middle", func(next string) (provider.Page, error) {
			if next == "b" {
				return provider.Page{}, gone
			}
			return provider.Page{Next: "b"}, nil
		}, gone, 2},
		{"a page that leads to itself", func(next string) (provider.Page, error) { return provider.Page{Items: item, Next: next}, nil }, provider.ErrLoop, 1},
		{"a circle", func(next string) (provider.Page, error) {
			return provider.Page{Next: map[string]string{"a": "b", "b": "c", "c": "b"}[next]}, nil
		}, provider.ErrLoop, 3},
		{"empty pages without end", func(string) (provider.Page, error) { n++; return provider.Page{Next: fmt.Sprint(n)}, nil }, provider.ErrEndless, 500},
		{"pages without end", func(string) (provider.Page, error) {
			n++
			return provider.Page{Items: item, Next: fmt.Sprint(n)}, nil
		}, provider.ErrEndless, 20_000},
	} {
		t.Run(c.name, func(t *testing.T) { // not parallel: n
			p := &pager{page: c.page}
			var last error
			for _, last = range provider.Walk(t.Context(), p, "a") {
				continue
			}
			if !errors.Is(last, c.err) || p.calls != c.calls {
				t.Errorf("%d calls, %v; want %d, %v", p.calls, last, c.calls, c.err)
			}
			var pe *provider.Error
			if errors.As(last, &pe) && (pe.Reason != op.ProviderFault || pe.Message != "" || pe.Note == "" || pe.Temporary) {
				t.Errorf("told as %+v", pe)
			}
		})
	}
	p := &pager{page: func(next string) (provider.Page, error) { return provider.Page{Next: next + "x"}, nil }}
	for _, err := range provider.Walk(t.Context(), p, "a") {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if p.calls != 1 {
		t.Errorf("%d calls after the reader left", p.calls)
	}
}

func TestErrorArgs(t *testing.T) {
	t.Parallel()
	e := &provider.Error{
		Message: "no", Permissions: []string{"A", "B"},
		RetryAfter: time.Minute, At: time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC), Silence: 90 * time.Second,
	}
	got := e.Args()
	for name, want := range map[string]string{"provider_message": "no", "permissions": "A,B", "count": "2", "retry_at": "2026-11-22T14:01:00Z", "duration": "1m30s"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if got := (&provider.Error{Silence: time.Second / 2}).Args(); len(got) != 0 {
		t.Errorf("%v of nothing", got)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for want, err := range map[op.Reason]error{
		op.ConsentMissing: fmt.Errorf("sync: %w", &provider.Error{Reason: op.ConsentMissing, Err: context.DeadlineExceeded}),
		op.TimeLimit:      fmt.Errorf("sync: %w", context.DeadlineExceeded),
		op.InternalFault:  errors.New("bug"),
	} {
		if got := provider.Classify(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// Ahead reads the next page while the caller works on one, and no further.
func TestAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const pages = 10
		p := &pager{}
		p.page = func(next string) (provider.Page, error) {
			time.Sleep(100 * time.Millisecond)
			page := provider.Page{Items: []json.RawMessage{[]byte(next)}}
			if p.calls < pages {
				page.Next = fmt.Sprint(p.calls)
			}
			return page, nil
		}
		began, n := time.Now(), 0
		for page, err := range provider.Ahead(t.Context(), p, "0") {
			if err != nil || string(page.Items[0]) != fmt.Sprint(n) {
				t.Fatalf("page %d: %s, %v", n, page.Items, err)
			}
			n++
			time.Sleep(80 * time.Millisecond) // work on it
			synctest.Wait()
			if p.calls > n+1 {
				t.Errorf("%d pages were read while page %d was worked on", p.calls, n)
			}
		}
		if took := time.Since(began); n != pages || took != pages*100*time.Millisecond+80*time.Millisecond {
			t.Errorf("%d pages in %s", n, took)
		}
	})
}

// Errors, panics and a cancelled run reach the caller; what was read ahead ends with it.
func TestAheadEnds(t *testing.T) {
	t.Parallel()
	over, gone := errors.New("the run is over"), errors.New("gone")
	synctest.Test(t, func(t *testing.T) {
		p := &pager{page: func(next string) (provider.Page, error) {
			switch next {
			case "c":
				return provider.Page{}, gone
			case "p":
				panic("a bug")
			}
			return provider.Page{Next: map[string]string{"a": "b", "b": "c", "o": "p", "x": "y"}[next]}, nil
		}}
		var last error
		n := 0
		for _, last = range provider.Ahead(t.Context(), p, "a") {
			n++
		}
		if n != 3 || !errors.Is(last, gone) {
			t.Errorf("%d pages, then %v", n, last)
		}
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "a bug") || !strings.Contains(fmt.Sprint(p), "walk_test.go") {
					t.Errorf("recovered %v, want the panic with its stack", p)
				}
			}()
			for _, err := range provider.Ahead(t.Context(), p, "o") {
				last = err
			}
			t.Errorf("it ended with %v", last)
		}()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		c := waits{ended: new(int)}
		for _, last = range provider.Ahead(ctx, c, "a") {
			cancel(over)
		}
		if !errors.Is(last, over) || *c.ended != 1 {
			t.Errorf("a run that is over: %v, %d calls ended", last, *c.ended)
		}
		for _, err := range provider.Ahead(t.Context(), c, "a") {
			last = err
			break
		}
		if last != nil || *c.ended != 2 {
			t.Error("the page that was read ahead is still being read")
		}
	})
}

// waits answers the first page, and the others only when their context ends.
type waits struct {
	provider.Client
	ended *int
}

func (w waits) Page(ctx context.Context, next string) (provider.Page, error) {
	if next == "a" {
		return provider.Page{Next: "b"}, nil
	}
	<-ctx.Done()
	*w.ended++
	return provider.Page{}, context.Cause(ctx)
}
