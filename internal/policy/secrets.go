package policy

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Secret is a secret value in a policy.
type Secret struct {
	Path string
	// Masked means that the service returned a token or asterisks in place of the value,
	// or something that is no string. A restore would write it as the value.
	Masked bool
}

const (
	secretValue = "#microsoft.graph.deviceManagementConfigurationSecretSettingValue"
	// Shown is shown in place of a secret.
	Shown = "[secret]"
	// ShownOther is shown in place of a secret that differs from the one before.
	ShownOther = "[another secret]"
)

// Secrets are the secrets in the policy, ordered by path.
func (d Document) Secrets() []Secret {
	var all []Secret
	d.t.secrets(d.tree, func(s Secret, _ map[string]any, _ string) { all = append(all, s) })
	slices.SortFunc(all, func(a, b Secret) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// secrets calls visit for every secret in tree, with the object that holds it and the
// name of the property.
func (t *Type) secrets(tree map[string]any, visit func(s Secret, parent map[string]any, name string)) {
	for _, path := range t.Secrets {
		list, name, nested := strings.Cut(path, "[].")
		if !nested {
			if tree[path] != nil {
				_, readable := tree[path].(string)
				visit(Secret{path, !readable || stars(tree[path])}, tree, path)
			}
			continue
		}
		elements, _ := tree[list].([]any)
		for i, e := range elements {
			if element, ok := e.(map[string]any); ok && element[name] != nil && hidden(element) {
				visit(Secret{list + "[" + strconv.Itoa(i) + "]." + name, true}, element, name)
			}
		}
	}
	if !t.Settings {
		return
	}
	walk(tree, nil, func(at *place, v any) {
		object, ok := v.(map[string]any)
		if ok && text(object, "@odata.type") == secretValue && object["value"] != nil {
			// docs: the value is a token unless valueState says that it is not encrypted.
			visit(Secret{at.String() + ".value", text(object, "valueState") != "notEncrypted"}, object, "value")
		}
	})
}

// hidden reports whether the value of a custom setting is encrypted. docs: the value is
// then a reference or asterisks; another call returns the plain text.
func hidden(setting map[string]any) bool {
	return setting["isEncrypted"] == true || text(setting, "secretReferenceValueId") != "" || stars(setting["value"])
}

// stars reports whether v consists of asterisks or bullets, which services and export
// tools show in place of a hidden value. One asterisk is a wildcard.
func stars(v any) bool {
	s, _ := v.(string)
	return utf8.RuneCountInString(s) >= 2 && strings.Trim(s, "*•●") == ""
}

// Masked returns a copy with [Shown] in place of every secret.
func (d Document) Masked() Document {
	tree, _ := clone(d.tree).(map[string]any)
	d.t.secrets(tree, func(_ Secret, parent map[string]any, name string) { parent[name] = Shown })
	d.tree, d.text = tree, encode(tree)
	return d
}

// Shown returns the policy as it was read, with parts and assignments as properties of the
// object, in JSON with [Shown] in place of every secret. It also returns how many secrets
// those are. Properties are in another order than in what was read.
func (d Document) Shown() (text []byte, secrets int) {
	tree, _ := clone(d.raw).(map[string]any)
	d.t.secrets(tree, func(_ Secret, parent map[string]any, name string) {
		parent[name] = Shown
		secrets++
	})
	return encode(tree), secrets
}
