package ui

import (
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Report is what is known about a connection: its readiness and its last verification.
type Report struct {
	Workspace  string
	Connection *tenancy.Connection // nil: the tenant has no default connection
	Causes     []op.Explained      // what blocks work on it
	Verified   *store.VerificationReport
	Checks     []Checked
	Now        time.Time
}

// Checked is one check of a verification, with its result in words.
type Checked struct {
	catalogue.Check
	Words string  // reason of the result; empty: none
	Next  string  // what to do about it; empty: nothing
	Fix   *op.Fix // nil: none
}

// found returns the result of the check in words.
func (c Checked) found() string {
	switch {
	case c.Result == catalogue.CheckNotApplicable:
		return op.ItemNotApplicable.Label() + ". " + c.Words
	case c.Words != "":
		return c.Words
	}
	return c.Detail
}

// line is one line of a checklist.
type line struct {
	Look
	title, text string
	fix         *op.Fix
	id          string       // of its evidence
	evidence    *op.Evidence // nil: none
}

// lines returns the facts of readiness. Blockers have the words of a blocked start.
func (r Report) lines() []line {
	lines := []line{r.line("Connection", r.identity, "connection_", "tenant_", "target_")}
	if r.Connection == nil {
		return lines
	}
	return append(lines,
		r.line("Admin consent", r.consent, "consent_"),
		r.line("Credential", r.credential, "credential_"),
		r.line("Permissions", r.permissions, "permission_"),
	)
}

func (r Report) line(title string, fine func() (Look, string), about ...string) line {
	for _, e := range r.Causes {
		if slices.ContainsFunc(about, func(prefix string) bool { return strings.HasPrefix(string(e.Code), prefix) }) {
			return line{Look: Look{"stop", "stop"}, title: title, text: e.Title + ". " + e.Next, fix: e.Fix}
		}
	}
	l, text := fine()
	return line{Look: l, title: title, text: text}
}

func (r Report) identity() (Look, string) {
	c := r.Connection
	if c == nil {
		return Unknown, "None."
	}
	text := c.FullName() + ", enabled"
	if !c.Enabled {
		text = c.FullName() + ", disabled"
	}
	if c.Default {
		text += ", default"
	}
	return Fine, text + "."
}

func (r Report) consent() (Look, string) {
	if r.Connection.Consent != tenancy.ConsentGranted {
		return Unknown, "Not checked yet."
	}
	if r.Connection.ConsentAt == nil {
		return Fine, "Granted."
	}
	return Fine, "Granted, as of " + op.Day(*r.Connection.ConsentAt) + "."
}

func (r Report) credential() (Look, string) {
	c := r.Connection
	if c.Credential == "" {
		return Unknown, "None saved."
	}
	kind := Upper(c.Credential.Words())
	if c.CredentialExpiresAt == nil {
		return Fine, kind + "."
	}
	left := c.CredentialExpiresAt.Sub(r.Now)
	if left < 0 {
		return Care, kind + ", expired on " + op.Day(*c.CredentialExpiresAt) + "."
	}
	text := kind + ", expires on " + op.Day(*c.CredentialExpiresAt) + "."
	if left < tenancy.ExpiresSoon {
		return Care, text
	}
	return Fine, text
}

func (r Report) permissions() (Look, string) {
	c := r.Connection
	switch {
	case c.Consent != tenancy.ConsentGranted:
		return Unknown, "Not checked. Consent comes first."
	case c.PermissionsAt == nil:
		return Unknown, "Not checked yet."
	}
	granted := Counted(len(c.Permissions), "permission", "permissions") + " granted. "
	for _, d := range catalogue.All() {
		if missing := catalogue.Missing(d.Optional, c.Permissions); len(missing) > 0 {
			return Care, granted + d.Kind.Name() + " leaves out what needs " + strings.Join(missing, ", ") + "."
		}
	}
	for _, d := range catalogue.All() {
		if missing := catalogue.Missing(d.Permissions, c.Permissions); len(missing) > 0 && !d.Baseline {
			return Fine, granted + d.Kind.Name() + " needs " + strings.Join(missing, ", ") + "."
		}
	}
	return Fine, granted + "Every operation has what it needs."
}

// verdict returns the state of the connection. A successful verification is not enough:
// something else may block work, or the connection was changed since.
func (r Report) verdict() (Look, string) {
	switch {
	case len(r.Causes) > 0:
		blocked := readiness[tenancy.NotReady]
		return blocked.Look, blocked.words
	case r.Connection != nil && r.Connection.ChangedSince():
		return Care, op.Age(nil, true, r.Now)
	case r.Verified == nil:
		return Unknown, "Not verified"
	}
	switch r.Verified.Verdict {
	case tenancy.VerificationOK:
		if slices.ContainsFunc(r.Checks, func(c Checked) bool { return c.Result == catalogue.CheckFailed }) {
			return Care, "Verified in part"
		}
		return Fine, "Verified"
	case tenancy.VerificationFailed:
		return Look{"stop", "stop"}, "Failed"
	case tenancy.VerificationMissing:
	}
	return Care, "Not conclusive"
}

var checks = map[catalogue.CheckResult]Look{
	catalogue.CheckOK:           Fine,
	catalogue.CheckFailed:       {"stop", "stop"},
	catalogue.CheckInconclusive: Care,
	catalogue.CheckNotReached:   Unknown,

	catalogue.CheckNotApplicable: Unknown,
}

// failed returns the checks that need action, without those whose reason is shown already.
func (r Report) failed() (list []Checked) {
	for _, c := range r.Checks {
		told := slices.ContainsFunc(r.Causes, func(e op.Explained) bool { return e.Code == c.Reason })
		if !told && (c.Result == catalogue.CheckFailed || c.Result == catalogue.CheckInconclusive) {
			list = append(list, c)
		}
	}
	return list
}
