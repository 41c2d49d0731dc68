package console_test

import (
	"strings"

	"github.com/interlock-dev/interlock/internal/op"
)

const (
	kestrel  = "/w/lattice/tenants/kestrel"
	kestrels = kestrel + "/connections"
	primary  = kestrels + "/kestrel"
	groups   = kestrel + "/groups"
	tokens   = "/w/lattice/tokens"
	members  = "/w/lattice/members"
)

func dashed(k op.Kind) string { return strings.ReplaceAll(string(k), ".", "-") }
