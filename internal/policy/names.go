package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Definitions is the property of a setting that describes it, in an answer that was asked
// for it. It belongs to Microsoft and not to the policy, and can be longer than all of the
// policy.
const Definitions = "settingDefinitions"

// TakeNames returns a list of settings without their definitions, and the display names
// that these give to the ids in the settings. Everything else stays byte for byte.
func TakeNames(settings json.RawMessage) (json.RawMessage, map[string]string, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(settings, &list); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	out, names := []byte("["), make(map[string]string)
	for i, raw := range list {
		setting, err := parse(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("settings[%d]: %w", i, err)
		}
		takeNames(setting, names)
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, without(raw, Definitions)...)
	}
	return append(out, ']'), names, nil
}

// takeNames adds the names of the ids in a setting.
func takeNames(setting any, names map[string]string) {
	there := make(map[string]bool)
	stringsIn(get(setting, "settingInstance"), there)
	add := func(id, name string) {
		if there[id] && name != "" {
			names[id] = name
		}
	}
	definitions, _ := get(setting, Definitions).([]any)
	for _, d := range definitions {
		add(text(d, "id"), text(d, "displayName"))
		options, _ := get(d, "options").([]any)
		for _, o := range options {
			add(text(o, "itemId"), text(o, "displayName"))
		}
	}
}

func stringsIn(v any, all map[string]bool) {
	switch v := v.(type) {
	case string:
		all[v] = true
	case []any:
		for _, e := range v {
			stringsIn(e, all)
		}
	case map[string]any:
		for _, e := range v {
			stringsIn(e, all)
		}
	}
}

// without returns a JSON object without a property, and every other byte as it was.
func without(object []byte, name string) []byte {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return object
	}
	for first, before := true, int(dec.InputOffset()); dec.More(); first, before = false, int(dec.InputOffset()) {
		key, err := dec.Token()
		if err != nil {
			return object
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return object
		}
		if key != name {
			continue
		}
		after := int(dec.InputOffset())
		if first && dec.More() {
			after += bytes.IndexByte(object[after:], ',') + 1
		}
		return slices.Concat(object[:before], object[after:])
	}
	return object
}
