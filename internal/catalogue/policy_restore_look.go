package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/provider"
	reader "github.com/interlock-dev/interlock/internal/provider/policies"
	"github.com/interlock-dev/interlock/internal/restore"
)

const (
	// appears is how long after a change an object may be absent from what is read. The
	// provider documents no limit; observed: seconds.
	appears = 30 * time.Second
	// fresh is how long a list of a type tells what is there, for steps that create.
	fresh = 5 * time.Second
	// maxPaths is how many differing properties an item names.
	maxPaths = 5
)

// pauses are the waits between reads that confirm a change.
var pauses = []time.Duration{250 * time.Millisecond, 750 * time.Millisecond, 1500 * time.Millisecond}

// collection are the objects of a type, as a list returned them.
type collection struct {
	at      time.Time
	objects []restore.Object
}

// namesakes returns the ids of the objects that have the name of a step's policy, without
// those that the preview knew and those that this run created. now asks for a list that is
// read after the call; otherwise it may be a few seconds old.
func (r *restoring) namesakes(ctx context.Context, s restore.Step, now bool) (ids []string, err error) {
	t := policy.Lookup(s.Type)
	r.mu.Lock()
	list, ok := r.lists[s.Type]
	r.mu.Unlock()
	if !ok || now || time.Since(list.at) > fresh {
		list = collection{at: time.Now()}
		for page, err := range provider.Walk(ctx, r.env.Provider, t.ListPath()) {
			if err != nil {
				return nil, err
			}
			for _, raw := range page.Items {
				var o map[string]any
				if err := json.Unmarshal(raw, &o); err != nil {
					continue // it has no name
				}
				id, _ := o["id"].(string)
				name, _ := o[t.Name].(string)
				list.objects = append(list.objects, restore.Object{ID: id, Name: name})
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists[s.Type] = list
	var ours []string
	for need, id := range r.created {
		if need.Kind == policy.Kind(s.Type) {
			ours = append(ours, id)
		}
	}
	for _, o := range list.objects {
		if restore.Named(o.Name, s.Name) && !slices.Contains(s.Beside, o.ID) && !slices.Contains(ours, o.ID) {
			ids = append(ids, o.ID)
		}
	}
	return ids, nil
}

// look finds out whether a call was made. A new object is looked for by its name: the
// preview found no other one of that name but those in Beside, and the object must have
// what was sent. id is the object of any other call. Where a second call would add
// something, absence counts only once the object would have appeared.
func (r *restoring) look(ctx context.Context, s restore.Step, call policy.Call, id string, intended time.Time) (Sight, error) {
	t := policy.Lookup(s.Type)
	creates := t.Creates(call)
	absent := func() (Sight, error) {
		if left := appears - r.env.Now().Sub(intended); left > 0 && !t.Repeatable(call) {
			return Sight{}, &provider.Error{
				Reason: op.ProviderUnreachable, Temporary: true, RetryAfter: left, At: r.env.Now(), Note: "it gave no answer to a change, which may still appear",
			}
		}
		return Sight{}, nil
	}
	if creates {
		others, err := r.namesakes(ctx, s, true)
		switch {
		case err != nil:
			return Sight{}, err
		case len(others) == 0:
			return absent()
		case len(others) > 1:
			return Sight{Unclear: true}, nil
		}
		id = others[0]
	}
	read, err := reader.One(ctx, r.env.Provider, t, id)
	switch {
	case errors.Is(err, reader.ErrNotFound) && call.Body == nil:
		return absent()
	case errors.Is(err, reader.ErrNotFound):
		return Sight{Unclear: true}, nil
	case err != nil:
		return Sight{}, err
	}
	lacks, err := read.Policy.Lacks(call)
	switch {
	case err != nil:
		return Sight{}, err
	case len(lacks) == 0 && len(read.Missing) == 0:
		if creates {
			return Sight{There: true, Kept: kept(id)}, nil
		}
		return Sight{There: true}, nil
	case creates, len(read.Missing) > 0:
		return Sight{Unclear: true}, nil
	case call.Path == t.ItemPath(id) && s.Observed != "" && !s.Holds(read.Policy.Hash()):
		return Sight{Unclear: true}, nil // somebody else changed it, too
	}
	return absent()
}

// confirm reads the policy back once all calls of a step were made. It returns the paths
// at which it differs from what was sent; none if it is as it was sent. It waits some
// seconds for changes to appear.
func (r *restoring) confirm(ctx context.Context, s restore.Step, id string) (paths []string, err error) {
	for n := 0; ; n++ {
		paths, err = r.differences(ctx, s, id)
		if err != nil && endsRun(err) {
			return nil, err
		}
		if err != nil {
			paths = []string{"all properties, because it can't be read"}
		}
		if len(paths) == 0 || n == len(pauses) {
			return paths, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pauses[n]):
		}
	}
}

func (r *restoring) differences(ctx context.Context, s restore.Step, id string) (paths []string, err error) {
	read, err := reader.One(ctx, r.env.Provider, policy.Lookup(s.Type), id)
	if errors.Is(err, reader.ErrNotFound) {
		return []string{"all properties, because it is not there yet"}, nil
	} else if err != nil {
		return nil, err
	}
	for i := range s.Calls {
		call, err := s.Ready(i, id, r.ids(s.Needs))
		if err != nil {
			return nil, err
		}
		lacks, err := read.Policy.Lacks(call)
		if err != nil {
			return nil, err
		}
		paths = append(paths, lacks...)
	}
	for _, m := range read.Missing {
		paths = append(paths, m.Part)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// differ makes the item say that the provider returns something else than was sent.
func differ(item *op.Item, paths []string) {
	item.Reason, item.Counts = op.NotAsSent, op.Counts{Failed: int64(len(paths))}
	if len(paths) > maxPaths {
		paths = append(slices.Clone(paths[:maxPaths]), "and more")
	}
	item.Args = op.Args{"paths": strings.Join(paths, listed)}
}

// remark adds a fact about the result of a call to what the journal keeps of it.
func remark(kept json.RawMessage, what string) json.RawMessage {
	data, _ := json.Marshal(map[string]any{"id": keptID(kept), what: true}) // strings can't fail
	return data
}

func remarked(kept json.RawMessage, what string) bool {
	var k map[string]any
	_ = json.Unmarshal(kept, &k) // what can't be read has no remarks
	is, _ := k[what].(bool)
	return is
}

// waits and differs read the remarks on a call that an earlier dispatch settled.
func waits(kept json.RawMessage) bool   { return remarked(kept, "waits") }
func differs(kept json.RawMessage) bool { return remarked(kept, "differs") }
