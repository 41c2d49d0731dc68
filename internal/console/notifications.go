package console

import (
	"net/http"

	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (c *Console) serveNotifications() {
	c.page(Route{Path: op.NotificationsRoute, Object: Workspace, Needs: tenancy.View, Own: true}, c.notifications)
	// One's own: who only views may read them too.
	c.serve(Route{Method: http.MethodPost, Path: op.NotificationsReadRoute, Object: Workspace, Needs: tenancy.View, Own: true}, c.readNotifications)
}

// inPanel is how many notifications open beside a page.
const inPanel = 20

// inbox reads the person's notifications.
func (v *visit) inbox(filter store.NotificationFilter) (view.Inbox, error) {
	list, next, err := v.console.store.Notifications(v.r.Context(), v.actor, filter)
	if err != nil {
		return view.Inbox{}, err
	}
	inbox := view.Inbox{Workspace: v.workspace(), First: v.firstPage(), Next: v.nextPage(next)}
	for _, n := range list {
		r := v.described(n.Run)
		inbox.Notices = append(inbox.Notices, view.Noticed{Notice: op.DescribeNotice(n.ID, r, n.CreatedAt, n.ReadAt), Words: r.Words})
	}
	return inbox, nil
}

func (c *Console) notifications(v *visit) (page, error) {
	frame, err := v.frame("Notifications", "")
	if err != nil {
		return page{}, err
	}
	filter := store.NotificationFilter{Cursor: v.r.URL.Query().Get("cursor")}
	if v.htmx() {
		filter.Limit = inPanel
	}
	inbox, err := v.inbox(filter)
	if err != nil {
		return page{}, err
	}
	frame.Actions = view.ReadAll(v.workspace())
	frame.Lead = "You see the end of runs that you started. Others do not see yours."
	return page{frame: frame, body: view.NotificationsPage(inbox), parts: view.InboxParts(inbox), panel: view.Panel(inbox)}, nil
}

func (c *Console) readNotifications(v *visit) error {
	if err := c.store.ReadNotifications(v.r.Context(), v.actor); err != nil {
		return err
	}
	if !v.htmx() {
		return v.goTo(op.NotificationsPath(v.workspace()))
	}
	frame, err := v.frame("Notifications", "")
	if err != nil {
		return err
	}
	inbox, err := v.inbox(store.NotificationFilter{Limit: inPanel})
	if err != nil {
		return err
	}
	return v.write(http.StatusOK, view.Read(frame, inbox))
}
