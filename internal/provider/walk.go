package provider

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Errors in an answer that no honest provider gives. They are what an [*Error]
// with the reason provider_fault unwraps to.
var (
	// ErrForeignLink is a next link to another host, or to no address at all.
	ErrForeignLink = errors.New("the link leads away from the provider")
	// ErrLoop is a next link that was followed before.
	ErrLoop = errors.New("the links of the list go in a circle")
	// ErrEndless is a list that goes on past every bound.
	ErrEndless = errors.New("the list does not end")
)

// Bounds of one list. They are far above what any tenant has, and only keep a
// provider that has lost its way from holding a worker until the run's limit.
const (
	maxPages      = 20_000
	maxEmptyPages = 500 // in a row; a few are normal in a delta round
)

// Walk reads a list page by page from first, which is a path or a link as for
// [Client.Page]. It stops after the last page, after the first error, and with
// ErrLoop or ErrEndless when the provider's links do not lead to an end. Only
// one page is held at a time.
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

// broken is the error of an answer that came, and makes no sense.
func broken(err error) *Error {
	return &Error{Reason: op.ProviderFault, Note: err.Error(), At: time.Now(), Err: err}
}
