package control

import (
	"sync/atomic"
	"time"
)

// Clock is the simulator's clock. The control API can shift it. It is safe for concurrent use.
type Clock struct {
	real   func() time.Time
	offset atomic.Int64 // nanoseconds
}

// NewClock returns a clock that shows the time of real.
func NewClock(real func() time.Time) *Clock { return &Clock{real: real} }

// Now returns the simulated time, in UTC.
func (c *Clock) Now() time.Time { return c.real().Add(time.Duration(c.offset.Load())).UTC() }

// shift sets how far the clock is ahead of the real one.
func (c *Clock) shift(by time.Duration) { c.offset.Store(int64(by)) }

func (c *Clock) state() ClockState {
	return ClockState{Now: c.Now(), OffsetMS: time.Duration(c.offset.Load()).Milliseconds()}
}

// ClockState is the simulated time and how far it is ahead of the real time.
type ClockState struct {
	Now      time.Time `json:"now,omitzero"`
	OffsetMS int64     `json:"offsetMs"`
}
