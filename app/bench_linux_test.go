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

// BenchmarkServer measures the program's CPU time per request with a real Redis, compared with a minimal net/http
// server (testdata/bare), its CPU usage at rest, and its memory.
//
// Each server is a separate process, built like the image, so that neither the visitors nor Redis are counted. The
// server has CPU 0 to itself; visitors and Redis share the others. On one CPU they would compete for the caches at
// the server's expense; in production they run on other machines.
//
// Short rounds of the two servers alternate, so that both find the machine equally busy. All figures are medians.
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
	b.ReportMetric(0, "ns/op") // meaningless here
	b.ReportMetric(median(bareCosts), "bare-cpu-us/req")
	b.ReportMetric(median(fullCosts), "cpu-us/req")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(1e3*rest.Seconds()/benchRest.Seconds(), "rest-mCPU")
	b.ReportMetric(rss, "rss-MB")
	if rss > maxRSS {
		b.Errorf("memory: got %.1f MB, want at most %d MB", rss, maxRSS)
	}
}

// perRequest returns the CPU time of a request in microseconds.
func perRequest(cpu time.Duration, requests int64) float64 {
	return float64(cpu.Nanoseconds()) / 1e3 / float64(requests)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
