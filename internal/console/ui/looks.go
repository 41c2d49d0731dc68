package ui

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Look is the tone and the icon of a state. The tones are go, same, busy, stop and calm.
type Look struct{ Tone, Icon string }

var outcomes = map[op.Outcome]Look{
	op.Accepted:  {"go", "play"},
	op.Deduped:   {"same", "rings"},
	op.ScopeBusy: {"busy", "busy"},
	op.Blocked:   {"stop", "stop"},
}

// states has a look for each first word of [op.RunWords.Code].
var states = map[string]Look{
	string(op.Queued):       {"calm", "clock"},
	string(op.Running):      {"same", "run"},
	"waiting":               {"busy", "clock"},
	"stalled":               {"busy", "unlink"},
	string(op.Cancelling):   {"busy", "clock"},
	string(op.RunSucceeded): {"go", "check"},
	string(op.RunPartial):   {"busy", "half"},
	string(op.RunFailed):    {"stop", "cross"},
	string(op.RunBlocked):   {"stop", "stop"},
	string(op.RunCancelled): {"calm", "slash"},
	string(op.RunLost):      {"busy", "unlink"},
}

// LookOf returns the first word of code and its look. An unknown state looks unclear.
func LookOf(code string) (word string, l Look) {
	word, _, _ = strings.Cut(code, "/")
	l, ok := states[word]
	if !ok {
		l = Look{"busy", "unlink"}
	}
	return word, l
}

// IsState reports whether code is a state without a reason.
func IsState(code string) bool {
	_, ok := states[code]
	return ok
}

// ReadinessWords returns the label of a readiness.
func ReadinessWords(r tenancy.Readiness) string { return readiness[r].words }

var readiness = map[tenancy.Readiness]struct {
	Look
	words string
}{
	tenancy.ReadyToStart:   {Look{"go", "check"}, "Ready"},
	tenancy.NotReady:       {Look{"stop", "stop"}, "Blocked"},
	tenancy.NeedsCare:      {Look{"busy", "warn"}, "Needs attention"},
	tenancy.BeingOnboarded: {Look{"same", "flag"}, "Onboarding"},
	tenancy.Archived:       {Look{"calm", "slash"}, "Archived"},
}

// Surface names where a start was requested.
func Surface(s op.Surface) string {
	switch s {
	case op.SurfaceWeb:
		return "Console"
	case op.SurfaceAPI:
		return "API"
	case op.SurfaceCLI:
		return "Command line"
	}
	return string(s)
}

// glyph returns the icon of an operation and the label of its button.
func glyph(k op.Kind) (icon, verb string) {
	icon = "play"
	if d, err := catalogue.Lookup(k); err == nil {
		icon = d.Icon
	}
	return icon, k.Start()
}

// Looks of facts: fine, needs attention, blocks work, unknown.
var (
	Fine    = Look{"go", "check"}
	Care    = Look{"busy", "warn"}
	Stop    = Look{"stop", "stop"}
	Unknown = Look{"calm", "dash"}
)
