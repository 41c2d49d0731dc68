package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/op"
)

// live is the query parameter that asks for the stream of a page.
const live = "live"

// Page is a page, and what of it lives.
type Page struct {
	Frame  ui.Frame
	Body   templ.Component
	Parts  []ui.Part
	Status string          // read aloud when it changes
	About  op.Change       // what it shows: a run, a tenant, or anything of the workspace
	Ended  op.Run          // the run whose end the page tells; zero: none
	Panel  templ.Component // how it opens beside another page; nil: it does not
}

// Frame begins a page.
func (v *Visit) Frame(title string, section ui.Section) (ui.Frame, error) {
	g, err := v.Store.Glance(v.R.Context(), v.Actor)
	if err != nil {
		return ui.Frame{}, err
	}
	return ui.Frame{
		Title: title, Heading: title, Reader: v.Actor, Glance: g, Section: section, Now: time.Now(),
		Live: v.address(),
	}, nil
}

// address is that of the page, without what belongs to one answer or one stream.
func (v *Visit) address() string {
	q := v.R.URL.Query()
	q.Del("attempt") // an answer stays as it was
	q.Del(live)
	return (&url.URL{Path: v.R.URL.Path, RawQuery: q.Encode()}).String()
}

// show answers with the page.
func (v *Visit) show(p Page) error {
	if v.HTMX() && p.Panel != nil {
		return v.Write(http.StatusOK, p.Panel)
	}
	if len(p.Parts) == 0 {
		p.Frame.Live = ""
	}
	return v.Write(http.StatusOK, whole(p))
}

func whole(p Page) templ.Component { return ui.Within(ui.Page(p.Frame), p.Body) }

// readEnd marks the notification of the end that the page tells as read, when it
// is the reader's. It reports whether there may have been one.
func (v *Visit) readEnd(ended op.Run, unread int64) (bool, error) {
	if unread == 0 || ended.ID == "" || ended.Initiator.ID != v.Actor.ID() {
		return false, nil
	}
	return true, v.Store.ReadNotificationOf(v.R.Context(), v.Actor, ended.ID)
}
