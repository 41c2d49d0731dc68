// Package goroutines holds one rule of the house that needs types: a test fails,
// or ends early, on its own goroutine only. It has tests and nothing else.
package goroutines
