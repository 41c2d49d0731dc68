package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/a-h/templ"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/op"
)

// live is the query parameter that requests the stream of a page.
const live = "live"

// Page is a page and the parts of it that update while it is open.
type Page struct {
	Frame  ui.Frame
	Body   templ.Component
	Parts  []ui.Part
	Status string          // announced to screen readers when it changes
	About  op.Change       // changes that it shows: of a run, a tenant, or the workspace
	Ended  op.Run          // run whose end it shows, which marks that notification as read; zero: none
	Panel  templ.Component // form of it that opens beside another page; nil: none
}

// Frame returns the frame of a page. It reads the counts that every page shows.
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

// address returns the page's address without the parameters of an answer or a stream.
func (v *Visit) address() string {
	q := v.R.URL.Query()
	q.Del("attempt") // an answer doesn't update
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

// readEnd marks the reader's notification of this run as read. It reports whether there
// may have been one.
func (v *Visit) readEnd(ended op.Run, unread int64) (bool, error) {
	if unread == 0 || ended.ID == "" || ended.Initiator.ID != v.Actor.ID() {
		return false, nil
	}
	return true, v.Store.ReadNotificationOf(v.R.Context(), v.Actor, ended.ID)
}
