//go:build linux

package e2e_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestNoAnswerBeforeTheSync traces the system calls of a server: between the request of
// each accepted start and its 202, the database's log is written and synced. A kill
// can't show this, since the kernel survives the process.
func TestNoAnswerBeforeTheSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t, db.SQLite)
	n := w.start()
	var slugs []string
	for _, c := range "abcdefgh" {
		slugs = append(slugs, "tenant-"+string(c))
	}
	places := n.readyTenants(slugs...)
	for _, p := range places {
		w.hold(p) // so that little else is written meanwhile
	}
	tr := n.strace("-y", "-s", "64", "-e", "trace=read,write,pwrite64,fsync,fdatasync")
	for _, p := range places {
		n.accepted(p.slug, op.InventorySync)
	}
	tr.detach()
	trace, err := os.ReadFile(tr.log)
	if err != nil {
		t.Fatal(err)
	}
	if starts, early := answersBeforeSync(string(trace)); starts != len(places) || early != 0 {
		t.Errorf("of %d accepted starts, %d were seen, and %d were answered before the sync", len(places), starts, early)
	}
	// The trace that synchronous=NORMAL would leave, without the sync at a commit, has
	// to fail the check.
	var lazy strings.Builder
	for line := range strings.Lines(string(trace)) {
		if !synced.MatchString(line) {
			lazy.WriteString(line)
		}
	}
	if starts, early := answersBeforeSync(lazy.String()); early != starts || starts == 0 {
		t.Errorf("without syncs %d of %d answers are found to be early, want all", early, starts)
	}
}

var (
	asked    = regexp.MustCompile(`read\(\d+<(?:socket|TCP)[^"]*"POST /api/v1/tenants/[^ ]*/starts `)
	answered = regexp.MustCompile(`write\(\d+<(?:socket|TCP)[^"]*"HTTP/1\.1 202 `)
	logged   = regexp.MustCompile(`pwrite64\(\d+<[^>]*-wal>`)
	synced   = regexp.MustCompile(`f(?:data)?sync\(\d+<[^>]*-wal>`)
	// A call that is interrupted by another thread's is printed in two lines.
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)`)
	begun   = regexp.MustCompile(`^(\d+) +(.*)<unfinished \.\.\.>`)
)

// answersBeforeSync reads a strace of a server whose client sends one start after the
// other. It returns how many starts were accepted, and how many of them before their
// writes were on disk.
func answersBeforeSync(trace string) (starts, early int) {
	open := map[string]string{} // by thread: the first line of its call
	var written, safe bool
	for line := range strings.Lines(trace) {
		if m := begun.FindStringSubmatch(line); m != nil {
			open[m[1]] = m[2]
			if !answered.MatchString(line) { // an answer counts from its first line, other calls from their last
				continue
			}
		} else if m := resumed.FindStringSubmatch(line); m != nil {
			if line = open[m[1]] + m[3]; answered.MatchString(line) {
				continue
			}
		}
		switch {
		case asked.MatchString(line):
			written, safe = false, false
		case logged.MatchString(line):
			written = true
		case synced.MatchString(line):
			safe = safe || written
		case answered.MatchString(line):
			starts++
			if !safe {
				early++
			}
		}
	}
	return starts, early
}
