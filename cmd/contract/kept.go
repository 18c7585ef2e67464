package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Number of connections of the load balancer, and duration and interval of the requests on them after SIGTERM.
const (
	keptConns = 8
	keptTime  = time.Second
	keptPause = 200 * time.Millisecond
)

// account is the outcome of the requests on kept-alive connections.
type account struct {
	kept, asked int            // connections, requests after SIGTERM
	lost        map[string]int // requests by reason
}

// stopUnder opens connections as a load balancer does, lets terminate send SIGTERM, and then sends requests on those
// that are still open, by the rules in docs/contract.md ("What counts as lost"). They stay open until ctx is done.
//
// Nothing is sent while Docker delivers SIGTERM, which takes a tenth of a second: whether a request that crosses with
// the close of an idle connection counts would be a matter of chance.
func stopUnder(ctx context.Context, address, path string, terminate func()) account {
	total := account{lost: map[string]int{}}
	var open []*conn
	for range keptConns {
		c, a := connect(ctx, address, path, answerLimit)
		if a.keeps {
			open = append(open, c)
		}
		if why := a.lost(); why != "" {
			total.lost["sent before SIGTERM: "+why]++
		}
	}
	total.kept = len(open)
	terminate()
	for begun := time.Now(); time.Since(begun) < keptTime; time.Sleep(keptPause) {
		open = slices.DeleteFunc(open, func(c *conn) bool {
			a := answer{}
			if !c.closed() {
				total.asked++
				a = c.ask(path, answerLimit)
			}
			if why := a.lost(); why != "" {
				total.lost["sent after SIGTERM: "+why]++
			}
			if !a.keeps {
				_ = c.Close()
			}
			return !a.keeps
		})
	}
	return total
}

// String returns the account as one line.
func (a account) String() string {
	line := fmt.Sprintf("%d of %d connections kept, %d requests on them after SIGTERM", a.kept, keptConns, a.asked)
	if len(a.lost) == 0 {
		return line + ": none lost"
	}
	var lost []string
	for _, why := range slices.Sorted(maps.Keys(a.lost)) {
		lost = append(lost, fmt.Sprintf("%d %s", a.lost[why], why))
	}
	return line + "; lost: " + strings.Join(lost, ", ")
}
