package runs

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

// start answers the press of a start button. All four outcomes are answers: in
// the place of the answer with its true status, or without script on the page
// that the button is on.
func start(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	f := v.R.PostForm
	if err := web.CheckKey(f.Get("key"), time.Now()); err != nil {
		return err
	}
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil && f.Get("version") != "" {
		return web.BadForm("version", "must be a number")
	}
	if err := v.SpendStart(); err != nil {
		return err
	}
	press := v.Pressed()
	req := op.Request{
		Tenant: v.Tenant.Tenant.ID, Connection: press.Connection, Kind: press.Kind, Key: f.Get("key"),
		Surface: op.SurfaceWeb, RequestID: httpx.Of(v.R.Context()).ID,
		ShownConnection: f.Get("shown"), ShownVersion: version,
	}
	if parameters := f.Get("parameters"); parameters != "" {
		req.Parameters = json.RawMessage(parameters)
	}
	result, err := v.Gate.Start(v.R.Context(), v.Actor, req)
	if def, unknown := catalogue.Lookup(press.Kind); unknown == nil && errors.Is(err, op.ErrForbidden) {
		return v.Forbidden(v.Tenant.Tenant.Name, def.Capability, press.Kind) // taken away since the request was let in
	} else if err != nil {
		return err
	}
	if v.HTMX() {
		press.Key = web.NewKey(time.Now())
		return v.Write(result.Outcome().HTTPStatus(), ui.Answered(press, op.Describe(result)))
	}
	back := web.LocalPath(f.Get("back"))
	if back == "" {
		back = op.TenantPath(v.Workspace(), v.Tenant.Tenant.Slug)
	}
	return v.GoTo(withAttempt(back, result.Facts().Attempt))
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

func cancel(v *web.Visit) error {
	if _, err := v.Gate.Cancel(v.R.Context(), v.Actor, v.Run.ID); err != nil {
		return err
	}
	return v.GoTo(op.RunPath(v.Workspace(), v.Run.Code))
}

func release(v *web.Visit) error {
	if err := v.Form(); err != nil {
		return err
	}
	if _, err := v.Gate.Release(v.R.Context(), v.Actor, v.Run.ID, v.R.PostFormValue("note")); err != nil {
		return err
	}
	return v.GoTo(op.RunPath(v.Workspace(), v.Run.Code))
}
