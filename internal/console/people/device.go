package people

import (
	"net/http"
	"strings"
)

// word is a name for a mark in a header.
type word struct{ mark, name string }

// The first mark found counts, since browsers also send the names of browsers that they
// are compatible with. Chrome differs from other browsers made from Chromium only in its
// brands.
var (
	browsers = []word{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"FxiOS/", "Firefox"},
		{"Firefox/", "Firefox"},
		{"CriOS/", "Chrome"},
		{`"Google Chrome"`, "Chrome"},
		{"Chrome/", "Chromium"},
		{"Safari/", "Safari"},
	}
	platforms = []word{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows", "Windows"},
		{"Macintosh", "Mac"},
		{"Linux", "Linux"},
	}
)

// device names what a request comes from, such as "Firefox on Windows". It contains no
// text of the headers. docs: User-Agent, and Sec-CH-UA of User-Agent Client Hints, at
// MDN.
func device(h http.Header) string {
	said := h.Get("User-Agent") + " " + h.Get("Sec-CH-UA")
	find := func(words []word) string {
		for _, w := range words {
			if strings.Contains(said, w.mark) {
				return w.name
			}
		}
		return ""
	}
	browser, platform := find(browsers), find(platforms)
	if browser == "" {
		browser = "Browser"
	}
	if platform == "" {
		return browser
	}
	return browser + " on " + platform
}
