package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// label is on everything that a run creates; its value is the number of the run.
const label = "scaleout.contract"

// What the app is told of its Redis. The name is an alias in the network of the run, so runs do not meet.
const (
	redisHost = "redis"
	redisPort = "6379"
	redisDir  = "/run/contract"
)

// bench is what one run has on the Docker host.
type bench struct {
	*settings
	docker   docker
	report   *report
	id       string            // number of the run
	password string            // of Redis
	volumes  map[string]string // volume for each directory with files, of the app
	redisID  string            // container of Redis; empty without one
	created  int               // containers, for their names
}

// newBench returns a bench on which nothing was created yet.
func newBench(s *settings, d docker, r *report) *bench {
	return &bench{settings: s, docker: d, report: r, volumes: map[string]string{},
		id: strings.ToLower(rand.Text()[:8]), password: rand.Text()}
}

func (b *bench) mark() string             { return label + "=" + b.id }
func (b *bench) name(parts ...any) string { return "contract-" + b.id + "-" + fmt.Sprint(parts...) }
func (b *bench) do(ctx context.Context, args ...string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return b.docker.run(ctx, "", args...)
}

// expand puts what is known of Redis in place of the placeholders.
func (b *bench) expand(value string) string {
	return strings.NewReplacer("{redis.host}", redisHost, "{redis.port}", redisPort, "{redis.password}", b.password).
		Replace(value)
}

// prepare creates network and files, and starts Redis.
func (b *bench) prepare(ctx context.Context) error {
	if err := haveImage(ctx, b.docker, b.report, b.image); err != nil {
		return err
	}
	if _, err := b.do(ctx, "network", "create", "--label", b.mark(), b.name("net")); err != nil {
		return err
	}
	directories := map[string]map[string]string{}
	for file, content := range b.files {
		directory := path.Dir(file)
		if directories[directory] == nil {
			directories[directory] = map[string]string{}
		}
		directories[directory][file] = b.expand(content)
	}
	for _, directory := range slices.Sorted(maps.Keys(directories)) {
		volume, err := b.volume(ctx, b.image, directory, directories[directory])
		if err != nil {
			return err
		}
		b.volumes[directory] = volume
	}
	if !b.usesRedis() {
		return nil
	}
	return b.startRedis(ctx)
}

// volume creates a volume with files. They are copied in through a container that never runs: it works with a Docker
// that does not share this machine's file system (Docker Desktop), and while the app's own container is read-only.
func (b *bench) volume(ctx context.Context, image, directory string, files map[string]string) (string, error) {
	name := b.name("files", len(b.volumes))
	if directory == redisDir {
		name = b.name("redis")
	}
	if _, err := b.do(ctx, "volume", "create", "--label", b.mark(), name); err != nil {
		return "", err
	}
	b.created++
	// No image has this command; a container that does not run needs none, but an image without one would be refused.
	carrier, err := b.do(ctx, "create", "--name", b.name(b.created), "--label", b.mark(),
		"--mount", mount(name, directory, false), image, "never-runs")
	if err != nil {
		return "", err
	}
	content, err := archive(files)
	if err != nil {
		return "", err
	}
	_, err = b.docker.run(ctx, content, "cp", "-", carrier+":"+directory)
	return name, err
}

func mount(volume, directory string, readOnly bool) string {
	m := "type=volume,volume-nocopy,source=" + volume + ",target=" + directory
	if readOnly {
		m += ",readonly"
	}
	return m
}

// startRedis starts a Redis that keeps nothing on disk. It gets its password in a file. It runs locked down too, so
// that nothing on this bench has a right that it does not need. protected-mode would refuse clients from other
// containers while there is no password.
func (b *bench) startRedis(ctx context.Context) error {
	if err := haveImage(ctx, b.docker, b.report, b.redis); err != nil {
		return fmt.Errorf("%w; -redis names another", err)
	}
	config := "port " + redisPort + "\nprotected-mode no\nsave \"\"\nappendonly no\ndir /tmp\n"
	if b.usesPassword() {
		config += "requirepass " + b.password + "\n"
	}
	volume, err := b.volume(ctx, b.redis, redisDir, map[string]string{"redis.conf": config})
	if err != nil {
		return err
	}
	b.redisID, err = b.do(ctx, "create", "--name", b.name("redis"), "--label", b.mark(),
		"--network", b.name("net"), "--network-alias", redisHost, "--user", "65532:65532", "--read-only",
		"--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--mount", mount(volume, redisDir, true), b.redis, "redis-server", redisDir+"/redis.conf")
	if err != nil {
		return err
	}
	return b.redisUp(ctx)
}

// redisUp starts the container of Redis and waits until it takes connections.
func (b *bench) redisUp(ctx context.Context) error {
	b.report.note("starting Redis (%s)", b.redis)
	if _, err := b.do(ctx, "start", b.redisID); err != nil {
		return err
	}
	c := &instance{bench: b, id: b.redisID}
	return poll(ctx, b.start, func() (bool, error) {
		log, err := c.log(ctx)
		if err != nil || strings.Contains(log, "Ready to accept connections") {
			return err == nil, err
		}
		state, err := c.state(ctx)
		if err == nil && !state.Running {
			err = fmt.Errorf("the container of Redis ended: %s; -redis names another image", state.ended(log))
		}
		return false, err
	})
}

// remove removes all that has the label of the run, and says what it could not remove. It does not depend on the
// context of the run, which may have been interrupted.
func (b *bench) remove() error {
	b.report.note("removing containers, volumes and network of this run")
	ctx := context.Background()
	var problems []error
	// In this order: neither a volume nor a network can be removed while a container has it.
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "--all"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"volume", "ls"}, []string{"volume", "rm"}},
		{[]string{"network", "ls"}, []string{"network", "rm"}},
	} {
		found, err := b.do(ctx, append(kind.list, "--quiet", "--filter", "label="+b.mark())...)
		if err == nil && found != "" {
			_, err = b.do(ctx, append(kind.remove, strings.Fields(found)...)...)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("removing what has the label %s: %w", b.mark(), err)
	}
	return nil
}
