package catalogue

import (
	"context"
	"time"
)

// Snapshots keeps what an operation reads as one moment: its parts become visible
// together, and its counts are added to a history.
type Snapshots interface {
	// Begin returns the moment of a snapshot that begins now, by the database's clock.
	Begin(ctx context.Context) (time.Time, error)
	// Keep shows the parts of a snapshot to readers, all at once and as of its moment,
	// and returns their datasets in the same order. It adds the counts to the history of
	// the tenant's directory. A later snapshot of the same run replaces the earlier one.
	Keep(ctx context.Context, s Snapshot) ([]Dataset, error)
}

// Snapshot is what was read as one moment.
type Snapshot struct {
	At       time.Time
	Parts    []SnapshotPart    // that were read completely
	Complete bool              // every part was
	Counts   *ComplianceCounts // nil: they could not be read, and nothing is added to the history
}

// SnapshotPart is a full round, which [Snapshots.Keep] commits, with the number of
// objects that could not be kept.
type SnapshotPart struct {
	Round      Round
	Unreadable int64
}

// ComplianceCounts are the devices of a tenant by compliance state, as the provider
// counts them.
type ComplianceCounts struct {
	Compliant     int64 `json:"compliant"`
	Noncompliant  int64 `json:"noncompliant"`
	InGracePeriod int64 `json:"in_grace_period"`
	Error         int64 `json:"error"`
	Conflict      int64 `json:"conflict"`
	Unknown       int64 `json:"unknown"`
	NotApplicable int64 `json:"not_applicable"`
	Remediated    int64 `json:"remediated"`
	ConfigManager int64 `json:"config_manager" doc:"Devices whose compliance Configuration Manager decides."`
}

// Total returns the number of devices.
func (c ComplianceCounts) Total() int64 {
	return c.Compliant + c.Noncompliant + c.InGracePeriod + c.Error + c.Conflict + c.Unknown + c.NotApplicable + c.Remediated + c.ConfigManager
}
