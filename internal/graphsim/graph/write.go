package graph

import (
	"net/http"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/graphsim/estate"
	"github.com/interlock-dev/interlock/internal/graphsim/odata"
	"github.com/interlock-dev/interlock/internal/graphsim/wire"
)

// serverSet holds the properties that the service sets. It ignores them in a request.
var serverSet = []string{"id", "createdDateTime", "lastModifiedDateTime"}

// write serves POST {collection}, and PATCH and DELETE {collection}/{id} (docs: create, update
// and delete an assignment filter). Names are not unique: the same POST sent twice creates
// two.
func (s *Service) write(c *wire.Call, col *estate.Collection, path []string) *wire.Reply {
	methods := []string{http.MethodPost}
	if len(path) > 0 {
		methods = []string{http.MethodPatch, http.MethodDelete}
	}
	need := slices.DeleteFunc(slices.Clone(col.Roles), func(role string) bool { return !strings.Contains(role, ".ReadWrite.") })
	if re := s.admit(c, need, methods...); re != nil {
		return re
	}
	if len(path) > 1 {
		return c.NoSegment(path[1])
	}
	c.Tenant.Touch()
	if c.Method == http.MethodDelete {
		if c.Tenant.DeleteItem(col.Path, path[0]) != nil {
			return itemNotFound(c, col, path[0])
		}
		return &wire.Reply{Status: http.StatusNoContent, Header: http.Header{}}
	}
	sent, err := odata.Parse(c.Payload)
	if err != nil {
		return c.IntuneError(http.StatusBadRequest, "BadRequest", "Unable to read JSON request payload: "+err.Error())
	}
	sent = sent.Without(func(name string) bool { return slices.Contains(serverSet, name) })
	now := c.At.UTC().Format("2006-01-02T15:04:05.0000000Z")
	status, body := http.StatusCreated, sent.With("createdDateTime", now)
	if len(path) == 1 {
		c.Tenant.RLock()
		it := c.Tenant.Item(col, path[0])
		c.Tenant.RUnlock()
		if it == nil {
			return itemNotFound(c, col, path[0])
		}
		status, body = http.StatusOK, it.Body.With("id", it.ID)
		for _, f := range sent {
			body = body.With(f.Name, f.Raw)
		}
	}
	id, err := c.Tenant.PutItem(col.Path, body.With("lastModifiedDateTime", now))
	if err != nil {
		return c.IntuneError(http.StatusBadRequest, "BadRequest", err.Error())
	}
	re := s.get(c, col, id, &odata.Query{})
	re.Status = status
	return re
}
