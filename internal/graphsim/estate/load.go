package estate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// seedData is the content of a data folder.
type seedData struct {
	policies map[string][]*seed // by lower-case collection path
	groups   []groupSeed
	digest   string // of all files that were read
	summary  DataSummary
}

// DataSummary reports which files of a data folder are served.
type DataSummary struct {
	Folder   string    `json:"folder"`
	Policies int       `json:"policies"` // number of policies read
	Groups   int       `json:"groups"`   // number of groups read
	LeftOut  []LeftOut `json:"leftOut"`  // sorted by name
}

// LeftOut is a file, or an object in it, that is not served, with the reason.
type LeftOut struct {
	File   string `json:"file"` // path in the folder; an object in it follows as #position
	Reason string `json:"reason"`
}

// LoadDir reads a folder of exported policies and groups:
//
//	policies/index.json       [{"file", "collection", "odataType"}], paths relative to the folder
//	policies/...              a policy each, or a list of them ([...] or {"value": [...]}): Graph
//	                          exports, portal exports, templates or request bodies
//	examples/recorded/*.json  {"request", "body"}: recorded list answers
//	directory/groups.json     {"groups": [{"displayName", "description", "membershipRule"}]}
//
// Files are UTF-8 or UTF-16 with a byte order mark. LoadDir removes what export tools add (full
// metadata annotations, bound actions) and fills in what the service would set. It reads every
// JSON file of the folder, or lists it in the summary with a reason. The only error is a missing
// or unreadable index.
func LoadDir(dir string) (*seedData, error) {
	d := &seedData{policies: map[string][]*seed{}, summary: DataSummary{Folder: dir, LeftOut: []LeftOut{}}}
	sum := sha256.New()
	seen := map[string]bool{}
	read := func(name string) ([]byte, error) {
		seen[path.Clean(name)] = true
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("graphsim: data folder: %w", err)
		}
		_, _ = sum.Write(b) // never fails
		return utf8Text(b)
	}
	if err := d.loadPolicies(read); err != nil {
		return nil, err
	}
	if err := d.loadRecorded(dir, read); err != nil {
		return nil, err
	}
	if err := d.loadGroups(read); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.leaveOut("directory/groups.json", reasonOf(err))
	}
	if err := d.nameTheRest(dir, seen); err != nil {
		return nil, err
	}
	slices.SortStableFunc(d.summary.LeftOut, func(a, b LeftOut) int { return strings.Compare(a.File, b.File) })
	d.summary.Groups = len(d.groups)
	d.digest = hex.EncodeToString(sum.Sum(nil)[:8])
	return d, nil
}

func (d *seedData) leaveOut(file, reason string) {
	d.summary.LeftOut = append(d.summary.LeftOut, LeftOut{file, reason})
}

// reasonOf returns a short reason why a file could not be read.
func reasonOf(err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is not there"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.As(err, &syntax) && strings.Contains(syntax.Error(), "unexpected end"):
		return "is cut off: its JSON does not end"
	}
	return "can't be read: " + strings.TrimPrefix(err.Error(), "graphsim: data folder: ")
}

// utf8Text returns text as UTF-8 without a byte order mark.
func utf8Text(b []byte) ([]byte, error) {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), nil
	}
	if len(b)%2 != 0 {
		return nil, io.ErrUnexpectedEOF
	}
	units := make([]uint16, 0, len(b)/2)
	for at := 2; at < len(b); at += 2 {
		units = append(units, order.Uint16(b[at:]))
	}
	return []byte(string(utf16.Decode(units))), nil
}

// nameTheRest lists the JSON files that the index does not name.
func (d *seedData) nameTheRest(dir string, seen map[string]bool) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("graphsim: data folder: %w", err)
		}
		name, err := filepath.Rel(dir, file)
		if name = filepath.ToSlash(name); err != nil || entry.IsDir() || !strings.EqualFold(path.Ext(name), ".json") || seen[name] {
			return err
		}
		if strings.HasPrefix(name, "policies/") { // other folders may hold other files
			d.leaveOut(name, "is not in policies/index.json")
		}
		return nil
	})
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
		if !filepath.IsLocal(filepath.FromSlash(e.File)) {
			d.leaveOut(e.File, "lies outside of the folder")
			continue
		}
		b, err := read(e.File)
		if err != nil {
			d.leaveOut(e.File, reasonOf(err))
			continue
		}
		col := Collections[strings.ToLower(e.Collection)]
		if col == nil {
			d.leaveOut(e.File, fmt.Sprintf("collection %q is not served", e.Collection))
			continue
		}
		list, one, err := policiesIn(b)
		if err != nil {
			d.leaveOut(e.File, reasonOf(err))
			continue
		}
		if len(list) == 0 {
			d.leaveOut(e.File, "is an empty list")
		}
		for i, raw := range list {
			name := e.File
			if !one {
				name = fmt.Sprintf("%s#%d", e.File, i)
			}
			o, err := odata.Parse(raw)
			if err != nil {
				d.leaveOut(name, "is not an object")
				continue
			}
			if err := d.add(col, name, e.ODataType, o); err != nil {
				d.leaveOut(name, err.Error())
			}
		}
	}
	return nil
}

// policiesIn returns the policies of a file, and whether it holds one instead of a list.
func policiesIn(b []byte) (list []json.RawMessage, one bool, err error) {
	if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '[' {
		err := json.Unmarshal(b, &list)
		return list, false, err
	}
	o, err := odata.Parse(b)
	if err != nil {
		return nil, false, err
	}
	if value := o.Get("value"); len(value) > 0 && value[0] == '[' { // a list response
		err := json.Unmarshal(value, &list)
		return list, false, err
	}
	return []json.RawMessage{b}, true, nil
}

func (d *seedData) loadRecorded(dir string, read func(string) ([]byte, error)) error {
	files, err := filepath.Glob(filepath.Join(dir, "examples", "recorded", "*.json"))
	if err != nil {
		return fmt.Errorf("graphsim: data folder: %w", err)
	}
	for _, file := range files { // sorted by Glob
		name := "examples/recorded/" + filepath.Base(file)
		b, err := read(name)
		var rec struct {
			Request string `json:"request"`
			Body    struct {
				Value []odata.Object `json:"value"`
			} `json:"body"`
		}
		if err == nil {
			err = json.Unmarshal(b, &rec)
		}
		if err != nil {
			d.leaveOut(name, reasonOf(err))
			continue
		}
		_, address, _ := strings.Cut(rec.Request, "graph.microsoft.com/")
		_, path, _ := strings.Cut(address, "/")
		path, _, _ = strings.Cut(path, "?")
		if Collections[strings.ToLower(path)] == nil {
			d.leaveOut(name, fmt.Sprintf("collection %q is not served", path))
			continue
		}
		for i, o := range rec.Body.Value {
			place := fmt.Sprintf("%s#%d", name, i)
			col := Collections[strings.ToLower(path)]
			if col.Union != nil {
				col = memberOf(col, o.Text("@odata.type"))
			}
			if col == nil {
				d.leaveOut(place, fmt.Sprintf("type %q is not served", o.Text("@odata.type")))
				continue
			}
			if err := d.add(col, place, "", o); err != nil {
				d.leaveOut(place, err.Error())
			}
		}
	}
	return nil
}

// memberOf returns the collection of a union that holds a type, or nil.
func memberOf(union *Collection, odataType string) *Collection {
	for _, path := range union.Union {
		if col := Collections[strings.ToLower(path)]; "#microsoft.graph."+col.Entity == odataType {
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
		return err
	}
	for _, g := range file.Groups {
		d.groups = append(d.groups, groupSeed{name: g.DisplayName, description: g.Description, rule: g.MembershipRule})
	}
	return nil
}

// add adds an object as a policy of a collection, or returns the reason why it can't.
func (d *seedData) add(col *Collection, name, odataType string, o odata.Object) error {
	key := strings.ToLower(col.Path)
	if key == scopeTagsKey && (o.Text("id") == "0" || o.Text("id") == "" && string(o.Get("isBuiltIn")) == "true") {
		return errors.New("is the default scope tag, which every tenant has")
	}
	d.policies[key] = append(d.policies[key], normalise(col, name, odataType, o))
	d.summary.Policies++
	return nil
}

const scopeTagsKey = "devicemanagement/rolescopetags"

// normalise turns an object from any kind of file into a stored entity.
func normalise(col *Collection, name, odataType string, o odata.Object) *seed {
	sd := &seed{name: name, navs: map[string][]odata.Object{}}
	o = minimal(o, true)
	if kind := o.Text("@odata.type"); kind != "" {
		kind = "#" + strings.TrimPrefix(kind, "#") // request bodies may omit the #
		if kind == "#microsoft.graph.deviceEnrollmentPlatformRestriction" {
			kind += "Configuration" // one sample has the type of a property
		}
		o = o.With("@odata.type", kind)
	}
	switch col.Entity {
	case "deviceManagementCompliancePolicy": // portal exports have the name twice
		o = o.Without(func(n string) bool { return n == "displayName" })
	case "notificationMessageTemplate":
		o = renamed(o, "localizedMessages", "localizedNotificationMessages")
	}
	for _, nav := range col.Navs {
		if nav == "assignments" { // exports have none, or assignments to groups of another tenant
			continue
		}
		if list, err := odata.ParseList(o.Get(nav)); err == nil {
			for i := range list {
				list[i] = minimal(list[i], false)
				if nav == "settings" && list[i].Index("id") < 0 {
					list[i] = append(odata.Object{odata.F("id", fmt.Sprint(i))}, list[i]...)
				}
			}
			sd.navs[nav] = list
		}
	}
	o = o.Without(func(n string) bool { return n == "assignments" || slices.Contains(col.Navs, n) })
	if col.Poly && o.Index("@odata.type") < 0 && odataType != "" {
		o = append(odata.Object{odata.F("@odata.type", odataType)}, o...)
	}
	sd.Body = fill(col, o, sd)
	return sd
}

// renamed returns o with one property renamed.
func renamed(o odata.Object, from, to string) odata.Object {
	raw := o.Get(from)
	if raw == nil {
		return o
	}
	return append(o.Without(func(n string) bool { return n == from }), odata.F(to, raw))
}

// minimal removes what only full metadata contains, at every depth: links, contexts, types of
// plain values, and bound actions. It keeps the type of an object.
func minimal(o odata.Object, top bool) odata.Object {
	out := make(odata.Object, 0, len(o))
	for _, f := range o {
		at := strings.Index(f.Name, "@odata.")
		switch {
		case strings.HasPrefix(f.Name, "#"), at > 0, at == 0 && f.Name != "@odata.type":
			continue
		case f.Name == "@odata.type" && !top && !polymorphic(f.Raw):
			continue
		}
		f.Raw = minimalValue(f.Raw)
		out = append(out, f)
	}
	return out
}

// polymorphic reports whether a nested object has its type in minimal metadata: instances of
// derived types do, plain complex types do not (recorded).
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
		if o, err := odata.Parse(raw); err == nil {
			return minimal(o, false).Encode()
		}
	case len(raw) > 0 && raw[0] == '[' && bytes.ContainsRune(raw, '{'):
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) == nil {
			for i := range list {
				list[i] = minimalValue(odata.Compact(list[i]))
			}
			return odata.Raw(list)
		}
	}
	return raw
}

// fill adds the properties that the service sets on every entity of a collection.
func fill(col *Collection, o odata.Object, sd *seed) odata.Object {
	missing := func(name string, v any) {
		if o.Index(name) < 0 {
			o = append(o, odata.F(name, v))
		}
	}
	const made = "2025-01-15T09:30:00.1234567Z"
	if strings.HasPrefix(col.Path, "identity/") {
		missing("id", nil)
		missing("createdDateTime", made)
		missing("modifiedDateTime", nil)
		if strings.HasSuffix(col.Path, "conditionalAccess/policies") {
			missing("state", "disabled")
		}
		return o
	}
	missing("id", nil)
	missing("description", "")
	if !slices.Contains([]string{"deviceManagementIntent", "notificationMessageTemplate", "roleDefinition", "roleScopeTag"}, col.Entity) {
		missing("createdDateTime", made)
	}
	if col.Entity != "roleDefinition" && col.Entity != "roleScopeTag" {
		missing("lastModifiedDateTime", made)
	}
	switch col.Entity {
	case "deviceAndAppManagementAssignmentFilter":
		missing("roleScopeTags", []string{"0"})
	case "roleScopeTag", "deviceManagementReusablePolicySetting": // docs: they have none
	default:
		missing("roleScopeTagIds", []string{"0"})
	}
	switch col.Entity {
	case "deviceManagementConfigurationPolicy", "deviceManagementCompliancePolicy":
		if col.Entity == "deviceManagementConfigurationPolicy" {
			missing("templateReference", odata.Object{ // recorded in exports
				odata.F("templateId", ""), odata.F("templateFamily", "none"), odata.F("templateDisplayName", nil), odata.F("templateDisplayVersion", nil),
			})
		}
		missing("isAssigned", false)
		missing("creationSource", nil)
		if settings, ok := sd.navs["settings"]; ok {
			o = o.With("settingCount", len(settings))
		} else if count, ok := o.Value("settingCount").(float64); ok {
			sd.navs["settings"] = simpleSettings(int(count), 0) // a recorded list has a count but no settings
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
