package worker

import (
	"context"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/plans"
	"github.com/interlock-dev/interlock/internal/restore"
)

// planning implements [catalogue.Plans] for one dispatch. Each write compares the run's
// fence.
type planning struct{ x *execution }

// Keep implements [catalogue.Plans].
func (p planning) Keep(ctx context.Context, plan restore.Plan) (string, error) {
	c := p.x.claim
	packed, err := p.x.w.plans.Pack(plans.Made{Workspace: c.Workspace, Tenant: c.Tenant, Run: c.RunID, Code: c.Code, Author: c.Initiator}, plan)
	if err != nil {
		return "", err
	}
	err = p.x.write(ctx, func(ctx context.Context, tx db.Tx) error { return plans.Begin(ctx, tx, packed) })
	if err != nil {
		return "", err
	}
	for _, b := range packed.Batches() {
		if err := p.x.write(ctx, b.Put); err != nil {
			return "", err
		}
	}
	return packed.Hash, p.x.write(ctx, func(ctx context.Context, tx db.Tx) error { return plans.Commit(ctx, tx, packed) })
}

// Plan implements [catalogue.Plans].
func (p planning) Plan(ctx context.Context, hash string) (restore.Plan, error) {
	var id string
	err := p.x.write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		id, err = plans.Take(ctx, tx, p.x.claim.Tenant, hash, p.x.claim.RunID)
		return err
	})
	if err != nil {
		return restore.Plan{}, err
	}
	return p.x.w.plans.Load(ctx, id, hash)
}

// Mappings implements [catalogue.Plans].
func (p planning) Mappings(ctx context.Context, source, target string) ([]restore.Mapping, error) {
	return p.x.w.plans.Between(ctx, p.x.claim.Workspace, source, target)
}

// Map implements [catalogue.Plans].
func (p planning) Map(ctx context.Context, m restore.Mapping, how catalogue.MappingSource) error {
	return p.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := plans.Map(ctx, tx, p.x.claim.Workspace, p.x.claim.Initiator, m, how)
		return err
	})
}
