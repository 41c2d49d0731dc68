package estate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/graphsim/odata"
)

// Data are policies that every tenant holds in place of generated ones of their types.
type Data struct {
	Folder    string     `json:"folder,omitempty"` // or file: where they come from, for the summary
	Documents []Document `json:"documents"`
	LeftOut   []LeftOut  `json:"leftOut,omitempty"` // what the reader of the files did not take
}

// Document is a policy as a tool exported it. It keeps its id.
type Document struct {
	Collection string          `json:"collection"`     // path, such as "deviceManagement/intents"
	File       string          `json:"file,omitempty"` // where it comes from, unique
	ID         string          `json:"id,omitempty"`   // empty: that in the body, or a new one
	Body       json.RawMessage `json:"body"`
	// Parts are navigation properties, such as settings and assignments, in place of those in
	// the body. Assignments that are in neither are generated.
	Parts map[string]json.RawMessage `json:"parts,omitempty"`
}

// Load puts data into the tenant, as an administrator would: readers see it at once. The policies
// replace those of their types, except built-in ones; groups that assignments name are added. A
// reset of the tenant undoes it. Documents without a file are named by their position.
func (t *Tenant) Load(data *Data, now time.Time) (DataSummary, error) {
	for i, doc := range data.Documents {
		if doc.File == "" {
			data.Documents[i].File = fmt.Sprintf("documents[%d]", i)
		}
	}
	d := data.load()
	if d.summary.Policies == 0 {
		return d.summary, errors.New("no document is a policy that is served")
	}
	t.Touch()
	t.Lock()
	defer t.Unlock()
	for _, g := range d.groups {
		if t.World.ByID[g.id] != nil {
			continue
		}
		if _, err := t.addGroup(GroupChange{Op: GroupAdd, ID: g.id, DisplayName: g.name, Description: g.description}, nil, now); err != nil {
			return d.summary, err
		}
	}
	for key, list := range d.policies {
		items := t.items(Collections[key], slices.Concat(fixedSeeds()[key], list))
		t.World.shelves[key] = &shelf{build: func() []*Item { return items }}
	}
	return d.summary, nil
}

// load turns data into seeds, and lists what can't be served with the reason. Groups that
// assignments name exist in every tenant.
func (data *Data) load() *seedData {
	d := &seedData{policies: map[string][]*seed{}, summary: DataSummary{Folder: data.Folder, LeftOut: append([]LeftOut{}, data.LeftOut...)}}
	for _, doc := range data.Documents {
		if err := d.addDocument(doc); err != nil {
			d.leaveOut(doc.File, err.Error())
		}
	}
	slices.SortStableFunc(d.summary.LeftOut, func(a, b LeftOut) int { return strings.Compare(a.File, b.File) })
	d.summary.Groups = len(d.groups)
	d.digest = data.Folder
	return d
}

func (d *seedData) addDocument(doc Document) error {
	col := Collections[strings.ToLower(doc.Collection)]
	if col == nil || col.Union != nil || col.derived != nil {
		return fmt.Errorf("collection %q is not served", doc.Collection)
	}
	o, err := odata.Parse(doc.Body)
	if err != nil {
		return errors.New("is not an object")
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Parts)) {
		o = o.With(name, doc.Parts[name])
	}
	if doc.ID != "" {
		o = o.With("id", doc.ID)
	}
	if builtIn(col, o) {
		return errors.New("is built in: every tenant has it")
	}
	var assignments []odata.Object
	if raw := o.Get("assignments"); len(raw) > 0 && raw[0] == '[' {
		if assignments, err = odata.ParseList(raw); err != nil {
			return errors.New("has assignments that are not objects")
		}
	}
	if err := d.add(col, doc.File, "", o); err != nil {
		return err
	}
	list := d.policies[strings.ToLower(col.Path)]
	sd := list[len(list)-1]
	sd.keep = true
	if assignments == nil || !slices.Contains(col.Navs, "assignments") {
		return nil
	}
	for i := range assignments {
		assignments[i] = minimal(assignments[i], true)
		target, err := odata.Parse(assignments[i].Get("target"))
		if err != nil {
			continue
		}
		group := target.Text("groupId")
		if assignments[i].Text("id") == "" {
			assignments[i] = append(odata.Object{odata.F("id", fmt.Sprintf("%s_%s", sd.Body.Text("id"), group))}, assignments[i]...)
		}
		if group != "" && !slices.ContainsFunc(d.groups, func(g groupSeed) bool { return strings.EqualFold(g.id, group) }) {
			d.groups = append(d.groups, groupSeed{name: "Group " + group, description: "An assignment of the loaded policies names it.", id: strings.ToLower(group)})
		}
	}
	sd.navs["assignments"] = assignments
	return nil
}

// builtIn reports whether an object is one that every tenant has.
func builtIn(col *Collection, o odata.Object) bool {
	for _, sd := range fixedSeeds()[strings.ToLower(col.Path)] {
		id, fixed := o.Text("id"), sd.Body.Text("id")
		if strings.EqualFold(id, fixed) && id != "" {
			return true
		}
		_, suffix, found := strings.Cut(fixed, "_Default") // of another tenant
		if found && strings.HasSuffix(id, "_Default"+suffix) {
			return true
		}
	}
	return false
}
