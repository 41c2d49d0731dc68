// Package people holds the pages of sign-in, the reader's own account, and the members of
// a workspace.
package people

import "github.com/interlock-dev/interlock/internal/console/web"

// Serve adds the pages to the site. demo returns the users listed on the sign-in page of
// a demo; nil: this is no demo.
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
