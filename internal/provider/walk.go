package provider

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Faults in a provider's links. An [*Error] with the reason provider_fault wraps them.
var (
	// ErrForeignLink is a link to another host, or one that is no address.
	ErrForeignLink = errors.New("the link leads away from the provider")
	// ErrLoop is a next link that was already followed.
	ErrLoop = errors.New("the links of the list go in a circle")
	// ErrEndless is a list that exceeds the limits of [Walk].
	ErrEndless = errors.New("the list does not end")
)

// Limits of one list. They are far above what any tenant has. They keep a faulty
// provider from holding a worker until the run's time limit.
const (
	maxPages      = 20_000
	maxEmptyPages = 500 // in a row; a few are normal in a delta round
)

// Walk reads a list page by page from first, a path or a link as for [Client.Page]. It
// ends after the last page or the first error; with ErrLoop when a link repeats, and with
// ErrEndless after 20,000 pages or 500 empty pages in a row. It holds one page at a time.
func Walk(ctx context.Context, c Client, first string) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		followed := make(map[string]bool)
		empty := 0
		for next, n := first, 0; next != ""; n++ {
			switch {
			case followed[next]:
				yield(Page{}, broken(ErrLoop))
				return
			case n == maxPages || empty == maxEmptyPages:
				yield(Page{}, broken(ErrEndless))
				return
			}
			followed[next] = true
			page, err := c.Page(ctx, next)
			if !yield(page, err) || err != nil {
				return
			}
			if empty++; len(page.Items) > 0 {
				empty = 0
			}
			next = page.Next
		}
	}
}

// Ahead is [Walk] that reads the next page while the caller works on the one before. It
// holds two pages. When the caller stops early, the call that is under way is cancelled,
// and Ahead returns when it has ended.
func Ahead(ctx context.Context, c Client, first string) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		type read struct {
			page     Page
			err      error
			panicked any
		}
		ctx, stop := context.WithCancel(ctx)
		pages, left := make(chan read), make(chan struct{})
		var reading sync.WaitGroup
		reading.Go(func() {
			defer close(pages)
			give := func(r read) (taken bool) {
				select {
				case pages <- r:
					return true
				case <-left:
					return false
				}
			}
			defer func() {
				if p := recover(); p != nil { // for the caller, who knows what to do with it
					give(read{panicked: fmt.Sprintf("%v\n%s", p, debug.Stack())})
				}
			}()
			for page, err := range Walk(ctx, c, first) {
				if !give(read{page: page, err: err}) {
					return
				}
			}
		})
		defer reading.Wait()
		defer stop()
		defer close(left)
		for r := range pages {
			if r.panicked != nil {
				panic(r.panicked)
			}
			if !yield(r.page, r.err) {
				return
			}
		}
	}
}

// broken returns the error of a list whose links make no sense.
func broken(err error) *Error {
	return &Error{Reason: op.ProviderFault, Note: err.Error(), At: time.Now(), Err: err}
}
