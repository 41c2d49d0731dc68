package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/catalogue"
	"github.com/interlock-dev/interlock/internal/db"
	"github.com/interlock-dev/interlock/internal/gate/internal/stored"
	"github.com/interlock-dev/interlock/internal/mirror"
)

// snapshots keeps what the operation read as one moment. Each write compares the run's
// fence.
type snapshots struct{ x *execution }

func (s snapshots) Begin(ctx context.Context) (time.Time, error) {
	var now int64
	err := s.x.w.db.Read(ctx, func(ctx context.Context, tx db.Tx) error {
		return tx.QueryRow(ctx, `SELECT interlock_now()`).Scan(&now)
	})
	return db.Time(now), err
}

func (s snapshots) Keep(ctx context.Context, kept catalogue.Snapshot) (sets []catalogue.Dataset, err error) {
	err = s.x.write(ctx, func(ctx context.Context, tx db.Tx) error {
		sets = nil
		for _, p := range kept.Parts {
			r, ok := p.Round.(*round)
			if !ok {
				return fmt.Errorf("a snapshot has a round of %T", p.Round)
			}
			d, err := mirror.CommitRound(ctx, tx, r.key, r.generation, mirror.Committed{Unreadable: p.Unreadable, At: kept.At})
			if err != nil {
				return err
			}
			sets = append(sets, stored.Known(d))
		}
		if kept.Counts == nil {
			return nil
		}
		return mirror.KeepMoment(ctx, tx, s.x.dataset(""), mirror.Moment{At: kept.At, Complete: kept.Complete, Counts: *kept.Counts})
	})
	return sets, err
}
