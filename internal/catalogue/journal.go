package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// Journal records the changes that an operation makes at the provider, before and after
// each call, so that a run that was cut off continues where it stopped and makes nothing
// twice. Intend and Settle compare the run's fence. When they return an error, the
// operation must return it at once. A Journal is safe for concurrent use.
//
// An item begins with its first Intend and is finished by a Settle without More. A
// cancel, the run's time limit and a stop of the process act between items: an item that
// has begun is finished first, and the next Intend returns an error. Closing the
// connection acts at once.
type Journal interface {
	// Intend commits that a step is about to be made, and allows one [Writer.Write] of it.
	// A step that is open or was not made may be intended again, with the same change. If
	// its repeat is doubtful, it may be sent twice at most.
	Intend(ctx context.Context, s Step) error
	// Settle commits the result of a step together with its item.
	Settle(ctx context.Context, key string, s Settled) error
	// Steps returns the steps of all dispatches of the run, in the order of their first
	// intents.
	Steps(ctx context.Context) ([]Recorded, error)
}

// Writer makes the changes of a run.
type Writer interface {
	// Write makes the change of the step with that key. The step must have been intended in
	// this dispatch and not written since. The lease is checked before the call. A change
	// that was refused or not sent is recorded as not made, unless an earlier try of it may
	// have been made. After an error that is [provider.Doubtful] the step stays open: look for
	// the object before you intend it again.
	Write(ctx context.Context, key string) (provider.Answer, error)
}

// Step is one change that an operation is about to make.
type Step struct {
	Key    string          // unique in the run and the same in every dispatch, such as "filters/7/create"
	Item   string          // key of the item that the step belongs to
	Name   string          // of the item, for people
	Change provider.Change // only a hash of its body is stored
	Look   string          // where people look when the result is not known, such as "Assignment filters, Windows 11"
	Marker json.RawMessage // what the operation needs to find the object again; nothing secret, at most 4 KiB
}

// Settled is the result of a step.
type Settled struct {
	State StepState       // done, failed or unknown
	Kept  json.RawMessage // what later steps need from the answer, such as an id; nothing secret, at most 4 KiB
	Item  op.Item         // the item as it should be shown if the run ended now
	More  bool            // another step of the item follows
}

// Recorded is a step as it is stored.
type Recorded struct {
	Key, Item, Name string
	Call            string // method and path
	State           StepState
	Tries           int // how often it may have been sent
	Marker, Kept    json.RawMessage
	IntendedAt      time.Time // of the last intent
}

// StepState is the state of a step.
type StepState string

// The states of a step.
const (
	StepOpen    StepState = "open"     // it may have been sent, and its result is not known yet
	StepNotMade StepState = "not_made" // it was refused or not sent
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
	StepUnknown StepState = "unknown" // it may have been made, and reading back could not tell
)

// Sight is what an operation finds when it looks for an object that may have been made.
type Sight struct {
	There   bool            // it is there once, as it was sent
	Unclear bool            // it is there twice, or one can't tell whether it is there
	Kept    json.RawMessage // if it is there: what [Settled.Kept] needs
}

// Made is the result of [Env.Make].
type Made struct {
	State   StepState
	Settled bool            // an earlier dispatch has settled the step
	Answer  provider.Answer // if the change succeeded in this dispatch
	Kept    json.RawMessage // from an earlier dispatch, or from what was found
	Err     error           // why it failed, or why its result is not known
}

// maxRepeats limits how often a change is sent again that was looked for and not found.
const maxRepeats = 1

// Make makes the change of a step by the journal: it intends the step and writes it. If
// the answer is in doubt, or an earlier dispatch left the step open, it calls look before
// anything is sent again. A repeat that is refused says nothing about the first try: the
// object is looked for again, and the step has not failed. earlier is the stored step, or
// zero for a new one. look gets the time of the last intent, because an object may appear
// late. The caller settles the step unless Settled is set.
//
// An error ends the dispatch and leaves the step as it is: the provider asks to wait or
// can't be reached, or the run must stop.
func (e *Env) Make(ctx context.Context, s Step, earlier Recorded, look func(context.Context, time.Time) (Sight, error)) (Made, error) {
	var doubt error
	tries, intended := earlier.Tries, earlier.IntendedAt
	open := earlier.State == StepOpen || tries > 0
	switch earlier.State {
	case StepDone, StepFailed, StepUnknown:
		return Made{State: earlier.State, Settled: true, Kept: earlier.Kept}, nil
	case StepOpen, StepNotMade, "":
	}
	for {
		if open {
			seen, err := look(ctx, intended)
			switch {
			case err != nil:
				return Made{}, err
			case seen.There:
				return Made{State: StepDone, Kept: seen.Kept}, nil
			case seen.Unclear, tries > maxRepeats:
				return Made{State: StepUnknown, Err: doubt}, nil
			}
		}
		intended = e.Now()
		if err := e.Journal.Intend(ctx, s); err != nil {
			return Made{}, err
		}
		tries++
		answer, err := e.Writer.Write(ctx, s.Key)
		var refused *provider.Error
		switch {
		case err == nil:
			return Made{State: StepDone, Answer: answer}, nil
		case provider.Doubtful(err) && ctx.Err() == nil:
			doubt, open = err, true
		case errors.As(err, &refused) && !refused.Doubtful && !refused.Temporary:
			if tries > 1 {
				doubt, open = err, true
				continue
			}
			return Made{State: StepFailed, Err: err}, nil
		default:
			return Made{}, err
		}
	}
}
