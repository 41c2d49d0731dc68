package graphsim

// CollectionInfo names a collection to the tests.
type CollectionInfo struct {
	Path, Entity string
	Navs         []string
	V1           bool
	Roles        []string
}

// CollectionPaths lists what the simulator serves.
func CollectionPaths() []CollectionInfo {
	out := make([]CollectionInfo, 0, len(collectionList))
	for _, c := range collectionList {
		out = append(out, CollectionInfo{c.path, c.entity, c.navs, c.v1, c.roles})
	}
	return out
}
