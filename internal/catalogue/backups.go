package catalogue

import (
	"context"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/policy"
	"github.com/interlock-dev/interlock/internal/restore"
)

// Backups is where a run keeps the policies of its tenant, and finds those of earlier
// backups. Writes compare the run's fence.
type Backups interface {
	// Begin starts a backup of the run's tenant. It is visible once it is committed; an
	// earlier one of the run that was not is dropped.
	Begin(ctx context.Context, asOf time.Time) (BackupRound, error)
	// Set returns a backup of the run's workspace with all contents, or [op.ErrNotFound].
	Set(ctx context.Context, id string) (restore.Set, error)
}

// BackupRound is a backup that is being written. It is safe for concurrent use.
type BackupRound interface {
	// Put adds policies. Each must be put once.
	Put(ctx context.Context, items []BackupItem) error
	// Commit makes the backup visible, and returns its id.
	Commit(ctx context.Context, types []BackupType) (id string, err error)
}

// BackupItem is one policy with its bytes as the provider wrote them.
type BackupItem struct {
	Policy     policy.Item
	Name       string
	ModifiedAt string
	Hash       string // of the normal form
	Missing    []BackupMissing
}

// BackupMissing is a part that could not be read.
type BackupMissing struct {
	Part   string
	Reason op.Reason
	Why    string // the provider's words; may be empty
}

// BackupType says how a type was read.
type BackupType struct {
	Type   string
	Items  int64
	Reason op.Reason // why it is incomplete; empty if it is complete
	Absent bool      // the tenant doesn't have the service
}
