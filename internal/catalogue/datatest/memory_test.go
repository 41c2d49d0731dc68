package datatest_test

import (
	"testing"

	"github.com/interlock-dev/interlock/internal/catalogue/datatest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	datatest.Run(t, func(*testing.T) datatest.Store { return &datatest.Memory{} })
}
