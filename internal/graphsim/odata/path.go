package odata

import (
	"strings"
)

// Segments splits a resource path. A key may follow a slash or stand in parentheses, as in
// groups/{id} and groups('{id}') (both recorded). Functions lose their empty parentheses and
// their namespace, so that delta, delta() and microsoft.graph.delta() are the same.
func Segments(path string) []string {
	var out []string
	for _, seg := range strings.Split(path, "/") {
		if seg == "" {
			continue
		}
		name, key, found := strings.Cut(seg, "(")
		if !found || !strings.HasSuffix(key, ")") {
			out = append(out, strings.TrimPrefix(seg, "microsoft.graph."))
			continue
		}
		out = append(out, strings.TrimPrefix(name, "microsoft.graph."))
		if key = strings.TrimSuffix(key, ")"); key == "" {
			continue
		}
		if alt, value, ok := strings.Cut(key, "="); ok { // an alternate key: appId='...'
			out = append(out, alt+"="+strings.Trim(value, "'"))
			continue
		}
		out = append(out, strings.Trim(key, "'"))
	}
	return out
}

// IsVersion reports whether a path segment is an API version.
func IsVersion(segment string) bool {
	return strings.EqualFold(segment, "v1.0") || strings.EqualFold(segment, "beta")
}

// IsIntune reports whether a resource path belongs to Intune.
func IsIntune(resourcePath string) bool {
	first, _, _ := strings.Cut(resourcePath, "/")
	return strings.EqualFold(first, "deviceManagement") || strings.EqualFold(first, "deviceAppManagement")
}
