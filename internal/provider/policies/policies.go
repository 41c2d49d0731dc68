// Package policies reads policies completely: the object, the parts that are read
// separately, and the assignments.
package policies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
)

// ErrNotFound is returned for a policy that does not exist.
var ErrNotFound = errors.New("the policy does not exist")

var errNoID = &provider.Error{Reason: op.ProviderFault, Note: "an object has no usable id"}

// Read is one policy as it was read.
type Read struct {
	Policy  policy.Document
	Item    policy.Item // the bytes that Policy was made of
	Missing []Missing   // parts that could not be read; without them the policy is incomplete
}

// Missing is a part that could not be read. Assignments are the part "assignments".
type Missing struct {
	Part   string
	Reason op.Reason
	Why    string // the provider's words, redacted; may be empty
	Err    error
}

// Policies are read in rounds of together, which fill about two batches with their parts
// and assignments. Several rounds are under way at the same time.
const (
	together = 10
	rounds   = 4
)

// Type reads all policies of a type and passes each to each, in the order of the list. A
// policy that can't be read as one is passed with the part "object" missing, and with the
// id that it has. An error of the list, or of each, ends the reading.
func Type(ctx context.Context, c provider.Client, t *policy.Type, each func(Read) error) error {
	return reading{c, t, false}.list(ctx, each)
}

// Named is [Type] with the display names of settings and choices, as far as the provider
// gives them: [policy.Item.Names]. The answers are several times as long.
func Named(ctx context.Context, c provider.Client, t *policy.Type, each func(Read) error) error {
	return reading{c, t, true}.list(ctx, each)
}

// reading reads policies of a type.
type reading struct {
	c     provider.Client
	t     *policy.Type
	named bool
}

func (r reading) list(ctx context.Context, each func(Read) error) error {
	c, t := r.c, r.t
	for page, err := range provider.Walk(ctx, c, t.ListPath()) {
		if err != nil {
			return err
		}
		var objects []listed
		for _, raw := range page.Items {
			var object struct{ ID string }
			if err := json.Unmarshal(raw, &object); err != nil || !policy.ValidID(object.ID) {
				r := Read{Item: policy.Item{Type: t.Key, Body: raw}, Missing: []Missing{{Part: Object, Reason: op.ObjectWithoutID, Why: "it has no usable id", Err: errNoID}}}
				if err := each(r); err != nil {
					return err
				}
				continue
			}
			o := listed{id: object.ID}
			if t.Whole {
				o.body = raw
			}
			objects = append(objects, o)
		}
		for some := range slices.Chunk(objects, rounds*together) {
			if err := r.several(ctx, some, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// listed is a policy to read.
type listed struct {
	id   string
	body json.RawMessage // if the list has the whole object
}

// several reads some policies in rounds that overlap.
func (r reading) several(ctx context.Context, objects []listed, each func(Read) error) error {
	chunks := slices.Collect(slices.Chunk(objects, together))
	read := make([][]outcome, len(chunks))
	g, ctx := errgroup.WithContext(ctx)
	for i, chunk := range chunks {
		g.Go(func() (err error) {
			read[i], err = r.complete(ctx, chunk)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, r := range slices.Concat(read...) {
		var bad *policy.ItemError
		switch {
		case errors.Is(r.err, ErrNotFound): // deleted since it was listed
			continue
		case errors.As(r.err, &bad):
			r.Missing = append(r.Missing, malformed(bad.Err))
		case r.err != nil:
			r.Missing = append(r.Missing, missing(Object, r.err))
		}
		if err := each(r.Read); err != nil {
			return err
		}
	}
	return nil
}

// Object is the part of [Missing] that stands for the object itself.
const Object = "object"

func malformed(err error) Missing {
	return Missing{Part: Object, Reason: op.ObjectIncomplete, Why: err.Error(), Err: err}
}

// One reads one policy as [Type] reads it. It returns [ErrNotFound] if there is none, and
// an [*provider.Error] if the object could not be read.
func One(ctx context.Context, c provider.Client, t *policy.Type, id string) (Read, error) {
	reads, err := reading{c, t, false}.complete(ctx, []listed{{id: id}})
	if err != nil {
		return Read{}, err
	}
	return reads[0].Read, reads[0].err
}

type outcome struct {
	Read
	err error
}

// ask is one read of a round: of an object, or of a part of it.
type ask struct {
	policy int
	part   *policy.Part // nil with assigns unset: the object
	assign bool
	path   string
}

// complete reads some policies of a type. What ends the run is an error; what concerns one
// policy is in its outcome.
func (r reading) complete(ctx context.Context, objects []listed) ([]outcome, error) {
	c, t := r.c, r.t
	var asks []ask
	for i, o := range objects {
		id := o.id
		if o.body == nil {
			asks = append(asks, ask{policy: i, path: t.ItemPath(id)})
		}
		for k := range t.Parts {
			if p := &t.Parts[k]; p.Read != policy.WithObject {
				asks = append(asks, ask{policy: i, part: p, path: r.partPath(id, *p)})
			}
		}
		if path := t.AssignmentsPath(id); path != "" {
			asks = append(asks, ask{policy: i, assign: true, path: path})
		}
	}
	paths := make([]string, len(asks))
	for i, a := range asks {
		paths[i] = a.path
	}
	var results []provider.Result
	if len(paths) > 0 {
		var err error
		if results, err = c.Batch(ctx, paths); err != nil {
			return nil, err
		}
	}
	all := make([]outcome, len(objects))
	for i, o := range objects {
		all[i].Item = policy.Item{Type: t.Key, ID: o.id, Body: o.body, Parts: map[string]json.RawMessage{}}
	}
	for i, a := range asks {
		o := &all[a.policy]
		if o.err != nil {
			continue
		}
		body, err := results[i].Body, results[i].Err
		switch {
		case a.part == nil && !a.assign:
			o.Item.Body, o.err = body, gone(err)
			continue
		case err != nil:
		case a.assign && t.Assign.Expand:
			body, err = property(body, a.path, "assignments")
		case a.part != nil && a.part.Read == policy.ByExpand:
			body, err = property(body, a.path, a.part.Key)
		default:
			body, err = list(ctx, c, results[i])
			if err == nil && a.part != nil && a.part.Each != nil {
				body, err = elements(ctx, c, t, objects[a.policy].id, a.part, body)
			}
			if err == nil && a.part != nil && r.names(*a.part) {
				body, o.Item.Names = named(body)
			}
		}
		if err != nil {
			if ends(err) {
				return nil, err
			}
			name := "assignments"
			if a.part != nil {
				name = a.part.Key
			}
			o.Missing = append(o.Missing, missing(name, err))
			continue
		}
		if a.assign {
			o.Item.Assignments = body
		} else {
			o.Item.Parts[a.part.Key] = body
		}
	}
	for i := range all {
		if all[i].err != nil && ends(all[i].err) {
			return nil, all[i].err
		}
		if all[i].err == nil {
			all[i].Policy, all[i].err = policy.Normalise(all[i].Item)
		}
		if all[i].err == nil {
			all[i].count()
		}
	}
	return all, nil
}

// count marks settings as missing if they are fewer or more than the policy says.
func (r *Read) count() {
	why := r.Policy.Miscounted()
	if why == "" || slices.ContainsFunc(r.Missing, func(m Missing) bool { return m.Part == "settings" }) {
		return
	}
	err := &provider.Error{Reason: op.ProviderFault, Note: "settings: " + why}
	r.Missing = append(r.Missing, Missing{Part: "settings", Reason: op.ObjectIncomplete, Why: why, Err: err})
}

// names reports whether a part is read with the names of what is in it.
func (r reading) names(p policy.Part) bool { return r.named && r.t.Settings && p.Key == "settings" }

// partPath is where a part is read. docs: $expand adds the definitions of a setting.
func (r reading) partPath(id string, p policy.Part) string {
	path := r.t.PartPath(id, p)
	if r.names(p) {
		path += "?$expand=" + policy.Definitions
	}
	return path
}

// named takes the names out of a list of settings. A list that is not valid stays as it
// is: who uses it says so.
func named(settings json.RawMessage) (json.RawMessage, map[string]string) {
	list, names, err := policy.TakeNames(settings)
	if err != nil {
		return settings, nil
	}
	return list, names
}

// gone turns a 404 into [ErrNotFound].
func gone(err error) error {
	var pe *provider.Error
	if errors.As(err, &pe) && pe.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// ends reports whether an error concerns more than one read: the run is over, the
// connection is refused, or the provider asks to wait or does not answer.
func ends(err error) bool {
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return !errors.Is(err, ErrNotFound)
	}
	switch pe.Reason { //nolint:exhaustive // the others concern the connection, or the provider as a whole
	case op.PermissionMissing, op.AccessRefused, op.NotLicensed, op.ProviderRejected, op.ItemRefused, op.ProviderFault:
		return false
	}
	return true
}

func missing(part string, err error) Missing {
	m := Missing{Part: part, Reason: provider.Classify(err), Err: err}
	var pe *provider.Error
	if errors.As(err, &pe) {
		m.Why = pe.Message
	}
	return m
}

// property returns one property of an answer; an error if the answer has none, because an
// answer without an expanded property says nothing about it.
func property(body json.RawMessage, path, name string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || object[name] == nil {
		return nil, &provider.Error{
			Reason: op.ProviderFault, Call: provider.CallName(http.MethodGet, path), Status: http.StatusOK, Note: "the answer has no " + name,
		}
	}
	return object[name], nil
}

// list returns all elements of a list whose first page was read in a batch.
func list(ctx context.Context, c provider.Client, first provider.Result) (json.RawMessage, error) {
	page, err := first.Page()
	if err != nil {
		return nil, err
	}
	items := page.Items
	if page.Next != "" {
		for page, err := range provider.Walk(ctx, c, page.Next) {
			if err != nil {
				return nil, err
			}
			items = append(items, page.Items...)
		}
	}
	return join(items), nil
}

// join makes a JSON list of elements, each byte for byte.
func join(items []json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(item)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// elements adds to each element of a part what is read for each of them.
func elements(ctx context.Context, c provider.Client, t *policy.Type, id string, p *policy.Part, body json.RawMessage) (json.RawMessage, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", p.Key, id, err)
	}
	paths := make([]string, len(items))
	for i, item := range items {
		var e struct{ ID string }
		if err := json.Unmarshal(item, &e); err != nil || e.ID == "" {
			return nil, &provider.Error{Reason: op.ProviderFault, Note: fmt.Sprintf("element %d of %s has no usable id", i+1, p.Key)}
		}
		paths[i] = t.EachPath(id, *p, e.ID)
	}
	if len(paths) == 0 {
		return body, nil
	}
	results, err := c.Batch(ctx, paths)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		below, err := list(ctx, c, r)
		if err != nil {
			return nil, err
		}
		items[i], err = with(items[i], p.Each.Key, below)
		if err != nil {
			return nil, err
		}
	}
	return join(items), nil
}

// with returns an object with one property more, in place of one of that name.
func with(object json.RawMessage, name string, value json.RawMessage) (json.RawMessage, error) {
	var o map[string]json.RawMessage
	if err := json.Unmarshal(object, &o); err != nil {
		return nil, fmt.Errorf("element: %w", err)
	}
	o[name] = value
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("element: %w", err)
	}
	return data, nil
}
