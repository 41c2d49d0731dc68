package httpx

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// answer answers with the problem where no surface is asked: a person in a browser
// gets a page, the script of such a page what stands in it, and a program the
// document. docs: browsers put text/html first when they go to an address.
func (p *Problem) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !strings.HasPrefix(r.Header.Get("Accept"), "text/html") {
		p.Write(w)
		return
	}
	page := fmt.Sprintf("<h1>%s</h1>\n<p>%s</p>\n<p>%s</p>\n",
		html.EscapeString(p.Title), html.EscapeString(p.Detail), html.EscapeString(p.Next))
	if r.Header.Get("HX-Request") == "" {
		page = fmt.Sprintf(plainPage, html.EscapeString(p.Title), page)
	}
	p.head(w, "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // the client is gone
}

// plainPage needs nothing that would have to be loaded, and no policy that lets it.
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
