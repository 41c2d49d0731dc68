package control

import (
	"sync/atomic"
	"time"
)

// Clock is the simulator's clock, which the control API can shift.
type Clock struct {
	real   func() time.Time
	offset atomic.Int64 // nanoseconds
}

// NewClock makes a clock that is ahead of real by nothing yet.
func NewClock(real func() time.Time) *Clock { return &Clock{real: real} }

// Now is the simulator's time, in UTC.
func (c *Clock) Now() time.Time { return c.real().Add(time.Duration(c.offset.Load())).UTC() }

// shift sets how far the clock is ahead of the real one.
func (c *Clock) shift(by time.Duration) { c.offset.Store(int64(by)) }

func (c *Clock) state() ClockState {
	return ClockState{Now: c.Now(), OffsetMS: time.Duration(c.offset.Load()).Milliseconds()}
}

// ClockState is the time of the simulator and how far it is ahead of the real one.
type ClockState struct {
	Now      time.Time `json:"now,omitzero"`
	OffsetMS int64     `json:"offsetMs"`
}
