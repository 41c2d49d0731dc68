package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// The kinds of event of a run's stream.
const (
	eventState    = "state"    // the whole run: first of all, and after each change
	eventItem     = "item"     // one line of its results
	eventTimeline = "timeline" // one line of its timeline
	eventEnd      = "end"      // the whole ended run: the last event
)

type followRequest struct {
	RunID
	LastEventID string `header:"Last-Event-ID" doc:"Id of the last received event: the stream continues after it."`
}

// stream is an answer that its handler writes itself.
type stream struct{ Body func(huma.Context) }

// follow streams a run: its state first, then every change, until the run ends or the
// reader loses the right to read it.
func (s *server) follow(ctx context.Context, in *followRequest) (*stream, error) {
	v := at(ctx)
	f := &follower{server: s, visit: v, since: time.UnixMicro(0), items: make(map[string]op.Item)}
	f.resume(in.LastEventID)
	return &stream{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		done, err := s.streams.Open(v.actor.ID())
		if err != nil {
			httpx.WriteError(w, r, err)
			return
		}
		defer done()
		out, err := httpx.OpenStream(w)
		if err != nil || r.Method == http.MethodHead {
			return // the reader is gone, or asked for the headers only
		}
		f.out = out
		if err := f.tell(hc.Context()); err != nil && hc.Context().Err() == nil {
			_ = httpx.Refuse(hc.Context(), err) // only for the log: the answer has begun
		}
	}}, nil
}

// follower is one reader of one run.
type follower struct {
	*server
	visit *visit
	out   *httpx.Stream

	line  int64              // last line of the timeline that was sent
	since time.Time          // items up to this time were sent
	items map[string]op.Item // as last sent to this reader
	state op.Run             // as last sent
}

// resume continues after an event that was sent earlier. An unknown id starts from the
// beginning.
func (f *follower) resume(id string) {
	line, since, ok := strings.Cut(id, ".")
	n, err := strconv.ParseInt(line, 10, 64)
	micros, err2 := strconv.ParseInt(since, 10, 64)
	if ok && err == nil && err2 == nil && n >= 0 {
		f.line, f.since = n, time.UnixMicro(micros)
	}
}

// id encodes the reader's position.
func (f *follower) id() string { return fmt.Sprintf("%d.%d", f.line, f.since.UnixMicro()) }

func (f *follower) tell(ctx context.Context) error {
	holder := f.holders.Hold(f.visit.actor)
	defer holder.Release()
	begun, err := holder.Standing(ctx)
	if err != nil {
		return err
	}
	changed, stop := f.feed.Watch(op.Change{Workspace: f.visit.actor.WorkspaceID(), Run: f.visit.run.ID})
	defer stop()
	beat, poll := time.NewTicker(f.beat), time.NewTicker(f.poll)
	defer beat.Stop()
	defer poll.Stop()
	for {
		if begun, err = f.mayStill(ctx, holder, begun); err != nil {
			return nil // the reader reconnects, and then gets the reason
		}
		ended, err := f.look(ctx)
		if err != nil || ended {
			return err
		}
		select { // fast changes are sent a few times a second
		case <-ctx.Done():
			return nil
		case <-time.After(f.settle):
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				waiting = false
			case <-poll.C:
				waiting = false
			case <-beat.C:
				if err := f.out.Beat(); err != nil {
					return nil // the reader is gone
				}
			case <-holder.Changed():
				if begun, err = f.mayStill(ctx, holder, begun); err != nil {
					return nil
				}
			}
		}
	}
}

// mayStill compares the reader's rights with the earlier ones, and authorizes the
// reader again if they changed. If the database can't answer, the stream ends as well:
// the reader reconnects.
func (f *follower) mayStill(ctx context.Context, holder *httpx.Holder, before access.Standing) (access.Standing, error) {
	now, err := holder.Standing(ctx)
	if err != nil || now.Rights == before.Rights {
		return now, err
	}
	a, err := f.door.Recognized(ctx, f.visit.secret)
	if err != nil {
		return now, err
	}
	if f.visit.scope, err = f.door.Workspace(ctx, a, tenancy.View); err != nil {
		return now, err
	}
	f.visit.actor = a
	_, err = f.store.Run(ctx, f.visit.scope, f.visit.run.ID)
	return now, err
}

// look sends what is new, and reports whether the run has ended.
func (f *follower) look(ctx context.Context) (ended bool, err error) {
	// Read the run first: everything that it wrote before its end is stored by then.
	r, err := f.store.Run(ctx, f.visit.scope, f.visit.run.ID)
	if err != nil {
		return false, err
	}
	if f.state.ID == "" { // the state comes first, whatever the reader has already received
		if err := f.sendState(eventState, r); err != nil {
			return false, err
		}
	}
	if err := f.sendTimeline(ctx); err != nil {
		return false, err
	}
	if err := f.sendItems(ctx); err != nil {
		return false, err
	}
	if r.State == op.Finished {
		return true, f.sendState(eventEnd, r)
	}
	if !sameState(f.state, r) {
		return false, f.sendState(eventState, r)
	}
	return false, nil
}

func (f *follower) sendState(event string, r op.Run) error {
	f.state = r
	return f.out.Event(f.id(), event, f.visit.described(r))
}

// sameState reports whether a reader would see no difference between two states. A
// heartbeat alone makes none.
func sameState(a, b op.Run) bool {
	return a.State == b.State && a.Counts == b.Counts && a.Stalled == b.Stalled && a.Dispatch == b.Dispatch &&
		(a.WaitingUntil == nil) == (b.WaitingUntil == nil) && a.WaitingFor == b.WaitingFor
}

func (f *follower) sendTimeline(ctx context.Context) error {
	for {
		lines, err := f.store.Events(ctx, f.visit.scope, f.visit.run.ID, f.line, streamPage)
		if err != nil {
			return err
		}
		for _, l := range lines {
			f.line = l.Seq
			if err := f.out.Event(f.id(), eventTimeline, l); err != nil {
				return err
			}
		}
		if len(lines) < streamPage {
			return nil
		}
	}
}

// streamPage is how many lines are read at a time.
const streamPage = 200

// sendItems sends the items that are new or were written again, in the order of
// writing, so that each event's id is the reader's position.
func (f *follower) sendItems(ctx context.Context) error {
	var fresh []op.Item
	for cursor := ""; ; {
		items, next, err := f.store.Items(ctx, f.visit.scope, f.visit.run.ID, cursor, streamPage)
		if err != nil {
			return err
		}
		for _, i := range items {
			before, sent := f.items[i.Key]
			if sent && !sameItem(before, i) || !sent && i.At.After(f.since) {
				fresh = append(fresh, i)
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	slices.SortStableFunc(fresh, func(a, b op.Item) int { return a.At.Compare(b.At) })
	for n, i := range fresh {
		if n+1 == len(fresh) || fresh[n+1].At.After(i.At) { // the position moves only after all items of one instant
			f.since = i.At
		}
		f.items[i.Key] = i
		if err := f.out.Event(f.id(), eventItem, op.DescribeItem(i)); err != nil {
			return err
		}
	}
	return nil
}

func sameItem(a, b op.Item) bool {
	return a.Result == b.Result && a.Counts == b.Counts && a.Reason == b.Reason && a.At.Equal(b.At)
}

// describeEvents adds the events of a stream to the document.
func (s *server) describeEvents() {
	r := s.huma.OpenAPI().Paths[Base+"/runs/{run}/events"].Get.Responses[strconv.Itoa(http.StatusOK)]
	registry := s.huma.OpenAPI().Components.Schemas
	r.Description = "A stream of events, each with an id to go on from: " +
		"`state` with the whole run, first and whenever it changed; `item`; `timeline`; and `end` with the whole run, after which the stream ends. " +
		"A comment every 15 seconds shows that the stream lives."
	event := func(name string, data *huma.Schema) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, Title: name, Properties: map[string]*huma.Schema{
			"event": {Type: huma.TypeString, Enum: []any{name}},
			"id":    {Type: huma.TypeString},
			"data":  data,
		}, Required: []string{"event", "id", "data"}}
	}
	run := huma.Schema{Ref: "#/components/schemas/Run"}
	r.Content = map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{OneOf: []*huma.Schema{
		event(eventState, &run), event(eventEnd, &run),
		event(eventItem, registry.Schema(reflect.TypeFor[op.Item](), true, "")),
		event(eventTimeline, registry.Schema(reflect.TypeFor[store.RunEvent](), true, "")),
	}}}}
}
