package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// navigation serves GET {collection}/{id}/{nav}, and what is below it: {nav}/{id} and
// {nav}/{id}/{nested}.
func (s *Service) navigation(c *wire.Call, col *estate.Collection, rest []string, q *odata.Query) *wire.Reply {
	id, nav, rest := rest[0], rest[1], rest[2:]
	i := slices.IndexFunc(col.Navs, func(n string) bool { return strings.EqualFold(n, nav) })
	if i < 0 {
		return c.NoSegment(nav)
	}
	nav = col.Navs[i]
	if expandOnly(col, nav) {
		return c.GraphError(http.StatusBadRequest, "No method match route template",
			fmt.Sprintf("No OData route exists that match template ~/singleton/navigation/key/navigation with http verb GET for request /DeviceConfiguration_2204/StatelessDeviceConfigurationFEService/%s('%s')/%s.", col.Path, id, nav))
	}
	t := c.Tenant
	t.RLock()
	defer t.RUnlock()
	it := t.Item(col, id)
	if it == nil {
		return itemNotFound(c, col, id)
	}
	n := nested{t, col, nav}
	all := t.Nav(col, it, nav)
	place := fmt.Sprintf("%s('%s')/%s", col.Path, it.ID, nav)
	for len(rest) > 0 {
		i := slices.IndexFunc(all, func(o odata.Object) bool { return strings.EqualFold(o.Text("id"), rest[0]) })
		if i < 0 {
			return itemNotFound(c, col, rest[0])
		}
		o := all[i]
		if len(rest) == 1 {
			return n.one(c, place, o, q)
		}
		name, ok := n.knows(rest[1])
		if !ok {
			return c.NoSegment(rest[1])
		}
		place += fmt.Sprintf("('%s')/%s", o.Text("id"), name)
		raw := n.value(o, name)
		n.at += "/" + name
		rest = rest[2:]
		list, err := odata.ParseList(raw)
		if err != nil { // one object
			one, err := odata.Parse(raw)
			if err != nil || len(rest) > 0 {
				return itemNotFound(c, col, name)
			}
			return n.one(c, place, one, q)
		}
		all = list
	}
	return n.list(c, place, all, q)
}

// expandOnly reports whether a navigation property can only be read with $expand (observed).
func expandOnly(col *estate.Collection, nav string) bool {
	switch nav {
	case "scheduledActionsForRule":
		return true
	case "assignments":
		return slices.Contains([]string{
			"deviceManagement/deviceManagementScripts", "deviceManagement/deviceShellScripts",
			"deviceManagement/deviceCustomAttributeShellScripts", "deviceManagement/deviceHealthScripts",
		}, col.Path)
	}
	return false
}

// nested reads the objects of a navigation property, whose own navigation properties show
// with $expand only.
type nested struct {
	t   *estate.Tenant
	col *estate.Collection
	at  string // the navigation property, or a path of them
}

// knows returns the name of a navigation property in its own case.
func (n nested) knows(name string) (string, bool) {
	names := n.col.Nested[n.at]
	i := slices.IndexFunc(names, func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return "", false
	}
	return names[i], true
}

// value returns a navigation property of an object.
func (n nested) value(o odata.Object, name string) json.RawMessage {
	switch name {
	case "settingDefinitions":
		return odata.Raw(estate.SettingDefinitions(o))
	case "definition", "presentation":
		return odata.Raw(n.t.Administrative(name, o))
	}
	if raw := o.Get(name); raw != nil {
		return raw
	}
	return odata.Raw([]odata.Object{})
}

// render returns an object without its navigation properties, but with those that $expand names.
func (n nested) render(o odata.Object, expand *odata.Query) (odata.Object, error) {
	own := n.col.Nested[n.at]
	out := o.Without(func(name string) bool { return slices.Contains(own, name) })
	if expand == nil {
		return out, nil
	}
	for _, e := range expand.Expand {
		name, ok := n.knows(e.Name)
		if !ok {
			return nil, odata.BadQuery("Parsing OData Select and Expand failed: Could not find a property named '%s'.", e.Name)
		}
		options, err := e.Options()
		if err != nil {
			return nil, err
		}
		raw, below := n.value(o, name), nested{n.t, n.col, n.at + "/" + name}
		if list, err := odata.ParseList(raw); err == nil {
			for i := range list {
				if list[i], err = below.render(list[i], options); err != nil {
					return nil, err
				}
				list[i] = odata.PickFields(list[i], options.Select)
			}
			out = append(out, odata.F(name, list))
			continue
		}
		one, err := odata.Parse(raw)
		if err != nil {
			out = append(out, odata.F(name, nil))
			continue
		}
		if one, err = below.render(one, options); err != nil {
			return nil, err
		}
		out = append(out, odata.F(name, odata.PickFields(one, options.Select)))
	}
	return out, nil
}

func (n nested) one(c *wire.Call, place string, o odata.Object, q *odata.Query) *wire.Reply {
	out, err := n.render(o, q)
	if err != nil {
		return c.QueryError(err)
	}
	return c.Entity(append(odata.Object{odata.F("@odata.context", c.ContextURL(place, q)+"/$entity")}, odata.PickFields(out, q.Select)...))
}

func (n nested) list(c *wire.Call, place string, all []odata.Object, q *odata.Query) *wire.Reply {
	size := estate.IntunePage
	if last := place[strings.LastIndexByte(place, '/')+1:]; last == "settings" || last == "assignments" {
		size = estate.SettingsPage
	}
	if q.Top > 0 {
		size = min(q.Top, estate.IntunePage)
	}
	pos := min(q.Skip, len(all))
	end := min(pos+size, len(all))
	if c.Empty {
		end = pos
	}
	out := odata.Object{odata.F("@odata.context", c.ContextURL(place, q))}
	if n.at == "settings" {
		out = append(out, odata.F("@odata.count", end-pos))
	}
	if end < len(all) || c.Empty {
		options := url.Values{}
		for _, name := range []string{"$top", "$select", "$expand"} {
			if q.Raw.Has(name) {
				options.Set(name, q.Raw.Get(name))
			}
		}
		next := c.Link(options, "$skip", strconv.Itoa(end))
		if c.Empty { // the next page starts at the same position, with another URL
			next += "&_=" + c.RequestID
		}
		out = append(out, odata.F("@odata.nextLink", next))
	}
	page := make([]odata.Object, 0, end-pos)
	for _, o := range all[pos:end] {
		o, err := n.render(o, q)
		if err != nil {
			return c.QueryError(err)
		}
		page = append(page, odata.PickFields(o, q.Select))
	}
	return c.Entity(append(out, odata.F("value", page)))
}

// omaSetting serves GET deviceConfigurations/{id}/getOmaSettingPlainTextValue(secretReferenceValueId='...').
// It needs a permission to write (observed).
func (s *Service) omaSetting(c *wire.Call, path []string) *wire.Reply {
	if re := s.admit(c, []string{"DeviceManagementConfiguration.ReadWrite.All"}); re != nil {
		return re
	}
	reference, ok := strings.CutPrefix(path[4], "secretReferenceValueId=")
	if !ok {
		return c.NoSegment(path[4])
	}
	c.Tenant.Touch()
	t, col := c.Tenant, estate.Collections["devicemanagement/deviceconfigurations"]
	t.RLock()
	defer t.RUnlock()
	it := t.Item(col, path[2])
	if it == nil {
		return itemNotFound(c, col, path[2])
	}
	text, ok := t.PlainText(it, reference)
	if !ok {
		return itemNotFound(c, col, reference)
	}
	return c.Entity(odata.Object{odata.F("@odata.context", c.Base+"/"+c.Version()+"/$metadata#Edm.String"), odata.F("value", text)})
}
