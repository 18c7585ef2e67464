package profile

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestNamed: the named profiles are valid, match their descriptions and send the area under their curves.
func TestNamed(t *testing.T) {
	want := map[string]struct {
		duration time.Duration
		peak     float64
		sent     float64
	}{
		"step":        {5 * time.Minute, 600, 30*10 + 180*600 + 90*10},
		"ramp":        {5 * time.Minute, 600, 240*305 + 60*600},
		"wave":        {6 * time.Minute, 600, 360 * 305},
		"blackfriday": {15 * time.Minute, 200, 120*500/60. + 180*12500/120. + 420*200 + 60*12500/120. + 120*500/60.},
	}
	if len(named) != len(want) {
		t.Errorf("there are %d profiles, and %d expectations", len(named), len(want))
	}
	for _, known := range named {
		name := known.name
		p, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w := want[name]
		if p.Duration() != w.duration || math.Abs(p.Peak()-w.peak) > 1e-9 {
			t.Errorf("%s: lasts %s and peaks at %g, want %s and %g", name, p.Duration(), p.Peak(), w.duration, w.peak)
		}
		if sent := p.Sent(p.Duration().Seconds()); math.Abs(sent-w.sent) > 1 {
			t.Errorf("%s: sends %g, want %g", name, sent, w.sent)
		}
	}
	_, err := Named("rush")
	if err == nil || !strings.Contains(err.Error(), `"rush"`) || !strings.Contains(err.Error(), "blackfriday") {
		t.Errorf("an unknown name: got %v, want it and the known ones", err)
	}
}

func TestAt(t *testing.T) {
	p := Profile{Points: []Point{{0, 10}, {10, 10}, {10, 50}, {20, 100}}}
	for _, c := range []struct{ at, rate, sent float64 }{
		{0, 10, 0}, {9, 10, 90}, {10, 50, 100}, {12, 60, 210}, {20, 100, 850}, {21, 100, 850},
	} {
		if rate := p.At(c.at); math.Abs(rate-c.rate) > 1e-9 {
			t.Errorf("the rate at %g s is %g, want %g", c.at, rate, c.rate)
		}
		if sent := p.Sent(c.at); math.Abs(sent-c.sent) > 1e-9 {
			t.Errorf("sent until %g s: %g, want %g", c.at, sent, c.sent)
		}
	}
}

// TestPace: a generator that follows Pace has always sent as many requests as the profile plans.
func TestPace(t *testing.T) {
	p, err := Named("blackfriday")
	if err != nil {
		t.Fatal(err)
	}
	elapsed, hits := time.Duration(0), uint64(0)
	for {
		wait, stop := p.Pace(elapsed, hits)
		if stop {
			break
		}
		elapsed += wait
		hits++
		if want := p.Sent(elapsed.Seconds()); math.Abs(float64(hits)-want) > 2 {
			t.Fatalf("after %s %d were sent, want %.1f", elapsed, hits, want)
		}
	}
	if elapsed < p.Duration() || elapsed > p.Duration()+time.Second {
		t.Errorf("it ended after %s, want %s", elapsed, p.Duration())
	}
	// A delayed generator catches up.
	if wait, _ := p.Pace(time.Minute, 0); wait != 0 {
		t.Errorf("a generator that is behind waits for %s", wait)
	}
}

func TestParse(t *testing.T) {
	p, err := Parse("0s:10, 30s:10,30s:200,1m30s:200")
	if err != nil {
		t.Fatal(err)
	}
	if p.Duration() != 90*time.Second || p.At(29) != 10 || p.At(30) != 200 {
		t.Errorf("got %v", p)
	}
	for text, want := range map[string]string{
		"":                 `"" is not a point`,
		"0s:10":            "must begin at 0s and end later",
		"10s:10,20s:10":    "must begin at 0s",
		"0s:10,20:10":      `"20:10" is not a point`,
		"0s:10,20s":        `"20s" is not a point`,
		"0s:10,20s:ten":    `"20s:ten" is not a point`,
		"0s:10,20s:0":      "the rate 0 at 20 s is not at least 1 a second",
		"0s:10,20s:NaN":    "the rate NaN at 20 s",
		"0s:10,20s:Inf":    "the rate +Inf at 20 s",
		"0s:9,20s:9,10s:9": "the point at 10 s comes after the one at 20 s",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestScaled(t *testing.T) {
	p, err := Named("blackfriday")
	if err != nil {
		t.Fatal(err)
	}
	fast, err := p.Scaled(3, 2)
	if err != nil {
		t.Fatal(err)
	}
	if fast.Duration() != 5*time.Minute || fast.Peak() != 400 || p.Peak() != 200 {
		t.Errorf("three times as fast, twice as large: %s, peak %g; of the original %g",
			fast.Duration(), fast.Peak(), p.Peak())
	}
	for _, factors := range [][2]float64{{0, 1}, {1, 0}, {-1, 1}, {math.NaN(), 1}, {math.Inf(1), 1}, {1, 0.01}} {
		if _, err := p.Scaled(factors[0], factors[1]); err == nil {
			t.Errorf("the factors %v were accepted", factors)
		}
	}
}
