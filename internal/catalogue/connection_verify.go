package catalogue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-dev/interlock/internal/op"
	"github.com/interlock-dev/interlock/internal/tenancy"
)

var connectionVerify = &Definition{
	Kind:        op.ConnectionVerify,
	Version:     1,
	Capability:  tenancy.VerifyConnections,
	Canonical:   noParameters,
	Parameters:  struct{}{},
	QueueLimit:  2 * time.Hour,
	RunLimit:    10 * time.Minute,
	RetrySafe:   true,
	MaxDispatch: 3,
	Run:         verifyConnection,
}

func verifyConnection(_ context.Context, env *Env) error {
	return fmt.Errorf("%s can't run yet", env.Run.Operation)
}

// noParameters is the canonical form of an operation that takes none.
func noParameters(raw json.RawMessage) (json.RawMessage, error) {
	if err := decodeStrict(raw, &struct{}{}); err != nil {
		return nil, err
	}
	return json.RawMessage("{}"), nil
}
