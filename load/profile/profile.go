// Package profile describes how many requests a load sends over time.
package profile

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Point is a rate at a time. Between two points the rate changes linearly; two points at the same time are a step.
type Point struct {
	At   float64 `json:"at"`   // in seconds since the start
	Rate float64 `json:"rate"` // in requests per second
}

// Profile is a load over time. The first point is at 0, the last one is the end.
type Profile struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// named has the predefined profiles. 10 requests a second do not load a pod; 600 exceed the app's default of 100m at
// 50 % on a kind cluster (docs/scaling.md: 0.4 ms of CPU for a visit). blackfriday has the figures of the case study.
var named = []struct{ name, points, meaning string }{
	{"step", "0s:10,30s:10,30s:600,210s:600,210s:10,5m:10", "10 a second for 30 s, 600 for 3 min, 10 for 90 s"},
	{"ramp", "0s:10,4m:600,5m:600", "from 10 a second to 600 in 4 min, then 600 for 1 min"},
	{"wave", "0s:10,1m:600,2m:10,3m:600,4m:10,5m:600,6m:10", "between 10 and 600 a second, three times in 6 min"},
	{
		"blackfriday", "0s:8.3333,2m:8.3333,5m:200,12m:200,13m:8.3333,15m:8.3333",
		"from 500 requests per minute to 12,000 in 3 min, 7 min at the peak, and back: 15 min",
	},
}

// Names lists the predefined profiles with their descriptions.
func Names() string {
	var names []string
	for _, n := range named {
		names = append(names, n.name+" ("+n.meaning+")")
	}
	return strings.Join(names, "; ")
}

// Named returns a predefined profile.
func Named(name string) (Profile, error) {
	for _, n := range named {
		if n.name == name {
			p, err := Parse(n.points)
			p.Name = name
			return p, err
		}
	}
	return Profile{}, fmt.Errorf("%q is not a profile; the profiles are: %s", name, Names())
}

// Parse reads points such as "0s:10,30s:10,30s:200,3m:200".
func Parse(text string) (Profile, error) {
	p := Profile{Name: "custom"}
	for part := range strings.SplitSeq(text, ",") {
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

// minRate is the minimum rate of a point. While the load generator waits for the next request, it ignores Ctrl-C.
const minRate = 1

func (p Profile) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if p.Points[0].At != 0 || p.Duration() <= 0 {
		problem("the points must begin at 0s and end later")
	}
	for i, point := range p.Points {
		if i > 0 && point.At < p.Points[i-1].At {
			problem("the point at %g s comes after the one at %g s", point.At, p.Points[i-1].At)
		}
		if !(point.Rate >= minRate) || math.IsInf(point.Rate, 0) {
			problem("the rate %g at %g s is not at least %d a second", point.Rate, point.At, minRate)
		}
	}
	return errors.Join(problems...)
}

// Scaled returns the profile with its times divided by speed and its rates multiplied by size.
func (p Profile) Scaled(speed, size float64) (Profile, error) {
	scaled := Profile{Name: p.Name}
	for _, point := range p.Points {
		scaled.Points = append(scaled.Points, Point{point.At / speed, point.Rate * size})
	}
	return scaled, scaled.validate()
}

// Duration returns the length of the profile.
func (p Profile) Duration() time.Duration { return seconds(p.Points[len(p.Points)-1].At) }

// Peak returns the highest rate.
func (p Profile) Peak() (peak float64) {
	for _, point := range p.Points {
		peak = max(peak, point.Rate)
	}
	return peak
}

// At returns the rate in requests per second at t seconds since the start. At a step it is the new rate.
func (p Profile) At(t float64) float64 {
	for i, to := range p.Points[1:] {
		if from := p.Points[i]; t < to.At {
			return from.Rate + (to.Rate-from.Rate)*(t-from.At)/(to.At-from.At)
		}
	}
	return p.Points[len(p.Points)-1].Rate
}

// Sent returns the number of requests that the profile has sent until t: the area under its curve.
func (p Profile) Sent(t float64) (sum float64) {
	for i, to := range p.Points[1:] {
		from := p.Points[i]
		if t < to.At {
			return sum + (from.Rate+p.At(t))/2*(t-from.At)
		}
		sum += (from.Rate + to.Rate) / 2 * (to.At - from.At)
	}
	return sum
}

// Pace implements vegeta's Pacer. It returns the time to wait before the next request, after hits requests in elapsed.
func (p Profile) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	t := elapsed.Seconds()
	behind := float64(hits) + 1 - p.Sent(t)
	return seconds(max(behind, 0) / max(p.At(t), minRate)), elapsed >= p.Duration()
}

// Rate implements vegeta's Pacer.
func (p Profile) Rate(elapsed time.Duration) float64 { return p.At(elapsed.Seconds()) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
