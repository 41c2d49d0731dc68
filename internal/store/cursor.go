package store

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// ErrBadCursor is returned for a cursor that no list gave out, or another list.
// It is 400 on HTTP surfaces.
var ErrBadCursor = errors.New("the cursor does not belong to this list")

// maxCursor is more than any cursor of ours is long, in bytes.
const maxCursor = 4096

// A cursor is where a page ended: the sort key of its last row, which its reader
// has seen. It says nothing about what may be read; every page asks that anew.

// cursor encodes the key of a row of the list named kind.
func cursor(kind string, key ...string) string {
	text, _ := json.Marshal(append([]string{kind}, key...)) // strings always encode
	return base64.RawURLEncoding.EncodeToString(text)
}

// after decodes a cursor of the list named kind into n keys; nil for the first page.
func after(kind, c string, n int) ([]string, error) {
	if c == "" {
		return nil, nil
	}
	if len(c) > maxCursor {
		return nil, ErrBadCursor
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(c)
	if err != nil {
		return nil, ErrBadCursor
	}
	var parts []string
	if json.Unmarshal(text, &parts) != nil || len(parts) != n+1 || parts[0] != kind {
		return nil, ErrBadCursor
	}
	for _, p := range parts {
		if strings.IndexByte(p, 0) >= 0 { // text that a database can't hold
			return nil, ErrBadCursor
		}
	}
	return parts[1:], nil
}

// afterNumber decodes a cursor whose one key is a number; 0 for the first page.
func afterNumber(kind, c string) (int64, error) {
	key, err := after(kind, c, 1)
	if err != nil || key == nil {
		return 0, err
	}
	n, err := strconv.ParseInt(key[0], 10, 64)
	if err != nil || n < 1 {
		return 0, ErrBadCursor
	}
	return n, nil
}

// cut drops the row that was read beyond the limit, and returns the cursor of
// the next page when there was one.
func cut[T any](rows []T, limit int, key func(T) string) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, key(rows[limit-1])
}
