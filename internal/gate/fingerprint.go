package gate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-dev/interlock/internal/catalogue"
)

// fingerprint identifies what a start would do: two starts are the same if and only if
// their fingerprints are equal. It covers everything that changes the effect and nothing
// else: not the actor, the surface or the connection's version. Each field is preceded by
// its length, so that different lists of fields never hash the same bytes.
func fingerprint(def *catalogue.Definition, workspace, tenant, connection string, canonical json.RawMessage) string {
	h := sha256.New()
	for _, field := range []string{
		"interlock/1", workspace, tenant, connection, string(def.Kind), strconv.Itoa(def.Version), string(canonical),
	} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		h.Write(n[:])
		h.Write([]byte(field))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// differences lists the parameters in which two canonical forms differ, such as
// "types: apps instead of devices". Canonical forms hold nothing secret.
func differences(asked, running json.RawMessage) string {
	a, b := fields(asked), fields(running)
	names := make([]string, 0, len(a))
	for name := range a {
		names = append(names, name)
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var said []string
	for _, name := range names {
		if a[name] != b[name] {
			said = append(said, fmt.Sprintf("%s: %s instead of %s", name, orDefault(a[name]), orDefault(b[name])))
		}
	}
	return strings.Join(said, "; ")
}

func fields(canonical json.RawMessage) map[string]string {
	var raw map[string]json.RawMessage
	_ = json.Unmarshal(canonical, &raw) // a canonical form is an object
	out := make(map[string]string, len(raw))
	for name, v := range raw {
		var list []string
		if json.Unmarshal(v, &list) == nil {
			out[name] = strings.Join(list, ", ")
			continue
		}
		out[name] = strings.Trim(string(v), `"`)
	}
	return out
}

func orDefault(v string) string {
	if v == "" || v == "null" {
		return "all"
	}
	return v
}
