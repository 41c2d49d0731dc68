package httpx

import (
	"bytes"
	"fmt"
)

// Fragment sends a part of a page, which replaces the element that it names.
func (s *Stream) Fragment(html []byte) error {
	var b bytes.Buffer
	for line := range bytes.Lines(html) {
		fmt.Fprintf(&b, "data: %s\n", bytes.TrimRight(line, "\r\n"))
	}
	b.WriteString("\n")
	return s.send(b.Bytes())
}
