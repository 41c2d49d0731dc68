package db

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxStatements bounds what one connection keeps prepared: those that were used
// last. The texts come from the program, not from its users, and lists in them
// have few lengths, so that a connection meets about as many.
const maxStatements = 256

// sqliteConn is what database/sql uses of the driver's connections.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// preparing is a connection that keeps the statements it has prepared, those of
// the job queue, too: parsing them anew takes a third of the time of a start.
// database/sql lets one goroutine at a time use a connection.
type preparing struct {
	sqliteConn
	idle map[string]*list.Element // by text; one that is in use is not among them
	used *list.List               // of those, as kept; the one that was used last in front
}

// kept is a prepared statement that nobody uses.
type kept struct {
	text string
	stmt driver.Stmt
}

func newPreparing(c driver.Conn) (driver.Conn, error) {
	full, ok := c.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver's connection is a %T, which lacks what is used of it", c), c.Close())
	}
	return &preparing{sqliteConn: full, idle: make(map[string]*list.Element), used: list.New()}, nil
}

// take returns the statement of a text for its next use.
func (c *preparing) take(ctx context.Context, text string) (driver.Stmt, error) {
	if e, ok := c.idle[text]; ok {
		delete(c.idle, text)
		return c.used.Remove(e).(kept).stmt, nil //nolint:forcetypeassert // there is nothing else in it
	}
	return c.PrepareContext(ctx, text)
}

// give takes a statement back after a use that went well. Of a text that was used
// twice at once, inside its own rows, one is kept.
func (c *preparing) give(text string, s driver.Stmt) error {
	if _, ok := c.idle[text]; ok {
		return s.Close()
	}
	c.idle[text] = c.used.PushFront(kept{text, s})
	if len(c.idle) <= maxStatements {
		return nil
	}
	oldest := c.used.Remove(c.used.Back()).(kept) //nolint:forcetypeassert // there is nothing else in it
	delete(c.idle, oldest.text)
	return oldest.stmt.Close()
}

// ExecContext runs a statement that returns no rows.
func (c *preparing) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	res, err := s.(driver.StmtExecContext).ExecContext(ctx, args) //nolint:forcetypeassert // the driver's are
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return res, c.give(text, s)
}

// QueryContext runs a statement that returns rows; it is free again when they are closed.
func (c *preparing) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, args) //nolint:forcetypeassert // the driver's are
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &keptRows{rows, c, text, s}, nil
}

// Close frees what the connection has kept, and the connection.
func (c *preparing) Close() error {
	var errs []error
	for e := c.used.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(kept).stmt.Close()) //nolint:forcetypeassert // there is nothing else in it
	}
	clear(c.idle)
	c.used.Init()
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// keptRows are the rows of a statement that is used again.
type keptRows struct {
	driver.Rows
	conn *preparing
	text string
	stmt driver.Stmt
}

// Close ends the use of the statement.
func (r *keptRows) Close() error {
	if err := r.Rows.Close(); err != nil {
		return errors.Join(err, r.stmt.Close())
	}
	return r.conn.give(r.text, r.stmt)
}
