package graph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Endpoints are the base URLs of one Microsoft cloud, without a path.
type Endpoints struct {
	Login string // the authority, such as "https://login.microsoftonline.com"
	Graph string // such as "https://graph.microsoft.com"
}

// clouds by the name that connections give them. docs: national cloud
// deployments; GCC shares the endpoints of the global cloud.
var clouds = map[string]Endpoints{
	"global":  {"https://login.microsoftonline.com", "https://graph.microsoft.com"},
	"gcchigh": {"https://login.microsoftonline.us", "https://graph.microsoft.us"},
	"dod":     {"https://login.microsoftonline.us", "https://dod-graph.microsoft.us"},
	"china":   {"https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"},
}

// Clouds returns the names of the known clouds, sorted.
func Clouds() []string {
	names := make([]string, 0, len(clouds))
	for name := range clouds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Cloud returns the endpoints of a Microsoft cloud: global, gcchigh, dod or china.
func Cloud(name string) (Endpoints, error) {
	e, ok := clouds[name]
	if !ok {
		return Endpoints{}, fmt.Errorf("cloud %q is not known; the clouds are %s", name, strings.Join(Clouds(), ", "))
	}
	return e, nil
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
	for _, known := range clouds {
		if known.Login == e.Login {
			return true
		}
	}
	return false
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
