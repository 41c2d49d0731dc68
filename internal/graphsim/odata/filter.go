package odata

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// filter is a compiled $filter expression: comparisons, in, and, or, not, parentheses,
// startswith, endswith, contains, isof, and the lambdas any and all.
type filter struct {
	match    func(scope) bool
	Advanced bool     // needs ConsistencyLevel: eventual on directory objects
	IDs      []string // set if the expression is only id eq '...', joined by or
	Uses     []Use    // in the order of the expression
}

// Use is a property that an expression names, with what it is compared with.
type Use struct {
	Path    string // without a type cast; the properties of range variables are left out
	Op      string // eq, ne, gt, ge, lt, le, in, has, startswith, endswith, contains, any, all
	Literal any    // string, float64, bool or nil; of in the first of the list
}

// scope resolves names while an expression is evaluated.
type scope struct {
	root Object
	vars map[string]any // range variables of lambdas
}

func (f *filter) Matches(o Object) bool { return f == nil || f.match(scope{root: o}) }

type tokenKind int

const (
	tokEnd tokenKind = iota
	tokWord
	tokString
	tokPunct
)

type filterToken struct {
	kind tokenKind
	text string
	pos  int
}

type filterParser struct {
	src   string
	toks  []filterToken
	at    int
	depth int
	f     *filter
	plain bool     // so far only id eq '...', joined by or
	vars  []string // range variables in scope
}

// use records that an expression names a property.
func (p *filterParser) use(path, op string, literal any) {
	path = stripCast(path)
	if head, _, _ := strings.Cut(path, "/"); !slices.Contains(p.vars, head) {
		p.f.Uses = append(p.f.Uses, Use{path, op, literal})
	}
}

// maxFilterDepth limits nesting, so that hostile input can't exhaust the stack.
const maxFilterDepth = 64

func parseFilter(src string) (*filter, error) {
	p := &filterParser{src: src, f: &filter{}, plain: true}
	if err := p.lex(); err != nil {
		return nil, err
	}
	m, err := p.or()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokEnd {
		return nil, p.fail(t)
	}
	p.f.match = m
	if !p.plain {
		p.f.IDs = nil
	}
	return p.f, nil
}

func (p *filterParser) fail(t filterToken) error {
	return BadQuery("Invalid filter clause: Syntax error at position %d in '%s'.", t.pos, p.src)
}

func (p *filterParser) lex() error {
	s := p.src
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t':
			i++
		case strings.IndexByte("(),:", c) >= 0:
			p.toks = append(p.toks, filterToken{tokPunct, string(c), i})
			i++
		case c == '\'':
			var b strings.Builder
			j := i + 1
			for ; ; j++ {
				if j >= len(s) {
					return BadQuery("Invalid filter clause: There is an unterminated string literal at position %d in '%s'.", i, s)
				}
				if s[j] == '\'' {
					if j+1 < len(s) && s[j+1] == '\'' { // a doubled quote is a quote
						j++
					} else {
						break
					}
				}
				b.WriteByte(s[j])
			}
			p.toks = append(p.toks, filterToken{tokString, b.String(), i})
			i = j + 1
		default:
			// A colon ends a lambda's variable, but is part of a time of day.
			j := i
			for j < len(s) && strings.IndexByte(" \t(),'", s[j]) < 0 && (s[j] != ':' || s[i] >= '0' && s[i] <= '9') {
				j++
			}
			p.toks = append(p.toks, filterToken{tokWord, s[i:j], i})
			i = j
		}
	}
	return nil
}

func (p *filterParser) peek() filterToken {
	if p.at < len(p.toks) {
		return p.toks[p.at]
	}
	return filterToken{kind: tokEnd, pos: len(p.src)}
}

func (p *filterParser) next() filterToken {
	t := p.peek()
	p.at++
	return t
}

func (p *filterParser) word(w string) bool {
	if t := p.peek(); t.kind == tokWord && t.text == w {
		p.at++
		return true
	}
	return false
}

func (p *filterParser) punct(s string) error {
	if t := p.next(); t.kind != tokPunct || t.text != s {
		return p.fail(t)
	}
	return nil
}

func (p *filterParser) isPunct(s string) bool {
	t := p.peek()
	return t.kind == tokPunct && t.text == s
}

type predicate = func(scope) bool

func (p *filterParser) or() (predicate, error) {
	if p.depth++; p.depth > maxFilterDepth {
		return nil, BadQuery("Invalid filter clause: The node count limit of '%d' has been exceeded.", maxFilterDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.and()
	for err == nil && p.word("or") {
		var right predicate
		l := left
		if right, err = p.and(); err == nil {
			left = func(s scope) bool { return l(s) || right(s) }
		}
	}
	return left, err
}

func (p *filterParser) and() (predicate, error) {
	left, err := p.unary()
	for err == nil && p.word("and") {
		p.plain = false
		var right predicate
		l := left
		if right, err = p.unary(); err == nil {
			left = func(s scope) bool { return l(s) && right(s) }
		}
	}
	return left, err
}

func (p *filterParser) unary() (predicate, error) {
	if p.word("not") {
		p.plain, p.f.Advanced = false, true
		if p.depth++; p.depth > maxFilterDepth {
			return nil, BadQuery("Invalid filter clause: The node count limit of '%d' has been exceeded.", maxFilterDepth)
		}
		defer func() { p.depth-- }()
		inner, err := p.unary()
		if err != nil {
			return nil, err
		}
		return func(s scope) bool { return !inner(s) }, nil
	}
	if p.isPunct("(") {
		p.at++
		inner, err := p.or()
		if err != nil {
			return nil, err
		}
		return inner, p.punct(")")
	}
	return p.comparison()
}

func (p *filterParser) comparison() (predicate, error) {
	t := p.next()
	if t.kind != tokWord {
		return nil, p.fail(t)
	}
	if p.isPunct("(") {
		p.plain = false
		return p.function(t)
	}
	op := p.next()
	if op.kind != tokWord {
		return nil, p.fail(op)
	}
	get := operand(t.text)
	if op.text == "in" {
		p.plain = false
		list, err := p.list()
		if err != nil {
			return nil, err
		}
		p.use(t.text, "in", list[0])
		return func(s scope) bool {
			v := get(s)
			for _, w := range list {
				if Compare(v, w) == 0 {
					return true
				}
			}
			return false
		}, nil
	}
	want, err := p.literal()
	if err != nil {
		return nil, err
	}
	p.use(t.text, op.text, want)
	if id, ok := want.(string); ok && op.text == "eq" && t.text == "id" {
		p.f.IDs = append(p.f.IDs, id)
	} else {
		p.plain = false
	}
	switch op.text {
	case "eq":
		return func(s scope) bool { return Compare(get(s), want) == 0 }, nil
	case "ne":
		p.f.Advanced = true
		return func(s scope) bool { return Compare(get(s), want) != 0 }, nil
	case "has":
		return func(s scope) bool { return hasFlags(get(s), want) }, nil
	case "gt":
		return func(s scope) bool { return Compare(get(s), want) == 1 }, nil
	case "lt":
		return func(s scope) bool { return Compare(get(s), want) == -1 }, nil
	case "ge":
		return func(s scope) bool { c := Compare(get(s), want); return c == 0 || c == 1 }, nil
	case "le":
		return func(s scope) bool { c := Compare(get(s), want); return c == 0 || c == -1 }, nil
	}
	return nil, p.fail(op)
}

// hasFlags reports whether a set of flags contains all of want.
func hasFlags(v, want any) bool {
	have, ok := v.(string)
	flags, isText := want.(string)
	if !ok || !isText {
		return false
	}
	for flag := range strings.SplitSeq(flags, ",") {
		found := false
		for f := range strings.SplitSeq(have, ",") {
			found = found || strings.EqualFold(strings.TrimSpace(f), strings.TrimSpace(flag))
		}
		if !found {
			return false
		}
	}
	return true
}

// operand resolves a property path, which may begin with a range variable.
func operand(path string) func(scope) any {
	path = stripCast(path)
	head, rest, _ := strings.Cut(path, "/")
	return func(s scope) any {
		if v, ok := s.vars[head]; ok {
			for rest := rest; rest != ""; {
				m, ok := v.(map[string]any)
				if !ok {
					return nil
				}
				head, rest, _ = strings.Cut(rest, "/")
				v = m[head]
			}
			return v
		}
		return s.root.Value(path)
	}
}

func (p *filterParser) function(name filterToken) (predicate, error) {
	if path, ok := strings.CutSuffix(name.text, "/any"); ok {
		return p.lambda(path, true)
	}
	if path, ok := strings.CutSuffix(name.text, "/all"); ok {
		return p.lambda(path, false)
	}
	if err := p.punct("("); err != nil {
		return nil, err
	}
	if name.text == "isof" {
		t := p.next()
		if t.kind != tokString && t.kind != tokWord {
			return nil, p.fail(t)
		}
		want := "#" + strings.TrimPrefix(t.text, "#")
		return func(s scope) bool { return strings.EqualFold(s.root.Text("@odata.type"), want) }, p.punct(")")
	}
	function := strings.ToLower(name.text) // observed: startsWith is taken as well
	test, ok := map[string]func(v, arg string) bool{
		"startswith": strings.HasPrefix, "endswith": strings.HasSuffix, "contains": strings.Contains,
	}[function]
	if !ok {
		return nil, BadQuery("Invalid filter clause: An unknown function with name '%s' was found.", name.text)
	}
	if function == "endswith" {
		p.f.Advanced = true
	}
	path := p.next()
	if path.kind != tokWord {
		return nil, p.fail(path)
	}
	if err := p.punct(","); err != nil {
		return nil, err
	}
	arg := p.next()
	if arg.kind != tokString {
		return nil, p.fail(arg)
	}
	p.use(path.text, function, arg.text)
	get, want := operand(path.text), strings.ToLower(arg.text)
	return func(s scope) bool {
		v, ok := get(s).(string)
		return ok && test(strings.ToLower(v), want)
	}, p.punct(")")
}

// lambda parses (x:expression) over the collection at path.
func (p *filterParser) lambda(path string, anyOf bool) (predicate, error) {
	if err := p.punct("("); err != nil {
		return nil, err
	}
	get := operand(path)
	p.use(path, map[bool]string{true: "any", false: "all"}[anyOf], nil)
	if anyOf && p.isPunct(")") { // any() without a condition: the list is not empty
		p.at++
		return func(s scope) bool { l, _ := get(s).([]any); return len(l) > 0 }, nil
	}
	v := p.next()
	if v.kind != tokWord {
		return nil, p.fail(v)
	}
	if err := p.punct(":"); err != nil {
		return nil, err
	}
	p.vars = append(p.vars, v.text)
	inner, err := p.or()
	p.vars = p.vars[:len(p.vars)-1]
	if err != nil {
		return nil, err
	}
	return func(s scope) bool {
		list, _ := get(s).([]any)
		for _, e := range list {
			vars := map[string]any{v.text: e}
			for k, o := range s.vars {
				vars[k] = o
			}
			if inner(scope{s.root, vars}) == anyOf {
				return anyOf
			}
		}
		return !anyOf
	}, p.punct(")")
}

func (p *filterParser) list() ([]any, error) {
	if err := p.punct("("); err != nil {
		return nil, err
	}
	var out []any
	for {
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if !p.isPunct(",") {
			return out, p.punct(")")
		}
		p.at++
	}
}

// literal reads a constant. An enumeration literal, microsoft.graph.x'y', is the string y.
func (p *filterParser) literal() (any, error) {
	t := p.next()
	switch t.kind {
	case tokString:
		return t.text, nil
	case tokWord:
		if next := p.peek(); next.kind == tokString && strings.HasPrefix(t.text, "microsoft.graph.") {
			p.at++
			return next.text, nil
		}
		switch t.text {
		case "null":
			return nil, nil
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		if n, err := strconv.ParseFloat(t.text, 64); err == nil {
			return n, nil
		}
		if c := t.text[0]; c >= '0' && c <= '9' || len(t.text) == 36 { // an unquoted time or GUID
			return t.text, nil
		}
		return nil, BadQuery("Invalid filter clause: Could not find a property named '%s'.", t.text)
	case tokEnd, tokPunct:
	}
	return nil, p.fail(t)
}

// Compare returns -1, 0 or 1 for a < b, a = b and a > b, and 2 if the two can't be compared.
// Text is compared without case, as in the directory; times are compared as times.
func Compare(a, b any) int {
	switch a := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
	case bool:
		if b, ok := b.(bool); ok && a == b {
			return 0
		}
	case float64:
		if b, ok := b.(float64); ok {
			switch {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		}
	case string:
		if b, ok := b.(string); ok {
			ta, errA := time.Parse(time.RFC3339Nano, a)
			tb, errB := time.Parse(time.RFC3339Nano, b)
			if errA == nil && errB == nil {
				return ta.Compare(tb)
			}
			return strings.Compare(strings.ToLower(a), strings.ToLower(b))
		}
	}
	return 2
}
