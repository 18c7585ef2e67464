package main

import (
	"fmt"
	"io"
	"strings"
)

// verdict is what came of a point.
type verdict string

const (
	pass verdict = "PASS"
	fail verdict = "FAIL"
	skip verdict = "SKIP"
)

// Names of the points, in the order of the report. docs/contract.md has a section for each.
const (
	pointStarts       = "starts"
	pointAlive        = "alive"
	pointReady        = "ready"
	pointAliveWithout = "alive without Redis"
	pointReadyWithout = "not ready without Redis"
	pointRecovers     = "recovers"
	pointState        = "same state"
	pointUnderWay     = "under way"
	pointKept         = "kept connections"
	pointEnds         = "ends"
	pointWrong        = "wrong setting"
)

// pointsOfRunning need an app that runs.
var pointsOfRunning = []string{
	pointAlive, pointReady, pointAliveWithout, pointReadyWithout, pointRecovers, pointState, pointUnderWay, pointKept,
	pointEnds, pointWrong,
}

// nameWidth is that of the longest name.
const nameWidth = len(pointReadyWithout)

// report prints points as they are found out.
type report struct {
	out, progress io.Writer
	count         map[verdict]int
}

// add prints the line of a point. todo, for a FAIL, are lines that say what to do.
func (r *report) add(v verdict, point, seen string, todo ...string) {
	if r.count == nil {
		r.count = map[verdict]int{}
	}
	r.count[v]++
	_, _ = fmt.Fprintf(r.out, "%s  %-*s  %s\n", v, nameWidth, point, seen)
	for _, line := range todo {
		_, _ = fmt.Fprintf(r.out, "      %-*s  -> %s\n", nameWidth, "", line)
	}
}

// note prints what takes a while.
func (r *report) note(format string, args ...any) {
	_, _ = fmt.Fprintf(r.progress, "... "+format+"\n", args...)
}

// summary prints the number of each verdict.
func (r *report) summary() {
	var parts []string
	for _, v := range []verdict{pass, fail, skip} {
		parts = append(parts, fmt.Sprintf("%d %s", r.count[v], v))
	}
	_, _ = fmt.Fprintln(r.out, strings.Join(parts, ", "))
}
