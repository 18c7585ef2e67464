//go:build e2e

package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// call is one system call of Redis, as printed by strace. Times are in seconds.
type call struct {
	name       string
	file       string
	began, end float64
	bytes      int
}

var (
	finished   = regexp.MustCompile(`^(?:\[pid +(\d+)\] )?([\d.]+) (\w+)\(\d+<([^>]*)>.* = (-?\d+) <([\d.]+)>$`)
	unfinished = regexp.MustCompile(`^(?:\[pid +(\d+)\] )?([\d.]+) (\w+)\(\d+<([^>]*)>.*<unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^(?:\[pid +(\d+)\] )?([\d.]+) <\.\.\. (\w+) resumed>.* = (-?\d+) <([\d.]+)>$`)
)

// parseTrace reads the output of `strace -f -y -ttt -T` and returns the calls in the order in which they ended.
func parseTrace(text string) []call {
	number := func(s string) float64 { n, _ := strconv.ParseFloat(s, 64); return n } // the patterns match only numbers
	open := map[string]call{}
	var calls []call
	for _, line := range strings.Split(text, "\n") {
		if m := finished.FindStringSubmatch(line); m != nil {
			began := number(m[2])
			calls = append(calls, call{m[3], m[4], began, began + number(m[6]), int(number(m[5]))})
		} else if m := unfinished.FindStringSubmatch(line); m != nil {
			open[m[1]+m[3]] = call{name: m[3], file: m[4], began: number(m[2])}
		} else if m := resumed.FindStringSubmatch(line); m != nil {
			if c, known := open[m[1]+m[3]]; known {
				c.end, c.bytes = c.began+number(m[5]), int(number(m[4]))
				calls = append(calls, c)
			}
		}
	}
	return calls
}

// forcing describes how Redis flushes its append-only file to disk.
type forcing struct {
	writes, forces int
	// longest and most are the maximum time and number of bytes that were written but not yet flushed to disk.
	longest float64
	most    int
	// slowest is the maximum time of a flush.
	slowest float64
	// early is the number of responses that were sent while anything was not yet flushed.
	early int
}

func unforced(calls []call) (f forcing) {
	type write struct {
		at    float64
		bytes int
	}
	var waiting []write
	sum := func() (bytes int) {
		for _, w := range waiting {
			bytes += w.bytes
		}
		return bytes
	}
	for _, c := range calls {
		toFile := strings.HasSuffix(c.file, ".aof")
		switch {
		case toFile && strings.HasPrefix(c.name, "write"):
			f.writes++
			waiting = append(waiting, write{c.end, c.bytes})
			f.most = max(f.most, sum())
		case toFile: // fsync or fdatasync: flushes what was written before it began
			f.forces++
			f.slowest = max(f.slowest, c.end-c.began)
			for len(waiting) > 0 && waiting[0].at <= c.began {
				f.longest = max(f.longest, c.end-waiting[0].at)
				waiting = waiting[1:]
			}
		case strings.HasPrefix(c.file, "socket:") && strings.HasPrefix(c.name, "write") && len(waiting) > 0:
			f.early++
		}
	}
	if len(waiting) > 0 { // never flushed during the trace
		f.longest = max(f.longest, calls[len(calls)-1].end-waiting[0].at)
	}
	return f
}

func TestTraceOfUnforcedWrites(t *testing.T) {
	calls := parseTrace(`strace: Process 977 attached with 6 threads
[pid   977] 100.000000 write(8</data/a.incr.aof>, "INCR"..., 24) = 24 <0.000100>
[pid   977] 100.100000 write(10<socket:[1]>, ":1\r\n", 8) = 8 <0.000100>
[pid  1001] 100.500000 fdatasync(8</data/a.incr.aof> <unfinished ...>
[pid   977] 100.600000 write(8</data/a.incr.aof>, "INCR"..., 48) = 48 <0.000100>
[pid  1001] 100.700000 <... fdatasync resumed>) = 0 <0.200000>
[pid  1001] 101.500000 fdatasync(8</data/a.incr.aof>) = 0 <0.300000>
[pid   977] 102.000000 write(10<socket:[1]>, ":1\r\n", 8) = 8 <0.000100>
`)
	if len(calls) != 6 {
		t.Fatalf("got %d calls, want 6: %v", len(calls), calls)
	}
	got := unforced(calls)
	if got.longest < 1.19 || got.longest > 1.21 || got.most != 72 || got.early != 1 {
		t.Errorf("got %+v, want 1.20 s from the write during the first call to the end of the second, 72 bytes, "+
			"1 early response", got)
	}
	if got.writes != 2 || got.forces != 2 || got.slowest < .29 || got.slowest > .31 {
		t.Errorf("got %+v, want 2 writes and 2 flushes, of which one took 0.30 s", got)
	}
	if never := unforced(calls[:1]); never.longest != 0 || never.forces != 0 {
		t.Errorf("got %+v of one write alone, want nothing flushed", never)
	}
	if left := unforced(append(calls[:2:2], calls[5])); left.longest < 1.9 {
		t.Errorf("got %+v of a write that is never flushed, want a wait until the end", left)
	}
}
