package archive

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/interlock-dev/interlock/internal/policy"
)

// migrationTable is IntuneManagement's list of what policies refer to. observed: it names
// the tenant, and policies hold "%OrganizationId%" in place of the tenant's id.
const migrationTable = "MigrationTable.json"

// migration takes the directory from IntuneManagement's table. Two tables of two tenants
// leave it unknown.
func (r *reader) migration(name string, data []byte) {
	var table struct {
		TenantID     string `json:"TenantId"`
		Organization string
	}
	if err := json.Unmarshal(data, &table); err != nil {
		r.skip(name, invalid(err))
		return
	}
	r.tools[IntuneManagement]++
	id, err := uuid.Parse(table.TenantID)
	switch {
	case err != nil || r.bundle.Layout > 0:
	case r.tenant == "":
		r.tenant = id.String()
		r.bundle.Directory, r.bundle.Tenant = r.tenant, table.Organization
	case r.tenant != id.String():
		r.bundle.Directory, r.bundle.Tenant = "", ""
	}
}

// beside keeps a file of IntuneManagement that holds the settings of the policy beside it.
// observed: NAME_Settings.json is a list of definition values of an administrative
// template, or an object with the settings of an intent.
func (r *reader) beside(name string, data []byte) bool {
	if !strings.HasSuffix(strings.ToLower(name), "_settings.json") {
		return false
	}
	if data[0] == '{' {
		var object map[string]json.RawMessage
		if json.Unmarshal(data, &object) != nil || len(object) != 1 || object["settings"] == nil {
			return false
		}
		data = object["settings"]
	}
	r.settings = append(r.settings, settings{name, data})
	return true
}

// join adds settings to the policy beside their file.
func (r *reader) join(s settings) {
	owner := s.path[:len(s.path)-len("_settings.json")] + ".json"
	for i := range r.bundle.Items {
		item := &r.bundle.Items[i]
		if !strings.EqualFold(item.File, owner) {
			continue
		}
		part, list := "settings", s.list
		if item.Type == "groupPolicyConfigurations" {
			part, list = "definitionValues", definitionValues(s.list)
		}
		if policy.Lookup(item.Type).Part(part) == nil {
			break
		}
		if from, to, ok, err := find(item.Body, part); err == nil && ok && !bytes.Equal(item.Body[from:to], []byte("null")) {
			r.skip(s.path, "repeats settings that "+owner+" holds")
			return
		}
		with := *item
		with.Parts = map[string]json.RawMessage{part: list}
		if _, err := policy.Normalise(with.Item); err != nil {
			r.skip(s.path, "holds settings that are not valid")
			return
		}
		r.tools[IntuneManagement]++
		*item = with
		return
	}
	r.skip(s.path, "holds the settings of "+owner+", which was not taken")
}

// bound is the id in an address that binds an object.
var bound = regexp.MustCompile(`\('([^']+)'\)/?$`)

// definitionValues returns a list of definition values as the service returns them, with
// objects in place of addresses. observed: both tools write addresses, as in a request.
func definitionValues(list json.RawMessage) json.RawMessage {
	var all []map[string]any
	dec := json.NewDecoder(bytes.NewReader(list))
	dec.UseNumber()
	if dec.Decode(&all) != nil {
		return list
	}
	for _, value := range all {
		unbind(value, "definition")
		presentations, _ := value["presentationValues"].([]any)
		for _, p := range presentations {
			if p, ok := p.(map[string]any); ok {
				unbind(p, "presentation")
			}
		}
	}
	return encode(all)
}

func unbind(object map[string]any, name string) {
	address, _ := object[name+"@odata.bind"].(string)
	if id := bound.FindStringSubmatch(address); id != nil {
		delete(object, name+"@odata.bind")
		object[name] = map[string]any{"id": id[1]}
	}
}

// encode returns v as JSON. Everything that it gets was decoded from JSON.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("archive: a value that can't be encoded: " + err.Error())
	}
	return bytes.TrimSpace(b.Bytes())
}

// hints are the types of CIPP's templates, as far as they are those of one collection.
var hints = map[string]string{
	"catalog":                      "configurationPolicies",
	"admin":                        "groupPolicyConfigurations",
	"device":                       "deviceConfigurations",
	"devicecompliancepolicies":     "deviceCompliancePolicies",
	"windowsdriverupdateprofiles":  "windowsDriverUpdateProfiles",
	"windowsfeatureupdateprofiles": "windowsFeatureUpdateProfiles",
	"windowsqualityupdateprofiles": "windowsQualityUpdateProfiles",
	"windowsqualityupdatepolicies": "windowsQualityUpdatePolicies",
}

// template takes the policy of a CIPP template. observed: a template holds a policy as
// text in RAWJson; a row of its table holds a template as text in JSON.
func (r *reader) template(name string, object map[string]json.RawMessage, nested int) bool {
	fields := make(map[string]json.RawMessage, len(object))
	for k, v := range object {
		fields[strings.ToLower(k)] = v
	}
	inner := fields["rawjson"]
	if row := fields["json"]; inner == nil && row != nil && fields["partitionkey"] != nil {
		inner = row
	}
	if inner == nil {
		return false
	}
	r.tools[CIPP]++
	r.value(name, inner, source{hint: hints[strings.ToLower(text(fields, "type"))], name: text(fields, "displayname"), about: text(fields, "description")}, nested+1)
	return true
}

// adapt returns the body of a policy as the service would return it.
func (r *reader) adapt(name string, t *policy.Type, data []byte, object map[string]json.RawMessage, from source) []byte {
	if added, ok := object["added"]; ok && t.Key == "groupPolicyConfigurations" { // CIPP keeps the request
		return encode(map[string]any{"displayName": from.name, "description": from.about, "definitionValues": definitionValues(added)})
	}
	if values, ok := object["definitionValues"]; ok && t.Key == "groupPolicyConfigurations" && bytes.Contains(values, []byte("definition@odata.bind")) {
		if body, _, err := set(data, "definitionValues", definitionValues(values)); err == nil {
			data = body
		}
	}
	if t.Key == "conditionalAccessPolicies" {
		changed := false
		for _, extra := range []string{"LocationInfo", "AuthContextInfo"} { // CIPP: what the names stand for
			if object[extra] != nil {
				delete(object, extra)
				changed = true
				r.skip(name+"#"+extra, "describes objects that the policy names, without their ids")
			}
		}
		if changed {
			r.tools[CIPP]++
			data = encode(object)
		}
	}
	if text(object, t.Name) == "" && from.name != "" {
		if body, _, err := set(data, t.Name, encode(from.name)); err == nil {
			data = body
		}
	}
	return data
}

// recognise counts what the form of a file says of the tool that wrote it. observed:
// IntuneCD drops ids and ends names with the type or technology; IntuneManagement keeps
// all links.
func (r *reader) recognise(name string, object map[string]json.RawMessage) {
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	entity := text(object, "@odata.type")
	last := entity[strings.LastIndexByte(entity, '.')+1:]
	technology := text(object, "technologies")
	technology = technology[strings.LastIndexByte(technology, ',')+1:]
	switch {
	case object["@odata.id"] != nil || object["@odata.editLink"] != nil || object["#CustomRef_"] != nil:
		r.tools[IntuneManagement]++
	case object["id"] == nil && (last != "" && strings.HasSuffix(stem, "_"+last) || technology != "" && strings.HasSuffix(stem, "_"+technology)):
		r.tools[IntuneCD]++
	}
}
