package archive_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/policy"
)

// entry makes a zip file of one entry with any header.
func entry(t testing.TB, h zip.FileHeader, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	if _, err := io.WriteString(must(w.Create("good.json")), catalog); err != nil {
		t.Fatal(err)
	}
	f, err := w.CreateHeader(&h)
	if err == nil {
		_, err = io.WriteString(f, content)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func must(w io.Writer, err error) io.Writer {
	if err != nil {
		panic(err)
	}
	return w
}

// patched changes the one place of a zip file.
func patched(t testing.TB, data []byte, old, with string) []byte {
	t.Helper()
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%q is not in the file", old)
	}
	return bytes.ReplaceAll(data, []byte(old), []byte(with))
}

// TestRefused shows that nothing is taken of an archive that is dangerous or ambiguous,
// and that the error names the file.
func TestRefused(t *testing.T) {
	link := zip.FileHeader{Name: "link.json"}
	link.SetMode(fs.ModeSymlink | 0o777)
	encrypted := entry(t, zip.FileHeader{Name: "x.json"}, catalog)
	for _, mark := range []string{"PK\x01\x02", "PK\x03\x04"} { // the flags are 8 or 6 bytes from the mark
		at := bytes.LastIndex(encrypted, []byte(mark)) + map[string]int{"PK\x01\x02": 8, "PK\x03\x04": 6}[mark]
		encrypted[at] |= 1
	}
	method := entry(t, zip.FileHeader{Name: "x.json", Method: zip.Store}, catalog)
	method[bytes.LastIndex(method, []byte("PK\x01\x02"))+10] = 12
	damaged := entry(t, zip.FileHeader{Name: "x.json", Method: zip.Store}, `{"name":"damaged","platforms":"x","settings":[]}`)
	many := make(map[string]string)
	for i := range archive.MaxFiles + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		data []byte
		want error
		says string
	}{
		"no zip":            {[]byte("hello"), archive.ErrNotZip, "not a zip"},
		"empty":             {nil, archive.ErrNotZip, "not a zip"},
		"cut off":           {write(t, meta, items()...)[:500], archive.ErrNotZip, "not a zip"},
		"nothing":           {pack(t, map[string]string{"a.txt": "x"}), archive.ErrNothing, "no policy"},
		"parent":            {entry(t, zip.FileHeader{Name: "a/../../x.json"}, catalog), archive.ErrPath, `"a/../../x.json"`},
		"parent, backslash": {entry(t, zip.FileHeader{Name: `..\x.json`}, catalog), archive.ErrPath, `x.json"`},
		"absolute":          {entry(t, zip.FileHeader{Name: "/etc/x.json"}, catalog), archive.ErrPath, `"/etc/x.json"`},
		"drive":             {entry(t, zip.FileHeader{Name: `C:\x.json`}, catalog), archive.ErrPath, `x.json"`},
		"long path":         {entry(t, zip.FileHeader{Name: strings.Repeat("x", 1025) + ".json"}, catalog), archive.ErrDamaged, `xxx`},
		"link":              {entry(t, link, "/etc/passwd"), archive.ErrLink, `"link.json"`},
		"encrypted":         {encrypted, archive.ErrEncrypted, `"x.json"`},
		"method":            {method, archive.ErrCompressed, `"x.json"`},
		"twice":             {entry(t, zip.FileHeader{Name: "good.json"}, catalog), archive.ErrTwice, `"good.json"`},
		"damaged":           {patched(t, damaged, `"damaged"`, `"demaged"`), archive.ErrDamaged, `"x.json"`},
		"bomb":              {pack(t, map[string]string{"x.json": `"` + strings.Repeat(" ", 40<<20) + `"`}), archive.ErrExpands, "expands"},
		"bomb of text":      {pack(t, map[string]string{"x.txt": strings.Repeat("\x00", 40<<20)}), archive.ErrExpands, "expands"},
		"many":              {pack(t, many), archive.ErrTooMany, "more than 20000"},
		"many in a list":    {pack(t, map[string]string{"x.json": "[" + strings.Repeat("1,", archive.MaxFiles) + "1]"}), archive.ErrTooMany, "more than 20000"},
		"manifest":          {pack(t, map[string]string{archive.Manifest: `{"format":"interlock-backup","layout":99}`}), archive.ErrManifest, archive.Manifest},
		"two manifests":     {pack(t, map[string]string{"a/" + archive.Manifest: `{"format":"interlock-backup","layout":1}`, "b/" + archive.Manifest: `{"format":"interlock-backup","layout":1}`}), archive.ErrTwice, "b/" + archive.Manifest},
	} {
		b, err := unzip(c.data)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) || len(b.Items) > 0 {
			t.Errorf("%s: %d are taken, %v; want %v", name, len(b.Items), err, c.want)
		}
	}
	if _, err := archive.Zip(strings.NewReader(""), archive.MaxUpload+1); !errors.Is(err, archive.ErrTooLarge) {
		t.Errorf("more than the limit: %v", err)
	}
}

// TestSameID shows that two policies with one id are an error that names both, and that a
// copy is not.
func TestSameID(t *testing.T) {
	one := `{"@odata.type":"#microsoft.graph.iosCompliancePolicy","id":"ABC","displayName":"one"}`
	_, err := unzip(pack(t, map[string]string{"a.json": one, "b/c.json": strings.NewReplacer("ABC", "abc", "one", "two").Replace(one)}))
	var same *archive.SameIDError
	if !errors.As(err, &same) || same.First != "a.json" || same.Second != "b/c.json" {
		t.Errorf("two policies: %v", err)
	}
	b := took(t, map[string]string{"a.json": one, "b.json": " " + one})
	if want := []string{`a.json: deviceCompliancePolicies "one"`, "b.json is a copy of a.json"}; !slices.Equal(brief(b), want) {
		t.Errorf("a copy: %q", brief(b))
	}
}

// TestLeftOut shows that a file that can't be used is named, and the rest is taken.
func TestLeftOut(t *testing.T) {
	deep := `{"name":"deep","platforms":"x","settings":[` + strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000) + "]}"
	thousand := `{"name":"deep","platforms":"x","settings":[` + strings.Repeat(`{"a":`, policy.MaxDepth) + "1" + strings.Repeat("}", policy.MaxDepth) + "]}"
	noise := make([]byte, policy.MaxBytes)
	for i := range noise {
		noise[i] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[(i*2654435761)>>7&63]
	}
	b := took(t, map[string]string{
		"big.json":        `{"name":"big","platforms":"x","settings":[],"description":"` + string(noise) + `"}`,
		"huge.json":       `{"x":"` + string(noise) + `"}`,
		"cut.json":        `{"name":`,
		"deep.json":       deep,
		"empty.json":      "",
		"good.json":       catalog,
		"inner.zip":       "PK",
		"number.json":     "7",
		"odd16.json":      "\xff\xfe{",
		"half16.json":     "\xff\xfe\x00\xd8\x00\x00",
		"thousand.json":   thousand,
		"longid.json":     `{"id":"` + strings.Repeat("x", 201) + `","name":"a","platforms":"x","settings":[]}`,
		"nulid.json":      `{"id":"a\u0000","name":"a","platforms":"x","settings":[]}`,
		"twice.json":      `{"name":"a","name":"b","platforms":"x","settings":[]}`,
		"latin.json":      "{\"name\":\"\xe9\",\"platforms\":\"x\",\"settings\":[]}",
		"nested.json":     quoted(quoted(quoted(quoted(quoted(quoted(catalog)))))),
		"__MACOSX/._good": "x",
	})
	want := []string{
		"__MACOSX/._good was added by macOS", "big.json is larger than 10 MiB", "cut.json is not valid JSON: unexpected end of JSON input",
		"deep.json is nested deeper than 1000 levels", "empty.json is empty", `good.json: configurationPolicies "Lock é😀"`,
		"half16.json is not valid UTF-16", "huge.json is larger than 10 MiB", "inner.zip is an archive in the archive: upload it by itself", "latin.json is not valid JSON: the text is not UTF-8",
		"longid.json has an id that is too long, or has control characters", "nulid.json has an id that is too long, or has control characters",
		"nested.json holds JSON in JSON too often", "number.json is not a JSON object", "odd16.json is not valid UTF-16",
		"thousand.json is nested deeper than 1000 levels", `twice.json is not valid JSON: "name" stands twice in one object`,
	}
	slices.Sort(want)
	if got := brief(b); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestLimitsOfSizes shows the limit of all files together, where no other limit holds, and
// that of one file.
func TestLimitsOfSizes(t *testing.T) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, size := range map[string]uint64{"a.txt": 4 << 20, "b.txt": archive.MaxTotal - 4<<20, "c.txt": 1} {
		h := zip.FileHeader{Name: name, CompressedSize64: 4 << 20, UncompressedSize64: size}
		f, err := w.CreateRaw(&h)
		if err == nil {
			_, err = f.Write(make([]byte, 4<<20))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unzip(out.Bytes()); !errors.Is(err, archive.ErrExpands) {
		t.Errorf("a byte more than the limit: %v", err)
	}
	b, err := archive.Folder(fstest.MapFS{"x.json": {Data: bytes.Repeat([]byte(" "), 4*policy.MaxBytes+1)}})
	if want := []string{"x.json is larger than 40 MiB"}; !errors.Is(err, archive.ErrNothing) || !slices.Equal(brief(b), want) {
		t.Errorf("a large file: %q, %v", brief(b), err)
	}
}

// grown is a folder with a file that became longer since it was listed.
type grown struct{ fstest.MapFS }

func (g grown) Open(name string) (fs.File, error) {
	if name == "x.json" {
		return fstest.MapFS{name: {Data: []byte(catalog + catalog)}}.Open(name)
	}
	return g.MapFS.Open(name)
}

// TestLimitsOfFolders: a folder has the limits of an archive.
func TestLimitsOfFolders(t *testing.T) {
	many, large := fstest.MapFS{}, fstest.MapFS{}
	for i := range archive.MaxFiles + 1 {
		many[fmt.Sprintf("%d/%d.txt", i/100, i)] = &fstest.MapFile{}
	}
	data := make([]byte, 40<<20) // shared by all of them
	for i := range archive.MaxTotal/len(data) + 1 {
		large[fmt.Sprint(i, ".json")] = &fstest.MapFile{Data: data}
	}
	for name, c := range map[string]struct {
		dir  fs.FS
		want error
	}{"many": {many, archive.ErrTooMany}, "large": {large, archive.ErrExpands}, "grown": {grown{fstest.MapFS{"x.json": {Data: []byte(catalog)}}}, archive.ErrDamaged}} {
		if b, err := archive.Folder(c.dir); !errors.Is(err, c.want) || len(b.Items) > 0 {
			t.Errorf("%s: %d are taken, %v, want %v", name, len(b.Items), err, c.want)
		}
	}
}

// FuzzZip shows that no upload panics, takes two policies with one id, or takes what can't
// be normalised.
func FuzzZip(f *testing.F) {
	f.Add(write(f, meta, items()...))
	f.Add(pack(f, map[string]string{"a_Settings.json": "[]", "a.json": catalog}))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := unzip(data)
		sound(t, b, err)
	})
}

// FuzzFile shows the same for the content of a file beside a manifest.
func FuzzFile(f *testing.F) {
	f.Add("x.json", []byte(catalog), 3, 5)
	f.Add("T_Settings.json", []byte("[{}]"), 0, 0)
	f.Add("MigrationTable.json", []byte(`{"TenantId":"x"}`), 0, 0)
	f.Add("y.json", []byte(`{"RAWJson":"{\"settings\":[],\"platforms\":1,\"name\":\"x\"}"}`), -1, 1<<40)
	f.Fuzz(func(t *testing.T, name string, content []byte, at, to int) {
		list := fmt.Sprintf(`{"format":"interlock-backup","layout":1,"items":[{"file":%s,"type":"intents","id":"i","sha256":"%x","edits":[{"part":"settings","from":%d,"at":%d,"end":%d,"to":%d}]}]}`,
			quoted(name), sum(content), at, at, to, to)
		b, err := unzip(pack(t, map[string]string{name: string(content), "base.json": catalog, archive.Manifest: list}))
		sound(t, b, err)
	})
}

func sound(t *testing.T, b archive.Bundle, err error) {
	if err != nil {
		if len(b.Items) > 0 {
			t.Errorf("%d are taken despite %v", len(b.Items), err)
		}
		return
	}
	seen := make(map[string]bool)
	for _, i := range b.Items {
		d, err := policy.Normalise(i.Item)
		if err != nil || d.Type().Key != i.Type {
			t.Errorf("%s can't be normalised: %v", i.File, err)
		}
		key := i.Type + "/" + strings.ToLower(i.ID)
		if i.ID == "" || seen[key] {
			t.Errorf("%s: %q is there twice or empty", i.File, key)
		}
		seen[key] = true
	}
}

func sum(data []byte) [32]byte { return sha256.Sum256(data) }
