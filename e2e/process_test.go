//go:build linux

package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the path of the program under test.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "interlock-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system cleans its temporary folder
	program = filepath.Join(dir, "interlock")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", program, "../cmd/interlock")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the program under test:", err)
		return 1
	}
	flag.Parse()
	if !passed("test.parallel") {
		// Worlds wait for their processes more than they use the CPU.
		if err := flag.Set("test.parallel", "6"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// passed reports whether a flag was given on the command line.
func passed(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// journal collects the output of a process, and signals each addition.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.more)
	j.more = make(chan struct{})
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// line returns the first complete line that contains part; empty if there is none yet.
func (j *journal) line(part string) (string, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if strings.Contains(line, part) && strings.HasSuffix(line, "\n") {
			return line, j.more
		}
	}
	return "", j.more
}

// process is a program that runs beside the test and ends with it.
type process struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, log *journal // standard output and standard error
	gone     chan struct{}
	err      error // how it ended; valid after gone is closed
}

// launch starts a program. env is added to the test's own environment.
func launch(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), name, args...), out: newJournal(), log: newJournal(), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	// The test binary may be killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.gone)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of process %d, without its small talk:\n%s", p.cmd.Process.Pid, p.complaints())
		}
	})
	return p
}

// complaints returns the last unusual lines of the log.
func (p *process) complaints() string {
	const most = 4000
	var kept strings.Builder
	for line := range strings.Lines(p.log.String()) {
		if !strings.Contains(line, `"level":"DEBUG"`) && !strings.Contains(line, `"msg":"request"`) {
			kept.WriteString(line)
		}
	}
	return kept.String()[max(0, kept.Len()-most):]
}

// patience is how long a test waits for an event before it fails. It is long, for slow
// machines: no test measures speed.
const patience = 3 * time.Minute

// await returns the first line in j that contains part.
func (p *process) await(j *journal, part string) string {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		line, more := j.line(part)
		if line != "" {
			return line
		}
		select {
		case <-more:
		case <-p.gone:
			if line, _ := j.line(part); line != "" {
				return line
			}
			p.t.Fatalf("process ended (%v) before it wrote %q", p.err, part)
		case <-timeout:
			p.t.Fatalf("process did not write %q within %v", part, patience)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %v: %v", s, err)
	}
}

// kill kills the process and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.gone
}

// stop sends SIGTERM and waits for the end of the process.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.t.Fatalf("process did not end within %v of SIGTERM", patience)
	}
	if p.err != nil {
		p.t.Errorf("process ended with %v after SIGTERM", p.err)
	}
}

// pause stops the process and returns when all its threads have stopped.
func (p *process) pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	eventually(p.t, "the process stands still", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return true // it is gone
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(rest, "T") || strings.HasPrefix(rest, "t")
	})
}

func (p *process) resume() { p.signal(syscall.SIGCONT) }

// tracer is a strace of a running process.
type tracer struct {
	*process
	log string // file
}

// strace attaches strace with the arguments to every thread of p.
func (p *process) strace(args ...string) *tracer {
	p.t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		p.t.Fatal("strace is not installed: apt-get install strace")
	}
	tr := &tracer{log: filepath.Join(p.t.TempDir(), "strace")}
	tr.process = launch(p.t, nil, path, append([]string{"-f", "-o", tr.log, "-p", strconv.Itoa(p.cmd.Process.Pid)}, args...)...)
	tr.await(tr.process.log, "attached")
	return tr
}

// detach ends the trace; the traced process continues.
func (tr *tracer) detach() {
	tr.t.Helper()
	tr.signal(syscall.SIGINT)
	<-tr.gone
}

// paused runs fn while the process is stopped.
func (p *process) paused(fn func()) {
	p.t.Helper()
	select {
	case <-p.gone:
		fn()
		return
	default:
	}
	p.pause()
	defer p.resume()
	fn()
}

// result is the result of a command.
type result struct {
	code        int
	out, stderr string
}

// command runs a program until it ends. in is its standard input.
func command(t *testing.T, env []string, in, name string, args ...string) result {
	t.Helper()
	r, err := execute(t.Context(), env, in, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// execute is command for goroutines that are not the test's.
func execute(ctx context.Context, env []string, in, name string, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(in)
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{}, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}, nil
}

// must is command for what has to succeed. It returns standard output.
func must(t *testing.T, env []string, in, name string, args ...string) string {
	t.Helper()
	r := command(t, env, in, name, args...)
	if r.code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), r.code, r.out, r.stderr)
	}
	return r.out
}

// eventually polls until done holds, where no event tells: at first often, then ten
// times a second.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for pause := 5 * time.Millisecond; !done(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(pause)
	}
}
