package cli_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/api"
	"github.com/interlock-dev/interlock/internal/apptest"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/cli"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/db/dbtest"
	"github.com/interlock-dev/interlock/internal/mirror"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"interlock": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		os.Exit(cli.Execute(ctx, cli.Root(cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})))
	}})
}

// TestScripts runs each script of testdata against an API without a worker: runs stay
// queued until a script ends them.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("there are no scripts", err)
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, script := range scripts {
			w := newWorld(t, dbtest.New(t, d.Engine()))
			testscript.Run(t, testscript.Params{
				Deadline:            time.Now().Add(5 * time.Minute), // a command that waits for ever fails its script, not the package
				Files:               []string{script},
				RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
					e.Setenv("URL", w.url)
					for name, a := range map[string]access.Actor{"OWNER": w.Owner, "OPERATOR": w.Operator, "SECOND": w.Second, "VIEWER": w.Viewer, "OUTSIDER": w.Outsider} {
						e.Setenv(name, w.Bearer(a))
					}
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"ends": w.ends, "exits": exits, "interrupts": w.interrupts, "exited": w.exited,
					"stale": w.stale, "enrols": w.enrols, "joins": onLink("join"), "resets": onLink("account", "reset"),
					"packs": packs, "keeps": keeps,
				},
			})
		}
	})
}

// onLink runs a command on the one-time link in a file and checks its exit code:
// COMMAND CODE FILE FLAGS...
func onLink(command ...string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: %s CODE FILE FLAGS...", strings.Join(command, " "))
		}
		words := append([]string{args[0], "interlock"}, command...)
		exits(ts, false, append(append(words, strings.TrimSpace(ts.ReadFile(args[1]))), args[2:]...))
	}
}

// exits runs a command and checks its exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// world is the API on a seeded database.
type world struct {
	*apptest.World
	url        string
	followed   chan struct{} // receives when a stream of a run has started
	background *exec.Cmd     // that was interrupted
}

// patience is how long a script waits for an event before it fails. It is long, for
// slow machines: no script measures speed.
const patience = time.Minute

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{World: apptest.New(t, d, nil), followed: make(chan struct{}, 100)}
	served := api.New(api.Deps{Door: w.Door(access.Limits{}, ""), Store: w.Store, Mirror: w.Mirror, Plans: w.Plans, Backups: w.Backups, Files: w.Files, Gate: w.Gate, Flow: w.Flow, Feed: w.Feed, Logger: slog.New(slog.DiscardHandler)})
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			rw = &stream{ResponseWriter: rw, told: w.followed}
		}
		served.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	w.url = s.URL

	for _, slug := range []string{"kestrel", "wren"} {
		w.Ready(slug, nil)
	}
	w.Write(func(ctx context.Context, tx db.Tx) error {
		key := mirror.Key{Workspace: w.Workspace, Name: catalogue.Groups}
		if err := tx.QueryRow(ctx, `SELECT tenant_id, id FROM connections WHERE slug = 'wren'`).Scan(&key.Tenant, &key.Connection); err != nil {
			return err
		}
		round, err := mirror.BeginRound(ctx, tx, key, true)
		if err != nil {
			return err
		}
		err = mirror.PutRows(ctx, tx, key, round, []mirror.Record{
			{ID: "g1", Name: "Depot staff", Type: string(tenancy.SecurityGroup), Data: []byte(`{}`)},
			{ID: "g2", Name: "Drivers", Type: string(tenancy.Microsoft365Group.ByRule()), Data: []byte(`{}`)},
			{ID: "g3", Name: "Night shift", Type: string(tenancy.SecurityGroup.ByRule()), Data: []byte(`{}`)},
		})
		if err != nil {
			return err
		}
		if _, err = mirror.CommitRound(ctx, tx, key, round, mirror.Committed{}); err != nil {
			return err
		}
		return snapshots(ctx, tx, key)
	})
	bare := w.Tenant(w.Workspace, "harbour", "Harbour")
	w.Connection(w.Workspace, bare, "harbour", func(c *tenancy.Connection) {
		expired := time.Now().Add(-time.Hour)
		c.CredentialExpiresAt = &expired
		c.Consent = tenancy.ConsentRevoked
	})
	w.Tenant(w.Other, "farside", "Farside")

	w.Join("Li Wen", "li@lattice.example", "correct horse battery", tenancy.Operator)
	w.Join("Mei Second", "mei@lattice.example", "correct horse battery", tenancy.Owner)
	return w
}

// snapshots seeds a tenant with a compliance policy and the history of three snapshots.
func snapshots(ctx context.Context, tx db.Tx, key mirror.Key) error {
	key.Name = "compliance/policies"
	round, err := mirror.BeginRound(ctx, tx, key, true)
	if err == nil {
		err = mirror.PutRows(ctx, tx, key, round, []mirror.Record{{
			ID: "p1", Name: "Windows baseline", Type: "#microsoft.graph.windows10CompliancePolicy",
			Data: []byte(`{"deviceStatusOverview":{"successCount":5,"failedCount":2,"errorCount":1,"conflictCount":0,"pendingCount":3,"notApplicableCount":0}}`),
		}})
	}
	if err == nil {
		_, err = mirror.CommitRound(ctx, tx, key, round, mirror.Committed{})
	}
	for day := range 3 {
		if err != nil {
			return err
		}
		key.Run = fmt.Sprint("snapshot-", day)
		err = mirror.KeepMoment(ctx, tx, key, mirror.Moment{
			At: time.Date(2026, 11, 1+day, 6, 0, 0, 0, time.UTC), Complete: day != 1,
			Counts: catalogue.ComplianceCounts{Compliant: int64(6 + day), Noncompliant: int64(3 - day), InGracePeriod: 2, Conflict: 1},
		})
	}
	return err
}

// enrols adds an authenticator app to an account, and writes its recovery codes into
// files code0 to code9, each preceded by the password where the login asks for it:
// enrols EMAIL PASSWORD.
func (w *world) enrols(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: enrols EMAIL PASSWORD")
	}
	ctx := context.Background()
	_, s, err := access.SignIn(ctx, w.DB, access.Limits{}, access.Credentials{Email: args[0], Password: args[1]})
	ts.Check(err)
	f := access.NewFactors(w.Root, "")
	e, err := f.BeginTOTP(ctx, w.DB, s.Actor)
	ts.Check(err)
	code, err := totp.GenerateCode(e.Secret, time.Now())
	ts.Check(err)
	codes, err := f.FinishTOTP(ctx, w.DB, s.Actor, "Phone", code)
	ts.Check(err)
	for i, code := range codes {
		ts.Check(os.WriteFile(ts.MkAbs(fmt.Sprintf("code%d", i)), []byte(code+"\n"), 0o600))
	}
}

// stale ages the sessions of a person, so that they need confirmation: stale EMAIL.
func (w *world) stale(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stale EMAIL")
	}
	w.Exec(`UPDATE tokens SET proved_at = 1 WHERE user_id = (SELECT id FROM users WHERE email = $1)`, args[0])
}

// stream signals its first flush.
type stream struct {
	http.ResponseWriter
	told chan<- struct{}
	once sync.Once
}

// FlushError implements what [http.ResponseController] looks for.
func (s *stream) FlushError() error {
	err := http.NewResponseController(s.ResponseWriter).Flush()
	s.once.Do(func() { s.told <- struct{}{} })
	return err
}

func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// awaitFollower waits until somebody follows a run.
func (w *world) awaitFollower() error {
	select {
	case <-w.followed:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("nobody follows a run within %v", patience)
	}
}

// interrupts sends an interrupt to the command in the background, once it follows a
// run.
func (w *world) interrupts(ts *testscript.TestScript, neg bool, args []string) {
	commands := ts.BackgroundCmds()
	if neg || len(args) != 0 || len(commands) != 1 {
		ts.Fatalf("usage: interrupts, with one command in the background")
	}
	ts.Check(w.awaitFollower())
	w.background = commands[0]
	ts.Check(w.background.Process.Signal(os.Interrupt))
}

// exited checks the exit code of the command that was interrupted and waited for:
// exited CODE.
func (w *world) exited(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || w.background == nil || w.background.ProcessState == nil {
		ts.Fatalf("usage: exited CODE, after interrupts and wait")
	}
	if code := fmt.Sprint(w.background.ProcessState.ExitCode()); code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// ends ends the run of a tenant as a worker would, now or once somebody follows it:
// ends TENANT OUTCOME [followed [RULE]]. With a rule, it takes a backup before it ends.
func (w *world) ends(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 2 && args[2] != "followed" || len(args) > 4 {
		ts.Fatalf("usage: ends TENANT OUTCOME [followed [RULE]]")
	}
	end := func() error {
		var run string
		err := w.DB.Write(context.Background(), func(ctx context.Context, tx db.Tx) error {
			err := tx.QueryRow(ctx, `SELECT r.id FROM runs r JOIN tenants t ON t.id = r.tenant_id WHERE t.slug = $1 AND r.state <> 'finished'`, args[0]).Scan(&run)
			if err != nil {
				return err
			}
			if len(args) == 4 {
				if err := backUp(ctx, tx, run, args[3]); err != nil {
					return err
				}
			}
			for _, sql := range []string{
				`DELETE FROM run_claims WHERE run_id = $1`,
				`INSERT INTO run_events (run_id, seq, at, kind, text, fence) VALUES ($1, 50, interlock_now(), 'note', 'Reading apps', 1)`,
				`INSERT INTO run_items (run_id, key, seq, name, result, done, failed, total, reason, args, at) VALUES ($1, 'mobileApps', 1, 'Apps', 'done', 7, 0, 7, '', '{}', interlock_now())`,
				`INSERT INTO notifications (id, workspace_id, tenant_id, user_id, run_id, created_at) SELECT id, workspace_id, tenant_id, initiator_id, id, interlock_now() FROM runs WHERE id = $1`,
			} {
				if _, err := tx.Exec(ctx, sql, run); err != nil {
					return err
				}
			}
			_, err = tx.Exec(ctx, `UPDATE runs SET state = 'finished', outcome = $2, done = 7, total = 9, failed = 2, began_at = interlock_now(), ended_at = interlock_now() WHERE id = $1`, run, args[1])
			return err
		})
		w.Feed.Changed(op.Change{Run: run})
		return err
	}
	if len(args) == 2 {
		ts.Check(end())
		return
	}
	for len(w.followed) > 0 { // of earlier streams
		<-w.followed
	}
	ended := make(chan error, 1)
	go func() {
		err := w.awaitFollower()
		if err == nil {
			err = end()
		}
		ended <- err
	}()
	ts.Defer(func() { ts.Check(<-ended) })
}

// TestFollowAsksNothingBesides: following a run makes one request, for the stream.
// Another one at its end, hours later, would count as use of the session.
func TestFollowAsksNothingBesides(t *testing.T) {
	for _, output := range []string{"text", "json"} {
		var asked []string
		const ended = `{"id":"r","code":"K7QM2X","state":"finished","outcome":"succeeded"}`
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method+" "+r.URL.Path)
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "id: 1\nevent: end\ndata: "+ended+"\n\n")
		}))
		defer server.Close()
		t.Setenv("INTERLOCK_URL", server.URL)
		t.Setenv("INTERLOCK_TOKEN", "ilk_x")
		t.Setenv("INTERLOCK_CONFIG", filepath.Join(t.TempDir(), "config.json"))
		var out, errs strings.Builder
		root := cli.Root(cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs})
		root.SetArgs([]string{"run", "K7QM2X", "--follow", "--output", output})
		if code := cli.Execute(t.Context(), root); code != 0 {
			t.Errorf("%s: exit code %d: %s", output, code, errs.String())
		}
		if want := []string{"GET /api/v1/runs/K7QM2X/events"}; !slices.Equal(asked, want) {
			t.Errorf("%s: asked %q, want %q", output, asked, want)
		}
		if output == "json" && out.String() != ended+"\n" {
			t.Errorf("shows %q, want the run as it came", out.String())
		}
	}
}

// TestSecurityAdd adds an authenticator app on the command line, with the code that it
// shows.
func TestSecurityAdd(t *testing.T) {
	w := newWorld(t, dbtest.New(t, db.SQLite))
	t.Setenv("INTERLOCK_CONFIG", filepath.Join(t.TempDir(), "config.json"))
	t.Setenv("INTERLOCK_URL", w.url)
	t.Setenv("INTERLOCK_TOKEN", w.Session(w.Owner))
	in, typed := io.Pipe()
	read, told := io.Pipe()
	var out strings.Builder
	root := cli.Root(cli.IO{In: in, Out: &out, Err: told})
	root.SetArgs([]string{"security", "add", "My phone"})
	go func() {
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			if key, ok := strings.CutPrefix(lines.Text(), "Add this key to your authenticator app: "); ok {
				code, err := totp.GenerateCode(key, time.Now())
				if err != nil {
					t.Error(err)
				}
				go func() { _, _ = io.WriteString(typed, code+"\n") }() // the command reads it, or has ended
			}
		}
	}()
	if code := cli.Execute(t.Context(), root); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if codes := strings.Fields(out.String()); len(codes) != 10 {
		t.Errorf("printed %q", out.String())
	}
	if n := w.Int(`SELECT COUNT(*) FROM factors WHERE name = 'My phone' AND user_id = $1`, w.Owner.ID()); n != 1 {
		t.Errorf("%d authenticator apps", n)
	}
}
