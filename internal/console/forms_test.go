package console

import (
	"context"
	"path"

	"github.com/interlock-dev/interlock/internal/db"
)

// id is that of the connection with the address.
func (w *world) id(address string) string {
	w.t.Helper()
	return w.text(`SELECT id FROM connections WHERE slug = $1`, path.Base(address))
}

// text returns the one text that a query gives.
func (w *world) text(sql string, args ...any) (s string) {
	w.t.Helper()
	err := w.DB.Read(w.t.Context(), func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, sql, args...).Scan(&s)
	})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return s
}
