package graphsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// seedData is what a data folder gives.
type seedData struct {
	policies map[string][]*seed // by lower-case collection path
	groups   []groupSeed
	digest   string // of everything read
}

// LoadDir reads exported policies and groups:
//
//	policies/index.json       [{"file", "collection", "odataType", "form"}], paths relative to the folder
//	policies/...              one policy each: a Graph export, a portal export, a template or a request body
//	examples/recorded/*.json  {"request", "body"}: recorded list answers
//	directory/groups.json     {"groups": [{"displayName", "description", "membershipRule"}]}
//
// Byte order marks are skipped. What export tools add (annotations of full metadata, bound
// actions) is taken off, and what the service would have set is filled in.
func LoadDir(dir string) (*seedData, error) {
	d := &seedData{policies: map[string][]*seed{}}
	sum := sha256.New()
	read := func(name string) ([]byte, error) {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("graphsim: data folder: %w", err)
		}
		_, _ = sum.Write(b) // never fails
		return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), nil
	}
	if err := d.loadPolicies(read); err != nil {
		return nil, err
	}
	if err := d.loadRecorded(dir, read); err != nil {
		return nil, err
	}
	if err := d.loadGroups(read); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d.digest = hex.EncodeToString(sum.Sum(nil)[:8])
	return d, nil
}

func (d *seedData) loadPolicies(read func(string) ([]byte, error)) error {
	raw, err := read("policies/index.json")
	if err != nil {
		return err
	}
	var index []struct {
		File       string `json:"file"`
		Collection string `json:"collection"`
		ODataType  string `json:"odataType"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return fmt.Errorf("graphsim: policies/index.json: %w", err)
	}
	for _, e := range index {
		col := collections[strings.ToLower(e.Collection)]
		if col == nil || !filepath.IsLocal(filepath.FromSlash(e.File)) {
			continue // of a type that the simulator does not serve
		}
		b, err := read(e.File)
		if err != nil {
			return err
		}
		o, err := parseObject(b)
		if err != nil {
			continue // not one policy: a fragment or a list
		}
		d.add(col, e.File, e.ODataType, o)
	}
	return nil
}

func (d *seedData) loadRecorded(dir string, read func(string) ([]byte, error)) error {
	files, err := filepath.Glob(filepath.Join(dir, "examples", "recorded", "*.json"))
	if err != nil {
		return fmt.Errorf("graphsim: data folder: %w", err)
	}
	for _, file := range files { // sorted by Glob
		name := "examples/recorded/" + filepath.Base(file)
		b, err := read(name)
		if err != nil {
			return err
		}
		var rec struct {
			Request string `json:"request"`
			Body    struct {
				Value []object `json:"value"`
			} `json:"body"`
		}
		if err := json.Unmarshal(b, &rec); err != nil {
			return fmt.Errorf("graphsim: %s: %w", name, err)
		}
		_, address, _ := strings.Cut(rec.Request, "graph.microsoft.com/")
		_, path, _ := strings.Cut(address, "/")
		path, _, _ = strings.Cut(path, "?")
		for i, o := range rec.Body.Value {
			col := collections[strings.ToLower(path)]
			if col != nil && col.union != nil {
				col = memberOf(col, o.text("@odata.type"))
			}
			if col != nil {
				d.add(col, fmt.Sprintf("%s#%d", name, i), "", o)
			}
		}
	}
	return nil
}

// memberOf finds the collection behind a union that holds a type.
func memberOf(union *collection, odataType string) *collection {
	for _, path := range union.union {
		if col := collections[strings.ToLower(path)]; "#microsoft.graph."+col.entity == odataType {
			return col
		}
	}
	return nil
}

func (d *seedData) loadGroups(read func(string) ([]byte, error)) error {
	b, err := read("directory/groups.json")
	if err != nil {
		return err
	}
	var file struct {
		Groups []struct {
			DisplayName    string `json:"displayName"`
			Description    string `json:"description"`
			MembershipRule string `json:"membershipRule"`
		} `json:"groups"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return fmt.Errorf("graphsim: directory/groups.json: %w", err)
	}
	for _, g := range file.Groups {
		d.groups = append(d.groups, groupSeed{g.DisplayName, g.Description, g.MembershipRule})
	}
	return nil
}

func (d *seedData) add(col *collection, name, odataType string, o object) {
	key := strings.ToLower(col.path)
	d.policies[key] = append(d.policies[key], normalise(col, name, odataType, o))
}

// normalise brings a file of any of the forms into the shape of a stored entity.
func normalise(col *collection, name, odataType string, o object) *seed {
	sd := &seed{name: name, navs: map[string][]object{}}
	o = minimal(o, true)
	if kind := o.text("@odata.type"); kind != "" {
		kind = "#" + strings.TrimPrefix(kind, "#") // request bodies may leave the sign out
		if kind == "#microsoft.graph.deviceEnrollmentPlatformRestriction" {
			kind += "Configuration" // a sample names the type of a property
		}
		o = o.with("@odata.type", kind)
	}
	switch col.entity {
	case "deviceManagementCompliancePolicy": // portal exports name it twice
		o = o.without(func(n string) bool { return n == "displayName" })
	case "notificationMessageTemplate":
		o = renamed(o, "localizedMessages", "localizedNotificationMessages")
	}
	for _, nav := range col.navs {
		if nav == "assignments" { // exports carry none, or those of another tenant's groups
			continue
		}
		if list, err := parseObjects(o.get(nav)); err == nil {
			for i := range list {
				list[i] = minimal(list[i], false)
				if nav == "settings" && list[i].index("id") < 0 {
					list[i] = append(object{{"id", rawJSON(fmt.Sprint(i))}}, list[i]...)
				}
			}
			sd.navs[nav] = list
		}
	}
	o = o.without(func(n string) bool { return n == "assignments" || slices.Contains(col.navs, n) })
	if col.poly && o.index("@odata.type") < 0 && odataType != "" {
		o = append(object{{"@odata.type", rawJSON(odataType)}}, o...)
	}
	sd.body = fill(col, o, sd)
	return sd
}

// renamed gives a property another name.
func renamed(o object, from, to string) object {
	raw := o.get(from)
	if raw == nil {
		return o
	}
	return append(o.without(func(n string) bool { return n == from }), field{to, raw})
}

// minimal takes off what only full metadata shows, at every depth: links, contexts,
// types of plain values and bound actions. The type of an object stays.
func minimal(o object, top bool) object {
	out := make(object, 0, len(o))
	for _, f := range o {
		at := strings.Index(f.name, "@odata.")
		switch {
		case strings.HasPrefix(f.name, "#"), at > 0, at == 0 && f.name != "@odata.type":
			continue
		case f.name == "@odata.type" && !top && !polymorphic(f.raw):
			continue
		}
		f.raw = minimalValue(f.raw)
		out = append(out, f)
	}
	return out
}

// polymorphic reports whether a nested object says its type in minimal metadata too:
// instances of derived types do, plain complex types do not (seen in recorded answers).
func polymorphic(odataType json.RawMessage) bool {
	for _, plain := range []string{"PolicyTemplateReference", "SettingInstanceTemplateReference", "SettingValueTemplateReference", "SettingGroupDefinition", "deviceManagementConfigurationSetting\""} {
		if bytes.Contains(odataType, []byte(plain)) {
			return false
		}
	}
	return true
}

func minimalValue(raw json.RawMessage) json.RawMessage {
	switch {
	case len(raw) > 0 && raw[0] == '{':
		if o, err := parseObject(raw); err == nil {
			return minimal(o, false).encode()
		}
	case len(raw) > 0 && raw[0] == '[' && bytes.ContainsRune(raw, '{'):
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) == nil {
			for i := range list {
				list[i] = minimalValue(compact(list[i]))
			}
			return rawJSON(list)
		}
	}
	return raw
}

// fill adds what the service sets on every entity of a collection.
func fill(col *collection, o object, sd *seed) object {
	missing := func(name string, v any) {
		if o.index(name) < 0 {
			o = append(o, field{name, rawJSON(v)})
		}
	}
	const made = "2025-01-15T09:30:00.1234567Z"
	if strings.HasPrefix(col.path, "identity/") {
		missing("id", nil)
		missing("createdDateTime", made)
		missing("modifiedDateTime", nil)
		if strings.HasSuffix(col.path, "conditionalAccess/policies") {
			missing("state", "disabled")
		}
		return o
	}
	missing("id", nil)
	missing("description", "")
	if col.entity != "deviceManagementIntent" && col.entity != "notificationMessageTemplate" && col.entity != "roleDefinition" {
		missing("createdDateTime", made)
	}
	if col.entity != "roleDefinition" {
		missing("lastModifiedDateTime", made)
	}
	if col.entity == "deviceAndAppManagementAssignmentFilter" {
		missing("roleScopeTags", []string{"0"})
	} else {
		missing("roleScopeTagIds", []string{"0"})
	}
	switch col.entity {
	case "deviceManagementConfigurationPolicy", "deviceManagementCompliancePolicy":
		missing("isAssigned", false)
		missing("creationSource", nil)
		if settings, ok := sd.navs["settings"]; ok {
			o = o.with("settingCount", len(settings))
		} else if count, ok := o.value("settingCount").(float64); ok {
			sd.navs["settings"] = simpleSettings(int(count), 0) // a recorded list has no settings, but says how many
		}
		missing("settingCount", 0)
	case "deviceConfiguration", "deviceCompliancePolicy", "managedDeviceMobileAppConfiguration", "deviceEnrollmentConfiguration":
		missing("version", 1)
	case "iosManagedAppProtection", "androidManagedAppProtection", "windowsManagedAppProtection", "targetedManagedAppConfiguration":
		missing("version", `"5a010000-0000-0d00-0000-678780480000"`)
		missing("isAssigned", false)
	case "roleDefinition":
		missing("isBuiltIn", false)
	}
	return o
}
