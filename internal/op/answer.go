package op

import "time"

// Answer is an answer of the gate in words: one struct for web, API, CLI and
// preflight. Its codes are stable; its sentences may change.
type Answer struct {
	Outcome      Outcome     `json:"outcome"`
	Operation    Kind        `json:"operation"`
	Tag          string      `json:"tag"`
	Title        string      `json:"title"`
	Reasons      []Explained `json:"reasons"`
	Next         []string    `json:"next"`
	Also         string      `json:"also,omitempty"`
	AttemptID    string      `json:"attempt_id,omitempty"`
	Run          *RunRef     `json:"run"`
	Holder       *RunRef     `json:"holder"`
	HolderHidden bool        `json:"holder_hidden"`
	Tenant       Tenant      `json:"tenant"`
	Target       *Target     `json:"target"`
	Queued       string      `json:"queued"` // what the start queued: "Run K7QM2X", "Nothing new" or "Nothing"
	Code         string      `json:"code"`   // outcome, or outcome/reason
	CheckedAt    time.Time   `json:"checked_at"`
	Replayed     bool        `json:"replayed"`
}

// Explained is one reason in words.
type Explained struct {
	Code   Reason `json:"code"`
	Phase  Phase  `json:"phase"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Next   string `json:"next"`
	Fix    *Fix   `json:"fix"`
}

// Fix says how a reason can be fixed, and by whom.
type Fix struct {
	Label string `json:"label"` // empty when the reader can't fix it
	Href  string `json:"href"`  // empty when the reader can't fix it
	Who   string `json:"who"`   // "you", or whom to ask
}

// RunWords are a run's state in words: the same on the run's page, in the API, on the
// command line and in the notification of its end.
type RunWords struct {
	Pill   string `json:"pill"`
	Title  string `json:"title"`
	Reason string `json:"reason"`
	Why    string `json:"why"`
	Next   string `json:"next"`
	Fix    *Fix   `json:"fix"`
	Code   string `json:"code"` // state, or outcome, or outcome/reason
}

// Notice is the notification that a run has ended, for the person who started it.
type Notice struct {
	ID        string     `json:"id"`
	RunID     string     `json:"run_id"`
	RunCode   string     `json:"run_code"`
	Href      string     `json:"href"`
	Title     string     `json:"title"`
	Text      string     `json:"text"` // reason, why
	Next      string     `json:"next"`
	Where     string     `json:"where"` // tenant · run · time
	CreatedAt time.Time  `json:"created_at"`
	ReadAt    *time.Time `json:"read_at"`
}
