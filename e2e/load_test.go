//go:build e2e

package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// loadRate and loadTime bound the load: enough to use several times the CPU that two pods aim at, for long enough that
// the autoscaler, which looks every 15 s at figures that are up to 15 s old, has seen it a few times.
const (
	loadRate  = 2500 // requests per second
	quietRate = 50   // far below what two pods aim at, so that the autoscaler takes pods away under traffic
	loadTime  = 6 * time.Minute
)

// attack sends load to a loopback address until the returned function is called, which tells how many requests were
// sent and how many were not answered by 200.
func attack(
	t *testing.T, target string, rate int, options ...func(*vegeta.Attacker),
) (stop func() (sent, failed uint64)) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil || u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		t.Fatalf("%s is not an address of this machine; load goes nowhere else", target)
	}
	options = append(options, vegeta.Timeout(5*time.Second), vegeta.Connections(64), vegeta.MaxWorkers(64))
	attacker := vegeta.NewAttacker(options...)
	targeter := vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: target})
	var sent, failed uint64
	failures := map[string]int{}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		pace := vegeta.Rate{Freq: rate, Per: time.Second}
		for result := range attacker.Attack(targeter, pace, loadTime, "e2e") {
			sent++
			if result.Code != 200 {
				failed++
				failures[result.Error[strings.LastIndex(result.Error, ": ")+1:]]++ // without the ports, which all differ
			}
		}
	}()
	return func() (uint64, uint64) {
		attacker.Stop()
		<-finished
		for text, n := range failures {
			t.Logf("load: %d times%s", n, text)
		}
		return sent, failed
	}
}
