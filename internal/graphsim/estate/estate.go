// Package estate holds the tenants of a simulator and what is in them: apps with their
// service principals, groups with their change log, and the entities of each collection.
// It makes them from a seed, loads them from a folder, and changes them. It answers no
// calls.
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
	boot  string // names this process in delta tokens whose change log dies with it
	now   func() time.Time

	mu      sync.RWMutex
	tenants map[string]*Tenant // by lower-case GUID
	domains map[string]*Tenant // by lower-case verified domain
	order   []*Tenant
}

// New makes an estate without tenants. seed fixes what is generated; dir is a
// folder of exported policies and groups, see [LoadDir], or empty.
func New(seed uint64, dir string, now func() time.Time) (*Estate, error) {
	seeds, err := newSeeds(seed, dir)
	if err != nil {
		return nil, err
	}
	return &Estate{seeds: seeds, boot: uuid.NewString(), now: now, tenants: map[string]*Tenant{}, domains: map[string]*Tenant{}}, nil
}

// Data says what became of the files of the data folder; nil without one.
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

// Add registers a tenant, or replaces the one with the same ID. Its groups, policies
// and devices are generated when they are first asked for.
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

// All lists the tenants in the order in which they were added.
func (e *Estate) All() []*Tenant {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return append([]*Tenant(nil), e.order...)
}
