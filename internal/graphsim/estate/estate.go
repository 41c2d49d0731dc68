// Package estate holds the tenants of a simulator and their content: apps with service
// principals, groups with a change log, and the entities of each collection. It generates
// them from a seed, loads them from a folder, and changes them. It serves no calls.
package estate

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Estate holds the tenants of a simulator. Its methods are safe for concurrent use.
type Estate struct {
	seeds *seeds
	boot  string // identifies this process in delta tokens: its change log ends with it
	now   func() time.Time

	mu      sync.RWMutex
	tenants map[string]*Tenant // by lower-case GUID
	domains map[string]*Tenant // by lower-case verified domain
	order   []*Tenant
}

// New returns an estate without tenants. seed determines generated data; dir is a folder of
// exported policies and groups, see [LoadDir], or empty; data is used in its place unless it is nil.
func New(seed uint64, dir string, data *Data, now func() time.Time) (*Estate, error) {
	seeds, err := newSeeds(seed, dir, data)
	if err != nil {
		return nil, err
	}
	return &Estate{seeds: seeds, boot: uuid.NewString(), now: now, tenants: map[string]*Tenant{}, domains: map[string]*Tenant{}}, nil
}

// Data reports which files of the data folder are served; nil without a folder.
func (e *Estate) Data() *DataSummary { return e.seeds.data }

// Find returns a tenant by GUID or verified domain, or nil.
func (e *Estate) Find(name string) *Tenant {
	name = strings.ToLower(name)
	e.mu.RLock()
	defer e.mu.RUnlock()
	if t := e.tenants[name]; t != nil {
		return t
	}
	return e.domains[name]
}

// Add adds a tenant, or replaces the one with the same ID. Its groups, policies and
// devices are generated when they are first read.
func (e *Estate) Add(spec TenantSpec) error {
	t, err := newTenant(e, spec)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if other := e.domains[t.Domain]; other != nil && other.ID != t.ID {
		return fmt.Errorf("graphsim: domain %s belongs to tenant %s", t.Domain, other.ID)
	}
	if old := e.tenants[t.ID]; old != nil {
		delete(e.domains, old.Domain)
		for i := range e.order {
			if e.order[i] == old {
				e.order[i] = t
			}
		}
	} else {
		e.order = append(e.order, t)
	}
	e.tenants[t.ID], e.domains[t.Domain] = t, t
	return nil
}

// All returns the tenants in the order in which they were added.
func (e *Estate) All() []*Tenant {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return append([]*Tenant(nil), e.order...)
}
