package provider

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
)

// Result is the answer to one read of a batch.
type Result struct {
	Path string          // that was asked for
	Body json.RawMessage // as [Client.Get] returns it
	Err  error           // an [*Error]: this read was refused, and Body is empty; nil: it succeeded
}

// Page returns the answer as a page of a list, as [Client.Page] does. It returns Err if
// that is set, and an [*Error] if the answer is not a list.
func (r Result) Page() (Page, error) {
	if r.Err != nil {
		return Page{}, r.Err
	}
	var page struct {
		Value []json.RawMessage `json:"value"`
		Next  string            `json:"@odata.nextLink"`
		Delta string            `json:"@odata.deltaLink"`
	}
	if err := json.Unmarshal(r.Body, &page); err != nil || page.Value == nil {
		return Page{}, &Error{
			Reason: op.ProviderFault, Call: CallName(http.MethodGet, r.Path), Status: http.StatusOK, Form: op.AnswerUnusable,
			Note: "the answer is not a list", Temporary: true, At: time.Now(),
		}
	}
	return Page{Items: page.Value, Next: page.Next, Delta: page.Delta}, nil
}

// CallName names a call by method and path. It leaves out the host and the query, which
// contains tokens in links.
func CallName(method, address string) string {
	path, _, _ := strings.Cut(address, "?")
	if u, err := url.Parse(path); err == nil && u.Path != "" {
		path = u.Path
	}
	return method + " " + path
}
