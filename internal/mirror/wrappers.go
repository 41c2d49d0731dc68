package mirror

import (
	"context"

	"github.com/interlock-dev/interlock/internal/access"
	"github.com/interlock-dev/interlock/internal/catalogue"
)

// InventoryRecord is an object of the inventory.
type InventoryRecord struct {
	Kind string `json:"kind"` // the part of the inventory that it was read as
	Record
}

func set(name string) *catalogue.DatasetInfo {
	info, _, err := catalogue.LookupDataset(name)
	if err != nil {
		panic(err)
	}
	return info
}

// Groups is [Mirror.List] of the directory groups.
func (m *Mirror) Groups(ctx context.Context, ta access.TenantAccess, f Filter) ([]Record, string, error) {
	return m.List(ctx, ta, set(catalogue.Groups), f)
}

// Group is [Mirror.Object] of a directory group.
func (m *Mirror) Group(ctx context.Context, ta access.TenantAccess, connection, group string) (Record, error) {
	return m.Object(ctx, ta, set(catalogue.Groups), connection, group)
}

// GroupMembers is [Mirror.Members] of a directory group.
func (m *Mirror) GroupMembers(ctx context.Context, ta access.TenantAccess, group string, f Filter) ([]Record, string, error) {
	return m.Members(ctx, ta, set(catalogue.Groups), group, f)
}

// GroupSizes is [Mirror.MemberCounts] of directory groups.
func (m *Mirror) GroupSizes(ctx context.Context, ta access.TenantAccess, connection string, ids []string) (map[string]int64, error) {
	return m.MemberCounts(ctx, ta, set(catalogue.Groups), connection, ids)
}

// Inventory is [Mirror.List] of the inventory.
func (m *Mirror) Inventory(ctx context.Context, ta access.TenantAccess, f Filter) ([]InventoryRecord, string, error) {
	list, next, err := m.List(ctx, ta, set("inventory"), f)
	out := make([]InventoryRecord, len(list))
	for i, r := range list {
		out[i] = InventoryRecord{Kind: r.Part, Record: r}
	}
	return out, next, err
}
