package main

import (
	"sync/atomic"
	"time"
)

// silentLooks is the number of consecutive checks without new data that make a silence, which is therefore detected
// after that many intervals to one more.
const silentLooks = 3

// silence detects that calls wait for Redis but no data arrives. It checks at intervals, and only while there are
// calls, so that an idle program does not wake up.
type silence struct {
	interval time.Duration
	found    func()

	calls   atomic.Int64 // in flight
	signs   atomic.Int64 // of life from Redis
	looking atomic.Bool  // whether a check is scheduled

	// Used only by look, of which one runs at a time.
	seen  int64 // signs at the last check
	looks int   // consecutive checks without a new sign
}

// begin records the start of a call, which must be followed by end.
func (s *silence) begin() {
	if s.calls.Add(1) == 1 {
		s.sign() // before, there was nothing to wait for
	}
	s.lookAhead()
}

// end records the end of a call.
func (s *silence) end() { s.calls.Add(-1) }

// sign records a sign of life from Redis.
func (s *silence) sign() { s.signs.Add(1) }

func (s *silence) lookAhead() {
	if !s.looking.Load() && s.looking.CompareAndSwap(false, true) {
		time.AfterFunc(s.interval, s.look)
	}
}

func (s *silence) look() {
	if signs := s.signs.Load(); signs != s.seen || s.calls.Load() == 0 {
		s.seen, s.looks = signs, 0
	} else if s.looks++; s.looks == silentLooks {
		s.looks = 0
		s.found()
	}
	// A call that begins after this line schedules the next check itself; earlier ones are included in calls.
	s.looking.Store(false)
	if s.calls.Load() > 0 {
		s.lookAhead()
	}
}
