package odata

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Query holds the OData system query options of a request.
type Query struct {
	Raw        url.Values // all options as sent, percent-decoded
	Select     []string   // $select without type casts: microsoft.graph.x/y selects y
	Expand     []expansion
	Filter     *filter
	OrderBy    []ordering
	Search     string // with its quotes
	Top        int    // 0: not given
	Skip       int
	Count      bool
	SkipToken  string
	DeltaToken *string // nil: absent; an empty string asks for a full round
}

type expansion struct {
	Name   string
	nested string // options inside the parentheses
}

type ordering struct {
	Path string
	Desc bool
}

// Error is an error in the query options, with the text of the service.
type Error struct{ Msg string }

// Error returns the text of the service.
func (e *Error) Error() string { return e.Msg }

// BadQuery returns an [*Error].
func BadQuery(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// maxOptionLength limits the length of an option, in bytes.
const maxOptionLength = 16 << 10

// ParseQuery parses the options of a raw query string. It ignores options without the $
// prefix, such as the portal's cache busters (recorded).
func ParseQuery(rawQuery string) (*Query, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, BadQuery("The query specified in the URI is not valid. %v", err)
	}
	q := &Query{Raw: values}
	for key, vals := range values {
		if !strings.HasPrefix(key, "$") {
			continue
		}
		if len(vals) > 1 {
			return nil, BadQuery("Query option '%s' was specified more than once, but it must be specified at most once.", key)
		}
		if len(vals[0]) > maxOptionLength {
			return nil, BadQuery("Query option '%s' is longer than %d characters.", key, maxOptionLength)
		}
		if err := q.set(strings.ToLower(key), key, vals[0]); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *Query) set(key, asSent, v string) (err error) {
	switch key {
	case "$select":
		for _, p := range splitTop(v, ',') {
			if p = strings.TrimSpace(p); p == "" {
				return BadQuery("Parsing OData Select and Expand failed: Term '%s' is not valid in a $select or $expand expression.", v)
			}
			q.Select = append(q.Select, stripCast(p))
		}
	case "$expand":
		q.Expand, err = parseExpand(v)
	case "$filter":
		q.Filter, err = parseFilter(v)
	case "$orderby":
		q.OrderBy, err = parseOrderBy(v)
	case "$top":
		if q.Top, err = strconv.Atoi(v); err != nil || q.Top < 1 {
			return BadQuery("Invalid value '%s' for $top query option found. The $top query option requires a positive integer value.", v)
		}
	case "$skip":
		if q.Skip, err = strconv.Atoi(v); err != nil || q.Skip < 0 {
			return BadQuery("Invalid value '%s' for $skip query option found. The $skip query option requires a non-negative integer value.", v)
		}
	case "$count":
		if q.Count, err = strconv.ParseBool(v); err != nil {
			return BadQuery("Invalid value '%s' for $count query option found. Valid values are 'true' and 'false'.", v)
		}
	case "$skiptoken":
		q.SkipToken = v
	case "$deltatoken":
		q.DeltaToken = &v
	case "$search":
		q.Search = v
	case "$format":
		if !strings.Contains(strings.ToLower(v), "json") {
			return BadQuery("The value '%s' of $format is not supported.", v)
		}
	default:
		return BadQuery("The query parameter '%s' is not supported.", asSent)
	}
	return err
}

// stripCast removes the type cast from a path: microsoft.graph.iosCompliancePolicy/x becomes x.
func stripCast(path string) string {
	for strings.HasPrefix(path, "microsoft.graph.") {
		_, rest, ok := strings.Cut(path, "/")
		if !ok {
			break
		}
		path = rest
	}
	return path
}

// splitTop splits at sep outside of parentheses and string literals.
func splitTop(s string, sep byte) []string {
	var parts []string
	depth, start, quoted := 0, 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == sep && depth == 0:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

func parseExpand(v string) ([]expansion, error) {
	var out []expansion
	for _, p := range splitTop(v, ',') {
		p = stripCast(strings.TrimSpace(p))
		e := expansion{Name: p}
		if i := strings.IndexByte(p, '('); i >= 0 {
			if !strings.HasSuffix(p, ")") {
				return nil, BadQuery("Parsing OData Select and Expand failed: Found an unbalanced bracket expression in '%s'.", v)
			}
			e.Name, e.nested = p[:i], p[i+1:len(p)-1]
		}
		if e.Name == "" || strings.ContainsAny(e.Name, "()' ") {
			return nil, BadQuery("Parsing OData Select and Expand failed: Term '%s' is not valid in a $select or $expand expression.", v)
		}
		out = append(out, e)
	}
	return out, nil
}

// Options parses the options inside the parentheses of an expansion, separated by semicolons.
func (e expansion) Options() (*Query, error) {
	q := &Query{Raw: url.Values{}}
	if e.nested == "" {
		return q, nil
	}
	for _, opt := range splitTop(e.nested, ';') {
		k, v, ok := strings.Cut(opt, "=")
		if !ok {
			return nil, BadQuery("Parsing OData Select and Expand failed: Term '%s' is not valid in a $select or $expand expression.", e.nested)
		}
		k = strings.TrimSpace(k)
		if err := q.set(strings.ToLower(k), k, v); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func parseOrderBy(v string) ([]ordering, error) {
	var out []ordering
	for _, p := range strings.Split(v, ",") {
		f := strings.Fields(p)
		switch {
		case len(f) == 1, len(f) == 2 && (f[1] == "asc" || f[1] == "desc"):
			out = append(out, ordering{stripCast(f[0]), len(f) == 2 && f[1] == "desc"})
		default:
			return nil, BadQuery("Syntax error at position %d in '%s'.", len(p), v)
		}
	}
	return out, nil
}

// Escape encodes an option value as the service does in its links: lower-case hex digits,
// a plus for a space, and plain parentheses (recorded).
func Escape(v string) string {
	var b strings.Builder
	for i := range len(v) {
		switch c := v[i]; {
		case c == ' ':
			b.WriteByte('+')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.()*!$", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}
