package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Event is one change of a run. Exactly one field is set.
type Event struct {
	Run  *op.Run  // the run changed; the first event is the run as it is
	Item *op.Item // a line of its results was written
	Line *Line    // a line of its timeline was written
}

// Limits of a stream.
const (
	silence  = 45 * time.Second // three missed keep-alives: the stream is dead
	comeBack = 6                // reconnects in a row without a new event
	maxEvent = 16 << 20         // bytes
)

// Follow calls each with every change of a run until the run ends, and returns the
// ended run. It requests the stream only, which does not count as use of a session.
// [Verbatim] receives the ended run only. A stream that breaks off is resumed after the
// last event. An error from each ends Follow with that error.
func (c *Client) Follow(ctx context.Context, run string, each func(Event) error) (op.Run, error) {
	f := follower{each: each}
	f.whole, _ = ctx.Value(bodyKey{}).(func([]byte))
	for failed := 0; ; failed++ {
		before := f.last
		err := c.stream(ctx, run, &f)
		switch {
		case f.ended:
			return f.run, nil
		case f.stopped != nil:
			return f.run, f.stopped
		case ctx.Err() != nil:
			return f.run, ctx.Err()
		}
		var p *Problem
		if errors.As(err, &p) && !passing(err) {
			return f.run, err
		}
		if f.last != before {
			failed = 0
		}
		if failed >= comeBack {
			return f.run, fmt.Errorf("follow the run: %w", err)
		}
		d := patience[min(failed, len(patience)-1)]
		if p != nil {
			d = max(d, p.retryAfter)
		}
		if err := c.wait(ctx, d); err != nil {
			return f.run, err
		}
	}
}

// follower is the state of one Follow.
type follower struct {
	each    func(Event) error
	last    string // id of the last event
	run     op.Run
	ended   bool
	stopped error // the error of each

	whole func([]byte) // receives the body of the ended run; may be nil
}

// errBroken is the end of a stream before the end of its run.
var errBroken = errors.New("the stream broke off")

// stream reads one stream until it ends.
func (c *Client) stream(ctx context.Context, run string, f *follower) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{"Accept": {"text/event-stream"}}
	if f.last != "" {
		header.Set("Last-Event-ID", f.last)
	}
	resp, err := c.send(ctx, call{method: http.MethodGet, path: path("/runs/%s/events", run), header: header})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it ends with ctx
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		return problem(resp, body)
	}
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()

	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	var id, name, data string
	for lines.Scan() {
		quiet.Reset(silence)
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = value // the server sends it in one line
		case "":
			if lines.Text() != "" || name == "" { // a comment
				continue
			}
			if err := f.take(id, name, data); err != nil || f.ended {
				return err
			}
			name, data = "", ""
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errBroken
}

// take decodes one event and passes it on.
func (f *follower) take(id, name, data string) error {
	var e Event
	var into any
	switch name {
	case "state", "end":
		e.Run = &op.Run{}
		into = e.Run
	case "item":
		e.Item = &op.Item{}
		into = e.Item
	case "timeline":
		e.Line = &Line{}
		into = e.Line
	default: // of a newer server
		return nil
	}
	if err := json.Unmarshal([]byte(data), into); err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	if e.Run != nil {
		f.run = *e.Run
	}
	if f.stopped = f.each(e); f.stopped != nil {
		return f.stopped
	}
	f.last, f.ended = id, name == "end"
	if f.ended && f.whole != nil {
		f.whole([]byte(data + "\n"))
	}
	return nil
}
