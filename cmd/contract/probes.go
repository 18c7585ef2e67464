package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Without Redis, both instances are asked awayProbes times, awayPause apart: longer than WebApp's readiness probe,
// which gives up after two misses 2 s apart, takes to notice.
const (
	awayProbes = 8
	awayPause  = 500 * time.Millisecond
)

// noRedis is why the points about a backing service are skipped.
const noRedis = "no -env or -file names {redis.host}, so there is no backing service to take away"

// What to do after a FAIL.
const (
	todoAlive = "answer it without asking anything else: when it fails, Kubernetes restarts the pod, which cures no " +
		"backing service"
	todoReady = "answer 200 once requests can be served; until then WebApp sends none"
	todoAway  = "answer 503 until the backing service was reached once: else a rollout with a wrong address or password " +
		"replaces pods that work"
	todoStay = "start without the backing service and go on trying: Kubernetes otherwise restarts the pod, after pauses " +
		"of up to 5 minutes"
	todoRecover = "connect again by itself, and look the name up again: nothing restarts the app when Redis is back"
	todoName    = "if it has such a path, name it"
)

// checkProbes asks liveness and readiness of the first instance, starts the second one while Redis is away, asks again,
// and brings Redis back. It returns two instances that run.
func (b *bench) checkProbes(ctx context.Context, first *instance) ([]*instance, error) {
	alive, err := b.becomes(ctx, pointAlive, first, b.live, todoAlive, todoName+" (-live)")
	if err != nil {
		return nil, err
	}
	ready := false
	if b.ready == "" {
		b.report.add(skip, pointReady, "no readiness path (-ready): the app gets requests as soon as it listens")
	} else {
		ready, err = b.becomes(ctx, pointReady, first, b.ready, todoReady, todoName+" (-ready)")
		if err != nil {
			return nil, err
		}
	}
	if b.redisID == "" {
		for _, point := range []string{pointAliveWithout, pointReadyWithout, pointRecovers} {
			b.report.add(skip, point, noRedis)
		}
		second, err := b.replacement(ctx)
		return []*instance{first, second}, err
	}
	return b.checkWithoutRedis(ctx, first, alive, ready)
}

// becomes waits for a probe to succeed, reports it, and returns whether it did.
func (b *bench) becomes(ctx context.Context, point string, i *instance, path string, todo ...string) (bool, error) {
	seen, err := b.await(ctx, i, path)
	switch {
	case errors.Is(err, errTimeout):
		b.report.add(fail, point, fmt.Sprintf("%s: %s, for %v", describe(path), seen, b.start), todo...)
		return false, nil
	case err != nil:
		return false, err
	}
	b.report.add(pass, point, fmt.Sprintf("%s: %s", describe(path), seen))
	return true, nil
}

// await waits for a probe to succeed, for as long as the app may take to start.
func (b *bench) await(ctx context.Context, i *instance, path string) (seen string, err error) {
	err = poll(ctx, b.start, func() (bool, error) {
		var ok bool
		ok, seen = probe(ctx, i.address, path)
		return ok, nil
	})
	return seen, err
}

func describe(path string) string {
	if path == "" {
		return "connection"
	}
	return "GET " + path
}

// replacement launches an instance and waits until it answers. That it starts was seen before, so it is an error if
// not.
func (b *bench) replacement(ctx context.Context) (*instance, error) {
	b.report.note("starting another instance")
	i, err := b.launch(ctx, locked)
	if err != nil {
		return nil, err
	}
	_, why, err := b.answers(ctx, i)
	if err == nil && why != "" {
		err = fmt.Errorf("another instance, like the first: %s", why)
	}
	return i, err
}

// checkWithoutRedis stops Redis, starts the second instance, and starts Redis again. alive and ready are whether these
// probes succeeded with Redis: one that never does says nothing without it either.
func (b *bench) checkWithoutRedis(ctx context.Context, first *instance, alive, ready bool) ([]*instance, error) {
	b.report.note("stopping Redis, and starting a second instance without it")
	if _, err := b.do(ctx, "stop", "--time", "1", b.redisID); err != nil {
		return nil, err
	}
	second, err := b.launch(ctx, locked)
	if err != nil {
		return nil, err
	}
	pair := []*instance{first, second}
	seen, err := b.probeWithoutRedis(ctx, pair)
	if err != nil {
		return nil, err
	}
	b.reportAlive(seen, alive)
	b.reportNotReady(seen, ready)
	if err := b.redisUp(ctx); err != nil {
		return nil, err
	}
	// What has ended is replaced, as Kubernetes would restart it, so that the other points can still be found out.
	for n, i := range pair {
		if gone, err := i.away(ctx); err != nil {
			return nil, err
		} else if gone != "" {
			if pair[n], err = b.replacement(ctx); err != nil {
				return nil, err
			}
		}
	}
	return pair, b.checkRecovers(ctx, pair, ready)
}

// outage is what was wrong without Redis.
type outage struct {
	dead  string // a liveness probe that failed
	ready string // a readiness probe that succeeded
	gone  string // how an instance ended
}

// probeWithoutRedis asks liveness of both instances, and readiness of the second: one that had its backing service may
// stay ready, since all instances would otherwise leave the load balancer at once.
func (b *bench) probeWithoutRedis(ctx context.Context, pair []*instance) (seen outage, err error) {
	if err := poll(ctx, b.start, func() (done bool, err error) {
		if seen.gone, err = pair[1].away(ctx); err != nil || seen.gone != "" {
			return true, err
		}
		done, _ = probe(ctx, pair[1].address, b.live)
		return done, nil
	}); err != nil && !errors.Is(err, errTimeout) {
		return seen, err
	}
	// One success is not enough: an app may answer until its first attempt to reach Redis has failed.
	for range awayProbes {
		for n, i := range pair {
			if ok, said := probe(ctx, i.address, b.live); !ok {
				seen.dead = fmt.Sprintf("%s of the instance that %s: %s", describe(b.live),
					[]string{"lost Redis", "never had Redis"}[n], said)
			}
		}
		if ok, said := probe(ctx, pair[1].address, b.ready); ok {
			seen.ready = said
		}
		if err := sleep(ctx, awayPause); err != nil {
			return seen, err
		}
	}
	for _, i := range pair {
		if gone, err := i.away(ctx); err != nil || gone != "" {
			seen.gone = gone
			return seen, err
		}
	}
	return seen, nil
}

func (b *bench) reportAlive(seen outage, alive bool) {
	switch {
	case seen.gone != "":
		b.report.add(fail, pointAliveWithout, "ended: "+seen.gone, todoStay)
	case !alive:
		b.report.add(skip, pointAliveWithout, describe(b.live)+" fails with Redis too")
	case seen.dead != "":
		b.report.add(fail, pointAliveWithout, seen.dead, todoAlive)
	default:
		b.report.add(pass, pointAliveWithout, describe(b.live)+" succeeds, for one that lost Redis and one that never had it")
	}
}

func (b *bench) reportNotReady(seen outage, ready bool) {
	switch {
	case b.ready == "":
		b.report.add(skip, pointReadyWithout, "no readiness path (-ready)")
	case !ready:
		b.report.add(skip, pointReadyWithout, "GET "+b.ready+" fails with Redis too")
	case seen.gone != "":
		b.report.add(skip, pointReadyWithout, "the app ended without Redis")
	case seen.ready != "":
		b.report.add(fail, pointReadyWithout, fmt.Sprintf("GET %s: %s", b.ready, seen.ready), todoAway)
	default:
		b.report.add(pass, pointReadyWithout, "GET "+b.ready+" fails on one that never had it")
	}
}

// checkRecovers asks whether both instances serve again, and the second one says so if it ever did.
func (b *bench) checkRecovers(ctx context.Context, pair []*instance, ready bool) error {
	var wrong []string
	if ready {
		if seen, err := b.await(ctx, pair[1], b.ready); errors.Is(err, errTimeout) {
			wrong = append(wrong, fmt.Sprintf("GET %s: %s", b.ready, seen))
		} else if err != nil {
			return err
		}
	}
	for _, i := range pair {
		var last exchange
		err := poll(ctx, b.start, func() (bool, error) {
			last = get(ctx, i.address, b.path, answerLimit)
			return last.failure == "" && last.status < http.StatusBadRequest, nil
		})
		if errors.Is(err, errTimeout) {
			wrong = append(wrong, fmt.Sprintf("GET %s: %s", b.path, last))
		} else if err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		b.report.add(fail, pointRecovers, fmt.Sprintf("%v after Redis came back: %s", b.start, strings.Join(wrong, ", ")),
			todoRecover)
		return nil
	}
	b.report.add(pass, pointRecovers, "both instances serve again once Redis is back")
	return nil
}
