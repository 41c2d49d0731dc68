package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	texttemplate "text/template"

	"pgregory.net/rapid"
)

func newRoot(t *testing.T) *Root {
	t.Helper()
	r, err := GenerateRoot()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newKeys(t *testing.T, r *Root) (string, *Keyset) {
	t.Helper()
	wrapped, k, err := r.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return wrapped, k
}

var place = AAD{Workspace: "w", Tenant: "t", Connection: "c", Field: "client_secret", Version: 3}

// shown is v in every form in which Go code prints or encodes values.
func shown(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "x", "X", "d", "b", "t", "e", "T", "p", "10v", "#x"} {
		fmt.Fprintf(&out, "%"+verb+"\n", v)
	}
	fmt.Fprintln(&out, v, fmt.Errorf("wrapped: %v", v), errors.Join(fmt.Errorf("%+v", v)))
	// A value that can't be encoded gives an error, which is shown too.
	encode := func(data []byte, err error) { fmt.Fprintf(&out, "%s %v\n", data, err) }
	encode(json.Marshal(v))
	encode(json.MarshalIndent(map[string]any{"v": v}, "", " "))
	encode(xml.Marshal(v))
	fmt.Fprintln(&out, gob.NewEncoder(&out).Encode(v))
	opts := &slog.HandlerOptions{AddSource: true}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, opts), slog.NewJSONHandler(&out, opts)} {
		slog.New(h).With("with", v).Info("log", "v", v, slog.Group("g", "v", v), "err", fmt.Errorf("%v", v))
	}
	const page = `{{.}} {{printf "%v %#v" . .}} {{print .}}`
	fmt.Fprintln(&out, texttemplate.Must(texttemplate.New("").Parse(page)).Execute(&out, v))
	fmt.Fprintln(&out, htmltemplate.Must(htmltemplate.New("").Parse(page+`<a href="?{{.}}" title="{{.}}"><script>x = {{.}}</script>`)).Execute(&out, v))
	func() {
		defer func() { fmt.Fprintln(&out, recover()) }()
		panic(fmt.Sprint(v))
	}()
	return out.String()
}

// traces are the forms in which a secret could appear in text.
func traces(secret []byte) []string {
	decimals := strings.Trim(fmt.Sprint(secret), "[]")
	jsonText, _ := json.Marshal(string(secret)) // text always encodes
	return []string{
		string(secret), strings.Trim(string(jsonText), `"`), url.QueryEscape(string(secret)),
		hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
		strings.TrimRight(base64.StdEncoding.EncodeToString(secret), "="),
		strings.TrimRight(base64.URLEncoding.EncodeToString(secret), "="),
		decimals, strings.ReplaceAll(decimals, " ", ","),
		strings.Trim(strings.ReplaceAll(fmt.Sprintf("%#v", secret), "[]byte", ""), "{}"),
	}
}

func TestSecretIsNotShown(t *testing.T) {
	const canary = "canary&<7>\"Kx/+zz"
	s := NewSecret(canary)
	type hidden struct {
		name   string
		secret Secret
	}
	type embedded struct{ Secret }
	type open struct {
		Name   string
		Secret Secret
		Ptr    *Secret
	}
	for label, v := range map[string]any{
		"itself":                s,
		"pointer":               &s,
		"unexported field":      hidden{"n", s},
		"pointer to unexported": &hidden{"n", s},
		"exported field":        open{"n", s, &s},
		"slice":                 []Secret{s},
		"map":                   map[string]Secret{"k": s},
		"interface":             []any{s, &s, hidden{"n", s}},
		"embedded":              embedded{s},
	} {
		text := shown(t, v)
		for _, trace := range traces([]byte(canary)) {
			if strings.Contains(text, trace) {
				t.Errorf("%s: shows %q", label, trace)
			}
		}
	}
	if text := shown(t, s); strings.Count(text, redacted) < 20 {
		t.Errorf("the placeholder is missing in:\n%s", text)
	}
	if text, err := json.Marshal(open{"n", s, &s}); err != nil || string(text) != `{"Name":"n","Secret":"[secret]","Ptr":"[secret]"}` {
		t.Errorf("JSON is %s, %v", text, err)
	}
	if s.Reveal() != canary || (Secret{}).Reveal() != "" {
		t.Error("Reveal does not reveal")
	}
}

// TestNaiveSecretIsShown shows that the test above finds a secret that is not protected.
func TestNaiveSecretIsShown(t *testing.T) {
	const canary = "canary7Kx"
	for _, v := range []any{struct{ s string }{canary}, []byte(canary), struct{ S []byte }{[]byte(canary)}} {
		text, found := shown(t, v), false
		for _, trace := range traces([]byte(canary)) {
			found = found || strings.Contains(text, trace)
		}
		if !found {
			t.Errorf("%T: the canary was not found", v)
		}
	}
}

func TestKeysAreNotShown(t *testing.T) {
	text := newKey()
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRoot(text)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, k := newKeys(t, r)
	out := shown(t, r) + shown(t, *r) + shown(t, k) + shown(t, *k) + wrapped
	for _, trace := range traces(key) {
		if strings.Contains(out, trace) {
			t.Errorf("the root key is shown as %q", trace)
		}
	}
	if strings.Contains(out, "AES") || strings.Contains(out, "cipher") {
		t.Error("the inside of a key is shown")
	}
}

func TestSealedOpensOnlyInItsPlace(t *testing.T) {
	_, k := newKeys(t, newRoot(t))
	sealed, err := k.Seal(NewSecret("s3cret"), place)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := k.Open(sealed, place); err != nil || s.Reveal() != "s3cret" {
		t.Fatalf("got %v, %v", s.Reveal(), err)
	}
	for label, move := range map[string]func(*AAD){
		"workspace":               func(a *AAD) { a.Workspace = "x" },
		"tenant":                  func(a *AAD) { a.Tenant = "x" },
		"connection":              func(a *AAD) { a.Connection = "x" },
		"field":                   func(a *AAD) { a.Field = "x" },
		"version":                 func(a *AAD) { a.Version++ },
		"names that run together": func(a *AAD) { a.Workspace, a.Tenant = "wt", ""+"c"; a.Connection = "x" },
	} {
		other := place
		move(&other)
		if s, err := k.Open(sealed, other); !errors.Is(err, ErrUnreadable) || s.Reveal() != "" {
			t.Errorf("%s: opened elsewhere: %v", label, err)
		}
	}
	_, foreign := newKeys(t, newRoot(t))
	if _, err := foreign.Open(sealed, place); !errors.Is(err, ErrUnreadable) {
		t.Errorf("opened by a foreign keyset: %v", err)
	}
	again, err := k.Seal(NewSecret("s3cret"), place)
	if err != nil || again == sealed {
		t.Errorf("sealing twice gave the same text: %v", err)
	}
}

// Two places never have the same bytes, even if their concatenated parts are equal.
func TestPlacesAreTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab|\x00]{5,8}`).Draw(t, "text")
		version := rapid.Int64Range(1, 2)
		draw := func(label string) AAD {
			cuts := rapid.SliceOfNDistinct(rapid.IntRange(1, len(text)-1), 3, 3, rapid.ID[int]).Draw(t, label)
			slices.Sort(cuts)
			return AAD{text[:cuts[0]], text[cuts[0]:cuts[1]], text[cuts[1]:cuts[2]], text[cuts[2]:], version.Draw(t, label)}
		}
		a, b := draw("a"), draw("b")
		x, err1 := a.bytes()
		y, err2 := b.bytes()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if bytes.Equal(x, y) != (a == b) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

func TestTamperingIsFound(t *testing.T) {
	r := newRoot(t)
	wrapped, k := newKeys(t, r)
	// Seven characters, so that the last character of the text has unused bits.
	sealed, err := k.Seal(NewSecret("s3cret7"), place)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(s string, i int) string {
		b := []byte(s)
		if b[i]++; b[i] == '\r' {
			b[i]++
		}
		return string(b)
	}
	for i := range sealed {
		if _, err := k.Open(flip(sealed, i), place); !errors.Is(err, ErrUnreadable) {
			t.Errorf("character %d changed: got %v", i, err)
		}
		if _, err := k.Open(sealed[:i], place); !errors.Is(err, ErrUnreadable) {
			t.Errorf("cut at %d: got %v", i, err)
		}
	}
	for i := range wrapped {
		if opened, err := r.Open(flip(wrapped, i)); err == nil {
			if s, err := opened.Open(sealed, place); err != nil || s.Reveal() != "s3cret7" {
				t.Errorf("keyset, character %d changed: it opens as another one", i)
			}
		}
	}
	parts := strings.Split(wrapped, ".")
	parts[2], parts[3] = parts[3], parts[2]
	for _, bad := range []string{"", "x", "1..", strings.Join(parts, "."), "2" + wrapped[1:]} {
		if _, err := r.Open(bad); err == nil {
			t.Errorf("%q was taken for a keyset", bad)
		}
	}
}

func TestSealRefusesWhatItCannotBind(t *testing.T) {
	_, k := newKeys(t, newRoot(t))
	for want, tt := range map[string]struct {
		secret string
		place  AAD
	}{
		"lacks its workspace":  {"s", AAD{"", "t", "c", "f", 1}},
		"lacks its tenant":     {"s", AAD{"w", "", "c", "f", 1}},
		"lacks its connection": {"s", AAD{"w", "t", "", "f", 1}},
		"lacks its field":      {"s", AAD{"w", "t", "c", "", 1}},
		"is 0, want 1":         {"s", AAD{"w", "t", "c", "f", 0}},
		"has 0 bytes":          {"", place},
		"has 65537 bytes":      {strings.Repeat("x", MaxSecret+1), place},
	} {
		if _, err := k.Seal(NewSecret(tt.secret), tt.place); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := k.Seal(NewSecret(strings.Repeat("x", MaxSecret)), place); err != nil {
		t.Errorf("the largest secret: %v", err)
	}
}

func TestRotationOfTheRootKey(t *testing.T) {
	oldText, newText := newKey(), newKey()
	before, err := ParseRoot(oldText)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, k := newKeys(t, before)
	sealed, err := k.Seal(NewSecret("s3cret"), place)
	if err != nil {
		t.Fatal(err)
	}
	mark, err := k.Fingerprint(NewSecret("s3cret"))
	if err != nil {
		t.Fatal(err)
	}

	during, err := ParseRoot("# new\n" + newText + "\n# old\n" + oldText + "\n")
	if err != nil {
		t.Fatal(err)
	}
	rewrapped, err := during.Rewrap(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if WrappedBy(wrapped) != before.ID() || WrappedBy(rewrapped) != during.ID() || before.ID() == during.ID() {
		t.Errorf("wrapped by %s, then by %s; keys are %s and %s", WrappedBy(wrapped), WrappedBy(rewrapped), before.ID(), during.ID())
	}
	after, err := ParseRoot(newText)
	if err != nil {
		t.Fatal(err)
	}
	for label, open := range map[string]func() (*Keyset, error){
		"old keyset during":  func() (*Keyset, error) { return during.Open(wrapped) },
		"new keyset during":  func() (*Keyset, error) { return during.Open(rewrapped) },
		"new keyset after":   func() (*Keyset, error) { return after.Open(rewrapped) },
		"new keyset, commas": func() (*Keyset, error) { r, _ := ParseRoot(oldText + ", " + newText); return r.Open(rewrapped) },
	} {
		k, err := open()
		if err != nil {
			t.Errorf("%s: %v", label, err)
			continue
		}
		if s, err := k.Open(sealed, place); err != nil || s.Reveal() != "s3cret" {
			t.Errorf("%s: %v", label, err)
		}
		if m, err := k.Fingerprint(NewSecret("s3cret")); err != nil || m != mark {
			t.Errorf("%s: the fingerprint changed: %v", label, err)
		}
	}
	var wrong *WrongKeyError
	if _, err := after.Open(wrapped); !errors.As(err, &wrong) || wrong.Want != before.ID() || wrong.Have[0] != after.ID() {
		t.Errorf("got %v, want the ids of both keys", err)
	}
	if _, err := before.Rewrap(rewrapped); !errors.As(err, &wrong) {
		t.Errorf("got %v, want a wrong key", err)
	}
}

func TestFingerprint(t *testing.T) {
	r := newRoot(t)
	_, k := newKeys(t, r)
	_, other := newKeys(t, r)
	mark := func(k *Keyset, s string) string {
		m, err := k.Fingerprint(NewSecret(s))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first, again := mark(k, "a"), mark(k, "a")
	if first != again || first == mark(k, "b") || first == mark(other, "a") {
		t.Error("a fingerprint tells same from different, within one keyset only")
	}
	if len(first) != 32 {
		t.Errorf("%d characters, want 32", len(first))
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	if _, err := LoadRoot(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
	created, err := CreateRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := CreateRoot(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	loaded, err := LoadRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, _ := newKeys(t, created)
	if _, err := loaded.Open(wrapped); err != nil || loaded.ID() != created.ID() {
		t.Errorf("the file holds another key: %v", err)
	}
	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o440: true, 0o640: true, 0o660: false, 0o604: false, 0o644: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadRoot(path); (err == nil) != ok {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestParseRootRefuses(t *testing.T) {
	key := newKey()
	for want, text := range map[string]string{
		"there is no root key":           "# nothing\n\n",
		"root key 1 is not base64":       "!" + key,
		"root key 2 is not base64":       key + "\n" + key[1:],
		"root key 1 has 3 bytes, want 3": "AAAA",
	} {
		_, err := ParseRoot(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), key[5:15]) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

func TestRotationOfTheDataKey(t *testing.T) {
	r := newRoot(t)
	wrapped, before := newKeys(t, r)
	sealed, err := before.Seal(NewSecret("s3cret"), place)
	if err != nil {
		t.Fatal(err)
	}
	mark, err := before.Fingerprint(NewSecret("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if before.Rotating() || !before.Current(sealed) || !before.Current(sealed[:KeyPrefix]) {
		t.Error("a new keyset is rotating, or does not know its own key")
	}
	rotated, err := r.Rotate(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rotate(rotated); err == nil {
		t.Error("a keyset that is rotating was rotated")
	}
	during, err := r.Open(rotated)
	if err != nil {
		t.Fatal(err)
	}
	if !during.Rotating() || during.Current(sealed) || during.ID() == before.ID() {
		t.Error("a rotating keyset does not tell its old key from its new one")
	}
	if s, err := during.Open(sealed, place); err != nil || s.Reveal() != "s3cret" {
		t.Errorf("the old key does not open during the rotation: %v", err)
	}
	again, err := during.Seal(NewSecret("s3cret"), place)
	if err != nil || !during.Current(again) {
		t.Errorf("the new key does not seal: %v", err)
	}
	retired, err := r.Retire(rotated)
	if err != nil {
		t.Fatal(err)
	}
	after, err := r.Open(retired)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := after.Open(again, place); err != nil || s.Reveal() != "s3cret" || after.Rotating() || after.ID() != during.ID() {
		t.Errorf("what was sealed anew does not open after the rotation: %v", err)
	}
	if _, err := after.Open(sealed, place); !errors.Is(err, ErrUnreadable) {
		t.Errorf("the old key was not destroyed: %v", err)
	}
	if m, err := after.Fingerprint(NewSecret("s3cret")); err != nil || m == mark {
		t.Errorf("the fingerprint key was not rotated: %v", err)
	}
	for _, short := range []string{"", "AQ", "!!!!!!!!"} {
		if after.Current(short) {
			t.Errorf("%q passes for sealed by the key", short)
		}
	}
}

func TestEditKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	first, err := CreateRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	ids := func() []string {
		t.Helper()
		r, err := LoadRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		return r.IDs()
	}
	front, err := AddRoot(path, false)
	if err != nil {
		t.Fatal(err)
	}
	behind, err := AddRoot(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(); !slices.Equal(got, []string{front, first.ID(), behind}) {
		t.Errorf("the file holds %v", got)
	}
	for _, id := range []string{front, "NOSUCHID"} {
		if err := RemoveRoot(path, id); err == nil {
			t.Errorf("%s was removed", id)
		}
	}
	if err := RemoveRoot(path, first.ID()); err != nil {
		t.Fatal(err)
	}
	if got := ids(); !slices.Equal(got, []string{front, behind}) {
		t.Errorf("the file holds %v", got)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "# Root key of Interlock.") {
		t.Errorf("the comment is gone: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
