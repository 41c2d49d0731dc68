package catalogue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

var directoryGroupsSync = &Definition{
	Kind:        op.DirectoryGroupsSync,
	Version:     1,
	Capability:  tenancy.SyncGroups,
	Permissions: []Permission{directoryGroups.permission},
	Blockers:    Blockers{Identity: true, Credential: true, Consent: true, Permissions: true, Verification: true},
	Canonical:   canonicalGroupsSync,
	Parameters:  GroupsSyncParameters{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    time.Hour,
	RetrySafe:   true,
	MaxDispatch: 3,
	Run:         syncGroups,
}

// GroupsSyncParameters are the parameters of directory.groups.sync.
type GroupsSyncParameters struct {
	Full bool `json:"full" doc:"Read every group anew instead of the changes since the last sync." required:"false"`
}

func canonicalGroupsSync(raw json.RawMessage) (json.RawMessage, error) {
	var p GroupsSyncParameters
	if err := decodeStrict(raw, &p); err != nil {
		return nil, err
	}
	return json.RawMessage(fmt.Sprintf(`{"full":%t}`, p.Full)), nil
}

func syncGroups(_ context.Context, env *Env) error {
	return fmt.Errorf("%s can't run yet", env.Run.Operation)
}
