package catalogue

import (
	"slices"
	"strings"
)

// DatasetInfo describes a dataset to the surfaces that list it: a route of the API,
// a list of the command line, a tab and a page of the console.
type DatasetInfo struct {
	// Name is the one name of the dataset: as it is stored, and in addresses. A dataset
	// with Parts is stored as one dataset for each, see [DatasetInfo.Stored].
	Name  string
	Title string // heading, such as "Directory groups"
	Tab   string // label of its tab, such as "Groups"
	Lead  string // one sentence under the heading; {tenant} is the tenant's name
	Icon  string // of an empty list: the id of a drawing in the console's icons.svg
	Item  string // what one row is, such as "group"
	Items string // the same for several, such as "groups"

	// Columns of the list. The first is the row's name, or its id when it has none.
	Columns []Column
	Note    func(Row) string // a second line below the name; nil: none
	Sort    []SortKey        // the order of the list; ties are broken by id

	// Types are what the list can be narrowed to; none: it has no such filter.
	Types []RowType
	// TypeHelp is what help texts say of narrowing the list; may be empty.
	TypeHelp string
	// Parts are what a dataset is kept in when it is read in several lists that are
	// complete apart from each other. They are then what the list can be narrowed to.
	Parts []DatasetPart

	NotRead Empty // before the first sync
	None    Empty // when the last sync found none

	// Members says that rows have members, which are kept with them: each row has a
	// page and lists of its own. Facts are what that page shows of the row; one
	// without a text is left out.
	Members bool
	Facts   []Fact
}

// Fact is one property on the page of a row.
type Fact struct {
	Title string
	Text  func(Row) string
	Code  bool // it is written in some language, such as a rule
}

// Column is one column of a list.
type Column struct {
	Title string
	Text  func(Row) string // nil: the row's name, or the number of its members
	Count bool             // the number of the row's members
}

// SortKey is one key of a list's order.
type SortKey string

// The keys that lists can be sorted by.
const (
	ByName SortKey = "name" // without regard to case
	ByPart SortKey = "type" // in the order of the parts' keys
)

// RowType is one choice of a list's filter by type.
type RowType struct {
	Key    string   // as parameters name it
	Words  string   // as people read it
	Covers []string // the values of [Row.Type] that it stands for
}

// DatasetPart is one list that a dataset is kept in.
type DatasetPart struct {
	Key   string // last part of its stored name
	Words string // as people read it
}

// Empty is what an empty list says.
type Empty struct{ Title, Text string }

// Stored returns the name under which a part is stored; of a dataset without parts,
// its own.
func (d *DatasetInfo) Stored(part string) string {
	if len(d.Parts) == 0 {
		return d.Name
	}
	return d.Name + "/" + part
}

// PartOf returns the part that a stored dataset is, and whether it is one of d's.
func (d *DatasetInfo) PartOf(stored string) (part string, ok bool) {
	if len(d.Parts) == 0 {
		return "", stored == d.Name
	}
	return strings.CutPrefix(stored, d.Name+"/")
}

// Covers returns the values of [Row.Type] that the type key stands for; nil when
// the list has no such type.
func (d *DatasetInfo) Covers(key string) []string {
	for _, t := range d.Types {
		if t.Key == key {
			return t.Covers
		}
	}
	return nil
}

// PartWords names a part for people; its key when this version does not know it.
func (d *DatasetInfo) PartWords(key string) string {
	if i := slices.IndexFunc(d.Parts, func(p DatasetPart) bool { return p.Key == key }); i >= 0 {
		return d.Parts[i].Words
	}
	return key
}

// Order says how the list is sorted, such as "by type and name".
func (d *DatasetInfo) Order() string {
	keys := make([]string, len(d.Sort))
	for i, k := range d.Sort {
		keys[i] = string(k)
	}
	return "by " + strings.Join(keys, " and ")
}

// LeadOf returns the sentence under the heading for a tenant.
func (d *DatasetInfo) LeadOf(tenant string) string {
	return strings.ReplaceAll(d.Lead, "{tenant}", tenant)
}
