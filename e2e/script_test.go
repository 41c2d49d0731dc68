//go:build linux

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
			d := startDemo(t)
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
