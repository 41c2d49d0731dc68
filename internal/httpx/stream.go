package httpx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Stream is an answer that goes on: server-sent events.
type Stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// OpenStream begins a stream as the answer.
func OpenStream(w http.ResponseWriter) (*Stream, error) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // docs: nginx holds answers back otherwise
	w.WriteHeader(http.StatusOK)
	s := &Stream{w: w, c: http.NewResponseController(w)}
	// The server's deadline for reading a request would end the stream, too.
	_ = s.c.SetReadDeadline(time.Time{}) // not every writer has one
	return s, s.send(nil)
}

// Event sends v as JSON. id is what a client that comes back sends in
// Last-Event-ID; name is the kind of event. Neither may have line breaks.
func (s *Stream) Event(id, name string, v any) error {
	data, err := json.Marshal(v) // compact: it never has a line break
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %s\nevent: %s\ndata: %s\n\n", id, name, data)
	return s.send(b.Bytes())
}

// Named sends an event whose lines are written already, with the empty one at the end.
func (s *Stream) Named(name string, lines []byte) error {
	return s.send(append([]byte("event: "+name+"\n"), lines...))
}

// Beat sends a comment, by which both ends learn that the other is there.
func (s *Stream) Beat() error { return s.send([]byte(":\n\n")) }

func (s *Stream) send(b []byte) error {
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.c.Flush()
}
