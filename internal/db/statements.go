package db

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxStatements bounds the prepared statements that one connection keeps, by last use.
// Texts come from the program, not from its users, and their lists have few lengths, so
// a connection meets about this many.
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

// preparing is a connection that keeps its prepared statements, including the job
// queue's: parsing them again takes a third of the time of a start. database/sql lets
// one goroutine at a time use a connection.
type preparing struct {
	sqliteConn
	idle map[string]*list.Element // by text; those in use are not in it
	used *list.List               // the same, as kept; the last used in front
}

// kept is a prepared statement that is not in use.
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

// take returns the statement of a text, for one use.
func (c *preparing) take(ctx context.Context, text string) (driver.Stmt, error) {
	if e, ok := c.idle[text]; ok {
		delete(c.idle, text)
		return c.used.Remove(e).(kept).stmt, nil //nolint:forcetypeassert // it holds nothing else
	}
	return c.PrepareContext(ctx, text)
}

// give takes a statement back after a successful use. Of a text that was in use twice
// at once, inside its own rows, it keeps one.
func (c *preparing) give(text string, s driver.Stmt) error {
	if _, ok := c.idle[text]; ok {
		return s.Close()
	}
	c.idle[text] = c.used.PushFront(kept{text, s})
	if len(c.idle) <= maxStatements {
		return nil
	}
	oldest := c.used.Remove(c.used.Back()).(kept) //nolint:forcetypeassert // it holds nothing else
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

// QueryContext runs a statement that returns rows. The statement is free again when the
// rows are closed.
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

// Close closes the kept statements and the connection.
func (c *preparing) Close() error {
	var errs []error
	for e := c.used.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(kept).stmt.Close()) //nolint:forcetypeassert // it holds nothing else
	}
	clear(c.idle)
	c.used.Init()
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// keptRows are the rows of a statement that will be used again.
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
