// Package profile describes how many requests a load sends over time.
package profile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Point is a rate at a time. Between two points the rate changes evenly; two points at one time are a step.
type Point struct {
	// At is in seconds since the start.
	At float64 `json:"at"`
	// Rate is in requests per second.
	Rate float64 `json:"rate"`
}

// Profile is a load over time. The first point is at 0, the last one is the end.
type Profile struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Rates of the profiles that have no number of their own, in requests per second: one that a pod at rest does not notice,
// and one for which the app's default of 100m at 50 % is too little on a kind cluster (docs/comparison.md: 200-300 µs of
// CPU for a visit).
const low, high = 10, 600

// blackFriday are the figures of the case study: 500 to 12,000 requests per minute, and back, in 15 minutes.
var blackFriday = []Point{{0, 500. / 60}, {120, 500. / 60}, {300, 12000. / 60}, {720, 12000. / 60}, {780, 500. / 60}, {900, 500. / 60}}

// Names are the profiles that Named knows, with what they are.
func Names() [][2]string {
	return [][2]string{
		{"step", "10 a second for 30 s, 600 for 3 min, 10 for 90 s"},
		{"ramp", "10 a second to 600 in 4 min, there for 1 min"},
		{"wave", "between 10 and 600 a second, three times in 6 min"},
		{"blackfriday", "500 requests per minute to 12,000 in 3 min, there for 7 min, and back: 15 min"},
	}
}

// Named is the profile with a name of Names.
func Named(name string) (Profile, error) {
	switch name {
	case "step":
		return Profile{name, []Point{{0, low}, {30, low}, {30, high}, {210, high}, {210, low}, {300, low}}}, nil
	case "ramp":
		return Profile{name, []Point{{0, low}, {240, high}, {300, high}}}, nil
	case "wave":
		return Profile{name, wave(low, high, 120, 3)}, nil
	case "blackfriday":
		return Profile{name, slices.Clone(blackFriday)}, nil
	}
	var names []string
	for _, n := range Names() {
		names = append(names, n[0])
	}
	return Profile{}, fmt.Errorf("%q is not a profile; there are %s", name, strings.Join(names, ", "))
}

// wave is a sine between two rates that begins at its lowest, as lines of a sixteenth of its period: they stay within a
// hundredth of the swing.
func wave(from, to, period float64, times int) (points []Point) {
	const parts = 16
	for i := range times*parts + 1 {
		swing := (1 - math.Cos(2*math.Pi*float64(i)/parts)) / 2
		points = append(points, Point{float64(i) * period / parts, from + (to-from)*swing})
	}
	return points
}

// Parse reads points such as "0s:10,30s:10,30s:200,3m:200".
func Parse(text string) (Profile, error) {
	p := Profile{Name: "custom"}
	for _, part := range strings.Split(text, ",") {
		at, rate, found := strings.Cut(strings.TrimSpace(part), ":")
		d, err := time.ParseDuration(at)
		r, rateErr := strconv.ParseFloat(rate, 64)
		if !found || err != nil || rateErr != nil {
			return Profile{}, fmt.Errorf("%q is not a point; want time:requests per second, such as 30s:200", part)
		}
		p.Points = append(p.Points, Point{d.Seconds(), r})
	}
	return p, p.validate()
}

// minRate is the least rate of a point. A load generator that waits for the next request does not hear that it shall stop.
const minRate = 1

func (p Profile) validate() error {
	var problems []error
	if len(p.Points) < 2 || p.Points[0].At != 0 || p.Duration() <= 0 {
		problems = append(problems, errors.New("the points must begin at 0s and end later"))
	}
	for i, point := range p.Points {
		if i > 0 && point.At < p.Points[i-1].At {
			problems = append(problems, fmt.Errorf("the point at %g s comes after the one at %g s", point.At, p.Points[i-1].At))
		}
		if !(point.Rate >= minRate) || math.IsInf(point.Rate, 0) {
			problems = append(problems, fmt.Errorf("the rate %g at %g s is not at least %d a second", point.Rate, point.At, minRate))
		}
	}
	return errors.Join(problems...)
}

// Scaled has its times divided by speed, and its rates multiplied by size.
func (p Profile) Scaled(speed, size float64) (Profile, error) {
	if !(speed > 0) || !(size > 0) || math.IsInf(speed, 0) || math.IsInf(size, 0) {
		return Profile{}, fmt.Errorf("the factors of speed %g and size %g must be above 0", speed, size)
	}
	scaled := Profile{Name: p.Name}
	for _, point := range p.Points {
		scaled.Points = append(scaled.Points, Point{point.At / speed, point.Rate * size})
	}
	return scaled, scaled.validate()
}

// Duration is when the profile ends.
func (p Profile) Duration() time.Duration {
	if len(p.Points) == 0 {
		return 0
	}
	return seconds(p.Points[len(p.Points)-1].At)
}

// Peak is the highest rate.
func (p Profile) Peak() float64 {
	return slices.MaxFunc(p.Points, func(a, b Point) int { return cmp.Compare(a.Rate, b.Rate) }).Rate
}

// At is the rate in requests per second at a number of seconds since the start; 0 outside the profile.
func (p Profile) At(t float64) float64 {
	if t < 0 || t > p.Duration().Seconds() {
		return 0
	}
	i := p.segment(t)
	from, to := p.Points[i-1], p.Points[i]
	if to.At == from.At {
		return to.Rate
	}
	return from.Rate + (to.Rate-from.Rate)*(t-from.At)/(to.At-from.At)
}

// segment is the index of the point that ends the line on which t is. At a step it is the line after it.
func (p Profile) segment(t float64) int {
	for i := 1; i < len(p.Points); i++ {
		if t < p.Points[i].At {
			return i
		}
	}
	return len(p.Points) - 1
}

// Sent is how many requests the profile has sent until then: the area below its lines.
func (p Profile) Sent(t float64) (sum float64) {
	for i := 1; i < len(p.Points); i++ {
		from, to := p.Points[i-1], p.Points[i]
		if t >= to.At {
			sum += (from.Rate + to.Rate) / 2 * (to.At - from.At)
			continue
		}
		return sum + (from.Rate+p.At(t))/2*(t-from.At)
	}
	return sum
}

// Pace implements vegeta's Pacer: how long to wait for the next request, after so many in so long.
func (p Profile) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	if elapsed >= p.Duration() {
		return 0, true
	}
	t := elapsed.Seconds()
	behind := float64(hits) + 1 - p.Sent(t)
	if behind <= 0 {
		return 0, false
	}
	return seconds(behind / max(p.At(t), minRate)), false
}

// Rate implements vegeta's Pacer.
func (p Profile) Rate(elapsed time.Duration) float64 { return p.At(elapsed.Seconds()) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
