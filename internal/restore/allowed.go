package restore

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/policy"
)

// Allowed returns an error if the plan contains a call that no plan may contain: one that
// deletes, that leads to another object than the step's, whose body is not the one that was
// shown, that sends a masked secret, or that enables conditional access. [Build] makes no
// such plan. Whoever executes a plan asks again, because a plan is stored in between.
func (p Plan) Allowed() error {
	for i, s := range p.Steps {
		if s.N != i+1 {
			return fmt.Errorf("step %d of the plan is at place %d", s.N, i+1)
		}
		if err := s.allowed(); err != nil {
			return fmt.Errorf("step %d of the plan: %w", s.N, err)
		}
	}
	return nil
}

func (s Step) allowed() error {
	t := policy.Lookup(s.Type)
	switch {
	case t == nil:
		return fmt.Errorf("there is no policy type %.100q", s.Type)
	case s.Action.Writes() != (len(s.Calls) > 0):
		return fmt.Errorf("the action is %s and there are %d calls", s.Action, len(s.Calls))
	case s.Action == Update && (s.Target == "" || s.Observed == ""):
		return fmt.Errorf("it updates an object that was not observed")
	}
	for i, c := range s.Calls {
		if err := s.permitted(t, i, c); err != nil {
			return fmt.Errorf("%s %s: %w", c.Method, c.Path, err)
		}
	}
	return nil
}

// permitted checks one call of the step.
func (s Step) permitted(t *policy.Type, i int, c Call) error {
	if !slices.Contains([]string{"POST", "PUT", "PATCH"}, c.Method) {
		return fmt.Errorf("the method is not allowed")
	}
	if s.undeletes() && i == 0 {
		if c.Method != "POST" || c.Path != t.UndeletePath(s.Target) || c.Body != nil {
			return fmt.Errorf("it does not bring %q back", s.Target)
		}
		return nil
	}
	object := t.ListPath() + "/" + policy.NewID
	if s.Target != "" {
		object = t.ItemPath(s.Target)
	}
	switch creates := s.Target == "" && i == 0; {
	case creates && !t.Creates(policy.Call{Method: c.Method, Path: c.Path}):
		return fmt.Errorf("it does not create a policy of the type")
	case !creates && (!t.Owns(c.Path) || c.Path != object && !strings.HasPrefix(c.Path, object+"/")):
		return fmt.Errorf("it leads to another object")
	case hash(c.Body) != c.Hash:
		return fmt.Errorf("the body is not the one that was shown")
	}
	hidden, err := t.Hidden(c.Body)
	if err != nil {
		return err
	}
	if len(hidden) > 0 {
		return fmt.Errorf("it would write the mask of a secret at %s", strings.Join(hidden, ", "))
	}
	if s.Type == "conditionalAccessPolicies" {
		var body struct{ State string }
		if err := json.Unmarshal(c.Body, &body); err != nil || body.State != "disabled" {
			return fmt.Errorf("it does not write the policy disabled")
		}
	}
	return nil
}

// undeletes reports whether the first call brings a deleted object back.
func (s Step) undeletes() bool { return s.Action == Create && s.Target != "" }
