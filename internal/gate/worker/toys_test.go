package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/provider"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// toysMake is an operation of these tests that changes things at the provider: it
// creates each toy of its parameters and paints it, by the journal.
const toysMake op.Kind = "toys.make"

type toysInput struct {
	Toys []string `json:"toys" doc:"Names of the toys to make."`
}

var _ = catalogue.Register(&catalogue.Definition{
	Kind: toysMake, Version: 1, Place: 90, Icon: "box",
	Words:      op.KindWords{Name: "Toy making", Does: "Makes toys.", Start: "Make toys", Item: "toy", Items: "toys"},
	Capability: "toys.make", Allows: "Make toys", Roles: []tenancy.Role{tenancy.Owner, tenancy.Operator},
	Permissions: []catalogue.Permission{{AnyOf: []string{"Toy.ReadWrite.All"}, For: "make toys"}},
	Blockers:    catalogue.AllBlockers(),
	Canonical: func(raw json.RawMessage) (json.RawMessage, error) {
		var in toysInput
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &in); err != nil {
				return nil, &op.FieldError{Field: "parameters", Detail: "is not valid JSON"}
			}
		}
		return json.Marshal(in)
	},
	Parameters: toysInput{},
	QueueLimit: 2 * time.Hour, RunLimit: 4 * time.Hour, CallLimit: 20 * time.Second, MaxDispatch: 3, Recovery: catalogue.Resume,
	SignsIn: true, Learns: true,
	Run: makeToys,
})

const toys = "/beta/toys"

func makeToys(ctx context.Context, env *catalogue.Env) error {
	var in toysInput
	if err := json.Unmarshal(env.Parameters, &in); err != nil {
		return err
	}
	stops := stops.hooks()
	env.Journal, env.Writer = stopping{env.Journal, env.Writer, stops}, stopping{env.Journal, env.Writer, stops}
	steps, err := env.Journal.Steps(ctx)
	if err != nil {
		return err
	}
	earlier := map[string]catalogue.Recorded{}
	for _, s := range steps {
		earlier[s.Key] = s
	}
	for _, name := range in.Toys {
		if err := makeToy(ctx, env, name, earlier); err != nil {
			return err
		}
	}
	return nil
}

// makeToy makes one toy in two steps.
func makeToy(ctx context.Context, env *catalogue.Env, name string, earlier map[string]catalogue.Recorded) error {
	item := op.Item{Key: name, Name: name, Result: op.ItemDone}
	settle := func(key string, made catalogue.Made, kept string, more bool) error {
		it := item
		switch made.State {
		case catalogue.StepFailed, catalogue.StepUnknown:
			it.Result, it.Reason = op.ItemFailed, op.ItemRefused
			if made.State == catalogue.StepUnknown {
				it.Result, it.Reason, it.Args = op.ItemUnknown, op.WriteInDoubt, op.Args{"look": "Toys, " + name}
			}
			more = false
		case catalogue.StepDone:
			if more { // it is not painted yet
				it.Result = op.ItemFailed
			}
		case catalogue.StepOpen, catalogue.StepNotMade:
		}
		if made.Settled {
			return nil
		}
		return env.Journal.Settle(ctx, key, catalogue.Settled{State: made.State, Kept: json.RawMessage(kept), Item: it, More: more})
	}
	step := catalogue.Step{
		Key: name + "/create", Item: name, Name: name, Look: "Toys, " + name,
		Change: provider.Change{Method: http.MethodPost, Path: toys, Body: json.RawMessage(fmt.Sprintf(`{"name":%q}`, name))},
	}
	made, err := env.Make(ctx, step, earlier[step.Key], func(ctx context.Context, _ time.Time) (catalogue.Sight, error) {
		page, err := env.Provider.Page(ctx, toys)
		if err != nil {
			return catalogue.Sight{}, err
		}
		var seen catalogue.Sight
		for _, raw := range page.Items {
			var toy struct{ ID, Name string }
			if err := json.Unmarshal(raw, &toy); err != nil {
				return seen, err
			}
			if toy.Name == name {
				seen = catalogue.Sight{There: !seen.There && !seen.Unclear, Unclear: seen.There || seen.Unclear, Kept: json.RawMessage(fmt.Sprintf(`%q`, toy.ID))}
			}
		}
		return seen, nil
	})
	if err != nil {
		return err
	}
	if made.State == catalogue.StepDone && made.Kept == nil {
		var toy struct{ ID string }
		if err := json.Unmarshal(made.Answer.Body, &toy); err != nil {
			return err
		}
		made.Kept = json.RawMessage(fmt.Sprintf(`%q`, toy.ID))
	}
	if err := settle(step.Key, made, string(made.Kept), true); err != nil || made.State != catalogue.StepDone {
		return err
	}
	var id string
	if err := json.Unmarshal(made.Kept, &id); err != nil {
		return err
	}
	step = catalogue.Step{
		Key: name + "/paint", Item: name, Name: name, Look: "Toys, " + name,
		Change: provider.Change{
			Method: http.MethodPut, Path: toys + "/" + id, Body: json.RawMessage(fmt.Sprintf(`{"name":%q,"colour":"red"}`, name)), Repeat: provider.RepeatSafe,
		},
	}
	made, err = env.Make(ctx, step, earlier[step.Key], func(ctx context.Context, _ time.Time) (catalogue.Sight, error) {
		raw, err := env.Provider.Get(ctx, toys+"/"+id)
		return catalogue.Sight{There: strings.Contains(string(raw), `"colour":"red"`)}, err
	})
	if err != nil {
		return err
	}
	return settle(step.Key, made, "", false)
}

// stops are where a test stops a dispatch that makes toys. Each point stops the first
// dispatch that comes to it.
var stops stopPoints

type stopPoints struct {
	mu sync.Mutex
	at map[string]func() // by point, such as "after call a/create"
}

// set says what happens at a point, once; nil forgets all points.
func (s *stopPoints) set(point string, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if do == nil {
		s.at = nil
		return
	}
	if s.at == nil {
		s.at = map[string]func(){}
	}
	s.at[point] = do
}

func (s *stopPoints) hooks() func(point string) {
	return func(point string) {
		s.mu.Lock()
		do := s.at[point]
		delete(s.at, point)
		s.mu.Unlock()
		if do != nil {
			do()
		}
	}
}

// points are all of them for toys with these names.
func points(names ...string) (all []string) {
	for _, name := range names {
		for _, step := range []string{"create", "paint"} {
			for _, point := range []string{"before intent", "after intent", "after call", "before settle", "after settle"} {
				all = append(all, point+" "+name+"/"+step)
			}
		}
	}
	return all
}

// stopping is a journal and a writer that come to the points.
type stopping struct {
	catalogue.Journal
	writer catalogue.Writer
	stop   func(string)
}

func (s stopping) Intend(ctx context.Context, step catalogue.Step) error {
	s.stop("before intent " + step.Key)
	err := s.Journal.Intend(ctx, step)
	s.stop("after intent " + step.Key)
	return err
}

func (s stopping) Write(ctx context.Context, key string) (provider.Answer, error) {
	a, err := s.writer.Write(ctx, key)
	s.stop("after call " + key)
	return a, err
}

func (s stopping) Settle(ctx context.Context, key string, as catalogue.Settled) error {
	s.stop("before settle " + key)
	err := s.Journal.Settle(ctx, key, as)
	s.stop("after settle " + key)
	return err
}

// names of the toys that there are, in order.
func (w *workshop) names() (names []string) {
	for _, o := range w.fake.Objects(toys) {
		var toy struct{ Name, Colour string }
		if err := json.Unmarshal(o.Body, &toy); err != nil {
			w.t.Fatal(err)
		}
		names = append(names, strings.TrimSpace(toy.Colour+" "+toy.Name))
	}
	slices.Sort(names)
	return names
}
