package store

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/query"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/page"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Notification tells the person who started a run that it ended.
type Notification struct {
	ID        string
	Run       op.Run
	CreatedAt time.Time
	ReadAt    *time.Time // nil: unread
}

// NotificationFilter narrows a list of notifications. The zero filter shows the
// newest of all.
type NotificationFilter struct {
	Unread bool
	Cursor string
	Limit  int // 1 to 200; 0: 50
}

// Notifications lists the actor's own notifications, newest first. Notifications about
// tenants that the actor can no longer see are left out.
func (s *Store) Notifications(ctx context.Context, a access.Actor, f NotificationFilter) ([]Notification, string, error) {
	limit, err := page.Size(f.Limit)
	if err != nil {
		return nil, "", err
	}
	key, err := page.After("notifications", f.Cursor, 1)
	if err != nil {
		return nil, "", err
	}
	list, err := query.Read(ctx, s.db, "list notifications", func(ctx context.Context, tx db.Tx) ([]Notification, error) {
		scope, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View)
		if err != nil {
			return nil, err
		}
		q := notificationsOf(scope, `SELECT n.id, n.created_at, n.read_at, `+runColumns+` FROM notifications n CROSS JOIN`+runTables+` AND r.id = n.run_id AND `)
		if f.Unread {
			q.Add(` AND n.read_at IS NULL`)
		}
		if key != nil {
			q.Add(` AND n`+byID+` < %s`, key[0])
		}
		return query.All(ctx, tx, q.Add(` ORDER BY n`+byID+` DESC LIMIT %s`, limit+1), func(row db.Row) (n Notification, err error) {
			var created int64
			var seen *int64
			n.Run, err = s.scanRun(behind{row, []any{&n.ID, &created, &seen}})
			n.CreatedAt, n.ReadAt = db.Time(created), maybe(seen)
			return n, err
		})
	})
	if err != nil {
		return nil, "", err
	}
	list, next := page.Cut(list, limit, func(n Notification) string { return page.Cursor("notifications", n.ID) })
	return list, next, nil
}

// notificationsOf returns a query that begins with text and ends with the condition
// that the notifications n are the scope's member's.
func notificationsOf(scope access.Scope, text string) *query.Query {
	q := new(query.Query)
	q.Add(text)
	return q.Add(`n.user_id = %s AND `, scope.UserID()).Add(scope.WhereEach(q.Bind, "n.workspace_id", "n.tenant_id"))
}

// unread counts the unread notifications of the member whose scope it is.
func unread(ctx context.Context, tx db.Tx, scope access.Scope) (n int64, err error) {
	q := notificationsOf(scope, `SELECT COUNT(*) FROM notifications n WHERE n.read_at IS NULL AND `)
	err = tx.QueryRow(ctx, q.Text(), q.Args()...).Scan(&n)
	return n, err
}

// UnreadNotifications counts what Notifications would list as unread.
func (s *Store) UnreadNotifications(ctx context.Context, a access.Actor) (n int64, err error) {
	return query.Read(ctx, s.db, "count notifications", func(ctx context.Context, tx db.Tx) (n int64, err error) {
		scope, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View)
		if err != nil {
			return 0, err
		}
		return unread(ctx, tx, scope)
	})
}

// ReadNotification marks one of the actor's own notifications as read. Another
// person's notification is [op.ErrNotFound].
func (s *Store) ReadNotification(ctx context.Context, a access.Actor, id string) error {
	column, id := access.Ref(id)
	err := s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE notifications SET read_at = COALESCE(read_at, interlock_now())
			WHERE (user_id || '/' || id) = $1 AND workspace_id = $2`, a.ID()+"/"+id, a.WorkspaceID())
		if err == nil && (n == 0 || column != "id") {
			return op.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read notification: %w", err)
	}
	return nil
}

// ReadNotifications marks all of the actor's own notifications as read.
func (s *Store) ReadNotifications(ctx context.Context, a access.Actor) error {
	return s.readNotifications(ctx, a, ``)
}

// ReadNotificationOf marks the actor's notification about a run as read, if there is
// one.
func (s *Store) ReadNotificationOf(ctx context.Context, a access.Actor, runID string) error {
	return s.readNotifications(ctx, a, ` AND run_id = $3`, runID)
}

func (s *Store) readNotifications(ctx context.Context, a access.Actor, which string, args ...any) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := access.AuthorizeWorkspace(ctx, tx, a, tenancy.View); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE notifications SET read_at = interlock_now() WHERE workspace_id = $1 AND user_id = $2 AND read_at IS NULL`+which,
			append([]any{a.WorkspaceID(), a.ID()}, args...)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("read notifications: %w", err)
	}
	return nil
}

// behind scans a row whose first columns are someone else's.
type behind struct {
	db.Row
	first []any
}

func (b behind) Scan(dest ...any) error { return b.Row.Scan(append(b.first, dest...)...) }
