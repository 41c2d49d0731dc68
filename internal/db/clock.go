package db

import (
	"context"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	sqlitedriver "modernc.org/sqlite"
)

// interlock_now() is the database's clock in SQL, in Unix microseconds. It advances
// within a transaction. Leases compare this clock only, never a node's own.

func registerClock(drv *sqlitedriver.Driver, now func() time.Time) error {
	return drv.RegisterScalarFunction("interlock_now", 0,
		func(*sqlitedriver.FunctionContext, []driver.Value) (driver.Value, error) {
			return now().UnixMicro(), nil
		})
}

// createClock runs before the migrations, which may use the function. It keeps an
// existing one: replacing it would invalidate every node's plans.
func createClock(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT to_regprocedure('interlock_now()') IS NOT NULL").Scan(&exists); err != nil {
		return fmt.Errorf("look for the clock function: %w", err)
	}
	if exists {
		return nil
	}
	_, err := conn.Exec(ctx, `CREATE FUNCTION interlock_now() RETURNS BIGINT LANGUAGE sql VOLATILE PARALLEL SAFE
		AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint'`)
	if err != nil {
		return fmt.Errorf("create the clock function: %w", err)
	}
	return nil
}
