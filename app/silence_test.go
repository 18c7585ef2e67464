package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSilence(t *testing.T) {
	const interval = time.Second
	tests := map[string]struct {
		// let runs after the first call began, and returns when the silence begins.
		let    func(*silence)
		silent bool
	}{
		"nothing comes": {func(*silence) {}, true},
		"nothing comes, others call": {func(s *silence) {
			s.begin()
			time.Sleep(interval / 2)
			s.begin()
		}, true},
		"signs, then nothing": {func(s *silence) {
			for range 10 {
				s.sign()
				time.Sleep(interval)
			}
		}, true},
		"answered": {func(s *silence) {
			s.sign()
			s.end()
		}, false},
		"given up": {(*silence).end, false},
		"rest, then a call": {func(s *silence) {
			s.end()
			time.Sleep(10 * interval)
			s.begin()
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // time is simulated
				var found atomic.Bool
				s := &silence{interval: interval, found: func() { found.Store(true) }}
				s.begin()
				test.let(s)
				if found.Load() {
					t.Fatal("found a silence before there was one")
				}
				time.Sleep((silentLooks + 1) * interval)
				synctest.Wait()
				if found.Load() != test.silent {
					t.Errorf("found a silence: got %v, want %v", found.Load(), test.silent)
				}
				if calls := s.calls.Load() > 0; s.looking.Load() != calls {
					t.Errorf("looking: got %v, want %v: only while there are calls", s.looking.Load(), calls)
				}
				for s.calls.Load() > 0 {
					s.end()
				}
				time.Sleep(interval) // for the last check
			})
		})
	}
}

// TestSilenceIsFoundInTime: the next check comes at any time within an interval after the last sign.
func TestSilenceIsFoundInTime(t *testing.T) {
	const interval, least, most = time.Second, silentLooks * time.Second, (silentLooks + 1) * time.Second
	lasts := map[string]func(*silence){
		"a call after rest": func(s *silence) { s.end(); s.begin() },
		"a sign":            (*silence).sign,
	}
	for name, last := range lasts {
		for _, ahead := range []time.Duration{1, interval / 4, interval / 2, interval - 1} {
			synctest.Test(t, func(t *testing.T) {
				found := make(chan time.Time, 1)
				s := &silence{interval: interval, found: func() { found <- time.Now() }}
				s.begin() // the next check is at interval
				time.Sleep(interval - ahead)
				began := time.Now()
				last(s)
				if took := (<-found).Sub(began); took < least || took > most {
					t.Errorf("%s %v before a check: silence found after %v, want %v to %v", name, ahead, took, least, most)
				}
				s.end()
				time.Sleep(interval) // for the last check
			})
		}
	}
}

// TestRest: an idle program sends no commands to Redis, because the CPU that they take would count as load for the
// autoscaler.
func TestRest(t *testing.T) {
	redis := startRedis(t)
	a := startApp(t, redis.config())
	a.eventuallyAnswers(t, "/", http.StatusOK)
	commands := func() int {
		_, after, _ := strings.Cut(redis.do("INFO", "stats"), "total_commands_processed:")
		n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(after, "\n", 2)[0]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := commands()
	again := commands() - before // commands of the query itself
	time.Sleep(5 * redis.config().Redis.Timeout)
	if got := commands() - before - 2*again; got > 0 {
		t.Errorf("got %d commands at rest, want none", got)
	}
}
