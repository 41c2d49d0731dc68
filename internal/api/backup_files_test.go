package api

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-dev/interlock/internal/archive"
	"github.com/interlock-dev/interlock/internal/durable"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestBackupFiles uploads a zip file, downloads it, and compares it with a second one.
func TestBackupFiles(t *testing.T) {
	w := onOne(t)
	w.ready("kestrel")
	owner := w.Bearer(w.Member("Ann", "ann@x.test", tenancy.Owner))
	filter := `{"id":"f1","displayName":"Kiosks","platform":"iOS","rule":"x"}`
	send := func(files map[string]string, query string) (UploadedBackup, answer) {
		a := w.ask(owner, "POST", "/tenants/kestrel/backups"+query, zipped(t, files), "Content-Type", "application/zip")
		var out UploadedBackup
		if a.status == http.StatusOK {
			if err := json.Unmarshal(a.body, &out); err != nil {
				t.Fatal(err)
			}
		}
		return out, a
	}
	dry, a := send(map[string]string{"a.json": filter, "b.json": "{}"}, "?dry_run=true")
	if a.status != http.StatusOK || dry.ID != "" || len(dry.Policies) != 1 || len(dry.Skipped) != 1 || dry.Skipped[0].Path != "b.json" {
		t.Fatalf("a dry run: %d %s", a.status, a.body)
	}
	if n := w.Int(`SELECT count(*) FROM backup_sets`); n != 0 {
		t.Errorf("a dry run keeps %d", n)
	}
	table := `{"TenantId":"0a1b2c3d-1111-2222-3333-444455556666"}`
	one, a := send(map[string]string{"a.json": filter, "MigrationTable.json": table}, "")
	if a.status != http.StatusOK || one.ID == "" || !one.OtherDirectory {
		t.Fatalf("an upload: %d %s", a.status, a.body)
	}
	two, _ := send(map[string]string{"a.json": strings.Replace(filter, `"x"`, `"y"`, 1)}, "")

	got := w.ask(owner, "GET", "/tenants/kestrel/backups/"+one.ID+"/archive", nil)
	z, err := zip.NewReader(bytes.NewReader(got.body), int64(len(got.body)))
	if err != nil || len(z.File) != 2 || z.File[0].Name != "Filters/Kiosks.json" || got.header.Get("Content-Disposition") != `attachment; filename=interlock-kestrel.zip` {
		t.Errorf("the download: %d %v %v", got.status, got.header, err)
	}
	diff := w.ask(owner, "GET", "/tenants/kestrel/backups/"+one.ID+"/diff/"+two.ID+"?limit=1", nil)
	if diff.status != http.StatusOK || !strings.Contains(string(diff.body), `"name":"Rule"`) || !strings.Contains(string(diff.body), `\n+  \"rule\": \"y\"`) {
		t.Errorf("the difference: %d %s", diff.status, diff.body)
	}
	for cursor, want := range map[string]int{"x": 400, "-1": 400, "2": 400, "1": 200} {
		if a := w.ask(owner, "GET", "/tenants/kestrel/backups/"+one.ID+"/diff/"+two.ID+"?cursor="+cursor, nil); a.status != want {
			t.Errorf("cursor %s: %d %s, want %d", cursor, a.status, a.body, want)
		}
	}

	// A file that can't be used is named; the others are taken.
	deep := strings.Replace(filter, `"x"`, strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000), 1)
	for name, bad := range map[string]string{"deep": deep, "large": strings.Replace(filter, `"x"`, `"`+strings.Repeat("x", 10<<20)+`"`, 1)} {
		some, a := send(map[string]string{"a.json": filter, "b.json": strings.Replace(bad, "f1", "f2", 1)}, "?dry_run=true")
		if a.status != http.StatusOK || len(some.Policies) != 1 || len(some.Skipped) != 1 || some.Skipped[0].Path != "b.json" || some.Skipped[0].Why == "" {
			t.Errorf("%s: %d %.300s", name, a.status, a.body)
		}
		if _, a := send(map[string]string{"b.json": bad}, ""); a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), `no policy that Interlock can read: \"b.json\" `) {
			t.Errorf("%s alone: %d %.300s", name, a.status, a.body)
		}
	}

	kept := w.Int(`SELECT count(*) FROM backup_sets`)
	for name, c := range map[string]struct{ body, says string }{
		"no zip":  {"hello", "body can't be used: the file is not a zip archive, or it is damaged."},
		"twice":   {zipped(t, map[string]string{"a.json": filter, "b/c.json": strings.Replace(filter, `"x"`, `"y"`, 1)}), `\"a.json\" and \"b/c.json\" hold the same policy`},
		"path":    {zipped(t, map[string]string{"../a.json": filter}), `\"../a.json\" has a path that leaves its folder`},
		"nothing": {zipped(t, map[string]string{"a.txt": ""}), "no policy"},
	} {
		if a := w.ask(owner, "POST", "/tenants/kestrel/backups", c.body, "Content-Type", "application/zip"); a.status != 422 || !strings.Contains(string(a.body), c.says) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	a = w.ask(owner, "POST", "/tenants/kestrel/backups", zipped(t, map[string]string{"a.json": filter}), "Content-Type", "text/plain")
	if p := a.problem(http.StatusUnprocessableEntity, "field"); p.Errors[0].Field != "Content-Type" {
		t.Errorf("another media type: %v", p.Errors)
	}
	if a := w.ask(owner, "POST", "/tenants/kestrel/backups", strings.Repeat("x", 64<<20+1), "Content-Type", "application/zip"); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than the limit: %d %s", a.status, a.body)
	}
	if n := w.Int(`SELECT count(*) FROM backup_sets`); n != kept {
		t.Errorf("refused uploads keep %d", n-kept)
	}
}

// TestUploadIsPatient: an upload may take longer than other requests, whose body ends with
// the server's limit.
func TestUploadIsPatient(t *testing.T) {
	w := onOne(t)
	w.ready("kestrel")
	slow := httptest.NewUnstartedServer(w.http.Config.Handler)
	slow.Config.ReadHeaderTimeout, slow.Config.ReadTimeout = time.Minute, time.Nanosecond
	slow.Start()
	defer slow.Close()
	noise := make([]byte, 256<<10) // more than arrives with the header
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	big := string(noise)
	body := zipped(t, map[string]string{"a.json": `{"id":"f1","displayName":"Kiosks","platform":"iOS","rule":"x"}`, "b.bin": big})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, slow.URL+Base+"/tenants/kestrel/backups?dry_run=true", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", zipType)
	r.Header.Set("Authorization", "Bearer "+w.Bearer(w.Owner))
	resp, err := slow.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s %v", resp.StatusCode, text, err)
	}
}

// TestUploadsTakeTurns: an upload waits until no other one is read. Who stops waiting gets
// an error, and nothing is kept.
func TestUploadsTakeTurns(t *testing.T) {
	w := onOne(t)
	tenant, _ := w.ready("kestrel")
	f, err := durable.Spool(strings.NewReader(zipped(t, map[string]string{"a.json": `{"id":"f1","displayName":"Kiosks","platform":"iOS","rule":"x"}`})))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it is thrown away
	v := &visit{actor: w.Owner}
	v.tenant.Tenant.ID = tenant
	upload := func(ctx context.Context) error {
		ctx = context.WithValue(context.WithValue(ctx, visitKey{}, v), spoolKey{}, f)
		_, err := w.server.uploadBackup(ctx, &struct {
			TenantID
			DryRun bool `query:"dry_run" doc:"Only say what would be taken."`
		}{DryRun: true})
		return err
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	w.server.reading <- struct{}{} // another upload
	for range 20 {                 // a select that could also go on would do so in one of them
		if err := upload(gone); !errors.Is(err, context.Canceled) {
			t.Fatalf("it did not wait: %v", err)
		}
	}
	<-w.server.reading
	for range 2 { // each gives its turn back
		if err := upload(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestComparisonPagesAreBounded: a page ends before it grows beyond what a client reads,
// however few policies are on it, and the next one continues.
func TestComparisonPagesAreBounded(t *testing.T) {
	w := onOne(t)
	tenant, _ := w.ready("kestrel")
	large := func(rule string) (all []archive.Item) {
		for _, id := range []string{"f1", "f2", "f3", "f4"} {
			all = append(all, filter(id, id, strings.Repeat(rule, 4<<20)))
		}
		return all
	}
	one, two := w.Backup(w.Owner, tenant, filter("f0", "f0", "x")), w.Backup(w.Owner, tenant, large("x")...)
	var ids []string
	pages := 0
	for path := "/tenants/kestrel/backups/" + one + "/diff/" + two; path != ""; pages++ {
		var page Comparison
		w.get(w.Viewer, path).want(http.StatusOK, &page)
		for _, p := range page.Items {
			ids = append(ids, p.How+" "+p.ID)
		}
		path = ""
		if page.Next != nil {
			path = "/tenants/kestrel/backups/" + one + "/diff/" + two + "?cursor=" + *page.Next
		}
	}
	if want := []string{"removed f0", "added f1", "added f2", "added f3", "added f4"}; !slices.Equal(ids, want) || pages < 2 {
		t.Errorf("%d pages: %q, want %q", pages, ids, want)
	}
}
