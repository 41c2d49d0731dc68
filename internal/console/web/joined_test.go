package web_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/console"
	"github.com/interlock-dev/interlock/internal/console/consoletest"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestPagesShareAStream: one stream updates all pages of a browser. When one is refused, the
// others continue.
func TestPagesShareAStream(t *testing.T) {
	consoletest.OnBoth(t, func(t *testing.T, w *consoletest.World) {
		consoletest.Quick(w)
		m := consoletest.NewMatrix(w)
		lim := w.Browser(m.Limited)
		s := lim.Joined("/w/lattice/operations?state=queued", "/w/lattice/operations/"+m.Foreign["run"], "/w/lattice/tenants", "/sign-in", "/no/such/page", "/w/lattice/operations/"+m.Own["run"])
		s.Until("page", "0", m.Own["run"])
		s.Until("refused", "1", "404")
		s.Until("page", "2", "Kestrel")
		again := lim.Joined("/sign-in", "/no/such/page", "/w/northgate/tenants")
		for _, page := range []string{"0", "1", "2"} {
			again.Until("refused", page, "40")
		}
		again.Ends() // nothing is left to tell
		w.Working(w.Text(`SELECT id FROM runs WHERE code = $1`, m.Own["run"]), 1, 4)
		w.Feed.Changed(op.Change{Workspace: w.Workspace})
		s.Until("page", "5", "Running")
		<-s.Beats

		lim.Press(lim.Get("/w/lattice/tenants"), "form[action='/sign-out']")
		s.Ends()
	})
}

// TestPagesOfAStream: invalid pages of a stream are refused before anything is sent.
func TestPagesOfAStream(t *testing.T) {
	w := consoletest.OnOne(t, console.Deps{})
	mei := w.Browser(w.Owner)
	many := url.Values{}
	for range 17 {
		many.Add("page", "/w/lattice/tenants")
	}
	for _, query := range []string{"", "page=", "page=https://elsewhere.example/", "page=//elsewhere.example/", "page=" + url.QueryEscape(op.LiveRoute+"?page=/"), many.Encode()} {
		mei.Get(op.LiveRoute + "?" + query).Want(http.StatusUnprocessableEntity)
	}
	w.Stranger().Get(op.LiveRoute + "?page=/w/lattice/tenants").Want(http.StatusUnauthorized)
}

// TestStreamsOfAPersonAreBounded: the number of streams of one person is limited.
func TestStreamsOfAPersonAreBounded(t *testing.T) {
	streams := httpx.NewStreams(2)
	w := consoletest.Quick(consoletest.OnOne(t, console.Deps{Budgets: httpx.Budgets{Streams: streams}}))
	mei := w.Browser(w.Owner)
	first := mei.Joined("/w/lattice/tenants", "/w/lattice/operations", "/w/lattice/connections")
	first.Until("page", "2", "")
	mei.Joined("/w/lattice/tenants")
	a := mei.Get(op.LiveRoute + "?page=/w/lattice/tenants").Want(http.StatusTooManyRequests)
	a.Says("h1", "Too many live streams")
	if a.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	w.Browser(w.Viewer).Joined("/w/lattice/tenants") // someone else
	first.Cancel()
	for range 200 {
		if done, err := streams.Open(w.Owner.ID()); err == nil {
			done()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a stream that ended still counts")
}
