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

// MaxAge is the age at which a plan expires.
const MaxAge = 30 * time.Minute

// Facts are the stored facts that decide whether a plan is stale.
type Facts struct {
	Now        time.Time
	Connection string
	Version    int64
	Directory  string
	Written    time.Time // when the last writing run on the tenant ended; zero for never
	Remapped   bool      // a mapping that the plan uses was changed or removed
}

// Staleness is a reason why a plan can no longer be executed.
type Staleness string

// The reasons.
const (
	Expired           Staleness = "expired"
	ConnectionChanged Staleness = "connection_changed"
	DirectoryChanged  Staleness = "directory_changed"
	MappingChanged    Staleness = "mapping_changed"
	TenantWritten     Staleness = "tenant_written"
)

// Stale returns all reasons why a plan is stale; none if it can be executed. It is asked
// at the start of a run and again before the first call.
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
	if f.Remapped {
		all = append(all, MappingChanged)
	}
	if !f.Written.IsZero() && !f.Written.Before(p.At) {
		all = append(all, TenantWritten)
	}
	return all
}

// Holds reports whether the target of the step is unchanged since it was observed. now is
// the current hash of the target, or "" if it does not exist. It is asked right before
// the first call of the step. A step that does not hold is not executed; others continue.
func (s Step) Holds(now string) bool { return s.Action.Writes() && now == s.Observed }

// Canonical is the plan as JSON, with names in byte order and with the hashes of bodies in
// place of the bodies.
func (p Plan) Canonical() []byte {
	data, err := json.Marshal(p)
	if err == nil {
		data, err = canonical(data)
	}
	if err != nil {
		panic(fmt.Sprintf("restore: a plan that can't be encoded: %v", err)) // it has strings and numbers only
	}
	return data
}

// canonical sorts names. It has no size limit, because a plan is larger than a policy.
func canonical(data []byte) ([]byte, error) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// Hash is the SHA-256 of the canonical form, in hex. An execution names the plan by it.
func (p Plan) Hash() string { return hash(p.Canonical()) }

// HashOf is the hash of a call's body, in hex.
func HashOf(body []byte) string { return hash(body) }

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// placeholder stands in bodies for the id of the object.
func (n Need) placeholder() string { return "interlock:created/" + string(n.Kind) + "/" + n.Source }

// Ready returns call i of the step in the form that is sent. id is the id that the
// step's create returned; created are the ids from earlier steps. It returns an error if
// one of them is missing.
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
