package graph

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/model"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

const noFilter = "00000000-0000-0000-0000-000000000000"

// assign serves POST {id}/assign: the sent assignments replace all.
func (w *write) assign() error {
	how := w.how.assign
	for _, f := range w.sent {
		if f.Name != how.param && !strings.Contains(f.Name, "@odata.") {
			return &model.Mismatch{Text: "The parameter '" + f.Name + "' in the request payload is not a valid parameter for the operation 'assign'."}
		}
	}
	list, err := odata.ParseList(w.sent.Get(how.param))
	if err != nil || string(w.sent.Get(how.param)) == "null" {
		return bad("The parameter '%s' is not a list of assignments.", how.param)
	}
	var next []odata.Object
	for _, sent := range list {
		a, err := w.assignment(sent, next)
		if err != nil {
			return err
		}
		next = append(next, a)
	}
	if next == nil {
		next = []odata.Object{}
	}
	w.next.Navs["assignments"] = next
	w.add.Assigned = 1
	w.commit()
	w.done = func() *wire.Reply {
		switch how.reply {
		case withoutAny:
			return nothing(http.StatusOK)
		case noContent:
			return nothing(http.StatusNoContent)
		}
		return w.c.Entity(odata.Object{
			odata.F("@odata.context", w.c.Base+"/"+w.c.Version()+"/$metadata#"+w.col.Path+"('"+w.id+"')/assignments"), odata.F("value", next),
		})
	}
	return nil
}

// assignment checks a sent assignment and returns it as it is stored. others are those of the item
// that are there already.
func (w *write) assignment(sent odata.Object, others []odata.Object) (odata.Object, error) {
	target, err := odata.Parse(sent.Get("target"))
	if err != nil || target == nil {
		return nil, bad("An assignment has no target.")
	}
	kind, err := model.Resolve(target.Text("@odata.type"), model.Lookup("deviceAndAppManagementAssignmentTarget"), w.namespace())
	if err != nil {
		return nil, err
	}
	tree, err := decoded(target)
	if err == nil {
		err = model.Check(kind, tree, w.namespace())
	}
	if err != nil {
		return nil, err
	}
	group := target.Text("groupId")
	switch {
	case kind.Is(model.Lookup("groupAssignmentTarget")):
		if _, err := uuid.Parse(group); err != nil || !w.t.HasGroup(group) { // observed for ids of another form
			return nil, bad("Invalid GroupId : %s provided, a valid AADGroupId is expected.", group)
		}
	case w.how.assign.groups:
		return nil, bad("The assignment target '%s' is not supported: the policy can be assigned to groups only.", strings.TrimPrefix(target.Text("@odata.type"), "#microsoft.graph."))
	}
	filter, how := target.Text("deviceAndAppManagementAssignmentFilterId"), target.Text("deviceAndAppManagementAssignmentFilterType")
	if filter == noFilter {
		filter = ""
	}
	switch {
	case filter == "" && (how == "include" || how == "exclude"):
		return nil, bad("An assignment filter type needs an assignment filter id.")
	case filter != "" && kind.Is(model.Lookup("exclusionGroupAssignmentTarget")):
		return nil, bad("Assignment filters can't be used with exclusion groups.")
	case filter != "" && !w.t.Has("deviceManagement/assignmentFilters", filter):
		return nil, bad("Assignment filter '%s' does not exist.", filter)
	}
	if filter == "" {
		target = target.Without(func(name string) bool { return strings.HasPrefix(name, "deviceAndAppManagementAssignmentFilter") })
	}
	var extra odata.Object
	for _, name := range w.how.assign.keep {
		if raw := sent.Get(name); raw != nil {
			extra = append(extra, odata.Field{Name: name, Raw: raw})
		}
	}
	a := estate.Assignment(w.col, w.id, target, extra)
	if slices.ContainsFunc(others, func(o odata.Object) bool { return strings.EqualFold(o.Text("id"), a.Text("id")) }) {
		// A group can't be included and excluded either. The text is assumed.
		return nil, bad("The target of an assignment occurs more than once.")
	}
	return a, nil
}
