package main

import (
	"slices"
	"testing"
	"time"
)

const (
	benchConnections = 50
	benchRounds      = 25
	benchRound       = 300 * time.Millisecond
	benchRest        = 20 * time.Second // two pings of an idle connection
	maxRSS           = 20               // MB, at benchConnections
)

// BenchmarkServer measures the CPU time per request of the program, counting in a real Redis, beside the least that
// net/http can do (testdata/bare), the CPU that it takes when nobody visits, and the program's memory.
//
// Both are processes of their own, built as the image is, so that neither the visitors nor Redis are counted. The
// server has CPU 0 for itself; visitors and Redis share the others. On one CPU they would push each other out of the
// caches, and the server would pay for its neighbours: in production they are on other machines.
//
// Short rounds alternate, so that the two of a pair find the machine equally busy. All figures are medians.
func BenchmarkServer(b *testing.B) {
	pinProcess(b)
	redis := startRedis(b)
	bare, full := startServer(b, redis, "./testdata/bare"), startServer(b, redis, ".")
	for _, s := range []*benchServer{bare, full} {
		s.load(b, benchRound) // connections, pools, heap size
	}
	var bareCosts, fullCosts, ratios []float64
	for b.Loop() {
		for range benchRounds {
			bareCost, fullCost := perRequest(bare.load(b, benchRound)), perRequest(full.load(b, benchRound))
			bareCosts, fullCosts = append(bareCosts, bareCost), append(fullCosts, fullCost)
			ratios = append(ratios, fullCost/bareCost)
		}
	}
	rest := full.cpuTime(b)
	time.Sleep(benchRest)
	rest = full.cpuTime(b) - rest
	rss := full.rss(b)
	b.ReportMetric(0, "ns/op") // means nothing here
	b.ReportMetric(median(bareCosts), "bare-cpu-us/req")
	b.ReportMetric(median(fullCosts), "cpu-us/req")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(1e3*rest.Seconds()/benchRest.Seconds(), "rest-mCPU")
	b.ReportMetric(rss, "rss-MB")
	if rss > maxRSS {
		b.Errorf("memory: got %.1f MB, want at most %d MB", rss, maxRSS)
	}
}

// perRequest returns microseconds.
func perRequest(cpu time.Duration, requests int64) float64 {
	return float64(cpu.Nanoseconds()) / 1e3 / float64(requests)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
