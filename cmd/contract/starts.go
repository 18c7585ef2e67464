package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// checkStart launches the first instance, locked down as under WebApp, and returns it, or nil if it does not answer.
func (b *bench) checkStart(ctx context.Context) (*instance, error) {
	b.report.note("starting the app, for up to %v", b.start)
	first, err := b.launch(ctx, locked)
	if err != nil {
		return nil, err
	}
	seen, why, err := b.answers(ctx, first)
	if err != nil {
		return nil, err
	}
	if why != "" {
		todo, err := b.diagnose(ctx)
		if err != nil {
			return nil, err
		}
		b.report.add(fail, pointStarts, why, todo)
		return nil, nil
	}
	b.report.add(pass, pointStarts, fmt.Sprintf("answers %s on port %d as user %d, with a read-only file system%s, no "+
		"capabilities, no-new-privileges and %s of memory", seen, b.port, b.user, b.writableText(), b.memory))
	return first, nil
}

func (b *bench) writableText() string {
	if len(b.writable) == 0 {
		return ""
	}
	return " but for " + strings.Join(b.writable, " and ")
}

// answers waits for the first answer of any kind, and returns it or why there is none. To connect is not enough:
// Docker's proxy accepts for an app that does not listen.
func (b *bench) answers(ctx context.Context, i *instance) (seen, why string, err error) {
	var last exchange
	err = poll(ctx, b.start, func() (bool, error) {
		if gone, err := i.away(ctx); err != nil || gone != "" {
			why = "did not start: " + gone
			return true, err
		}
		last = get(ctx, i.address, b.path, probeLimit)
		return last.failure == "", nil
	})
	if errors.Is(err, errTimeout) {
		return "", fmt.Sprintf("runs, but GET %s on port %d fails after %v: %s", b.path, b.port, b.start, last.failure), nil
	}
	return fmt.Sprint(last.status), why, err
}

// relaxed are the locks of diagnose: all restrictions but one, with what to do if that one was in the way.
var relaxed = []struct {
	lock lock
	todo string
}{
	{lock{user: true, capabilities: true, memory: true},
		"it starts with a writable file system: have it write nothing, or mount what it writes to and say so " +
			"(-writable DIR)"},
	{lock{readOnly: true, capabilities: true, memory: true},
		"it starts as the image's own user: have it need no user of its own (files that others can read, no home " +
			"directory), or name that user's number (-user)"},
	{lock{user: true, readOnly: true, memory: true},
		"it starts with Docker's capabilities: have it listen on a port above 1023 and change neither owners nor users"},
	{lock{user: true, readOnly: true, capabilities: true},
		"it starts without a memory limit: have it use less, or give it more (-memory)"},
}

// diagnose finds the restriction in which the app does not start, by taking one away at a time.
func (b *bench) diagnose(ctx context.Context) (string, error) {
	b.report.note("looking for what keeps it from starting")
	// First without any: if that fails, no other attempt can succeed, and each may take as long as an app may take to
	// start.
	if starts, _, err := b.startsWith(ctx, lock{}); err != nil || !starts {
		return fmt.Sprintf("it does not start without any restriction either: look at its settings (-env, -file) and its "+
			"port (-port %d), on which it must listen on all addresses, not on 127.0.0.1 alone", b.port), err
	}
	for _, r := range relaxed {
		starts, wrote, err := b.startsWith(ctx, r.lock)
		if err != nil {
			return "", err
		}
		// What it changed says which directories it needs, unless it has removed its files again.
		if starts && !r.lock.readOnly && wrote != "" {
			return r.todo + "; it wrote " + wrote, nil
		}
		if starts {
			return r.todo, nil
		}
	}
	return "it starts without any restriction, and with none of them alone taken away: more than one is in the way", nil
}

// startsWith tells whether the app starts under a lock, and what it changed in its file system.
func (b *bench) startsWith(ctx context.Context, l lock) (starts bool, wrote string, err error) {
	i, err := b.launch(ctx, l)
	if err != nil {
		return false, "", err
	}
	_, why, err := b.answers(ctx, i)
	if err != nil {
		return false, "", err
	}
	changes, err := b.do(ctx, "diff", i.id)
	if err != nil {
		return false, "", err
	}
	return why == "", strings.Join(strings.Split(changes, "\n"), ", "), i.drop(ctx)
}
