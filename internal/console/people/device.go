package people

import (
	"net/http"
	"strings"
)

// word is a name for whoever says mark of itself.
type word struct{ mark, name string }

// Browsers say the names of those that they want to be taken for too, so that the
// first mark that is found counts. Chrome says the same as all browsers that are
// made from Chromium, except in its brands.
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

// device tells in few words what someone signs in with, such as "Firefox on
// Windows". It is made of our words only, whatever the headers hold. docs: the
// User-Agent header, and Sec-CH-UA of User-Agent Client Hints, at MDN.
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
