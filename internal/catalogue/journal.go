package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
)

// Journal records what an operation changes at the provider, before and after each
// call, so that a run that is cut off goes on where it stopped and makes nothing
// twice. Every method compares the run's fence and returns an error when the run no
// longer owns its connection; the operation must return at once then. It is safe for
// concurrent use.
//
// An item begins with its first Intend and is finished by a Settle without More. A
// cancel, the run's time limit and a stop of the process act between items: an item
// that has begun is finished first. Intend returns their error; the operation returns
// it unchanged.
type Journal interface {
	// Intend commits that a step is about to be made. It allows one [Writer.Write] of
	// it. A step that is open or was not made may be intended again, with the same
	// change; one whose repeat is doubtful at most once after it may have been sent.
	Intend(ctx context.Context, s Step) error
	// Settle commits what came of a step, together with the item as it stands then.
	Settle(ctx context.Context, key string, s Settled) error
	// Steps returns the steps of the run in the order of their first intents, those of
	// earlier dispatches included.
	Steps(ctx context.Context) ([]Recorded, error)
}

// Writer makes the changes of a run.
type Writer interface {
	// Write makes the change of the step with that key, which must have been intended
	// in this dispatch and not been written since. The lease is looked at before each
	// call. A change that was refused or not sent is noted as not made; after an error
	// that is [provider.Doubtful] the step stays open: look for the object first.
	Write(ctx context.Context, key string) (provider.Answer, error)
}

// Step is one change that is about to be made.
type Step struct {
	Key    string          // unique in the run and the same in every dispatch, such as "filters/7/create"
	Item   string          // key of the item that it is for
	Name   string          // of the item, as people know it
	Change provider.Change // its body is not kept, only a hash of it
	Look   string          // where people look when the result is not known, such as "Assignment filters, Windows 11"
	Marker json.RawMessage // what the operation needs to find the object again; nothing secret
}

// Settled is what came of a step.
type Settled struct {
	State StepState       // done, failed or unknown
	Kept  json.RawMessage // what later steps need of the answer, such as an id; nothing secret
	Item  op.Item         // as it would be told if the run ended now
	More  bool            // another step of the same item follows
}

// Recorded is a step as the journal has it.
type Recorded struct {
	Key, Item, Name string
	Call            string // method and path
	State           StepState
	Tries           int // how often it was sent, or may have been
	Marker, Kept    json.RawMessage
	IntendedAt      time.Time // last
}

// StepState is where a step stands.
type StepState string

// The states of a step.
const (
	StepOpen    StepState = "open"     // it may have been sent, and nobody knows what came of it
	StepNotMade StepState = "not_made" // it was refused or not sent: nothing happened
	StepDone    StepState = "done"
	StepFailed  StepState = "failed"
	StepUnknown StepState = "unknown" // it may have been made, and looking could not tell
)

// Sight is what the operation sees when it looks for an object that may have been
// made.
type Sight struct {
	There   bool            // once, and as it was sent
	Unclear bool            // neither its presence nor its absence can be told, or it is there twice
	Kept    json.RawMessage // of an object that is there: as [Settled.Kept]
}

// Made is what [Env.Make] found out.
type Made struct {
	State   StepState
	Settled bool            // an earlier dispatch has settled the step
	Answer  provider.Answer // of a change that was answered with a success in this dispatch
	Kept    json.RawMessage // of an earlier dispatch, or of what was found
	Err     error           // why it failed, or why its result is not known
}

// maxRepeats bounds how often a change is made again that was looked for and is not
// there.
const maxRepeats = 1

// Make makes the change of a step, by the journal: it intends, writes and, when the
// answer is in doubt or an earlier dispatch left the step open, looks for the object
// before anything is sent again. earlier is the step as the journal has it; its zero
// is a new one. look is asked with the time of the last intent: what is not there may
// only be late. The caller settles the step, unless it was settled before.
//
// An error means that the dispatch ends and the step stays as it is: the provider asks
// to wait, could not be asked, or the run has to stop.
func (e *Env) Make(ctx context.Context, s Step, earlier Recorded, look func(context.Context, time.Time) (Sight, error)) (Made, error) {
	var doubt error
	open, tries, intended := false, earlier.Tries, earlier.IntendedAt
	switch earlier.State {
	case StepDone, StepFailed, StepUnknown:
		return Made{State: earlier.State, Settled: true, Kept: earlier.Kept}, nil
	case StepOpen:
		open = true
	case StepNotMade, "":
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
			return Made{State: StepFailed, Err: err}, nil
		default:
			return Made{}, err
		}
	}
}
