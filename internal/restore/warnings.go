package restore

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
)

// warn adds the warnings of a writing step.
func (b *builder) warn(s *Step, want policy.Document, found identity) {
	add := func(code WarningCode, detail string) { s.Warnings = append(s.Warnings, Warning{code, detail}) }
	now := found.now
	if !found.exists {
		now = policy.Empty(want.Type())
	}
	if want.Widens(now) {
		add(WidensAudience, "")
	}
	if a := want.Type().Assign; a.Param != "" && want.Assigned() && len(want.Assignments()) == 0 && len(now.Assignments()) > 0 {
		add(RemovesAssignments, "")
	}
	for _, c := range s.Diff {
		if c.Switch {
			add(SwitchesOnOrOff, c.Name)
			break
		}
	}
	if strings.HasPrefix(want.Type().Path, "identity/conditionalAccess/") {
		add(ConditionalAccess, "")
	}
	if detail := cmp.Or(b.administrators(want), b.administrators(now)); detail != "" {
		add(AffectsAdministrators, detail)
	}
	if slices.Contains(b.observed.Approval, s.Type) {
		add(MicrosoftApproval, "")
	}
	if changed, err := time.Parse(time.RFC3339, now.Modified()); err == nil && changed.After(b.set.AsOf) {
		add(BackupOlder, now.Modified())
	}
	if b.crosses {
		add(CrossesDirectories, b.set.Directory)
	}
}

// administrators says by whom the policy applies to administrators; empty if it does not.
func (b *builder) administrators(want policy.Document) string {
	if want.Everybody() {
		return "everybody"
	}
	for _, r := range want.References() {
		if r.Kind.Principal() && !r.Excluded && slices.Contains(b.observed.Administrators, r.ID) {
			return string(r.Kind) + " " + r.ID
		}
	}
	return ""
}
