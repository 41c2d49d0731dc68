// Package goroutines checks one rule that needs type information: a test fails, or ends
// early, on its own goroutine only. It has tests only.
package goroutines
