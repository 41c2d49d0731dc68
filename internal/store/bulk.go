package store

import (
	"fmt"
	"iter"
	"strings"
	"sync"
)

// bulkSizes are how many rows one statement writes. There are few, because each
// is a text of its own that a connection keeps prepared.
var bulkSizes = []int{batchRows, 100, 20, 4, 1}

// sizesOf cuts n rows into statements of the sizes that there are.
func sizesOf(n int) iter.Seq[int] {
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

// manyRows returns the text of a statement for each size. A row begins with first,
// whose parameters all rows share, and has own parameters after it.
func manyRows(head, first string, shared, own int, tail string) func(rows int) string {
	texts := sync.OnceValue(func() map[int]string {
		of := make(map[int]string, len(bulkSizes))
		for _, size := range bulkSizes {
			var b strings.Builder
			b.WriteString(head)
			for i := range size {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(first + ", " + placeholders(shared+1+i*own, own) + ")")
			}
			b.WriteString(tail)
			of[size] = b.String()
		}
		return of
	})
	return func(rows int) string { return texts()[rows] }
}

// placeholders are n parameters from the one numbered first.
func placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", first+i)
	}
	return b.String()
}

// padded returns list with its last element repeated up to the next size, for
// statements to which an element that comes twice makes no difference.
func padded[T any](list []T) []T {
	size := len(list)
	for _, s := range bulkSizes {
		if s >= len(list) {
			size = s
		}
	}
	for len(list) < size {
		list = append(list, list[len(list)-1])
	}
	return list
}
