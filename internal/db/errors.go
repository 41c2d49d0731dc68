package db

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNoRows is what Scan returns when a query found nothing.
	ErrNoRows = sql.ErrNoRows

	// ErrNested is returned for a Read or Write inside another one: the inner
	// would wait for a connection that the outer holds.
	ErrNested = errors.New("db: a transaction inside a transaction")

	// ErrOutcomeUnknown is returned when the database stopped answering during the
	// commit. The changes may or may not be stored; only reading them tells.
	ErrOutcomeUnknown = errors.New("db: the outcome of the commit is unknown")

	// ErrNewerSchema is returned when the database was migrated by a newer program.
	ErrNewerSchema = errors.New("the database schema is newer than this program")
)

// unavailable is an obstacle that this package found itself.
type unavailable string

func (u unavailable) Error() string { return string(u) }

// IsUnavailable reports whether err means that the database can't serve now: locked,
// read-only, full, failing, unreachable or too slow. The same request may succeed
// later; over HTTP it is a 503.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, context.DeadlineExceeded) || retryable(err) {
		return true
	}
	var own unavailable
	var fault *FaultError
	if errors.As(err, &own) || errors.As(err, &fault) {
		return true
	}
	var lite *sqlitedriver.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM:
			return true
		}
		return false
	}
	var dial *pgconn.ConnectError
	if errors.As(err, &dial) { // wraps the server's refusal, if a server answered
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "25006", // read-only
			"25P03", "57014", "55P03", // too long idle, too long a statement, too long a wait for a lock
			"57P01", "57P02", "57P03", "57P05", // shutting down, crashed, starting, idle session
			"58000", "58030": // system error, input or output failed
			return true
		}
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") // connection; disk, memory or connections used up
	}
	var network net.Error
	return errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// retryable reports whether the database rolled back in favour of another transaction,
// so that this one may succeed at once when it is run again.
func retryable(err error) bool {
	if err == nil {
		return false
	}
	var fault *FaultError
	if errors.As(err, &fault) {
		return fault.Fault == Busy
	}
	var lite *sqlitedriver.Error
	if errors.As(err, &lite) {
		primary := lite.Code() & 0xff
		return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization failure, deadlock
	}
	return false
}
