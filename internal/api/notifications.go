package api

import (
	"context"
	"net/http"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func (s *server) serveNotifications() {
	serve(s, Route{
		ID: "list-notifications", Method: http.MethodGet, Path: "/notifications", Object: Self, Needs: tenancy.View,
		Summary: "List your notifications about finished runs, newest first",
	}, s.notifications)
	serve(s, Route{
		ID: "read-notification", Method: http.MethodPost, Path: "/notifications/{notification}/read", Object: Self, Needs: tenancy.View,
		Success: http.StatusNoContent,
		Summary: "Mark one of your notifications as read",
	}, s.readNotification)
}

func (s *server) notifications(ctx context.Context, in *struct {
	Unread bool `query:"unread" doc:"Only unread notifications."`
	Paging
},
) (*list[op.Notice], error) {
	v := at(ctx)
	notes, next, err := s.store.Notifications(ctx, v.actor, store.NotificationFilter{Unread: in.Unread, Cursor: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return page(each(notes, func(n store.Notification) op.Notice {
		return op.DescribeNotice(n.ID, n.Run, n.CreatedAt, n.ReadAt)
	}), next), nil
}

func (s *server) readNotification(ctx context.Context, in *struct {
	Notification string `path:"notification" doc:"Id."`
},
) (*none, error) {
	return nil, s.store.ReadNotification(ctx, at(ctx).actor, in.Notification)
}
