package web

import (
	"strings"
	"testing"
)

func TestLocalPath(t *testing.T) {
	for path, want := range map[string]string{
		"/w/x?a=b&c":                       "/w/x?a=b&c",
		"/w/x#part":                        "/w/x",
		"/":                                "/",
		"":                                 "",
		"w/x":                              "",
		"//evil.example":                   "",
		"///evil.example":                  "",
		`/\evil.example`:                   "",
		`\\evil.example`:                   "",
		"https://evil":                     "",
		"https:/evil":                      "",
		"javascript:a()":                   "",
		"/\t/evil.example":                 "",
		"/\n/evil.example":                 "",
		"/%zz":                             "",
		"/" + strings.Repeat("a", maxPath): "",
	} {
		if got := LocalPath(path); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
}
