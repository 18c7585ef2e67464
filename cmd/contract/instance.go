package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lock is the restrictions that a container of the app has. The zero value has none.
type lock struct{ user, readOnly, capabilities, memory bool }

// locked is how WebApp runs a container.
var locked = lock{true, true, true, true}

// args are those restrictions for `docker create`.
func (l lock) args(s *settings) []string {
	var args []string
	if l.user {
		args = append(args, "--user", fmt.Sprintf("%d:%d", s.user, s.user))
	}
	if l.readOnly {
		args = append(args, "--read-only")
	}
	if l.capabilities {
		args = append(args, "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
	}
	if l.memory { // as much with swap, that is, none: a node of Kubernetes has none either
		args = append(args, "--memory", s.memory, "--memory-swap", s.memory)
	}
	return args
}

// launch starts a container of the app. The variables travel on standard input, not as arguments, which every user of
// this machine can read while the command runs. The port is published on a free port of 127.0.0.1, where nobody else in
// the network gets at an app that may have no protection.
func (b *bench) launch(ctx context.Context, l lock, change ...assignment) (*instance, error) {
	values := maps.Clone(b.env)
	for _, c := range change {
		values[c.name] = c.value
	}
	var file strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&file, "%s=%s\n", name, b.expand(values[name]))
	}
	b.created++
	args := []string{"create", "--name", b.name(b.created), "--label", b.mark(), "--network", b.name("net"),
		"--publish", fmt.Sprintf("127.0.0.1::%d", b.port), "--env-file", "/dev/stdin"}
	args = append(args, l.args(b.settings)...)
	for _, directory := range b.writable { // as an emptyDir, from which programs can be run too
		args = append(args, "--tmpfs", directory+":rw,exec,mode=1777")
	}
	for _, directory := range slices.Sorted(maps.Keys(b.volumes)) {
		args = append(args, "--mount", mount(b.volumes[directory], directory, true))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id, err := b.docker.run(ctx, file.String(), append(args, b.image)...)
	if err != nil {
		return nil, err
	}
	i := &instance{bench: b, id: id}
	if _, err := b.do(ctx, "start", id); err != nil {
		i.refused = err.Error() // such as a command that is not in the image: a fault of the image
		return i, nil
	}
	i.address, err = i.published(ctx)
	return i, err
}

// instance is one container.
type instance struct {
	*bench
	id      string
	address string // that its port has on this machine
	refused string // why Docker did not start it
}

// published finds the address of the app's port. One that has ended already has none.
func (i *instance) published(ctx context.Context) (string, error) {
	out, err := i.do(ctx, "port", i.id, strconv.Itoa(i.port)+"/tcp")
	if err == nil && out != "" {
		address, _, _ := strings.Cut(out, "\n")
		return address, nil
	}
	state, stateErr := i.state(ctx)
	if stateErr == nil && !state.Running {
		return "", nil
	}
	return "", cmp.Or(err, stateErr, fmt.Errorf("container %s runs without its published port", i.id))
}

// containerState is the part of `docker inspect` that is looked at.
type containerState struct {
	Running   bool
	ExitCode  int
	OOMKilled bool
}

// ended says how a container ended, with the last line of its log.
func (s containerState) ended(log string) string {
	how := fmt.Sprintf("exit code %d", s.ExitCode)
	if s.OOMKilled {
		how += ", killed for using too much memory"
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		how += fmt.Sprintf(", last line: %s", last)
	}
	return how
}

func (i *instance) state(ctx context.Context) (containerState, error) {
	var s containerState
	out, err := i.do(ctx, "inspect", "--format", "{{json .State}}", i.id)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("reading `docker inspect`: %w", err)
	}
	return s, nil
}

// log is the end of what the container printed, without the password.
func (i *instance) log(ctx context.Context) (string, error) {
	out, err := i.do(ctx, "logs", "--tail", "100", i.id)
	return strings.ReplaceAll(out, i.password, "[password]"), err
}

// away says why the container does not run, or "" if it does.
func (i *instance) away(ctx context.Context) (string, error) {
	if i.refused != "" {
		return i.refused, nil
	}
	state, err := i.state(ctx)
	if err != nil || state.Running {
		return "", err
	}
	log, err := i.log(ctx)
	return state.ended(log), err
}

// drop removes the container.
func (i *instance) drop(ctx context.Context) error {
	_, err := i.do(ctx, "rm", "--force", "--volumes", i.id)
	return err
}

// terminate sends SIGTERM. gone says how the process had ended before.
func (i *instance) terminate(ctx context.Context) (gone string, err error) {
	if _, err = i.do(ctx, "kill", "--signal", "TERM", i.id); err == nil {
		return "", nil
	}
	if why, stateErr := i.away(ctx); stateErr == nil && why != "" {
		return why, nil
	}
	return "", err
}

// exit is the end of a process.
type exit struct {
	at   time.Time
	code string
	err  error
}

// end delivers the end of the container's process. It has to be asked for before SIGTERM, to be told in time.
func (i *instance) end(ctx context.Context) <-chan exit {
	ended := make(chan exit, 1)
	go func() {
		code, err := i.do(ctx, "wait", i.id)
		ended <- exit{time.Now(), code, err}
	}()
	return ended
}
