package policy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Obstacle is why a policy can't be restored anywhere, whatever is there.
type Obstacle struct {
	Code   ObstacleCode
	Detail string // what exactly, in words that follow a colon
}

// ObstacleCode is the kind of an obstacle.
type ObstacleCode string

// The obstacles.
const (
	BackupOnly    ObstacleCode = "backup_only"    // the type, or this kind of it, is not restored
	OfService     ObstacleCode = "built_in"       // Microsoft made the object
	Incomplete    ObstacleCode = "incomplete"     // a part of it was not read
	SecretMasked  ObstacleCode = "secret_masked"  // it holds what Microsoft shows in place of a secret
	UnknownValue  ObstacleCode = "unknown_value"  // a value that Microsoft did not tell
	NotAccepted   ObstacleCode = "not_accepted"   // Microsoft would refuse it as it is
	ImportedADMX  ObstacleCode = "imported_admx"  // it needs a file that can't be restored
	NotAssignable ObstacleCode = "not_assignable" // its assignments would be refused
)

// Obstacles are all that keep the policy from being restored, worst first; none if
// it can be.
func (d Document) Obstacles() []Obstacle {
	var all []Obstacle
	add := func(code ObstacleCode, format string, args ...any) {
		all = append(all, Obstacle{code, fmt.Sprintf(format, args...)})
	}
	if d.t.Backup != "" {
		add(BackupOnly, "%s", d.t.Backup)
	}
	if len(d.t.Subtypes) > 0 {
		known := false
		for _, s := range d.t.Subtypes {
			if s.Entity == d.Entity() {
				known = true
				if s.Why != "" {
					add(BackupOnly, "%s", s.Why)
				}
			}
		}
		if !known && d.Entity() != "" {
			add(NotAccepted, "%.100s is not a type of this collection", d.Entity())
		}
	}
	if d.BuiltIn() && !d.t.BuiltIn.Update {
		add(OfService, "Microsoft made it, and it can't be changed")
	}
	for _, missing := range d.Missing() {
		add(Incomplete, "%s", missing)
	}
	for _, r := range d.t.Required {
		if (r.For == "" || r.For == d.Entity()) && get(d.tree, r.Path) == nil {
			add(NotAccepted, "%s", r.Why)
		}
	}
	if d.Name() == "" {
		add(NotAccepted, "it has no name")
	}
	if d.t.Part("scheduledActionsForRule") != nil && d.t.Key == "deviceCompliancePolicies" && d.blockActions() != 1 {
		add(NotAccepted, "a compliance policy needs one action that marks a device noncompliant, and it has %d", d.blockActions()) // observed
	}
	if s := text(d.raw, "policyConfigurationIngestionType"); s == "custom" || s == "mixed" {
		add(ImportedADMX, "it uses settings of an imported ADMX file")
	}
	for _, s := range d.Secrets() {
		if s.Masked {
			add(SecretMasked, "%s", s.Path)
		}
	}
	walk(d.tree, nil, func(at *place, v any) {
		if v == "unknownFutureValue" {
			add(UnknownValue, "%s", at) // docs: stands for a value that the reader did not ask to see
		}
	})
	if why := d.Misassigned(); why != "" {
		add(NotAssignable, "%s", why)
	}
	return all
}

// BuiltIn reports whether the service made the object.
func (d Document) BuiltIn() bool {
	b := d.t.BuiltIn
	switch made := d.raw[b.Property].(type) {
	case bool:
		if made {
			return true
		}
	case string:
		if made == "builtIn" {
			return true
		}
	}
	return b.ID != "" && d.id == b.ID || b.Suffix != "" && strings.Contains(d.id, b.Suffix)
}

// DefaultName is what a built-in object that can be changed is called in every tenant,
// whatever its id there; empty for all others.
func (d Document) DefaultName() string {
	if b := d.t.BuiltIn; b.Update && b.Suffix != "" {
		if _, name, ok := strings.Cut(d.id, b.Suffix); ok {
			return name
		}
	}
	return ""
}

// Missing names the parts that were not read whole.
func (d Document) Missing() (all []string) {
	if n, ok := d.raw["settingCount"].(json.Number); ok && d.t.Settings {
		list, _ := d.tree["settings"].([]any)
		if n.String() != fmt.Sprint(len(list)) {
			all = append(all, fmt.Sprintf("settings: %d of %s were read", len(list), n))
		}
	}
	for _, p := range d.t.Parts {
		if p.Read == ByPath && p.Create != InBody && !d.Has(p.Key) {
			all = append(all, p.Key+" was not read")
		}
	}
	return all
}

// blockActions counts the actions that mark a device noncompliant.
func (d Document) blockActions() (n int) {
	stringsAt(d.tree, "", "scheduledActionsForRule[].scheduledActionConfigurations[].actionType", func(_, action string, _ func(string)) {
		if action == "block" {
			n++
		}
	})
	return n
}
