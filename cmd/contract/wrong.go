package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// wrongLimit is how long the app may take to refuse a wrong setting. To check it takes no time; one that takes longer
// waits for something, and a rollout with it.
const wrongLimit = 10 * time.Second

const todoWrong = "check all settings at the start, print what is wrong and with which setting, and end with an exit " +
	"code other than 0: a rollout then stops, and the pod's status has that message"

// checkWrongSettings starts the app with each wrong setting, all others right and Redis there.
func (b *bench) checkWrongSettings(ctx context.Context) error {
	if len(b.bad) == 0 {
		b.report.add(skip, pointWrong, "none to try (-bad NAME=VALUE)")
	}
	for _, bad := range b.bad {
		b.report.note("starting the app with a wrong %s", bad.name)
		i, err := b.launch(ctx, locked, bad)
		if err != nil {
			return err
		}
		gone := ""
		err = poll(ctx, wrongLimit, func() (done bool, err error) {
			gone, err = i.away(ctx)
			return gone != "", err
		})
		if err != nil && !errors.Is(err, errTimeout) {
			return err
		}
		if err := b.reportWrong(ctx, i, bad, gone); err != nil {
			return err
		}
	}
	return nil
}

// reportWrong judges an instance with a wrong setting: gone is how it ended.
func (b *bench) reportWrong(ctx context.Context, i *instance, bad assignment, gone string) error {
	what := bad.name + "=" + bad.value
	if gone == "" {
		b.report.add(fail, pointWrong, fmt.Sprintf("%s: still runs after %v", what, wrongLimit), todoWrong)
		return i.drop(ctx)
	}
	state, err := i.state(ctx)
	if err != nil {
		return err
	}
	log, err := i.log(ctx)
	if err != nil {
		return err
	}
	// The line that names the setting is shown, rather than the last one: a server with workers has more to say
	// afterwards.
	var naming string
	for line := range strings.Lines(log) {
		if strings.Contains(line, bad.name) {
			naming = strings.TrimSpace(line)
		}
	}
	switch {
	case i.refused != "" || state.ExitCode == 0:
		b.report.add(fail, pointWrong, what+": "+gone, todoWrong)
	case naming == "":
		b.report.add(fail, pointWrong, fmt.Sprintf("%s: is not named: %s", what, gone), todoWrong)
	default:
		b.report.add(pass, pointWrong, fmt.Sprintf("%s: exit code %d: %s", what, state.ExitCode, naming))
	}
	return nil
}
