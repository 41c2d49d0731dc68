//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestScripts runs what a newcomer types, from the first sign-in on. Each script has
// its own demo.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("there are no scripts", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			t.Parallel()
			history := filepath.Base(script) == "restore.txtar"
			d := startDemo(t, "--history="+strconv.FormatBool(history))
			if history {
				d.told()
			}
			testscript.Run(t, testscript.Params{
				Deadline: time.Now().Add(5 * time.Minute), // a command that waits for ever fails its script, not the package
				Files:    []string{script},
				Setup: func(e *testscript.Env) error {
					e.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
					e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
					e.Setenv("URL", d.URL)
					for _, u := range d.Users {
						e.Setenv(strings.ToUpper(u.Role), u.Token)
						if err := os.WriteFile(filepath.Join(e.WorkDir, u.Role), []byte(u.Email+"\n"+u.Password+"\n"), 0o600); err != nil {
							return err
						}
					}
					return nil
				},
			})
		})
	}
}

// told waits until the demo's history is written: its last chapter is the second preview.
func (d *show) told() {
	d.t.Helper()
	owner := d.as("owner")
	eventually(d.t, "the history of the demo is written", func() bool {
		previews, err := owner.Plans(d.t.Context(), "rowan-hill", "", client.Paging{})
		if err != nil || len(previews.Items) < 2 {
			return false
		}
		last, err := owner.Run(d.t.Context(), previews.Items[0].Run)
		return err == nil && last.State == op.Finished
	})
}
