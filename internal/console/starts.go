package console

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/view"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/store"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

// start answers the press of a start button. All four outcomes are answers: in
// the place of the answer with its true status, or without script on the page
// that the button is on.
func (c *Console) start(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	f := v.r.PostForm
	if err := checkKey(f.Get("key"), time.Now()); err != nil {
		return err
	}
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil && f.Get("version") != "" {
		return badForm("version", "must be a number")
	}
	if c.starts != nil {
		if wait := c.starts.Spend(v.actor.ID()); wait > 0 {
			return httpx.NewProblem(op.ProblemTooManyStarts, op.Args{
				"limit": strconv.Itoa(c.starts.PerMinute()), "retry_after": wait.String(),
			}).RetryAfter(wait)
		}
	}
	press := v.pressed()
	req := op.Request{
		Tenant: v.tenant.Tenant.ID, Connection: press.Connection, Kind: press.Kind, Key: f.Get("key"),
		Surface: op.SurfaceWeb, RequestID: httpx.Of(v.r.Context()).ID,
		ShownConnection: f.Get("shown"), ShownVersion: version,
	}
	if parameters := f.Get("parameters"); parameters != "" {
		req.Parameters = json.RawMessage(parameters)
	}
	result, err := c.gate.Start(v.r.Context(), v.actor, req)
	if def, unknown := catalogue.Lookup(press.Kind); unknown == nil && errors.Is(err, op.ErrForbidden) {
		return v.forbidden(v.tenant.Tenant.Name, def.Capability, press.Kind) // taken away since the request was let in
	} else if err != nil {
		return err
	}
	if v.htmx() {
		press.Key = newKey(time.Now())
		return v.write(result.Outcome().HTTPStatus(), view.Answered(press, op.Describe(result)))
	}
	back := localPath(f.Get("back"))
	if back == "" {
		back = op.TenantPath(v.workspace(), v.tenant.Tenant.Slug)
	}
	return v.goTo(withAttempt(back, result.Facts().Attempt))
}

// pressed is the start action that the form of the request belongs to.
func (v *visit) pressed() view.Start {
	return view.Start{
		Workspace: v.workspace(), Tenant: v.tenant.Tenant.Slug, Kind: op.Kind(v.r.PathValue("operation")),
		Connection: v.r.PostFormValue("connection"), Notice: v.r.PostFormValue("notice") != "", Top: v.r.PostFormValue("top") != "",
	}
}

// withAttempt is the address of a page that shows the answer to a press.
func withAttempt(path, attempt string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	q := u.Query()
	q.Set("attempt", attempt)
	u.RawQuery = q.Encode()
	return u.String()
}

// An idempotency key says when its form was rendered, so that a page that was
// open for a long time can be told from a fresh one. Beyond that it is chance.
const keyLife = access.SessionIdle

var errStale = errors.New("the form is out of date")

func newKey(now time.Time) string {
	return strconv.FormatInt(now.Unix(), 36) + "-" + rand.Text()
}

// checkKey returns [errStale] for a key of a form that was rendered too long ago.
func checkKey(key string, now time.Time) error {
	made, chance, ok := strings.Cut(key, "-")
	at, err := strconv.ParseInt(made, 36, 64)
	if !ok || err != nil || len(chance) != len(rand.Text()) {
		return badForm("key", "is missing, or is none that a page of Interlock made")
	}
	if age := now.Sub(time.Unix(at, 0)); age > keyLife || age < -time.Hour {
		return errStale
	}
	return nil
}

// key mints the idempotency key of a start form, once for each form of a page.
func (v *visit) key(form string) string {
	if v.shared {
		return keyPlace
	}
	if v.keys == nil {
		v.keys = make(map[string]string)
	}
	if v.keys[form] == "" {
		v.keys[form] = newKey(time.Now())
	}
	return v.keys[form]
}

// startOf is a start action on a tenant; connection is empty for its default.
func (v *visit) startOf(tenant string, kind op.Kind, connection string) view.Start {
	return view.Start{
		Workspace: v.workspace(), Tenant: tenant, Kind: kind, Connection: connection,
		Key: v.key(string(kind) + connection), Back: v.r.URL.Path,
	}
}

// startActions are the start actions of a page about a tenant. on is the
// connection that the page shows as the one to be used, or nil; with explicit it
// is the one that is asked for, else it is the tenant's default.
func (v *visit) startActions(t tenancy.Tenant, on *tenancy.Connection, explicit bool, active *op.RunRef) ([]view.StartAction, error) {
	answer, err := v.attempt(t)
	if err != nil {
		return nil, err
	}
	var actions []view.StartAction
	for _, def := range catalogue.All() {
		s := v.startOf(t.Slug, def.Kind, "")
		filter := store.RunFilter{Tenant: t.ID, Operation: def.Kind, Limit: 1}
		if on != nil {
			s.Shown, s.Version = on.ID, on.Version
			if explicit {
				s = v.startOf(t.Slug, def.Kind, on.ID)
				s.Shown, s.Version = on.ID, on.Version
				filter.Connection = on.ID
			}
		}
		// What is known of a connection that was changed is old: verifying comes first.
		s.Main = def.Kind == op.ConnectionVerify && on != nil && on.ChangedSince()
		a := view.StartAction{Start: s}
		if !v.may(def.Capability) {
			a.Lacks = def.Capability.Words()
		}
		if answer != nil && answer.Operation == def.Kind {
			a.Answer = answer
		}
		if active != nil && active.Operation == def.Kind {
			a.Active = active
		}
		for _, outcome := range []op.RunOutcome{op.RunSucceeded, op.RunPartial} {
			filter.Outcome = outcome
			last, _, err := v.console.store.Runs(v.r.Context(), v.tenant.Scope, filter)
			if err != nil {
				return nil, err
			}
			if len(last) == 1 && (a.Last == nil || last[0].AcceptedAt.After(a.Last.AcceptedAt)) {
				a.Last = &last[0]
			}
		}
		actions = append(actions, a)
	}
	return actions, nil
}

// attempt is the answer to the press that led to this page, in words; nil when
// none did, or it was on another tenant.
func (v *visit) attempt(t tenancy.Tenant) (*op.Answer, error) {
	id := v.r.URL.Query().Get("attempt")
	if id == "" {
		return nil, nil
	}
	a, err := v.console.store.Attempt(v.r.Context(), v.tenant.Scope, id)
	if errors.Is(err, op.ErrNotFound) || err == nil && a.Tenant.ID != t.ID {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	answer := op.Describe(a.Result(v.actor, v.tenant.Grants))
	return &answer, nil
}
