//go:build linux

package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/op"
)

// TestSecretsStayInside stores a secret in every place that takes one and lets the
// provider echo them in its errors. Then it searches everything that leaves the process
// or is stored for each of them, in every likely encoding.
func TestSecretsStayInside(t *testing.T) {
	onBoth(t, secretsStayInside)
}

func secretsStayInside(t *testing.T, engine db.Engine) {
	w := newWorld(t, engine)
	n := w.start("--backoff", "50ms", "--max-wait", "1s")
	places := n.readyTenants("kestrel", "marlow", "fenwick")
	said := &strings.Builder{} // answers outside the crawl
	send := func(token, method, path string, body any) reply {
		t.Helper()
		r, err := ask(t.Context(), n.url, token, method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(said, "%s\n%s\n", r.header, r.body)
		return r
	}

	secrets := map[string]string{
		"client secret": places[0].secret, "password": w.owner.password, "session": w.owner.token,
		"rotated client secret": `S~"` + rand.Text() + `&é/+=%`, "password of a member": "pw~" + rand.Text(),
		"secret in the wrong field": "W~" + rand.Text(), "wrong password": "x~" + rand.Text(), "unknown token": "ilk_" + rand.Text(),
	}
	// Where they belong.
	send(w.owner.token, http.MethodPost, "/tenants/marlow/connections/primary/credential", map[string]any{"secret": secrets["rotated client secret"]})
	certificate, private := selfSigned(t)
	secrets["private key"] = private
	send(w.owner.token, http.MethodPost, "/tenants/fenwick/connections/primary/credential", map[string]any{"certificate": certificate})
	invited, err := ask(t.Context(), n.url, w.owner.token, http.MethodPost, "/invitations", map[string]any{"email": "ana@lattice.example", "role": "operator"})
	if err != nil {
		t.Fatal(err)
	}
	secrets["one-time link"] = linkOf(t, invited) // told by that answer, and by no other
	send("", http.MethodPost, "/join/open", map[string]any{"link": secrets["one-time link"]})
	send("", http.MethodPost, "/join", map[string]any{"link": secrets["one-time link"], "name": "Ana", "password": secrets["password of a member"]})
	if r, err := direct.Get(n.url + op.InvitationPath(secrets["one-time link"])); err == nil { //nolint:noctx // it ends with the test's server
		_ = r.Body.Close()
	}
	token, err := n.owner().CreateToken(t.Context(), "for a script", time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets["API token"] = token.Secret
	lines := strings.Split(strings.TrimSpace(file(t, w.key)), "\n")
	root, err := base64.StdEncoding.DecodeString(lines[len(lines)-1])
	if err != nil {
		t.Fatalf("the root key: %v", err)
	}
	secrets["root key"] = string(root)
	// Where they don't belong.
	wrong := secrets["secret in the wrong field"]
	for _, body := range []any{
		map[string]any{"secret": 7, "certificate": wrong},
		map[string]any{"certificate": "-----BEGIN " + wrong},
		map[string]any{"password": wrong},
		`{"secret": "` + wrong,
		map[string]any{"secret": "fine", "expires_at": wrong},
	} {
		if r := send(w.owner.token, http.MethodPost, "/tenants/kestrel/connections/primary/credential", body); r.status < 400 {
			t.Errorf("%v: status %d, want a refusal", body, r.status)
		}
	}
	send("", http.MethodPost, "/sign-in", map[string]any{"email": w.owner.email, "password": secrets["wrong password"]})
	send(secrets["unknown token"], http.MethodGet, "/me", nil)
	// A provider that echoes them, at sign-in and when reading.
	for i, secret := range []string{places[0].secret, secrets["rotated client secret"]} {
		echo := fmt.Sprintf("AADSTS7000215: Invalid client secret '%s', as %s, as %s", secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)))
		w.fault(graphsim.Fault{Tenant: places[i].directory, Path: "/*/oauth2/v2.0/token", Times: 1, Action: graphsim.Action{Kind: graphsim.ActError, Status: 400, Message: echo}})
		w.fault(graphsim.Fault{Tenant: places[i].directory, Path: "/v1.0/*", Action: graphsim.Action{Kind: graphsim.ActError, Status: 400, Code: secret, Message: echo}})
		for _, kind := range operations {
			if _, err := n.through(places[i].slug, kind); err != nil {
				said.WriteString(err.Error())
			}
		}
	}
	if _, err := n.through("fenwick", op.ConnectionVerify); err != nil { // the simulator does not know the certificate
		t.Error(err)
	}

	// Everything that anybody can see.
	pages := crawl(t, n.url, w.owner.token, n.known(t))
	haystacks := map[string]string{
		"log": n.log.String(), "standard output": n.out.String(), "pages of the API": textOf(pages), "answers of the API": said.String(),
		"command line": file(t, fmt.Sprintf("/proc/%d/cmdline", n.cmd.Process.Pid)), "environment": file(t, fmt.Sprintf("/proc/%d/environ", n.cmd.Process.Pid)),
	}
	for _, args := range [][]string{
		{"start", "inventory.sync", "--tenant", "kestrel"}, {"runs"}, {"attempts", "--output", "json"}, {"connections", "--tenant", "marlow"}, {"tokens"}, {"whoami"},
	} {
		r := command(t, cliEnv(n.url, token.Secret), "", program, args...)
		haystacks["command "+args[0]] = r.out + r.stderr
	}
	n.stop()
	haystacks["doctor"] = w.admin("", "doctor")
	haystacks["audit verify"] = w.admin("", "audit", "verify")
	haystacks["database"] = w.everything()

	sought := 0
	for name, secret := range secrets {
		for form, bytes := range forms(secret) {
			for where, text := range haystacks {
				if where == "database" && form == "SHA-256" && slices.Contains([]string{"session", "API token", "one-time link"}, name) {
					continue // the only form in which the database keeps them
				}
				sought++
				if strings.Contains(text, bytes) {
					t.Errorf("%s: the %s, as %s", where, name, form)
				}
			}
		}
	}
	// Other values are found, so a secret would be found too.
	for _, where := range []string{"database", "pages of the API"} {
		if !strings.Contains(haystacks[where], places[1].app) {
			t.Errorf("%s: the search can't even find a client id", where)
		}
	}
	for _, where := range []string{"log", "standard output"} {
		t.Logf("%s: %d bytes", where, len(haystacks[where]))
	}
	t.Logf("%d secrets, %d searches, %d pages", len(secrets), sought, len(pages))
}

// forms returns the encodings in which a secret could leak.
func forms(secret string) map[string]string {
	raw := []byte(secret)
	quoted, _ := json.Marshal(secret) // a string always can be
	var wide bytes.Buffer
	_ = binary.Write(&wide, binary.LittleEndian, utf16.Encode([]rune(secret))) // a buffer takes everything
	sum := sha256.Sum256(raw)
	return map[string]string{
		"it is": secret, "JSON": strings.Trim(string(quoted), `"`), "URL-encoded": url.QueryEscape(secret), "hex": hex.EncodeToString(raw),
		"base64": strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="), "base64 for URLs": base64.RawURLEncoding.EncodeToString(raw),
		"UTF-16": wide.String(), "SHA-256": hex.EncodeToString(sum[:]), "quoted by Go": strings.Trim(fmt.Sprintf("%q", secret), `"`),
	}
}

// known returns the values to crawl with.
func (n *node) known(t *testing.T) map[string][]string {
	t.Helper()
	values := map[string][]string{"tenant": {"kestrel", "marlow", "fenwick"}, "connection": {"primary"}, "group": {"none"}, "limit": {"200"}}
	runs, err := n.owner().Runs(t.Context(), client.RunFilter{Paging: client.Paging{Limit: 200}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs.Items {
		values["run"] = append(values["run"], r.ID)
	}
	attempts, err := n.owner().Attempts(t.Context(), client.AttemptFilter{Paging: client.Paging{Limit: 200}})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attempts.Items {
		values["attempt"] = append(values["attempt"], a.ID)
	}
	me, err := n.owner().Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values["member"] = []string{me.ID}
	kept, err := n.owner().UploadBackup(t.Context(), "kestrel", policyZip(t, "f1", "Kiosks"), false)
	if err != nil {
		t.Fatal(err)
	}
	values["backup"], values["other"], values["type"], values["object"] = []string{kept.ID}, []string{kept.ID}, []string{"assignmentFilters"}, []string{"f1"}
	return values
}

// everything returns the whole database: the bytes of its files, or each row of each
// table as text.
func (w *world) everything() string {
	w.t.Helper()
	var all strings.Builder
	if w.engine == db.SQLite {
		files, err := filepath.Glob(strings.TrimPrefix(w.database, "sqlite:") + "*")
		if err != nil || len(files) == 0 {
			w.t.Fatalf("files of the database: %v, %d", err, len(files))
		}
		for _, name := range files {
			all.WriteString(file(w.t, name))
		}
		return all.String()
	}
	w.inspect(func(d *db.DB) {
		for _, table := range texts(w.t, d, `SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'`) {
			for _, row := range texts(w.t, d, `SELECT CAST(x AS TEXT) FROM "`+table+`" x`) {
				all.WriteString(row + "\n")
			}
		}
	})
	return all.String()
}

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// selfSigned creates a certificate with its private key, both as PEM, and also returns
// the key's secret part.
func selfSigned(t *testing.T) (both, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	k := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return string(b) + string(k), strings.Split(string(k), "\n")[1] // the first line holds the private number
}
