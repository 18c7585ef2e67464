package main

import (
	"sync/atomic"
	"time"
)

// silentLooks is how many looks in a row must see nothing new: a silence is found after as many intervals to one more.
const silentLooks = 3

// silence finds out that calls wait for Redis but nothing comes. It looks at intervals, and only while there are
// calls: a program at rest does not wake up.
type silence struct {
	interval time.Duration
	found    func()

	calls   atomic.Int64 // under way
	signs   atomic.Int64 // of life from Redis
	looking atomic.Bool  // whether a look is ahead

	// Of the looks, of which there is one at a time.
	seen  int64 // signs at the last one
	looks int   // how many in a row saw nothing new
}

// begin tells that a call begins. Its end must be told too.
func (s *silence) begin() {
	if s.calls.Add(1) == 1 {
		s.sign() // before, there was nothing to wait for
	}
	s.lookAhead()
}

// end tells that a call is over.
func (s *silence) end() { s.calls.Add(-1) }

// sign tells that something came from Redis.
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
	// A call that begins from here on starts the next look, and one that began before is among those counted.
	s.looking.Store(false)
	if s.calls.Load() > 0 {
		s.lookAhead()
	}
}
