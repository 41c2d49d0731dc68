// Package page is what every list shares: the size of a page, its cursor, and how
// names are sorted and searched.
package page

import (
	"fmt"
	"strings"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/op"
)

// MaxSize is the largest page of a list, in rows.
const MaxSize = 200

const defaultSize = 50

// Size checks the limit that a caller asked for; 0 means 50. A limit outside 1 to
// 200 is an [*op.FieldError].
func Size(limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultSize, nil
	case limit < 1 || limit > MaxSize:
		return 0, &op.FieldError{Field: "limit", Detail: fmt.Sprintf("must be from 1 to %d", MaxSize)}
	}
	return limit, nil
}

// maxSearch is the limit of a search text, in bytes.
const maxSearch = 200

// CheckSearch returns an [*op.FieldError] for a search text that is too long or
// has control characters. An empty one searches for nothing and is fine.
func CheckSearch(q string) error {
	if len(q) > maxSearch {
		return &op.FieldError{Field: "q", Detail: fmt.Sprintf("has %d bytes, at most %d are allowed", len(q), maxSearch)}
	}
	if q == "" {
		return nil
	}
	return access.CheckName("q", q, maxSearch)
}

// Contains returns a LIKE pattern, with \ as its escape, for text that contains q.
// It ignores case where the column is a [NameKey].
func Contains(q string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(q)) + "%"
}

// maxNameKey bounds a key, in characters: PostgreSQL takes 2,704 bytes for one
// entry of an index.
const maxNameKey = 200

// NameKey returns a name as lists sort and search it: in lower case, and cut to
// 200 characters.
func NameKey(name string) string {
	key := []rune(strings.ToLower(name))
	return string(key[:min(len(key), maxNameKey)])
}
