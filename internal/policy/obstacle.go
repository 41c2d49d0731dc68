package policy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Obstacle is a reason why a policy can't be restored to any tenant.
type Obstacle struct {
	Code   ObstacleCode
	Detail string // a clause or a path, without a full stop; empty if the code says it all
}

// ObstacleCode is the kind of an obstacle.
type ObstacleCode string

// The obstacles.
const (
	BackupOnly    ObstacleCode = "backup_only"    // Interlock does not restore this type
	OfService     ObstacleCode = "built_in"       // Microsoft made the object
	Incomplete    ObstacleCode = "incomplete"     // a part was not read completely
	SecretMasked  ObstacleCode = "secret_masked"  // the service returned no value for a secret
	UnknownValue  ObstacleCode = "unknown_value"  // the service returned no value for an enumeration
	NotAccepted   ObstacleCode = "not_accepted"   // the service would refuse the object
	ImportedADMX  ObstacleCode = "imported_admx"  // it needs an ADMX file that can't be restored
	NotAssignable ObstacleCode = "not_assignable" // the service would refuse the assignments
)

// Obstacles are the reasons why the policy can't be restored; empty if it can.
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
		add(OfService, "")
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
	masked := make(map[string]bool)
	for _, s := range d.Secrets() {
		if s.Masked {
			masked[s.Path] = true
			add(SecretMasked, "%s", s.Path)
		}
	}
	walk(d.tree, nil, func(at *place, v any) {
		switch {
		case v == "unknownFutureValue":
			add(UnknownValue, "%s", at) // docs: returned unless the reader asks for unknown members
		case stars(v) && !masked[at.String()]:
			add(SecretMasked, "%s", at) // the table does not know all secrets
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

// DefaultName identifies a built-in object that can be updated. It is the same in every
// tenant, although the ids differ. It is empty for other objects.
func (d Document) DefaultName() string {
	if b := d.t.BuiltIn; b.Update && b.Suffix != "" {
		if _, name, ok := strings.Cut(d.id, b.Suffix); ok {
			return name
		}
	}
	return ""
}

// Missing lists the parts that were not read completely, and elements of parts that can't
// be written or told apart.
func (d Document) Missing() (all []string) {
	if why := d.Miscounted(); why != "" {
		all = append(all, "settings: "+why)
	}
	for _, p := range d.t.Parts {
		if p.Read != ByPath || !d.Has(p.Key) && p.Create == InBody {
			continue
		}
		list, ok := d.tree[p.Key].([]any)
		if !ok {
			all = append(all, p.Key+" was not read")
		}
		for i, e := range list {
			if _, ok := e.(map[string]any); !ok {
				all = append(all, fmt.Sprintf("%s[%d] is not an object", p.Key, i))
			}
		}
		if p.Update == OneByOne || p.Update == ByDelta {
			key, _ := d.t.set(p.Key)
			for i := 1; i < len(list); i++ { // sorted by key
				if k := keyOf(list[i], key); k == keyOf(list[i-1], key) {
					all = append(all, fmt.Sprintf("%s: two elements are %.200q", p.Key, k))
				}
			}
		}
	}
	return all
}

// Miscounted says how the settings that were read differ from the number that the policy
// gives; empty if they don't.
func (d Document) Miscounted() string {
	list, read := d.tree["settings"].([]any)
	n, counted := d.raw["settingCount"].(json.Number)
	switch {
	case counted && d.t.Settings && n.String() != fmt.Sprint(len(list)):
		return fmt.Sprintf("%d of %s were read", len(list), n)
	case !counted && read && len(list) == 0 && d.t.Replace:
		return "none were read, and settingCount does not say that there are none"
	}
	return ""
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
