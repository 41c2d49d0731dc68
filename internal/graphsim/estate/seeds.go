package estate

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// seeds holds the immutable entities that all tenants share, and generates the rest. Policies
// from a folder come first; types that the folder lacks are generated.
type seeds struct {
	seed   uint64
	digest string             // of the folder, "" without one
	fixed  map[string][]*seed // in every tenant: default scope tag, built-in roles
	loaded map[string][]*seed // by lower-case collection path
	names  []groupSeed        // loaded groups, before the generated ones
	count  int                // loaded policies in all
	data   *DataSummary       // of the folder; nil without one

	mu     sync.Mutex
	pools  map[int]map[string][]*seed // policies by requested number
	appSet map[int][]*seed
}

type groupSeed struct {
	name, description, rule string

	id string // empty: it follows from the tenant
}

func newSeeds(seedNumber uint64, dir string, given *Data) (*seeds, error) {
	s := &seeds{seed: seedNumber, fixed: fixedSeeds(), pools: map[int]map[string][]*seed{}, appSet: map[int][]*seed{}}
	var data *seedData
	switch {
	case given != nil:
		data = given.load()
	case dir == "":
		return s, nil
	default:
		var err error
		if data, err = LoadDir(dir); err != nil {
			return nil, err
		}
	}
	s.loaded, s.names, s.digest, s.data = data.policies, data.groups, data.digest, &data.summary
	for key, list := range s.loaded {
		if key != mobileAppsKey {
			s.count += len(list)
		}
	}
	return s, nil
}

const mobileAppsKey = "deviceappmanagement/mobileapps"

// policies returns n policies by collection. 0 returns all loaded policies with generated ones for
// the types that the folder lacks, or the default number of generated ones without a folder.
func (s *seeds) policies(n int) map[string][]*seed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pool, ok := s.pools[n]; ok {
		return pool
	}
	pool, rare := map[string][]*seed{}, map[string][]*seed{}
	left, rounds := max(n, 0), defaultPolicies
	if n == 0 || n >= enoughPolicies {
		for key, list := range rareSeeds() {
			if n != 0 || len(s.loaded[key]) == 0 {
				rare[key] = list
				left, rounds = max(0, left-len(list)), rounds-len(list)
			}
		}
	}
	for _, col := range CollectionList {
		key := strings.ToLower(col.Path)
		list := s.loaded[key]
		if n != 0 { // a share of each type, so that a few policies have many types
			share := int(math.Ceil(float64(len(list)*max(n, 0)) / float64(max(s.count, 1))))
			list = list[:min(len(list), share, left)]
		}
		if key != mobileAppsKey {
			pool[key] = slices.Clone(list)
			left = max(0, left-len(list))
		}
	}
	if n != 0 {
		rounds = left
	}
	for i := range rounds {
		path, sd := generatePolicy(s.seed, i)
		if key := strings.ToLower(path); n != 0 || len(s.loaded[key]) == 0 {
			if len(rare) > 0 && i%enoughPolicies%9 == 5 {
				sd = sd.tagged()
			}
			pool[key] = append(pool[key], sd)
		}
	}
	for key, list := range rare {
		pool[key] = append(pool[key], list...)
	}
	for key, list := range s.fixed {
		pool[key] = append(slices.Clone(list), pool[key]...)
	}
	s.pools[n] = pool
	return pool
}

// apps returns n mobile apps, loaded ones first.
func (s *seeds) apps(n int) []*seed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, ok := s.appSet[n]; ok {
		return set
	}
	set := slices.Clone(s.loaded[mobileAppsKey])
	set = set[:min(n, len(set))]
	for i := 0; len(set) < n; i++ {
		set = append(set, generateApp(s.seed, i))
	}
	s.appSet[n] = set
	return set
}

// groups generates the groups of a tenant: the same names in another order for each tenant, and
// computed members.
func (s *seeds) groups(t *Tenant, n int) []*Group {
	rng := rand.New(rand.NewPCG(s.seed, uint64(t.ns.ID())^uint64(t.ns[15])<<40))
	out := make([]*Group, 0, n)
	names := newGroupNames(rng)
	for i := range n {
		var gs groupSeed
		if i < len(s.names) {
			gs = s.names[i]
		} else {
			gs = names.next(i)
		}
		g := &Group{
			ord: i, ID: t.Derive("group", strconv.Itoa(i)), DisplayName: gs.name, description: gs.description, rule: gs.rule,
			created:   Epoch.Add(-upTo(rng, 3*365*day)).Truncate(1e9),
			generated: groupSize(i, rng),
		}
		if gs.id != "" {
			g.ID = gs.id
		}
		g.unified = gs.rule == "" && i%9 == 4
		g.devices = strings.Contains(gs.rule, "device.")
		if g.devices {
			g.generated = min(g.generated, defaultDevices)
		}
		out = append(out, g)
	}
	return out
}

// groupSize returns sizes as in real directories: many small groups, a few large ones, and some
// with 1,500 members, which no delta page holds.
func groupSize(i int, rng *rand.Rand) int {
	switch p := rng.IntN(100); {
	case i%700 == 41:
		return 1500
	case p < 5:
		return 0
	case p < 70:
		return 1 + rng.IntN(12)
	case p < 92:
		return 13 + rng.IntN(28)
	case p < 99:
		return 41 + rng.IntN(80)
	}
	return 300
}

// tagged returns a seed with another scope tag, if its type has scope tags.
func (sd *seed) tagged() *seed {
	if sd.Body.Index("roleScopeTagIds") < 0 {
		return sd
	}
	other := *sd
	other.Body = sd.Body.With("roleScopeTagIds", []string{"0", tagID})
	return &other
}
