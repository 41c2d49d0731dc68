package graph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/interlock-dev/interlock/internal/tenancy"
)

// Endpoints are the base URLs of one Microsoft cloud, without a path.
type Endpoints struct {
	Login string // the authority, such as "https://login.microsoftonline.com"
	Graph string // such as "https://graph.microsoft.com"
}

// Cloud returns the endpoints of the Microsoft cloud with that name, one of
// [tenancy.Clouds].
func Cloud(name string) (Endpoints, error) {
	c, known := tenancy.CloudNamed(name)
	if !known {
		return Endpoints{}, fmt.Errorf("cloud %q is not known; the clouds are %s", name, strings.Join(tenancy.CloudNames(), ", "))
	}
	return Endpoints{Login: c.Login, Graph: c.Graph}, nil
}

// Hosts returns the hosts, with their ports, that a client of e calls. The allow-list of its
// HTTP client must contain them.
func (e Endpoints) Hosts() []string {
	var hosts []string
	for _, base := range []string{e.Login, e.Graph} {
		if u, err := url.Parse(base); err == nil && !slices.Contains(hosts, u.Host) {
			hosts = append(hosts, u.Host)
		}
	}
	return hosts
}

// microsoft reports whether the sign-in service is Microsoft's. The instance discovery
// service knows only those. For any other one the request would leave the machine
// (observed: azidentity asks login.microsoftonline.com whatever the authority is).
func (e Endpoints) microsoft() bool {
	return slices.ContainsFunc(tenancy.Clouds(), func(c tenancy.Cloud) bool { return c.Login == e.Login })
}

// check returns an error unless both endpoints are https URLs without a path.
func (e Endpoints) check() error {
	for name, base := range map[string]string{"login": e.Login, "graph": e.Graph} {
		u, err := url.Parse(base)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("%s endpoint %q: must be https://HOST without a path", name, base)
		}
	}
	return nil
}
