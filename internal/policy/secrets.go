package policy

import (
	"slices"
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

// secretNames are the ends of names of properties that hold a secret, in lower case. Names
// of rules for secrets, such as passwordRequired and passwordMinimumLength, end otherwise.
var secretNames = []string{
	"password", "passphrase", "passcode", "secret", "secrettext", "sharedkey", "wifikey", "wepkey", "privatekey", "keymaterial",
	"apikey", "productkey", "workspacekey", "accesstoken", "refreshtoken", "apitoken", "tokenvalue",
}

// secretFiles are the properties that hold a whole file of settings. docs: Wi-Fi profiles
// for import, custom profiles and app configurations, which can hold passwords.
var secretFiles = []string{"payload", "payloadJson", "encodedSettingXml", "configurationXml"}

// secretPairs are the properties that name a value, by the property of the value.
var secretPairs = map[string]string{"value": "name", "appConfigKeyValue": "appConfigKey"}

// secrets calls visit for every secret in tree, with the object that holds it and the
// name of the property. visit may replace the secret by a text.
func (t *Type) secrets(tree map[string]any, visit func(s Secret, parent map[string]any, name string)) {
	walk(tree, nil, func(at *place, v any) {
		object, _ := v.(map[string]any)
		for _, name := range names(object) {
			if masked, ok := t.secret(at, object, name); ok {
				visit(Secret{(&place{at, name, property}).String(), masked}, object, name)
			}
		}
	})
}

// secret reports whether a property of the object at a place is a secret, and whether the
// service masked it.
func (t *Type) secret(at *place, object map[string]any, name string) (masked, ok bool) {
	switch object[name].(type) {
	case nil, bool:
		return false, false
	}
	readable, isText := object[name].(string)
	switch {
	case name == "value" && t.Settings && text(object, "@odata.type") == secretValue:
		// docs: the value is a token unless valueState says that it is not encrypted.
		return text(object, "valueState") != "notEncrypted", true
	case name == "value" && at != nil && at.up != nil && at.kind == number && at.up.name == "omaSettings":
		// docs: the service encrypts texts that it was told to; any other can be one, too.
		return hidden(object), isText || hidden(object)
	case slices.Contains(secretFiles, name), meansSecret(text(object, secretPairs[name])):
		return stars(readable), isText
	}
	return !isText || stars(readable), meansSecret(name)
}

// meansSecret reports whether a property of this name holds a secret.
func meansSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretNames, func(end string) bool { return strings.HasSuffix(name, end) })
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
