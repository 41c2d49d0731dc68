package graph_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-dev/interlock/internal/graphsim"
	"github.com/interlock-dev/interlock/internal/graphsim/simtest"
)

// FuzzWriteBodies sends any body to a create and an assign of any collection. The answer is a
// success or a refusal in JSON, never an error of the simulator, and reads still work.
func FuzzWriteBodies(f *testing.F) {
	srv, err := graphsim.New(graphsim.Config{})
	if err != nil {
		f.Fatal(err)
	}
	spec := simtest.Writer()
	spec.Policies = 20
	if err := srv.AddTenant(spec); err != nil {
		f.Fatal(err)
	}
	handler := srv.Handler()
	call := func(ctx context.Context, token, method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, method, "https://sim.example"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if r.Header.Set("Authorization", "Bearer "+token); token == "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Del("Authorization")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	var grant struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(call(f.Context(), "", http.MethodPost, "/"+simtest.TenantID+"/oauth2/v2.0/token", simtest.Credentials().Encode()).Body.Bytes(), &grant); err != nil || grant.Token == "" {
		f.Fatal(err, grant.Token)
	}
	paths := slices.Sorted(maps.Keys(writableTypes))
	for i, path := range paths {
		f.Add(i, writableTypes[path].body)
		f.Add(i, `{"`+writableTypes[path].assign+`":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":null}}]}`)
		f.Add(i, `{"@odata.type":5,"id":{},"settings":[null],"scheduledActionsForRule":[{"scheduledActionConfigurations":null}],"conditions":[],"ipRanges":[[]]}`)
	}
	for _, body := range []string{"", "null", "[]", "{}", "{", `{"a":1,"a":2}`, strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), `{"displayName":"\ud800"}`, `{"version":1e999}`} {
		f.Add(0, body)
	}
	f.Fuzz(func(t *testing.T, at int, body string) {
		path := paths[(at%len(paths)+len(paths))%len(paths)]
		one := path + "/x"
		for _, target := range []string{path, one + "/assign"} {
			w := call(t.Context(), grant.Token, http.MethodPost, target, body)
			if w.Code >= http.StatusInternalServerError || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
				t.Fatalf("POST %s: %d %s", target, w.Code, w.Body)
			}
			var made struct{ ID string }
			if w.Code != http.StatusCreated || json.Unmarshal(w.Body.Bytes(), &made) != nil {
				continue
			}
			one = path + "/" + made.ID
			for _, method := range []string{http.MethodPatch, http.MethodPut, http.MethodGet, http.MethodDelete} {
				if w := call(t.Context(), grant.Token, method, one, body); w.Code >= http.StatusInternalServerError || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
					t.Fatalf("%s %s: %d %s", method, one, w.Code, w.Body)
				}
			}
		}
		if w := call(t.Context(), grant.Token, http.MethodGet, path, ""); w.Code != http.StatusOK {
			t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
		}
	})
}
