package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// label marks everything that a run creates; its value is the ID of the run.
const label = "scaleout.contract"

// redisScript starts a Redis without persistence. protected-mode would reject the app while there is no password.
const redisScript = `exec redis-server - <<END
port 6379
protected-mode no
save ""
dir /tmp
${PASSWORD:+requirepass $PASSWORD}
END`

// bench is one run with its resources on the Docker host.
type bench struct {
	*settings
	docker        docker
	out, progress io.Writer
	count         map[string]int
	mark, network string            // label and network of the run
	password      string            // of Redis
	known         *strings.Replacer // replaces the placeholders with the values of Redis
	redis         *instance
	err           error // an error of the environment, not of the image; it ends the run
}

// newBench returns a bench that has not created anything yet.
func newBench(s *settings, d docker, out, progress io.Writer) *bench {
	id, password := strings.ToLower(rand.Text()[:8]), rand.Text()
	return &bench{settings: s, docker: d, out: out, progress: progress, count: map[string]int{}, mark: label + "=" + id,
		network: "contract-" + id, password: password,
		known: strings.NewReplacer("{redis.host}", "redis", "{redis.port}", "6379", "{redis.password}", password)}
}

// broken reports whether an error or an interruption has ended the run.
func (b *bench) broken(ctx context.Context) bool {
	if b.err == nil {
		b.err = ctx.Err()
	}
	return b.err != nil
}

// do runs a docker command whose failure ends the run.
func (b *bench) do(ctx context.Context, stdin string, args ...string) (out string) {
	if !b.broken(ctx) {
		out, b.err = b.docker(ctx, stdin, args...)
	}
	return out
}

// within calls try four times a second until it succeeds, and reports whether it did so within limit.
func (b *bench) within(ctx context.Context, limit time.Duration, try func() bool) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(250 * time.Millisecond) {
		succeeded := try()
		if b.broken(ctx) || succeeded || time.Now().After(deadline) {
			return succeeded && b.err == nil
		}
	}
}

// prepare creates the network, and starts Redis if the app's settings refer to one.
func (b *bench) prepare(ctx context.Context) {
	b.pull(ctx, b.image)
	b.do(ctx, "", "network", "create", "--label", b.mark, b.network)
	if !b.uses("{redis.") {
		return
	}
	b.pull(ctx, b.redisImage)
	env := ""
	if b.uses("{redis.password}") {
		env = "PASSWORD=" + b.password + "\n"
	}
	b.redis = b.create(ctx, env, "--network-alias", "redis", "--user", "65532:65532", "--tmpfs", "/tmp:mode=1777",
		b.redisImage, "sh", "-c", redisScript)
	b.startRedis(ctx)
}

// pull pulls an image unless it is present.
func (b *bench) pull(ctx context.Context, image string) {
	if _, err := b.docker(ctx, "", "image", "inspect", "--format", "{{.Id}}", image); err == nil || b.broken(ctx) {
		return
	}
	b.note("pulling %s", image)
	if b.do(ctx, "", "pull", "--quiet", image); b.err != nil {
		b.err = fmt.Errorf("needs the image %s, which is not on this machine and cannot be pulled: %w", image, b.err)
	}
}

// create creates a container with the restrictions of WebApp. env is not in the arguments, which every user can read.
func (b *bench) create(ctx context.Context, env string, args ...string) *instance {
	args = append([]string{"create", "--label", b.mark, "--network", b.network, "--env-file", "/dev/stdin",
		"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}, args...)
	return &instance{bench: b, id: b.do(ctx, env, args...)}
}

// startRedis starts the Redis container and waits until it accepts connections.
func (b *bench) startRedis(ctx context.Context) {
	b.note("starting Redis (%s)", b.redisImage)
	b.do(ctx, "", "start", b.redis.id)
	ready, gone := b.redis.until(ctx, b.start, func() bool {
		return strings.Contains(b.redis.log(ctx), "Ready to accept connections")
	})
	if b.err == nil && !ready {
		b.err = fmt.Errorf("the Redis container did not start within %v: %s; -redis selects another image", b.start, gone)
	}
}

// launch starts a container of the app. Its port is published on a free port of 127.0.0.1 only, because the app may
// have no access control. It gets no swap, like a pod in Kubernetes.
func (b *bench) launch(ctx context.Context, env map[string]string) *instance {
	var variables strings.Builder
	for name, value := range env {
		fmt.Fprintf(&variables, "%s=%s\n", name, b.known.Replace(value))
	}
	args := []string{"--publish", fmt.Sprintf("127.0.0.1::%d", b.port), "--memory", b.memory, "--memory-swap", b.memory,
		"--user", b.user + ":" + b.user}
	for _, directory := range b.writable { // like an emptyDir, which allows exec
		args = append(args, "--tmpfs", directory+":rw,exec,mode=1777")
	}
	for file := range b.files { // in anonymous volumes, which hide the image's files there, as a Secret does
		if m := "type=volume,volume-nocopy,target=" + path.Dir(file); !slices.Contains(args, m) {
			args = append(args, "--mount", m)
		}
	}
	i := b.create(ctx, variables.String(), append(args, b.image)...)
	for file, content := range b.files {
		b.do(ctx, archive(path.Base(file), b.known.Replace(content)), "cp", "-", i.id+":"+path.Dir(file))
	}
	i.run(ctx)
	return i
}

// remove removes everything with the label of the run. It ignores the context of the run, which may be canceled.
func (b *bench) remove() error {
	b.note("removing containers and network of this run")
	ctx := context.Background()
	found, err := b.docker(ctx, "", "ps", "--all", "--quiet", "--filter", "label="+b.mark)
	if err == nil && found != "" {
		_, err = b.docker(ctx, "", append([]string{"rm", "--force", "--volumes"}, strings.Fields(found)...)...)
	}
	if err == nil { // a network cannot be removed while a container uses it
		_, err = b.docker(ctx, "", "network", "prune", "--force", "--filter", "label="+b.mark)
	}
	if err != nil {
		return fmt.Errorf("removing everything with the label %s: %w", b.mark, err)
	}
	return nil
}

// instance is one container.
type instance struct {
	*bench
	id      string
	address string // of the app's port on this machine
}

// run starts or restarts the container and looks up the address of the app's port. It ignores errors: a failed start,
// such as a command that is not in the image, shows in the state, and a container that has already ended has no port.
func (i *instance) run(ctx context.Context) {
	if !i.broken(ctx) {
		_, _ = i.docker(ctx, "", "start", i.id)
		out, _ := i.docker(ctx, "", "port", i.id, fmt.Sprintf("%d/tcp", i.port))
		i.address, _, _ = strings.Cut(out, "\n")
	}
}

// containerState is the relevant part of `docker inspect`.
type containerState struct {
	Running, OOMKilled bool
	ExitCode           int
	Error              string // why Docker could not start it
	FinishedAt         time.Time
}

func (i *instance) state(ctx context.Context) (s containerState) {
	out := i.do(ctx, "", "inspect", "--format", "{{json .State}}", i.id)
	if i.err == nil {
		i.err = json.Unmarshal([]byte(out), &s)
	}
	return s
}

// log returns the last 100 lines of the container's log, without the password.
func (i *instance) log(ctx context.Context) string {
	return strings.ReplaceAll(i.do(ctx, "", "logs", "--tail", "100", i.id), i.password, "[password]")
}

// gone returns how the container ended, with the last line of its log, or "" if it runs.
func (i *instance) gone(ctx context.Context) string {
	state := i.state(ctx)
	if state.Running || i.err != nil {
		return ""
	}
	how := fmt.Sprintf("exit code %d", state.ExitCode)
	if state.OOMKilled {
		how += ", killed for using too much memory"
	}
	if state.Error != "" {
		how += ", " + state.Error
	}
	log := strings.TrimSpace(i.log(ctx))
	if last := strings.TrimSpace(log[strings.LastIndex(log, "\n")+1:]); last != "" {
		how += ", last line: " + last
	}
	return how
}

// until calls try until it succeeds, the container ends, or limit is over. It returns how the container ended, or "".
func (i *instance) until(ctx context.Context, limit time.Duration, try func() bool) (ok bool, gone string) {
	i.within(ctx, limit, func() bool {
		gone = i.gone(ctx)
		ok = gone == "" && try()
		return ok || gone != ""
	})
	return ok, gone
}

// never is for until, which then waits for the end of the container.
func never() bool { return false }

// terminate sends SIGTERM, or returns how the container had ended before.
func (i *instance) terminate(ctx context.Context) (gone string) {
	if i.broken(ctx) {
		return ""
	}
	if _, err := i.docker(ctx, "", "kill", "--signal", "TERM", i.id); err != nil {
		if gone = i.gone(ctx); gone == "" && i.err == nil {
			i.err = err
		}
	}
	return gone
}
