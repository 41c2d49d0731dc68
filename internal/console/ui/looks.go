package ui

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Look is the tone and the icon of a state. Tones are the design kit's: go, same,
// busy, stop, calm.
type Look struct{ Tone, Icon string }

var outcomes = map[op.Outcome]Look{
	op.Accepted:  {"go", "play"},
	op.Deduped:   {"same", "rings"},
	op.ScopeBusy: {"busy", "busy"},
	op.Blocked:   {"stop", "stop"},
}

// states are by the first word of [op.RunWords.Code].
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

// LookOf returns how a state or an outcome looks; one that this version does not
// know looks unclear.
func LookOf(code string) (word string, l Look) {
	word, _, _ = strings.Cut(code, "/")
	l, ok := states[word]
	if !ok {
		l = Look{"busy", "unlink"}
	}
	return word, l
}

// IsState reports whether code is the whole of a state, with no reason behind it.
func IsState(code string) bool {
	_, ok := states[code]
	return ok
}

// ReadinessWords name a readiness at a glance.
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

// Surface tells where a start was asked.
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

// glyph is the icon of an operation and what its button says.
func glyph(k op.Kind) (icon, verb string) {
	icon = "play"
	if d, err := catalogue.Lookup(k); err == nil {
		icon = d.Icon
	}
	return icon, k.Start()
}

// How it looks that something is well, needs care, stops work, or is not known.
var (
	Fine    = Look{"go", "check"}
	Care    = Look{"busy", "warn"}
	Stop    = Look{"stop", "stop"}
	Unknown = Look{"calm", "dash"}
)
