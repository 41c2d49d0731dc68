package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/model"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// write is one writing call to a collection. It is checked completely and then committed at once
// or refused, under the lock of the tenant.
type write struct {
	c    *wire.Call
	t    *estate.Tenant
	col  *estate.Collection
	how  *writing
	id   string             // of the item; empty: a create
	sent odata.Object       // the body in the order in which it was sent
	tree map[string]any     // the same, decoded; numbers are json.Number
	item *estate.Item       // the item before; nil: a create
	next estate.Draft       // the item after
	add  estate.Writes      // what a commit counts
	done func() *wire.Reply // builds the response, after the commit
}

type (
	action func(*write) error // changes w.next
	check  func(*write) error // judges w.next
)

// refusal is an error of the service, or of Graph itself, whose text is plain.
type refusal struct {
	status     int
	code, text string
	graph      bool
}

// Error is the text of the service.
func (r *refusal) Error() string { return r.text }

// bad is a 400 with a text.
func bad(format string, args ...any) error {
	return &refusal{status: http.StatusBadRequest, code: "BadRequest", text: fmt.Sprintf(format, args...)}
}

// write serves POST, PATCH, PUT and DELETE of a collection. Names are not unique: the same POST
// sent twice creates two items.
func (s *Service) write(c *wire.Call, col *estate.Collection, path []string) *wire.Reply {
	w := &write{c: c, t: c.Tenant, col: col, how: writable[col.Path]}
	do, methods := w.route(path)
	if re := open(c, methods...); re != nil {
		return re
	}
	if re := w.authorize(); re != nil {
		return re
	}
	if do == nil {
		return w.noRoute(path)
	}
	if err := w.read(); err != nil {
		return w.refuse(err)
	}
	if re := w.approval(); re != nil {
		return re
	}
	c.Tenant.Touch()
	c.Tenant.Lock()
	defer c.Tenant.Unlock()
	if len(path) > 0 {
		if w.item = w.t.Latest(col, path[0]); w.item == nil {
			return itemNotFound(c, col, path[0])
		}
		w.id, w.next = w.item.ID, w.t.Edit(col, w.item)
	}
	if err := do(w); err != nil {
		return w.refuse(err)
	}
	if c.Discard {
		return w.done()
	}
	w.t.Count(col, w.add)
	return w.done()
}

// route returns what a path and a method do, and the methods that the path allows.
func (w *write) route(path []string) (do func(*write) error, methods []string) {
	switch len(path) {
	case 0:
		return (*write).create, []string{http.MethodPost}
	case 1:
		methods = []string{http.MethodPatch, http.MethodDelete}
		if w.how.replace {
			methods = append(methods, http.MethodPut)
		}
		return map[string]func(*write) error{
			http.MethodPatch: (*write).update, http.MethodPut: (*write).replace, http.MethodDelete: (*write).remove,
		}[w.c.Method], methods
	case 2:
		if strings.EqualFold(path[1], "assign") && w.how.assign.param != "" {
			return (*write).assign, []string{http.MethodPost}
		}
		for name, act := range w.how.actions {
			if strings.EqualFold(path[1], name) {
				return act, []string{http.MethodPost}
			}
		}
		for name, kind := range w.how.children {
			if strings.EqualFold(path[1], name) {
				return func(w *write) error { return w.addChild(name, kind) }, []string{http.MethodPost}
			}
		}
	case 3:
		for name, kind := range w.how.children {
			if strings.EqualFold(path[1], name) {
				methods = []string{http.MethodDelete}
				if kind.change {
					methods = append(methods, http.MethodPatch)
				}
				return func(w *write) error { return w.changeChild(name, kind, path[2]) }, methods
			}
		}
	}
	return nil, []string{w.c.Method} // there is no route: noRoute says so
}

// noRoute returns the 400 for a path that nothing serves.
func (w *write) noRoute(path []string) *wire.Reply {
	nav := slices.ContainsFunc(w.col.Navs, func(n string) bool { return strings.EqualFold(n, path[1]) })
	if !nav {
		return w.c.NoSegment(path[1])
	}
	return w.c.GraphError(http.StatusBadRequest, "No method match route template",
		fmt.Sprintf("No OData route exists that match template ~/singleton/navigation/key/navigation%s with http verb %s for request /DeviceConfiguration_2204/StatelessDeviceConfigurationFEService/%s.",
			strings.Repeat("/key", len(path)-2), w.c.Method, w.c.ResourcePath()))
}

// authorize checks the permissions to write.
func (w *write) authorize() *wire.Reply {
	if w.how.all != nil {
		for _, role := range w.how.all {
			if re := authorize(w.c, []string{role}); re != nil {
				return re
			}
		}
		return nil
	}
	return authorize(w.c, slices.DeleteFunc(slices.Clone(w.col.Roles), func(role string) bool { return !strings.Contains(role, ".ReadWrite.") }))
}

// read parses the body. A property that occurs twice is refused.
func (w *write) read() error {
	if w.c.Method == http.MethodDelete {
		return nil
	}
	if len(bytes.TrimSpace(w.c.Payload)) == 0 {
		return bad("Empty Payload. JSON content expected.")
	}
	dec := json.NewDecoder(bytes.NewReader(w.c.Payload))
	dec.UseNumber()
	if err := dec.Decode(&w.tree); err != nil || w.tree == nil || dec.More() {
		return bad("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	var err error
	if w.sent, err = odata.Parse(w.c.Payload); err != nil {
		return bad("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	if len(w.sent) != len(w.tree) {
		return bad("Multiple properties with the same name were detected in a resource or a complex value. In OData, duplicate property names are not allowed.")
	}
	return nil
}

// refuse returns the response to a refused write.
func (w *write) refuse(err error) *wire.Reply {
	var m *model.Mismatch
	var r *refusal
	switch {
	case errors.As(err, &m) && odata.IsIntune(w.col.Path):
		return w.c.ModelFailure(m.Text)
	case errors.As(err, &m):
		return w.c.GraphError(http.StatusBadRequest, "BadRequest", m.Text)
	case errors.As(err, &r) && r.graph:
		return w.c.GraphError(r.status, r.code, r.text)
	case errors.As(err, &r):
		return w.c.ServiceError(r.status, r.code, r.text)
	}
	return w.c.GraphError(http.StatusInternalServerError, "InternalServerError", err.Error())
}

// commit stores the next version, unless a fault discards the write.
func (w *write) commit() {
	if !w.c.Discard {
		w.t.Commit(w.col, w.next, w.c.At)
	}
}

// entity returns the written object as a read of the item does, without navigation properties.
func (w *write) entity(status int) (*wire.Reply, error) {
	it := estate.Preview(w.next)
	o, err := render(w.c, w.col, it, &odata.Query{}, false)
	if err != nil {
		return nil, err
	}
	re := w.c.Entity(append(odata.Object{odata.F("@odata.context", w.c.Base+"/"+w.c.Version()+"/$metadata#"+w.col.Path+"/$entity")}, o...))
	re.Status = status
	if status == http.StatusCreated {
		re.Header.Set("Location", fmt.Sprintf("%s/%s/%s('%s')", w.c.Base, w.c.Version(), w.col.Path, w.next.ID))
	}
	return re, nil
}

// answer makes the response: the object, or 204 if it is silent.
func (w *write) answer(status int, silent bool) error {
	if silent {
		w.done = func() *wire.Reply { return nothing(http.StatusNoContent) }
		return nil
	}
	re, err := w.entity(status)
	w.done = func() *wire.Reply { return re }
	return err
}

func nothing(status int) *wire.Reply { return &wire.Reply{Status: status, Header: http.Header{}} }
