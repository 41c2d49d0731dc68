package web

import (
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Pressed returns the start action whose form was sent.
func (v *Visit) Pressed() ui.Start {
	return ui.Start{
		Workspace: v.Workspace(), Tenant: v.Tenant.Tenant.Slug, Kind: op.Kind(v.R.PathValue("operation")),
		Connection: v.R.PostFormValue("connection"), Notice: v.R.PostFormValue("notice") != "", Top: v.R.PostFormValue("top") != "",
	}
}

// keyLife is how long a start form can be sent. An idempotency key is the time at which
// its form was rendered, and a random text.
const keyLife = access.SessionIdle

// ErrStale is the error of a form that was rendered too long ago.
var ErrStale = errors.New("the form is out of date")

// NewKey returns a new idempotency key for a form rendered at now.
func NewKey(now time.Time) string {
	return strconv.FormatInt(now.Unix(), 36) + "-" + rand.Text()
}

// CheckKey returns an error for a malformed key, and [ErrStale] for one of a form that
// was rendered too long ago.
func CheckKey(key string, now time.Time) error {
	made, chance, ok := strings.Cut(key, "-")
	at, err := strconv.ParseInt(made, 36, 64)
	if !ok || err != nil || len(chance) != len(rand.Text()) {
		return BadForm("key", "is missing or was not created by a page of Interlock")
	}
	if age := now.Sub(time.Unix(at, 0)); age > keyLife || age < -time.Hour {
		return ErrStale
	}
	return nil
}

// key returns the idempotency key of a start form: one for each form of a page.
func (v *Visit) key(form string) string {
	if v.shared {
		return keyPlace
	}
	if v.keys == nil {
		v.keys = make(map[string]string)
	}
	if v.keys[form] == "" {
		v.keys[form] = NewKey(time.Now())
	}
	return v.keys[form]
}

// StartOf returns a start action on a tenant. An empty connection is its default.
func (v *Visit) StartOf(tenant string, kind op.Kind, connection string) ui.Start {
	return ui.Start{
		Workspace: v.Workspace(), Tenant: tenant, Kind: kind, Connection: connection,
		Key: v.key(string(kind) + connection), Back: v.R.URL.Path,
	}
}

// StartActions returns the start actions of a page about a tenant. on is the connection
// that the page shows as used, or nil. explicit starts on that connection instead of the
// tenant's default. It takes a fixed number of statements.
func (v *Visit) StartActions(t tenancy.Tenant, on *tenancy.Connection, explicit bool, active *op.RunRef) ([]ui.StartAction, error) {
	answer, err := v.Attempted(t)
	if err != nil {
		return nil, err
	}
	connection := ""
	if explicit && on != nil {
		connection = on.ID
	}
	definitions := slices.DeleteFunc(catalogue.All(), func(d *catalogue.Definition) bool { return d.Input })
	kinds := make([]op.Kind, len(definitions))
	for i, def := range definitions {
		kinds[i] = def.Kind
	}
	last, err := v.Store.LastRuns(v.R.Context(), v.Tenant, connection, kinds)
	if err != nil {
		return nil, err
	}
	var actions []ui.StartAction
	for _, def := range definitions {
		s := v.StartOf(t.Slug, def.Kind, "")
		if on != nil {
			s.Shown, s.Version = on.ID, on.Version
			if explicit {
				s = v.StartOf(t.Slug, def.Kind, on.ID)
				s.Shown, s.Version = on.ID, on.Version
			}
		}
		// After a change of the connection, verifying comes first.
		s.Main = def.Kind == op.ConnectionVerify && on != nil && on.ChangedSince()
		a := ui.StartAction{Start: s}
		if !v.May(def.Capability) {
			a.Lacks = def.Capability.Words()
		}
		if answer != nil && answer.Operation == def.Kind {
			a.Answer = answer
		}
		if active != nil && active.Operation == def.Kind {
			a.Active = active
		}
		if r, ok := last[def.Kind]; ok {
			a.Last = &r
		}
		actions = append(actions, a)
	}
	return actions, nil
}

// Attempted returns the answer to the start that led to this page; nil when there was
// none, or when it was on another tenant.
func (v *Visit) Attempted(t tenancy.Tenant) (*op.Answer, error) {
	id := v.R.URL.Query().Get("attempt")
	if id == "" {
		return nil, nil
	}
	a, err := v.Store.Attempt(v.R.Context(), v.Tenant.Scope, id)
	if errors.Is(err, op.ErrNotFound) || err == nil && a.Tenant.ID != t.ID {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	answer := op.Describe(a.Result(v.Actor, v.Tenant.Grants))
	return &answer, nil
}

// SpendStart counts a start towards the reader's limit per minute. Its error says when
// to try again.
func (v *Visit) SpendStart() error { return v.site.budgets.Start(v.Actor.ID()) }
