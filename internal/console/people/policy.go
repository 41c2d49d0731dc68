package people

import (
	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/console/ui"
	"github.com/interlock-dev/interlock/internal/console/web"
	"github.com/interlock-dev/interlock/internal/httpx"
	"github.com/interlock-dev/interlock/internal/op"
)

func showPolicy(v *web.Visit) (web.Page, error) { return policyPage(v, nil) }

// policyPage is the page of the workspace's policy.
func policyPage(v *web.Visit, refusal *httpx.Problem) (web.Page, error) {
	frame, err := v.Frame("Policy", ui.Policy)
	if err != nil {
		return web.Page{}, err
	}
	frame.Crumbs = v.Crumbs()[:1]
	frame.Lead = "What " + v.Actor.WorkspaceName() + " requires of its members."
	p, err := v.Door.Policy(v.R.Context(), v.Actor)
	if err != nil {
		return web.Page{}, err
	}
	changed := ""
	if v.Done() != "" && refusal == nil {
		changed = "Policy changed."
	}
	return web.Page{Frame: frame, Body: policyBody(v.Workspace(), p, changed, refusal)}, nil
}

func setPolicy(v *web.Visit) error {
	required := v.R.PostForm.Get("second_factor")
	if required != "true" && required != "false" {
		return web.BadForm("second_factor", "must be true or false")
	}
	if err := v.Door.SetPolicy(v.R.Context(), v.Actor, access.Policy{SecondFactor: required == "true"}); err != nil {
		return v.Unsaved(err, func(refusal *httpx.Problem) (web.Page, error) { return policyPage(v, refusal) })
	}
	return v.Saved(op.PolicyPath(v.Workspace()), "policy")
}
