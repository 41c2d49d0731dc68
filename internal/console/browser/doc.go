// Package browser holds the tests that look at the console as people do: in a
// real Chromium, with script and without, by mouse and by keyboard. They are a
// lane of their own, `make browser`, under the build tag browser.
package browser
