// Package sample has tests that end on goroutines of others, and some that don't.
package sample

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

type world struct{ t *testing.T }

func (w world) must(ok bool) {
	w.t.Helper()
	if !ok {
		w.t.Fatal("not ok")
	}
}

func (w world) through(do func()) { do() }

func (w world) deep() { w.must(true) }

func generic[T any](t *testing.T, _ T) { t.FailNow() }

func started(t *testing.T) { t.Skip("some reason") }

func TestStrays(t *testing.T) {
	w := world{t}
	go func() {
		t.Fatal("at once") // stray
	}()
	go started(t) // stray
	var wg sync.WaitGroup
	wg.Go(func() {
		w.must(true) // stray
		w.through(func() {
			w.deep() // stray
		})
		generic(t, 1) // stray
	})
	wg.Go(w.deep)                                     // stray
	time.AfterFunc(time.Hour, func() { t.SkipNow() }) // stray
	_ = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		generic[string](t, "") // stray
	})
}

func TestOwnGoroutine(t *testing.T) {
	w := world{t}
	w.through(func() { w.deep() })
	go func() {
		t.Error("goes on")
		t.Run("a test of its own", func(t *testing.T) { t.Fatal("ends itself") })
	}()
	generic(t, func() {})
	t.Cleanup(func() { t.Fatal("on the test's own") })
}
