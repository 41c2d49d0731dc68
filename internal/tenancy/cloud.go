package tenancy

import "slices"

// Cloud is one of Microsoft's clouds: where a tenant signs in, and where its Graph is.
type Cloud struct {
	Name  string // as connections store it
	Title string // as people know it
	Login string // base URL of the sign-in service
	Graph string // base URL of Microsoft Graph
}

// clouds is the one list of them. docs: Microsoft Graph, national cloud deployments. GCC
// uses the endpoints of the global cloud.
var clouds = []Cloud{
	{"global", "Global", "https://login.microsoftonline.com", "https://graph.microsoft.com"},
	{"gcc", "US Government (GCC)", "https://login.microsoftonline.com", "https://graph.microsoft.com"},
	{"gcchigh", "US Government (GCC High)", "https://login.microsoftonline.us", "https://graph.microsoft.us"},
	{"dod", "US Government (DoD)", "https://login.microsoftonline.us", "https://dod-graph.microsoft.us"},
	{"china", "China (21Vianet)", "https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"},
}

// Clouds returns all clouds. The first one is the default.
func Clouds() []Cloud { return slices.Clone(clouds) }

// CloudNamed returns the cloud that connections store as name; false when there is none.
func CloudNamed(name string) (Cloud, bool) {
	i := slices.IndexFunc(clouds, func(c Cloud) bool { return c.Name == name })
	if i < 0 {
		return Cloud{}, false
	}
	return clouds[i], true
}

// CloudNames returns the names of all clouds, in the same order.
func CloudNames() []string {
	names := make([]string, len(clouds))
	for i, c := range clouds {
		names[i] = c.Name
	}
	return names
}
