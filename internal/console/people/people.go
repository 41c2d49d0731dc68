// Package people holds the pages of people: how they sign in, their own account, and
// the members of a workspace.
package people

import "github.com/interlock-dev/interlock/internal/console/web"

// Serve adds the pages to the site. demo tells who can sign in to a demo; nil: it is
// none.
func Serve(s *web.Site, demo func() []DemoUser) {
	if demo == nil {
		demo = func() []DemoUser { return nil }
	}
	in := &entrance{demo: demo}
	in.serve(s)
	serveLinks(s, in)
	serveTokens(s)
	serveMembers(s)
	serveAccount(s)
	serveSecurity(s)
}
