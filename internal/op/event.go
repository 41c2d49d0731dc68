package op

import "time"

// EventKind is the kind of a line in a run's timeline.
type EventKind string

// The kinds of lines, each with the content of its text.
const (
	EventAccepted EventKind = "accepted" // empty
	EventBegan    EventKind = "began"    // empty
	EventStep     EventKind = "step"     // what the operation is doing, in its own words
	EventWaiting  EventKind = "waiting"  // a Reason or empty: the run was queued again, to continue later
	EventResent   EventKind = "resent"   // empty: the job was lost and has been queued again
	EventCancel   EventKind = "cancel"   // who requested it
	EventReleased EventKind = "released" // who released the connection
	EventEnded    EventKind = "ended"    // a RunOutcome
	EventLate     EventKind = "late"     // a Reason or empty: reported after the run was taken from its worker
)

// events are the words of the timeline.
var events = map[EventKind]string{
	EventAccepted: "Accepted: all checks passed",
	EventBegan:    "Started: access rechecked",
	EventWaiting:  "Back in the queue",
	EventResent:   "Requeued after its place in the queue was lost",
	EventCancel:   "{actor} requested cancellation",
	EventReleased: "{actor} released the connection",
	EventLate:     "Late report ignored",
}

// DescribeEvent puts a line of a timeline into words. For a kind that this version
// doesn't know, it returns the text.
func DescribeEvent(kind EventKind, text string) string {
	switch kind {
	case EventStep:
		return text
	case EventEnded:
		words, _ := Run{State: Finished, Outcome: RunOutcome(text)}.text(time.Time{})
		return words.label
	case EventWaiting, EventLate:
		if text == "" {
			return events[kind]
		}
		why := filler{args: Args{"provider": "the provider"}}.fill(explained(Reason(text)).reason)
		if why == "" {
			return events[kind]
		}
		return events[kind] + ": " + lowerFirst(why)
	case EventAccepted, EventBegan, EventResent, EventCancel, EventReleased:
		return filler{}.with(Args{"actor": text}).fill(events[kind])
	}
	return text
}
