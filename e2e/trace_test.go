//go:build e2e

package e2e

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// call is one system call of Redis, as strace prints it: when it began and ended, in seconds.
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

// parseTrace reads what `strace -f -y -ttt -T` prints, in the order in which the calls ended.
func parseTrace(text string) []call {
	number := func(s string) float64 { n, _ := strconv.ParseFloat(s, 64); return n } // the patterns let only numbers in
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

// unforced tells how long and how many bytes of the append-only file were written but not yet forced to disk, at most,
// and how many answers left in that state.
func unforced(calls []call) (longest float64, most, early int) {
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
			waiting = append(waiting, write{c.end, c.bytes})
			most = max(most, sum())
		case toFile: // fsync or fdatasync: forces what was written before it began
			for len(waiting) > 0 && waiting[0].at <= c.began {
				longest = max(longest, c.end-waiting[0].at)
				waiting = waiting[1:]
			}
		case strings.HasPrefix(c.file, "socket:") && strings.HasPrefix(c.name, "write") && len(waiting) > 0:
			early++
		}
	}
	return longest, most, early
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
	longest, most, early := unforced(calls)
	if longest < 1.19 || longest > 1.21 || most != 72 || early != 1 {
		t.Errorf("got %.2f s, %d bytes, %d early answers, want 1.20 s from the write during the first call to the end of "+
			"the second, 72 bytes, 1 early answer", longest, most, early)
	}
}
