package query

import (
	"fmt"
	"iter"
	"strings"
	"sync"
)

// bulkSizes are the numbers of rows that one statement writes, the largest first. They
// are few, since a connection keeps each text prepared, and small, since SQLite's
// driver looks up the name of each argument among all of them: 500 rows in one
// statement cost half as much again as in five.
var bulkSizes = []int{100, 20, 4, 1}

// Sizes cuts n rows into statements of the available sizes.
func Sizes(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, size := range bulkSizes {
			for ; n >= size; n -= size {
				if !yield(size) {
					return
				}
			}
		}
	}
}

// ManyRows returns the text of a statement for each size of [Sizes]. A row begins
// with first, whose shared parameters all rows use, and has own parameters after it.
func ManyRows(head, first string, shared, own int, tail string) func(rows int) string {
	texts := sync.OnceValue(func() map[int]string {
		of := make(map[int]string, len(bulkSizes))
		for _, size := range bulkSizes {
			var b strings.Builder
			b.WriteString(head)
			for i := range size {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(first + ", " + Placeholders(shared+1+i*own, own) + ")")
			}
			b.WriteString(tail)
			of[size] = b.String()
		}
		return of
	})
	return func(rows int) string { return texts()[rows] }
}

// Placeholders returns n parameters, from the one with the number first.
func Placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", first+i)
	}
	return b.String()
}

// Lists cuts values into lists of the available sizes, for conditions such as IN.
// A short list repeats its last value, which does not change such a condition.
func Lists[T any](values []T) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for len(values) > 0 {
			n := min(len(values), bulkSizes[0])
			size := n
			for _, s := range bulkSizes {
				if s >= n {
					size = s
				}
			}
			list := make([]any, size)
			for i := range list {
				list[i] = values[min(i, n-1)]
			}
			values = values[n:]
			if !yield(list) {
				return
			}
		}
	}
}
