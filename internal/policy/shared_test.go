package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/policy"
)

const shared = "../../../shared/graph-data/"

// sample is one policy of the public collections that lie beside the repository.
type sample struct {
	file       string
	collection string // such as "deviceManagement/configurationPolicies"
	key        string // of its type; empty when the product does not know the collection
	item       policy.Item
}

// samples reads all policies, or skips when they are absent.
func samples(t *testing.T) []sample {
	t.Helper()
	data := readShared(t, "policies/index.json")
	var index []struct{ File, Collection string }
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]string)
	for _, typ := range policy.Types() {
		keys[typ.Path] = typ.Key
	}
	all := make([]sample, len(index))
	for i, row := range index {
		body := bytes.TrimPrefix(readShared(t, row.File), []byte("\xef\xbb\xbf"))
		key := keys[row.Collection]
		all[i] = sample{row.File, row.Collection, key, policy.Item{Type: key, ID: path.Base(row.File), Body: body}}
	}
	return all
}

func readShared(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(shared + name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/graph-data is absent: the public policies are read where it is present")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func normalise(t testing.TB, item policy.Item) policy.Document {
	t.Helper()
	d, err := policy.Normalise(item)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// of makes a document of a type from JSON.
func of(t testing.TB, key, body string) policy.Document {
	t.Helper()
	return normalise(t, policy.Item{Type: key, Body: json.RawMessage(body)})
}

func lines(changes []policy.Change) string { return strings.TrimSuffix(policy.Text(changes), "\n") }
