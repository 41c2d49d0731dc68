package archtest

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue"
)

// TestWordsLiveInOnePlace (V2): no page, command or worker has its own copy of a
// sentence in op/words.go or in a definition of the catalogue.
func TestWordsLiveInOnePlace(t *testing.T) { holds(t, words) }

const wordsFile = "internal/op/words.go"

var boundary = regexp.MustCompile(`\{[a-z_]+\}|\. `)

// words looks for the pieces of text between placeholders and full stops that are too
// long to occur by chance.
func words(files []file) (found []finding) {
	said := make(map[string]bool)
	for _, f := range files {
		if f.path != wordsFile {
			continue
		}
		f.texts(func(_ ast.Node, text string) {
			for _, piece := range pieces(text) {
				said[piece] = true
			}
		})
	}
	defined := make(map[string]bool)
	for _, d := range catalogue.All() {
		texts := []string{d.Words.Does}
		for _, set := range d.Datasets {
			texts = append(texts, set.Lead, set.NotRead.Text, set.None.Text)
		}
		for _, piece := range pieces(strings.Join(texts, " ")) {
			defined[piece] = true
		}
	}
	for _, f := range files {
		if f.test() || f.in("internal/op") {
			continue
		}
		f.texts(func(at ast.Node, text string) {
			for piece := range said {
				if strings.Contains(text, piece) {
					found = append(found, f.finding(at, "%q is said by %s: take it from an answer or a run of package op", piece, wordsFile))
				}
			}
			for piece := range defined {
				if strings.Contains(text, piece) && !f.in("internal/catalogue") {
					found = append(found, f.finding(at, "%q is said by a definition of the catalogue: take it from there", piece))
				}
			}
		})
	}
	return found
}

// pieces are the parts of a text that are long enough to be nobody else's by chance.
func pieces(text string) (long []string) {
	for _, piece := range boundary.Split(text, -1) {
		if piece = strings.Trim(piece, " .,:;“”"); len(strings.Fields(piece)) >= 5 {
			long = append(long, piece)
		}
	}
	return long
}

// TestLinksAreBuiltInOnePlace (V4): op/links.go builds the addresses of runs and of all
// pages of the console.
func TestLinksAreBuiltInOnePlace(t *testing.T) { holds(t, links) }

func links(files []file) (found []finding) {
	for _, f := range files {
		if f.test() || f.path == "internal/op/links.go" {
			continue
		}
		f.texts(func(at ast.Node, text string) {
			if strings.Contains(text, "/w/") {
				found = append(found, f.finding(at, "internal/op/links.go builds addresses of the console"))
			}
		})
	}
	return found
}

// TestComments: a comment names the provider's document or what was observed, never a
// folder of somebody's machine, and postpones nothing.
func TestComments(t *testing.T) { holds(t, comments) }

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b|shared/(?:design|spec)/`)

func comments(files []file) (found []finding) {
	for _, f := range files {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if m := unfinished.FindString(c.Text); m != "" && (!f.test() || !strings.Contains(c.Text, "../"+m)) {
					found = append(found, f.finding(c, "%s does not belong in a comment", m))
				}
			}
		}
	}
	return found
}
