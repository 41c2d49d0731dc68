package page

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/op"
)

// maxCursor is longer than any cursor of ours, in bytes.
const maxCursor = 4096

// A cursor is where a page ended: the sort key of its last row, which its reader
// has seen. It grants nothing: every page is authorized anew.

// Cursor encodes the key of a row of the list named kind.
func Cursor(kind string, key ...string) string {
	text, _ := json.Marshal(append([]string{kind}, key...)) // strings always encode
	return base64.RawURLEncoding.EncodeToString(text)
}

// After decodes a cursor of the list named kind into n keys; nil for the first
// page. Any other cursor is [op.ErrBadCursor].
func After(kind, c string, n int) ([]string, error) {
	if c == "" {
		return nil, nil
	}
	if len(c) > maxCursor {
		return nil, op.ErrBadCursor
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(c)
	if err != nil {
		return nil, op.ErrBadCursor
	}
	var parts []string
	if json.Unmarshal(text, &parts) != nil || len(parts) != n+1 || parts[0] != kind {
		return nil, op.ErrBadCursor
	}
	for _, p := range parts {
		if strings.IndexByte(p, 0) >= 0 { // text that a database can't hold
			return nil, op.ErrBadCursor
		}
	}
	return parts[1:], nil
}

// AfterNumber decodes a cursor whose one key is a number; 0 for the first page.
func AfterNumber(kind, c string) (int64, error) {
	key, err := After(kind, c, 1)
	if err != nil || key == nil {
		return 0, err
	}
	n, err := strconv.ParseInt(key[0], 10, 64)
	if err != nil || n < 1 {
		return 0, op.ErrBadCursor
	}
	return n, nil
}

// Cut drops the row that was read beyond the limit. It returns the cursor of the
// next page when there was one, else an empty string.
func Cut[T any](rows []T, limit int, key func(T) string) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, key(rows[limit-1])
}
