package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// awayTime limits the probes without Redis. WebApp's readiness probe needs less to fail: two failures 2 s apart.
const awayTime = 4 * time.Second

const todoAlive = "answer it without calling another service: when it fails, Kubernetes restarts the pod, which does " +
	"not fix a backing service"

// checkStart launches the first instance, restricted as by WebApp, and returns it, or nil if it does not respond.
func (b *bench) checkStart(ctx context.Context) *instance {
	b.note("starting the app, for up to %v", b.start)
	first := b.launch(ctx, b.env)
	seen, why := first.answers(ctx)
	if why != "" {
		b.add(ctx, fail, checkStarts, why,
			"if a setting is wrong: set it with -env or -file; the app must listen on all addresses, not only on 127.0.0.1, "+
				"and on -port",
			"if it writes files: all directories except those of -writable are read-only",
			"if it needs more privileges or memory: it runs as -user, with the memory of -memory and without capabilities, so "+
				"it cannot listen on a port below 1024 or change file owners")
		return nil
	}
	b.add(ctx, pass, checkStarts, fmt.Sprintf("answers %s on port %d as user %s, with a read-only file system, no "+
		"capabilities, no-new-privileges and %s of memory", seen, b.port, b.user, b.memory))
	return first
}

// answers waits for the first response of any kind, and returns it or why there is none. A connection is not enough,
// because Docker's proxy accepts connections for an app that does not listen.
func (i *instance) answers(ctx context.Context) (last answer, why string) {
	answered, gone := i.until(ctx, i.start, func() bool {
		last = get(ctx, i.address, i.path, probeLimit)
		return last.failure == ""
	})
	switch {
	case gone != "":
		why = "did not start: " + gone
	case !answered:
		why = fmt.Sprintf("runs, but GET %s on port %d fails after %v: %s", i.path, i.port, i.start, last)
	}
	return last, why
}

// checkProbes probes liveness and readiness of the first instance, starts the second one while Redis is stopped,
// probes again, and restarts Redis. It returns the second instance.
func (b *bench) checkProbes(ctx context.Context, first *instance) *instance {
	noLive := b.becomes(ctx, checkAlive, "-live", first, b.live, todoAlive)
	noReady := b.becomes(ctx, checkReady, "-ready", first, b.ready,
		"answer 200 once requests can be served; until then WebApp sends none")
	if b.redis != nil {
		return b.checkWithoutRedis(ctx, first, noLive, noReady)
	}
	for _, check := range []string{checkAliveWithout, checkReadyWithout, checkRecovers} {
		b.add(ctx, skip, check, "no -env or -file refers to {redis.host}, so there is no backing service to stop")
	}
	second := b.launch(ctx, b.env)
	if _, why := second.answers(ctx); why != "" && b.err == nil {
		b.err = fmt.Errorf("starting a second instance like the first: %s", why)
	}
	return second
}

// becomes waits for a probe to succeed, reports it, and returns why the probe proves nothing without Redis, or "".
func (b *bench) becomes(ctx context.Context, check, flag string, i *instance, path, todo string) (useless string) {
	if path == "" {
		useless = "no path for it (" + flag + ")"
		b.add(ctx, skip, check, useless)
		return useless
	}
	seen := ""
	if b.within(ctx, b.start, func() (ok bool) {
		ok, seen = probe(ctx, i.address, path)
		return ok
	}) {
		b.add(ctx, pass, check, seen)
		return ""
	}
	b.add(ctx, fail, check, fmt.Sprintf("%s, for %v", seen, b.start), todo,
		"if the app has such a path, set it ("+flag+")")
	return "GET " + path + " fails with Redis too"
}

// checkWithoutRedis stops Redis, starts the second instance, and restarts Redis. noLive and noReady are the reasons
// to skip a probe: one that never succeeds proves nothing without Redis.
func (b *bench) checkWithoutRedis(ctx context.Context, first *instance, noLive, noReady string) *instance {
	b.note("stopping Redis, and starting a second instance without it")
	b.do(ctx, "", "stop", "--time", "1", b.redis.id)
	second := b.launch(ctx, b.env)
	second.until(ctx, b.start, func() bool {
		ok, _ := probe(ctx, second.address, b.live)
		return ok || noLive != ""
	})
	// One success is not enough: an app may succeed until its first attempt to reach Redis has failed. The first
	// instance may stay ready, because otherwise all instances would leave the load balancer at once.
	dead, tooReady := "", ""
	b.within(ctx, awayTime, func() bool {
		for which, i := range map[string]*instance{"lost Redis": first, "never had Redis": second} {
			if ok, seen := probe(ctx, i.address, b.live); !ok {
				dead = seen + ", of the instance that " + which
			}
		}
		if ok, seen := probe(ctx, second.address, b.ready); ok {
			tooReady = seen
		}
		return false
	})
	gone := cmp.Or(first.gone(ctx), second.gone(ctx))
	switch {
	case gone != "":
		b.add(ctx, fail, checkAliveWithout, "ended: "+gone, "start without the backing service and keep retrying: otherwise "+
			"Kubernetes restarts the pod, with a back-off of up to 5 minutes")
	case noLive != "":
		b.add(ctx, skip, checkAliveWithout, noLive)
	case dead != "":
		b.add(ctx, fail, checkAliveWithout, dead, todoAlive)
	default:
		b.add(ctx, pass, checkAliveWithout, "GET "+b.live+" succeeds, for one that lost Redis and one that never had it")
	}
	switch {
	case noReady != "":
		b.add(ctx, skip, checkReadyWithout, noReady)
	case gone != "":
		b.add(ctx, skip, checkReadyWithout, "the app ended without Redis")
	case tooReady != "":
		b.add(ctx, fail, checkReadyWithout, tooReady, "answer 503 until the backing service was reached once: "+
			"otherwise a rollout with a wrong address or password replaces working pods")
	default:
		b.add(ctx, pass, checkReadyWithout, "GET "+b.ready+" fails on one that never had it")
	}

	b.startRedis(ctx)
	b.checkRecovery(ctx, first, second, noReady)
	return second
}

// checkRecovery checks that both instances serve once Redis is available.
func (b *bench) checkRecovery(ctx context.Context, first, second *instance, noReady string) {
	for _, i := range []*instance{first, second} { // as Kubernetes restarts an ended container
		if i.gone(ctx) != "" {
			i.run(ctx)
		}
	}
	seen := ""
	if b.within(ctx, b.start, func() (ok bool) {
		if noReady == "" {
			if ok, seen = probe(ctx, second.address, b.ready); !ok {
				return false
			}
		}
		if ok, seen = probe(ctx, first.address, b.path); ok {
			ok, seen = probe(ctx, second.address, b.path)
		}
		return ok
	}) {
		b.add(ctx, pass, checkRecovers, "both instances serve again once Redis is back")
	} else {
		b.add(ctx, fail, checkRecovers, fmt.Sprintf("%v after Redis came back: %s", b.start, seen),
			"reconnect by itself, and resolve the name again: nothing restarts the app when Redis is back")
	}
}

// turns is the number of requests to the two instances in turn. Numbers kept in each process fail at the third
// request at the latest; the others find state that is copied between instances with a delay.
const turns = 10

// checkState requests the number of -counter from the two instances in turn, as a load balancer does. It may skip
// values, since others may count too, but must rise: otherwise an instance did not see what the other had counted.
func (b *bench) checkState(ctx context.Context, first, second *instance) {
	if b.counter == nil {
		b.add(ctx, skip, checkState, "nothing to compare: set -counter to the REGEXP of a number that rises")
		return
	}
	var numbers []string
	last, rising := 0, true
	for turn := range turns {
		a := get(ctx, []*instance{first, second}[turn%2].address, b.path, answerLimit)
		match := b.counter.FindStringSubmatch(a.body)
		if a.lost() != "" || match == nil {
			b.add(ctx, fail, checkState, fmt.Sprintf("GET %s: %s, no %s in its answer", b.path, a, b.counter))
			return
		}
		n, err := strconv.Atoi(match[1])
		rising = rising && err == nil && (turn == 0 || n > last)
		last, numbers = n, append(numbers, match[1])
	}
	if !rising {
		b.add(ctx, fail, checkState, "asked by turns, the two instances count "+strings.Join(numbers, ", "),
			"keep state outside the process, in the backing service or in the visitor's request: otherwise each instance has "+
				"its own")
		return
	}
	b.add(ctx, pass, checkState, fmt.Sprintf("asked by turns, the two instances count %s to %s, rising", numbers[0],
		numbers[turns-1]))
}
