package httpx

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// answer writes the problem outside of any surface: as a page for a browser, as a part of a page
// for the script of a page, and as a problem document for a program. docs: browsers put
// text/html first when they navigate.
func (p *Problem) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !strings.HasPrefix(r.Header.Get("Accept"), "text/html") {
		p.Write(w)
		return
	}
	p = p.ForPage()
	page := fmt.Sprintf("<h1>%s</h1>\n<p>%s</p>\n<p>%s</p>\n",
		html.EscapeString(p.Title), html.EscapeString(p.Detail), html.EscapeString(p.Next))
	if r.Header.Get("HX-Request") == "" {
		page = fmt.Sprintf(plainPage, html.EscapeString(p.Title), page)
	}
	p.head(w, "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // the client may have disconnected
}

// plainPage loads nothing, so that it needs no content policy.
const plainPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s · Interlock</title>
</head>
<body>
<main>
%s</main>
</body>
</html>
`
