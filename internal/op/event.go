package op

import "time"

// EventKind is what a line of a run's timeline tells of.
type EventKind string

// The kinds of lines. What a line's text holds is behind each.
const (
	EventAccepted EventKind = "accepted" // nothing
	EventBegan    EventKind = "began"    // nothing
	EventStep     EventKind = "step"     // what the operation is doing, in its own words
	EventWaiting  EventKind = "waiting"  // a Reason, or nothing: it went back in line, to go on later
	EventResent   EventKind = "resent"   // nothing: its place in line was lost and has been given back
	EventCancel   EventKind = "cancel"   // who asked to stop it
	EventReleased EventKind = "released" // who released its connection
	EventEnded    EventKind = "ended"    // a RunOutcome
	EventLate     EventKind = "late"     // a Reason, or nothing: reported after the run was taken away
)

// events are the words of the timeline.
var events = map[EventKind]string{
	EventAccepted: "Accepted: all checks passed",
	EventBegan:    "Began: access was checked again",
	EventWaiting:  "Back in line",
	EventResent:   "Sent again, because its place in line was lost",
	EventCancel:   "{actor} asked to cancel",
	EventReleased: "{actor} released the connection",
	EventLate:     "A late report came and was not used",
}

// DescribeEvent puts a line of a timeline into words. A kind that this version
// does not know is told by its text.
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
