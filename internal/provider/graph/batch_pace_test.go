package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
	"github.com/interlock-dev/interlock/internal/vault"
)

// batching is a provider whose batches take a second. It notes the sizes of the batches,
// when they came, and how many were under way at once.
type batching struct {
	part func(url string) string // the answer to a part, without its id; nil: a success

	mu           sync.Mutex
	sizes        []int
	came         []time.Time
	inside, most int
}

func (b *batching) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "login.example" {
		return (&scripted{}).RoundTrip(r)
	}
	var in struct{ Requests []struct{ ID, URL string } }
	if strings.HasSuffix(r.URL.Path, "/$batch") {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	b.sizes, b.came = append(b.sizes, len(in.Requests)), append(b.came, time.Now())
	b.inside++
	b.most = max(b.most, b.inside)
	b.mu.Unlock()
	time.Sleep(time.Second)
	b.mu.Lock()
	b.inside--
	b.mu.Unlock()
	var parts []string
	for _, q := range in.Requests {
		text := `"status":200,"body":{}`
		if b.part != nil {
			text = b.part(q.URL)
		}
		parts = append(parts, fmt.Sprintf(`{"id":%q,%s}`, q.ID, text))
	}
	body := `{"responses":[` + strings.Join(parts, ",") + `]}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// clientOf returns a client of b, whose lanes are l.
func clientOf(t *testing.T, b *batching, l *Lanes) *Client {
	t.Helper()
	c, err := New(Config{
		Endpoints: Endpoints{Login: "https://login.example", Graph: "https://graph.example"},
		Directory: "d", ClientID: "c", Credential: tenancy.ClientSecret, Secret: vault.NewSecret("s"),
		HTTP: &http.Client{Transport: b}, Lanes: l,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pathsOf(n int, under string) []string {
	paths := make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("%s/%d", under, i)
	}
	return paths
}

// Each part of a batch takes a token of its own service, and no other lane loses one: the
// sign-in before it, other services, and other applications and tenants. A change takes one
// of both buckets.
func TestBatchTakesATokenForEachPart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const full = 200
		lanes := newLanes(10, func(service, bool) Pace { return Pace{PerSecond: 1e-9, Burst: full, Concurrent: 8} })
		b := &batching{}
		c := clientOf(t, b, lanes)
		taken := func(app, tenant string, s service, writes bool) int {
			return full - int(math.Round(lanes.lane(app, tenant, s, writes).rate.Tokens()))
		}
		paths := append(pathsOf(45, "/beta/deviceManagement/configurationPolicies"), pathsOf(3, "/v1.0/groups")...)
		if _, err := c.Batch(t.Context(), paths); err != nil {
			t.Fatal(err)
		}
		_, err := c.Write(t.Context(), provider.Change{Method: http.MethodPost, Path: "/beta/deviceManagement/configurationPolicies", Body: json.RawMessage(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []struct {
			app, tenant string
			service     service
			writes      bool
			want        int
		}{
			{"c", "d", intune, false, 46}, // 45 reads and one change
			{"c", "d", intune, true, 1},
			{"c", "d", directory, false, 3},
			{"c", "d", directory, true, 0},
			{"c", "d", conditionalAccess, false, 0},
			{"c", "other", intune, false, 0},
			{"other", "d", intune, false, 0},
		} {
			if got := taken(l.app, l.tenant, l.service, l.writes); got != l.want {
				t.Errorf("%s/%s, %s, changes %v: %d tokens were taken, want %d", l.app, l.tenant, l.service, l.writes, got, l.want)
			}
		}
		if got := taken("c", "d", login, false); got < 1 || got > 4 { // the discovery and the token; a batch is not counted there
			t.Errorf("the sign-in took %d tokens", got)
		}
	})
}

// A batch has 20 parts at most, and four batches of one call are under way at once.
func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &batching{}
		results, err := clientOf(t, b, UnlimitedLanes()).Batch(t.Context(), pathsOf(205, "/beta/deviceManagement/configurationPolicies"))
		if err != nil || len(results) != 205 {
			t.Fatal(len(results), err)
		}
		sum := 0
		for _, n := range b.sizes {
			if sum += n; n > 20 {
				t.Errorf("a batch has %d parts", n)
			}
		}
		if sum != 205 || len(b.sizes) != 11 || b.most != 4 {
			t.Errorf("%d parts in %d batches, %d at once; want 205, 11 and 4", sum, len(b.sizes), b.most)
		}
	})
}

// Reads of conditional access, which has a limit of one call a second, are made one by one.
func TestConditionalAccessIsReadSingly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &batching{}
		results, err := clientOf(t, b, NewLanes()).Batch(t.Context(), pathsOf(3, "/v1.0/identity/conditionalAccess/policies"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Errorf("%s: %v", r.Path, r.Err)
			}
		}
		if !slices.Equal(b.sizes, []int{0, 0, 0}) || b.most != 1 || b.came[2].Sub(b.came[0]) != 2*time.Second {
			t.Errorf("batches of %v parts at %v, %d at once", b.sizes, b.came, b.most)
		}
	})
}

// The parts that were throttled are sent again once, after the longest wait that one of them
// was told. Meanwhile no other call of the service goes out.
func TestBatchWaitsForItsParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := map[string]string{"/p/3": "4", "/p/7": "9.5", "/p/9": ""}
		b := &batching{}
		b.part = func(url string) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			wait, throttled := told[url]
			delete(told, url)
			if !throttled {
				return `"status":200,"body":{}`
			}
			return fmt.Sprintf(`"status":429,"headers":{"Retry-After":%q},"body":{"error":{"code":"TooManyRequests"}}`, wait)
		}
		c := clientOf(t, b, UnlimitedLanes())
		results, err := c.Batch(t.Context(), pathsOf(12, "/v1.0/p"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Errorf("%s: %v", r.Path, r.Err)
			}
		}
		if len(b.sizes) != 2 || b.sizes[0] != 12 || b.sizes[1] != 3 {
			t.Fatalf("batches of %v parts, want 12 and 3", b.sizes)
		}
		if waited := b.came[1].Sub(b.came[0]) - time.Second; waited != 9500*time.Millisecond {
			t.Errorf("sent again after %s, want 9.5 s", waited)
		}
	})
}

// A long wait of one part does not take the results of the others, whatever a later part was
// told.
func TestLongestWaitOfABatchCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &batching{part: func(url string) string {
			switch url {
			case "/p/0":
				return `"status":429,"headers":{"Retry-After":"600"},"body":{}`
			case "/p/1":
				return `"status":429,"headers":{"Retry-After":"1"},"body":{}`
			}
			return `"status":200,"body":{}`
		}}
		results, err := clientOf(t, b, UnlimitedLanes()).Batch(t.Context(), pathsOf(3, "/v1.0/p"))
		if err != nil || results[2].Err != nil {
			t.Fatal(err)
		}
		var pe *provider.Error
		if !errors.As(results[0].Err, &pe) || pe.RetryAfter != 10*time.Minute || len(b.sizes) != 1 {
			t.Errorf("%v after batches of %v", results[0].Err, b.sizes)
		}
	})
}

// A part that was throttled closes the lane for calls that are not of the batch.
func TestThrottledPartClosesItsLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &batching{part: func(string) string { return `"status":429,"headers":{"Retry-After":"600"},"body":{}` }}
		lanes := UnlimitedLanes()
		if _, err := clientOf(t, b, lanes).Batch(t.Context(), pathsOf(2, "/v1.0/groups")); err != nil {
			t.Fatal(err)
		}
		if left := lanes.lane("c", "d", directory, false).closed(); left != 10*time.Minute {
			t.Errorf("the lane is closed for %s", left)
		}
		if left := lanes.lane("c", "d", intune, false).closed(); left > 0 {
			t.Errorf("another service is closed for %s", left)
		}
	})
}
