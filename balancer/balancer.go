package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// errNginxEnded ends the program as well, so that the container is restarted.
var errNginxEnded = errors.New("nginx ended by itself")

// balancer keeps nginx's upstream servers equal to the ready ones.
type balancer struct {
	conf     string             // with DNS names as upstream servers
	finders  map[string]*finder // one for each of these names, as host:port
	log      *slog.Logger
	interval time.Duration

	nginx          string // the program
	dir            string // for the configuration and everything that nginx writes
	stdout, stderr io.Writer

	written string // the newest configuration
}

// newBalancer returns a balancer that runs the nginx of the container, whose only writable folder is /tmp.
func newBalancer(conf, readyPath string, log *slog.Logger) *balancer {
	b := &balancer{
		conf: conf, finders: map[string]*finder{}, log: log, interval: time.Second,
		nginx: "nginx", dir: "/tmp", stdout: os.Stdout, stderr: os.Stderr,
	}
	for _, line := range serverLine.FindAllStringSubmatch(conf, -1) {
		b.finders[line[2]] = newFinder(line[2], readyPath)
	}
	return b
}

// run updates nginx until nginx ends. When ctx is done, nginx finishes its requests, up to worker_shutdown_timeout,
// and the error is that of ctx.
func (b *balancer) run(ctx context.Context) error {
	if _, err := b.refresh(ctx); err != nil {
		return err
	}
	// -e replaces the compiled-in log file, which nginx opens first.
	nginx := exec.CommandContext(ctx, b.nginx, "-p", b.dir+"/", "-e", "stderr", "-c", b.file(), "-g", "daemon off;")
	nginx.Cancel = func() error { return nginx.Process.Signal(syscall.SIGQUIT) }
	nginx.Stdout, nginx.Stderr = b.stdout, b.stderr
	if err := nginx.Start(); err != nil {
		return fmt.Errorf("starting nginx: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- nginx.Wait() }()
	ticks := time.Tick(b.interval) // not earlier: a reload must not reach an nginx that is still starting
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return err
			}
			return errors.Join(errNginxEnded, err)
		case <-ticks:
		}
		changed, err := b.refresh(ctx)
		if changed {
			// The old workers finish their requests. If nginx rejects the new configuration, it keeps the old one:
			// https://nginx.org/en/docs/control.html#reconfiguration
			err = nginx.Process.Signal(syscall.SIGHUP)
		}
		if err != nil {
			b.log.Error("nginx keeps its configuration", "error", err)
		}
	}
}

// refresh writes a configuration with the servers that are ready now, if they have changed.
func (b *balancer) refresh(ctx context.Context) (changed bool, err error) {
	var group sync.WaitGroup
	for _, f := range b.finders {
		group.Go(func() { f.update(ctx) })
	}
	group.Wait()
	servers := map[string][]netip.AddrPort{}
	for name, f := range b.finders {
		servers[name] = f.servers()
	}
	conf := expand(b.conf, servers)
	if conf == b.written || ctx.Err() != nil {
		return false, nil
	}
	if err := os.WriteFile(b.file(), []byte(conf), 0o600); err != nil {
		return false, fmt.Errorf("writing the configuration of nginx: %w", err)
	}
	b.written = conf
	b.log.Info("balancing", "servers", servers)
	return true, nil
}

func (b *balancer) file() string { return filepath.Join(b.dir, "nginx.conf") }

// serverLine matches an upstream server by name (an address begins with a digit): indent, name with port, parameters.
var serverLine = regexp.MustCompile(`(?m)^([ \t]*)server[ \t]+([A-Za-z][A-Za-z0-9_.-]*:[0-9]+)([^;\n]*);`)

// expand replaces each server given by name with one server per address, with the same parameters.
func expand(conf string, servers map[string][]netip.AddrPort) string {
	return serverLine.ReplaceAllStringFunc(conf, func(line string) string {
		m := serverLine.FindStringSubmatch(line)
		indent, name, params := m[1], m[2], m[3]
		if len(servers[name]) == 0 {
			// nginx rejects an upstream without servers. With this one it answers every request with 502.
			return fmt.Sprintf("%sserver 127.0.0.1:1 down; # no %s is ready", indent, name)
		}
		var lines []string
		for _, server := range servers[name] {
			lines = append(lines, fmt.Sprintf("%sserver %s%s;", indent, server, params))
		}
		return strings.Join(lines, "\n")
	})
}
