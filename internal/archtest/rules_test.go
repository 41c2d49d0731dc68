package archtest

import (
	"strings"
	"testing"
)

// TestRulesSee gives each rule a file that breaks it: a rule that can't fail guards
// nothing.
func TestRulesSee(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule rule
		path string
		text string
		want string // in the finding; empty: no finding
	}{
		{"a package without a row", imports, "internal/util/util.go", "package util", "no row in the table of rooms"},
		{"an arrow upwards", imports, "internal/store/a.go", `package store; import "github.com/interlock-dev/interlock/internal/gate"`, "internal/store may not import internal/gate"},
		{"an arrow downwards", imports, "internal/store/a.go", `package store; import "github.com/interlock-dev/interlock/internal/db"`, ""},
		{"a folder below an allowed one", imports, "internal/gate/a.go", `package gate; import "github.com/interlock-dev/interlock/internal/db/dbtest"`, "may not import internal/db/dbtest"},
		{"an arrow upwards in a test", imports, "internal/store/a_test.go", `package store_test; import "github.com/interlock-dev/interlock/internal/gate"`, ""},

		{"River outside the gate", outside, "internal/api/a.go", `package api; import "github.com/riverqueue/river/rivertype"`, "around the gate"},
		{"River in a test outside the gate", outside, "internal/api/a_test.go", `package api; import "github.com/riverqueue/river"`, "around the gate"},
		{"River in the gate", outside, "internal/gate/internal/queue/a.go", `package queue; import "github.com/riverqueue/river"`, ""},
		{"SQL past the door", outside, "internal/store/a.go", `package store; import "database/sql"`, "internal/store may not import database/sql"},
		{"an unknown dependency", outside, "internal/store/a.go", `package store; import "example.org/left-pad"`, "no row in the table of dependencies"},
		{"a test's dependency in the product", outside, "internal/op/a.go", `package op; import "github.com/google/go-cmp/cmp"`, "internal/op may not import"},

		{"no package doc", packageDocs, "internal/db/a.go", "package db", "no doc comment"},
		{"a package doc", packageDocs, "internal/db/a.go", "// Package db has one.\npackage db", ""},

		{"a run made elsewhere", startsWork, "internal/store/a.go", "package store; const q = `INSERT INTO\n runs (id) VALUES ($1)`", "only the gate writes runs"},
		{"a claim made elsewhere", startsWork, "internal/api/a.go", "package api; var q = \"insert into \" + \"run_claims\" + more()", "only the gate writes run_claims"},
		{"a job removed elsewhere", startsWork, "internal/store/a.go", "package store; const q = `delete from river_job`", "only the gate writes river_job"},
		{"a run made by the gate", startsWork, "internal/gate/internal/ledger/a.go", "package ledger; const q = `insert into runs (id)`", ""},
		{"other tables", startsWork, "internal/store/a.go", "package store; const q = `insert into runs_seen (id)`", ""},

		{"a worker that notifies", notifies, "internal/gate/worker/a.go", "package worker; const q = `insert into notifications (id)`", "only internal/notify writes"},
		{"a surface that notifies", notifies, "internal/api/a.go", `package api; import "github.com/interlock-dev/interlock/internal/notify"`, "only the ending of a run notifies"},

		{"a parameter in a conflict's predicate", conflictPredicates, "internal/store/a.go", "package store; const q = `INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) WHERE state IN ($2, $3) DO NOTHING`", "holds the parameter $2"},
		{"a parameter in a conflict's update", conflictPredicates, "internal/store/a.go", "package store; const q = `INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = $2 WHERE t.b < $2`", ""},
		{"a literal predicate", conflictPredicates, "internal/store/a.go", "package store; const q = `INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) WHERE done IS NULL DO UPDATE SET b = $2`", ""},

		{"a revealed secret", reveals, "internal/store/a.go", "package store; func f(s secret) string { return s.Reveal() }", "reveal secrets"},
		{"a secret revealed where it is sent", reveals, "internal/provider/graph/a.go", "package graph; func f(s secret) string { return s.Reveal() }", ""},
		{"something sealed that nobody changes", seals, "internal/access/a.go", "package access; func f(r root) { r.Seal(secret, place) }", "rootColumns"},
		{"something sealed that is changed", seals, "internal/store/credentials.go", "package store; func f(r root) { r.Seal(secret, place) }", ""},
		{"a home-made HTTP client", httpClients, "internal/store/a.go", `package store; import "net/http"; var c = &http.Client{}`, "internal/outbound makes HTTP clients"},
		{"a home-made transport", httpClients, "internal/store/a.go", `package store; import "net/http"; var c = http.Transport{}`, "internal/outbound makes HTTP clients"},

		{"a file written in place", wholeFiles, "internal/demo/a.go", `package demo; import "os"; func f() error { return os.WriteFile("x", nil, 0o600) }`, "internal/durable writes files"},
		{"a file opened for writing", wholeFiles, "cmd/interlock/a.go", `package main; import "os"; func f() { os.OpenFile("x", os.O_CREATE, 0o600) }`, "internal/durable writes files"},

		{"a plan that asks the clock", pure, "internal/restore/a.go", `package restore; import "time"; var now = time.Now()`, "has no clock"},
		{"a plan that reads a file", pure, "internal/policy/a.go", `package policy; import "os"`, "may not import os"},
		{"a plan that compares times", pure, "internal/restore/a.go", `package restore; import "time"; func f(a, b time.Time) bool { return a.Before(b) }`, ""},
		{"a pure room's test", pure, "internal/restore/a_test.go", `package restore; import "os"`, ""},

		{"a copied sentence", words, "internal/api/a.go", `package api; const s = "Sorry: your run " + code + " started it on the far moon."`, `"started it on the far moon" is said by`},
		{"an operation's copied sentence", words, "internal/console/a.go", `package console; const s = "It reads groups and their members from Entra ID each night." + "Checks that Interlock can use the connection and has the permissions it needs."`, "is said by a definition of the catalogue"},
		{"a sentence of one's own", words, "internal/api/a.go", `package api; const s = "Something else altogether."`, ""},
		{"a link of one's own", links, "internal/api/a.go", `package api; func f(w string) string { return "/w/" + w + "/operations" }`, "internal/op/links.go builds"},

		{"unfinished work", comments, "internal/api/a.go", "package api\n\n// TODO: later\n", "TODO does not belong"},
		{"a machine's folder", comments, "internal/api/a.go", "package api\n\n// See shared/design/gate.md.\n", "shared/design/ does not belong"},

		{"an unknown lane", inLanes, "internal/api/a_test.go", "//go:build slow\n\npackage api", "is no lane"},
		{"two lanes", inLanes, "internal/api/a_test.go", "//go:build faults && browser\n\npackage api", "one file, one lane"},
		{"a lane that make does not run", inLanes, "internal/api/a_test.go", "//go:build faults\n\npackage api\n\nfunc TestKill(t *testing.T) {}", "make faults would not run it"},
		{"a lane's name in the default lane", inLanes, "internal/api/a_test.go", "package api\n\nfunc TestFaultsKill(t *testing.T) {}", "lacks that build tag"},
		{"a platform", inLanes, "internal/api/a_test.go", "//go:build unix\n\npackage api\n\nfunc TestKill(t *testing.T) {}", ""},

		{"a skip", skips, "internal/api/a_test.go", `package api; func TestX(t *testing.T) { if slow { t.Skip("too slow") } }`, "skips"},
		{"a draw that is skipped", skips, "internal/api/a_test.go", `package api; func f(rt *rapid.T) { rt.Skip("no such run") }`, ""},
		{"a skip for absent data", skips, "internal/api/a_test.go", `package api; func TestX(t *testing.T) { if none { t.Skipf("no %s", "../shared/x") } }`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said, err := parse(wordsFile, "// Package op says it.\npackage op; const said = `{starter} started it on the far moon.`")
			if err != nil {
				t.Fatal(err)
			}
			broken, err := parse(tt.path, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			check(t, tt.rule([]file{said, broken}), tt.want)
		})
	}
}

// check expects one finding that contains want, or none if want is empty.
func check(t *testing.T, found []finding, want string) {
	t.Helper()
	switch {
	case want == "" && len(found) > 0:
		t.Errorf("found %q where nothing is wrong", found)
	case want != "" && (len(found) != 1 || !strings.Contains(string(found[0]), want)):
		t.Errorf("found %q, want one that says %q", found, want)
	}
}
