package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
)

// How BenchmarkIdlePages measures. In its first minutes an open page still refreshes
// ages, less and less often.
var (
	pagesFlag = flag.Int("pages", 200, "pages that are open")
	warmFlag  = flag.Duration("warm", 3*time.Minute, "how long they are open before it is measured")
	restFlag  = flag.Duration("rest", 2*time.Minute, "how long it is measured")
)

// BenchmarkIdlePages measures what open pages cost while nothing happens, in
// percent of a core: of this process, with the readers of the streams in it, and
// of PostgreSQL. By hand:
//
//	go test ./internal/app -run - -bench IdlePages -benchtime 1x -timeout 1h
func BenchmarkIdlePages(b *testing.B) {
	for _, engine := range dbtest.Engines() {
		for _, kind := range []struct {
			name string
			path func(h *old, i int) string
		}{
			{"alike", func(h *old, i int) string {
				return "/w/lattice/" + []string{"tenants", "operations", "connections", "operations/attempts"}[i%4]
			}},
			{"apart", func(h *old, i int) string { return "/w/lattice/tenants?q=" + strconv.Itoa(i) }},
		} {
			b.Run(string(engine)+"/"+kind.name, func(b *testing.B) {
				h := newOld(b, dbtest.URL(b, engine))
				h.Analyze()
				address := h.serve(b)
				for i := range *pagesFlag {
					who := h.Owner
					if i%3 == 0 {
						who = h.Few
					}
					open(b, address, kind.path(h, i), h.Session(who))
				}
				time.Sleep(*warmFlag)
				for b.Loop() {
					own, base, began := cpu(b), h.postgres(b), time.Now()
					time.Sleep(*restFlag)
					passed := time.Since(began).Seconds()
					b.ReportMetric(100*(cpu(b)-own)/passed, "%core")
					b.ReportMetric(100*(h.postgres(b)-base)/passed, "%core-postgres")
				}
			})
		}
	}
}

// serve answers on loopback and works on no runs.
func (h *old) serve(b *testing.B) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lasts as long as the benchmark
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.app.server.Serve(ln) }()
	b.Cleanup(func() {
		_ = h.app.server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return ln.Addr().String()
}

// open opens a page's stream and reads whatever comes.
func open(b *testing.B, address, path, session string) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // on loopback
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	live := "?live=1"
	if strings.Contains(path, "?") {
		live = "&live=1"
	}
	_, _ = fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: here\r\nCookie: __Host-interlock=%s\r\n\r\n", path, live, session)
	first := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(conn, first); err != nil || string(first) != "HTTP/1.1 200" {
		b.Fatalf("%s: %s, %v", path, first, err)
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
}

// cpu returns the CPU time of this process so far, in seconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// postgres returns the CPU time of the database's sessions so far, in seconds; 0 on
// SQLite, which is part of this process.
func (h *old) postgres(b *testing.B) (seconds float64) {
	if h.DB.Engine() != db.Postgres {
		return 0
	}
	var pids []int64
	err := h.DB.Read(b.Context(), func(ctx context.Context, tx db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT pid::bigint FROM pg_stat_activity WHERE datname = current_database()`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var pid int64
			if err := rows.Scan(&pid); err != nil {
				return err
			}
			pids = append(pids, pid)
		}
		return rows.Err()
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatal("the server's processes can't be seen from here:", err)
		}
		// docs: proc(5): utime and stime are the 14th and 15th field, in ticks of 10 ms;
		// the name, in parentheses, is the second.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, f := range fields[11:13] {
			ticks, _ := strconv.ParseFloat(f, 64)
			seconds += ticks / 100
		}
	}
	return seconds
}
