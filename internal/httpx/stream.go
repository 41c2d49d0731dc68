package httpx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Stream is a response of server-sent events.
type Stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// OpenStream starts a stream as the response.
func OpenStream(w http.ResponseWriter) (*Stream, error) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // docs: nginx buffers responses otherwise
	w.WriteHeader(http.StatusOK)
	s := &Stream{w: w, c: http.NewResponseController(w)}
	// The server's read deadline would end the stream.
	_ = s.c.SetReadDeadline(time.Time{}) // not every writer has a deadline
	return s, s.send(nil)
}

// Event sends v as JSON. A client that reconnects sends id in Last-Event-ID; name is the kind of
// event. Neither may contain line breaks.
func (s *Stream) Event(id, name string, v any) error {
	data, err := json.Marshal(v) // compact JSON has no line breaks
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %s\nevent: %s\ndata: %s\n\n", id, name, data)
	return s.send(b.Bytes())
}

// Named sends an event from its lines, including the empty line at the end.
func (s *Stream) Named(name string, lines []byte) error {
	return s.send(append([]byte("event: "+name+"\n"), lines...))
}

// Beat sends a comment, which shows both sides that the connection is alive.
func (s *Stream) Beat() error { return s.send([]byte(":\n\n")) }

func (s *Stream) send(b []byte) error {
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.c.Flush()
}
