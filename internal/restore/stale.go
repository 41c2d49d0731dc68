package restore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/policy"
)

// MaxAge is how old a plan may be when it is executed.
const MaxAge = 30 * time.Minute

// Facts are what is stored about the target of a plan when it is about to be executed.
type Facts struct {
	Now        time.Time
	Connection string
	Version    int64
	Directory  string
	Written    time.Time // when the last run that writes ended on this tenant; zero: never
}

// Staleness is why a plan may not be executed any more.
type Staleness string

// The ways to be stale.
const (
	Expired           Staleness = "expired"
	ConnectionChanged Staleness = "connection_changed"
	DirectoryChanged  Staleness = "directory_changed"
	TenantWritten     Staleness = "tenant_written"
)

// Stale judges a plan by stored facts: at the start, and again before the first call.
// It returns all reasons; none while the plan holds.
func Stale(p Plan, f Facts) (all []Staleness) {
	if age := f.Now.Sub(p.At); age > MaxAge || age < -MaxAge {
		all = append(all, Expired)
	}
	if f.Connection != p.Target.Connection || f.Version != p.Target.Version {
		all = append(all, ConnectionChanged)
	}
	if f.Directory != p.Target.Directory {
		all = append(all, DirectoryChanged)
	}
	if !f.Written.IsZero() && !f.Written.Before(p.At) {
		all = append(all, TenantWritten)
	}
	return all
}

// Holds judges one step right before its first call, by the target as it is now: now
// is its hash, empty when there is none. A step that does not hold is not executed; it
// is a conflict, and the others go on.
func (s Step) Holds(now string) bool { return s.Action.Writes() && now == s.Observed }

// Canonical is the plan as JSON with the names in the order of their bytes. Bodies of
// calls stand in it by their hashes.
func (p Plan) Canonical() []byte {
	data, err := json.Marshal(p)
	if err == nil {
		data, err = canonical(data)
	}
	if err != nil {
		panic(fmt.Sprintf("restore: a plan that can't be encoded: %v", err)) // it is made of texts and numbers
	}
	return data
}

// canonical has no limit of size: a plan is longer than any of its policies.
func canonical(data []byte) ([]byte, error) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// Hash is the SHA-256 of the canonical form, in hexadecimal. It stands for the plan:
// who executes one names it.
func (p Plan) Hash() string { return hash(p.Canonical()) }

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// placeholder stands in a body for the id of an object that an earlier step creates.
func (n Need) placeholder() string { return "interlock:created/" + string(n.Kind) + "/" + n.Source }

// Ready returns the i-th call of the step as it is sent: id is what the step's create
// returned, created the ids that earlier steps got. It refuses a call that lacks one.
func (s Step) Ready(i int, id string, created map[Need]string) (policy.Call, error) {
	c := s.Calls[i]
	if strings.Contains(c.Path, policy.NewID) {
		if id == "" {
			return policy.Call{}, fmt.Errorf("step %d, call %d: the object has no id yet", s.N, i+1)
		}
		c.Path = strings.ReplaceAll(c.Path, policy.NewID, url.PathEscape(id))
	}
	if c.Body == nil {
		return policy.Call{Method: c.Method, Path: c.Path, Body: c.Body}, nil
	}
	ids := make(map[string]string)
	for _, need := range s.Needs {
		if created[need] == "" {
			return policy.Call{}, fmt.Errorf("step %d: %s %s was not created", s.N, need.Kind, need.Source)
		}
		ids[need.placeholder()] = created[need]
	}
	body, err := policy.Substitute(c.Body, ids)
	if err != nil {
		return policy.Call{}, fmt.Errorf("step %d, call %d: %w", s.N, i+1, err)
	}
	return policy.Call{Method: c.Method, Path: c.Path, Body: body}, nil
}
