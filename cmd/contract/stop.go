package main

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
)

// wrongLimit is the time that the app may take to reject an invalid setting. One that takes longer is waiting.
const wrongLimit = 10 * time.Second

const todoBefore = "find out why it fails without being stopped; see its log"

// checkInFlight stops the second instance while a request is in flight. To be in flight for certain when SIGTERM
// arrives, the request must take longer than Docker takes to send the signal: it goes to -slow, or waits for a paused
// Redis, for which any complete response is correct.
func (b *bench) checkInFlight(ctx context.Context, i *instance) {
	path := b.slow
	if path == "" {
		if b.redis == nil {
			b.add(ctx, skip, checkInFlight, "neither a path that takes longer than sending SIGTERM (-slow) nor a Redis to pause")
			return
		}
		path = b.path
		b.do(ctx, "", "pause", b.redis.id)
	}
	b.note("sending SIGTERM to one instance with a request to %s in flight", path)
	answers := make(chan answer, 1)
	go func() { answers <- get(ctx, i.address, path, b.grace) }()
	time.Sleep(100 * time.Millisecond) // for the request to arrive
	gone, terminated := i.terminate(ctx), time.Now()
	if b.slow == "" {
		b.do(ctx, "", "unpause", b.redis.id)
	}
	if gone != "" {
		b.add(ctx, fail, checkInFlight, "ended before SIGTERM: "+gone, todoBefore)
		return
	}
	a := <-answers
	why := a.failure
	if b.slow != "" {
		why = a.lost()
	}
	switch after := a.ended.Sub(terminated); {
	case why != "":
		b.add(ctx, fail, checkInFlight, fmt.Sprintf("GET %s, sent before SIGTERM: %s", path, why),
			"on SIGTERM stop accepting connections, finish the requests in flight, and only then exit")
	case after < 0:
		b.add(ctx, skip, checkInFlight, "GET "+path+" was over before SIGTERM was sent: set a path that takes "+
			"longer (-slow)")
	default:
		b.add(ctx, pass, checkInFlight, fmt.Sprintf("GET %s, sent before SIGTERM: complete answer %d, %s after it", path,
			a.status, after.Round(10*time.Millisecond)))
	}
}

// checkStop stops the first instance while a load balancer keeps connections to it.
func (b *bench) checkStop(ctx context.Context, i *instance) {
	b.note("sending SIGTERM to the other instance, with connections open")
	connected, disconnect := context.WithCancel(ctx)
	defer disconnect()
	var gone string
	var terminated time.Time
	kept := stopUnder(connected, i.address, b.path, func() { gone, terminated = i.terminate(ctx), time.Now() })
	if gone != "" {
		b.add(ctx, fail, checkKeepAlive, "ended before SIGTERM: "+gone, todoBefore)
		b.add(ctx, skip, checkExit, "it ended before SIGTERM")
		return
	}
	if len(kept.lost) == 0 {
		b.add(ctx, pass, checkKeepAlive, kept.String())
	} else {
		b.add(ctx, fail, checkKeepAlive, kept.String(), "on SIGTERM keep serving open connections for a moment, each time "+
			"with `Connection: close`, or close idle ones at once", "if something was lost before SIGTERM: "+todoBefore)
	}
	b.note("waiting for its end, for up to %v", b.grace)
	_, gone = i.until(ctx, time.Until(terminated.Add(b.grace)), never)
	end := i.state(ctx)
	took := max(0, end.FinishedAt.Sub(terminated))
	if gone == "" || took > b.grace {
		b.add(ctx, fail, checkExit, fmt.Sprintf("still runs %v after SIGTERM, when Kubernetes kills it", b.grace),
			"handle SIGTERM: process 1 of a container ignores it unless it has a handler. Start a server that has one, "+
				"without a shell around it (CMD in the form [\"program\", \"argument\"], `exec` in a script)",
			"if it has one: do not wait for idle connections to be closed, the load balancer keeps them open")
		return
	}
	b.add(ctx, pass, checkExit,
		fmt.Sprintf("%s after SIGTERM, exit code %d", took.Round(10*time.Millisecond), end.ExitCode))
}

// checkWrongSettings starts the app with each invalid setting, with all others valid and Redis available.
func (b *bench) checkWrongSettings(ctx context.Context) {
	if len(b.bad) == 0 {
		b.add(ctx, skip, checkWrong, "no invalid setting to try (-bad NAME=VALUE)")
	}
	for _, bad := range b.bad {
		name, value, _ := strings.Cut(bad, "=")
		b.note("starting the app with an invalid %s", name)
		env := maps.Clone(b.env)
		env[name] = value
		i := b.launch(ctx, env)
		_, gone := i.until(ctx, wrongLimit, never)
		// Not the last line: a server with workers logs more after the one that names the setting.
		naming := ""
		for line := range strings.Lines(i.log(ctx)) {
			if strings.Contains(line, name) {
				naming = strings.TrimSpace(line)
			}
		}
		code := i.state(ctx).ExitCode
		switch {
		case gone != "" && code != 0 && naming != "":
			b.add(ctx, pass, checkWrong, fmt.Sprintf("%s: exit code %d: %s", bad, code, naming))
			continue
		case gone == "":
			gone = fmt.Sprintf("still runs after %v", wrongLimit)
		case code != 0 && naming == "":
			gone = "is not named: " + gone
		}
		b.add(ctx, fail, checkWrong, bad+": "+gone, "validate all settings at startup, print the invalid setting and the "+
			"problem, and exit with a code other than 0: a rollout then stops, and the pod's status has that message")
	}
}
