package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// turns is how often the two instances are asked for their number, one after the other. Numbers kept in two processes
// fail at the third turn at the latest; the others find state that is copied between instances with a delay.
const turns = 10

const todoState = "keep state outside of the process, in the backing service or in what the visitor sends along: " +
	"else each instance has its own"

// checkState asks the two instances by turns, as a load balancer does, whether they have the same state.
func (b *bench) checkState(ctx context.Context, pair []*instance) error {
	if b.counter == nil && b.same == "" {
		b.report.add(skip, pointState, "nothing to compare: -counter REGEXP names a number that rises, -same PATH an answer "+
			"that is the same from both instances")
		return nil
	}
	var seen []string
	for _, check := range []func(context.Context, []*instance) (string, error){b.rises, b.agree} {
		said, err := check(ctx, pair)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.report.add(fail, pointState, err.Error(), todoState)
			return nil
		}
		if said != "" {
			seen = append(seen, said)
		}
	}
	b.report.add(pass, pointState, strings.Join(seen, "; "))
	return nil
}

// rises checks the number of -counter. It may leave numbers out, since probes or others may count too, but never stays
// or falls: then an instance did not see what the other one had counted.
func (b *bench) rises(ctx context.Context, instances []*instance) (string, error) {
	if b.counter == nil {
		return "", nil
	}
	var numbers []string
	last, rising := int64(0), true
	for turn := range turns {
		e := get(ctx, instances[turn%len(instances)].address, b.path, answerLimit)
		match := b.counter.FindStringSubmatch(e.body)
		if e.lost() != "" || match == nil {
			return "", fmt.Errorf("GET %s: %s, no %s in its answer", b.path, e, b.counter)
		}
		n, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return "", fmt.Errorf("GET %s: no number where %s has its group: %q", b.path, b.counter, match[1])
		}
		rising = rising && (turn == 0 || n > last)
		last, numbers = n, append(numbers, match[1])
	}
	if !rising {
		return "", fmt.Errorf("asked by turns, the two instances count %s", strings.Join(numbers, ", "))
	}
	return fmt.Sprintf("asked by turns, the two instances count %s to %s, rising", numbers[0], numbers[turns-1]), nil
}

// agree checks the answers of -same, byte by byte. A path with the time or the name of the instance in its answer is
// the wrong one for this.
func (b *bench) agree(ctx context.Context, instances []*instance) (string, error) {
	if b.same == "" {
		return "", nil
	}
	var bodies []string
	for _, i := range instances {
		e := get(ctx, i.address, b.same, answerLimit)
		if e.failure != "" || e.status >= http.StatusBadRequest {
			return "", fmt.Errorf("GET %s: %s", b.same, e)
		}
		bodies = append(bodies, e.body)
	}
	if bodies[0] != bodies[1] {
		return "", fmt.Errorf("GET %s: the two instances answer differently", b.same)
	}
	return fmt.Sprintf("GET %s: the same %d bytes from both instances", b.same, len(bodies[0])), nil
}
