package odata

import (
	"net/url"
	"slices"
	"strings"
)

// PickFields returns the selected properties of o and its id, in the order of o.
func PickFields(o Object, sel []string) Object {
	if len(sel) == 0 {
		return o
	}
	return o.Without(func(name string) bool {
		if name == "id" || strings.HasPrefix(name, "@odata.") {
			return false
		}
		return !slices.ContainsFunc(sel, func(s string) bool { return strings.EqualFold(s, name) })
	})
}

// UnknownSelect returns the first selected property that o and extra lack, or "".
func UnknownSelect(o Object, sel []string, extra ...string) string {
	for _, s := range sel {
		known := s == "*"
		for _, f := range o {
			known = known || strings.EqualFold(f.Name, s)
		}
		for _, e := range extra {
			known = known || strings.EqualFold(e, s)
		}
		if !known {
			return s
		}
	}
	return ""
}

// Options returns the system options of a request, for its page link.
func (q *Query) Options() url.Values {
	out := url.Values{}
	for k, v := range q.Raw {
		if strings.HasPrefix(k, "$") {
			out[k] = v
		}
	}
	return out
}
