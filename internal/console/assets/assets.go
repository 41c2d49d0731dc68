// Package assets holds the files of the console: styles, font, icons, htmx and a little
// script of our own. All are embedded in the binary.
package assets

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"regexp"
)

// The styles, the font and the icons are the design kit's; htmx.js is htmx
// 4.0.1 as published. Their licences lie beside them.
//
//go:embed *.css *.js *.svg *.woff2
var files embed.FS

// Pattern is where the files are served, as a pattern of [http.ServeMux].
const Pattern = "GET /assets/{version}/{file}"

// version is a hash of all files. The address of a file changes with it, so browsers can
// cache files forever. It is one hash for all, since the style sheet names the font by a
// relative address.
var version = func() string {
	sum := sha256.New()
	entries, err := fs.ReadDir(files, ".") // sorted by name
	if err != nil {
		panic(err) // the folder is in the binary
	}
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			panic(err)
		}
		sum.Write([]byte(e.Name()))
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}()

// URL returns the address of a file, such as "console.css".
func URL(name string) string { return "/assets/" + version + "/" + name }

// Serve answers a request of [Pattern]. It reports whether the file exists; if not, it
// writes nothing.
func Serve(w http.ResponseWriter, r *http.Request) bool {
	name := r.PathValue("file")
	text, err := files.ReadFile(name)
	if err != nil || r.PathValue("version") != version {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", types[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(text) // the client is gone
	return true
}

// types are listed here because systems differ in theirs.
var types = map[string]string{
	".css":   "text/css; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

var symbol = regexp.MustCompile(`<symbol id="([^"]+)"[^>]*>(.*?)</symbol>`)

var icons = func() map[string]string {
	text, err := files.ReadFile("icons.svg")
	if err != nil {
		panic(err)
	}
	shapes := make(map[string]string)
	for _, m := range symbol.FindAllStringSubmatch(string(text), -1) {
		shapes[m[1]] = m[2]
	}
	return shapes
}()

// Icon returns the shapes of an icon, on a grid of 20 by 20, to stand inside an
// svg element; those of "dot" for a name that is not known.
func Icon(name string) string {
	if shapes, ok := icons[name]; ok {
		return shapes
	}
	return icons["dot"]
}
