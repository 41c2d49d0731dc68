// Package notifications holds the pages of a member's notifications: their runs that ended.
package notifications

import (
	"net/http"

	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Serve adds the pages to the site.
func Serve(s *web.Site) {
	s.Page(web.Route{Path: op.NotificationsRoute, Object: web.Workspace, Needs: tenancy.View, Own: true}, show)
	// A viewer has notifications, too: view is enough to mark them as read.
	s.Handle(web.Route{Method: http.MethodPost, Path: op.NotificationsReadRoute, Object: web.Workspace, Needs: tenancy.View, Own: true}, readAll)
}

// inPanel is how many notifications the panel shows.
const inPanel = 20

// read reads the reader's notifications.
func read(v *web.Visit, filter store.NotificationFilter) (inbox, error) {
	list, next, err := v.Store.Notifications(v.R.Context(), v.Actor, filter)
	if err != nil {
		return inbox{}, err
	}
	box := inbox{Workspace: v.Workspace(), First: v.FirstPage(), Next: v.NextPage(next)}
	for _, n := range list {
		r := v.Described(n.Run)
		box.Notices = append(box.Notices, noticed{Notice: op.DescribeNotice(n.ID, r, n.CreatedAt, n.ReadAt), Words: r.Words})
	}
	return box, nil
}

func show(v *web.Visit) (web.Page, error) {
	frame, err := v.Frame("Notifications", "")
	if err != nil {
		return web.Page{}, err
	}
	filter := store.NotificationFilter{Cursor: v.R.URL.Query().Get("cursor")}
	if v.HTMX() {
		filter.Limit = inPanel
	}
	box, err := read(v, filter)
	if err != nil {
		return web.Page{}, err
	}
	frame.Actions = readAllButton(v.Workspace())
	frame.Lead = "You're notified when your runs finish. Only you see this."
	return web.Page{Frame: frame, Body: body(box), Parts: parts(box), Panel: panel(box)}, nil
}

func readAll(v *web.Visit) error {
	if err := v.Store.ReadNotifications(v.R.Context(), v.Actor); err != nil {
		return err
	}
	if !v.HTMX() {
		return v.GoTo(op.NotificationsPath(v.Workspace()))
	}
	frame, err := v.Frame("Notifications", "")
	if err != nil {
		return err
	}
	box, err := read(v, store.NotificationFilter{Limit: inPanel})
	if err != nil {
		return err
	}
	return v.Write(http.StatusOK, readPanel(frame, box))
}

// inbox is a page of notifications, newest first.
type inbox struct {
	Workspace   string // slug
	Notices     []noticed
	First, Next string
}

// notice is a notification with its run's words.
type noticed struct {
	op.Notice
	Words op.RunWords
}

// parts returns the parts of the page that update.
func parts(i inbox) []ui.Part {
	return []ui.Part{{ID: "inbox", Content: inboxList(i)}}
}
