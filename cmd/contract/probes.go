package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// awayProbes is how often both instances are asked without Redis, half a second apart: longer than WebApp's readiness
// probe, which gives up after two misses 2 s apart, takes to notice.
const awayProbes = 8

const todoAlive = "answer it without asking anything else: when it fails, Kubernetes restarts the pod, which cures " +
	"no backing service"

// checkStart launches the first instance, locked down as under WebApp, and returns it, or nil if it does not answer.
func (b *bench) checkStart(ctx context.Context) *instance {
	b.note("starting the app, for up to %v", b.start)
	first := b.launch(ctx, b.env)
	seen, why := first.answers(ctx)
	if why != "" {
		b.add(ctx, fail, pointStarts, why,
			"if a setting is wrong: -env, -file; it has to listen on all addresses, not on 127.0.0.1 alone, and on -port",
			"if it writes files: all directories are read-only but for those of -writable",
			"if it needs more: it runs as -user, with as much memory as -memory, and without capabilities, so that it cannot "+
				"listen on a port below 1024 or change owners")
		return nil
	}
	b.add(ctx, pass, pointStarts, fmt.Sprintf("answers %s on port %s as user %s, with a read-only file system, no "+
		"capabilities, no-new-privileges and %s of memory", seen, b.port, b.user, b.memory))
	return first
}

// answers waits for the first answer of any kind, and returns it or why there is none. To connect is not enough:
// Docker's proxy accepts for an app that does not listen.
func (i *instance) answers(ctx context.Context) (last answer, why string) {
	gone := ""
	answered := i.within(ctx, i.start, func() bool {
		if gone = i.gone(ctx); gone == "" {
			last = get(ctx, i.address, i.path, probeLimit)
		}
		return gone != "" || last.failure == ""
	})
	switch {
	case gone != "":
		why = "did not start: " + gone
	case !answered:
		why = fmt.Sprintf("runs, but GET %s on port %s fails after %v: %s", i.path, i.port, i.start, last)
	}
	return last, why
}

// checkProbes asks liveness and readiness of the first instance, starts the second one while Redis is away, asks again,
// and brings Redis back. It returns the second one.
func (b *bench) checkProbes(ctx context.Context, first *instance) *instance {
	noLive := b.becomes(ctx, pointAlive, "-live", first, b.live, todoAlive)
	noReady := b.becomes(ctx, pointReady, "-ready", first, b.ready,
		"answer 200 once requests can be served; until then WebApp sends none")
	if b.redis != nil {
		return b.checkWithoutRedis(ctx, first, noLive, noReady)
	}
	for _, point := range []string{pointAliveWithout, pointReadyWithout, pointRecovers} {
		b.add(ctx, skip, point, "no -env or -file names {redis.host}, so there is no backing service to take away")
	}
	second := b.launch(ctx, b.env)
	if _, why := second.answers(ctx); why != "" && b.err == nil {
		b.err = fmt.Errorf("another instance, like the first: %s", why)
	}
	return second
}

// becomes waits for a probe to succeed, reports it, and returns why it can say nothing without Redis, or "".
func (b *bench) becomes(ctx context.Context, point, flag string, i *instance, path, todo string) (useless string) {
	if path == "" {
		useless = "no path for it (" + flag + ")"
		b.add(ctx, skip, point, useless)
		return useless
	}
	seen := ""
	if b.within(ctx, b.start, func() (ok bool) {
		ok, seen = probe(ctx, i.address, path)
		return ok
	}) {
		b.add(ctx, pass, point, seen)
		return ""
	}
	b.add(ctx, fail, point, fmt.Sprintf("%s, for %v", seen, b.start), todo, "if it has such a path, name it ("+flag+")")
	return "GET " + path + " fails with Redis too"
}

// checkWithoutRedis stops Redis, starts the second instance, and starts Redis again. noLive and noReady say why a probe
// can say nothing: one that never succeeds does not without Redis either.
func (b *bench) checkWithoutRedis(ctx context.Context, first *instance, noLive, noReady string) *instance {
	b.note("stopping Redis, and starting a second instance without it")
	b.do(ctx, "", "stop", "--time", "1", b.redis.id)
	second := b.launch(ctx, b.env)
	instances := []*instance{first, second}
	b.within(ctx, b.start, func() bool {
		ok, _ := probe(ctx, second.address, cmp.Or(b.live, b.path))
		return ok || noLive != "" || second.gone(ctx) != ""
	})
	// One success is not enough: an app may answer until its first attempt to reach Redis has failed. The first one may
	// stay ready, since all instances would otherwise leave the load balancer at once.
	dead, tooReady, gone := "", "", ""
	for range awayProbes {
		for n, i := range instances {
			if ok, seen := probe(ctx, i.address, cmp.Or(b.live, b.path)); !ok {
				dead = seen + ", of the instance that " + []string{"lost Redis", "never had Redis"}[n]
			}
		}
		if ok, seen := probe(ctx, second.address, cmp.Or(b.ready, b.path)); ok {
			tooReady = seen
		}
		b.sleep(ctx, time.Second/2)
	}
	for _, i := range instances {
		gone = cmp.Or(gone, i.gone(ctx))
	}
	switch {
	case gone != "":
		b.add(ctx, fail, pointAliveWithout, "ended: "+gone, "start without the backing service and go on trying: Kubernetes "+
			"otherwise restarts the pod, after pauses of up to 5 minutes")
	case noLive != "":
		b.add(ctx, skip, pointAliveWithout, noLive)
	case dead != "":
		b.add(ctx, fail, pointAliveWithout, dead, todoAlive)
	default:
		b.add(ctx, pass, pointAliveWithout, "GET "+b.live+" succeeds, for one that lost Redis and one that never had it")
	}
	switch {
	case noReady != "":
		b.add(ctx, skip, pointReadyWithout, noReady)
	case gone != "":
		b.add(ctx, skip, pointReadyWithout, "the app ended without Redis")
	case tooReady != "":
		b.add(ctx, fail, pointReadyWithout, tooReady, "answer 503 until the backing service was reached once: else a "+
			"rollout with a wrong address or password replaces pods that work")
	default:
		b.add(ctx, pass, pointReadyWithout, "GET "+b.ready+" fails on one that never had it")
	}

	b.startRedis(ctx)
	b.checkRecovery(ctx, first, second, noReady)
	return second
}

// checkRecovery wants both instances to serve once Redis is there.
func (b *bench) checkRecovery(ctx context.Context, first, second *instance, noReady string) {
	for _, i := range []*instance{first, second} { // as Kubernetes restarts what has ended
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
		b.add(ctx, pass, pointRecovers, "both instances serve again once Redis is back")
	} else {
		b.add(ctx, fail, pointRecovers, fmt.Sprintf("%v after Redis came back: %s", b.start, seen),
			"connect again by itself, and look the name up again: nothing restarts the app when Redis is back")
	}
}

// turns is how often the two instances are asked for their number, one after the other. Numbers kept in two processes
// fail at the third turn at the latest; the others find state that is copied between instances with a delay.
const turns = 10

// checkState asks the two instances by turns, as a load balancer does, for the number of -counter. It may leave numbers
// out, since probes or others may count too, but never stays or falls: then an instance did not see what the other one
// had counted.
func (b *bench) checkState(ctx context.Context, first, second *instance) {
	if b.counter == nil {
		b.add(ctx, skip, pointState, "nothing to compare: -counter REGEXP names a number that rises")
		return
	}
	var numbers []string
	last, rising := 0, true
	for turn := range turns {
		a := get(ctx, []*instance{first, second}[turn%2].address, b.path, answerLimit)
		match := b.counter.FindStringSubmatch(a.body)
		if a.lost() != "" || match == nil {
			b.add(ctx, fail, pointState, fmt.Sprintf("GET %s: %s, no %s in its answer", b.path, a, b.counter))
			return
		}
		n, err := strconv.Atoi(match[1])
		rising = rising && err == nil && (turn == 0 || n > last)
		last, numbers = n, append(numbers, match[1])
	}
	if !rising {
		b.add(ctx, fail, pointState, "asked by turns, the two instances count "+strings.Join(numbers, ", "),
			"keep state outside of the process, in the backing service or in what the visitor sends along: else each instance "+
				"has its own")
		return
	}
	b.add(ctx, pass, pointState, fmt.Sprintf("asked by turns, the two instances count %s to %s, rising", numbers[0],
		numbers[turns-1]))
}
