package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// errNginxEnded ends the program as well, so that the container is restarted.
var errNginxEnded = errors.New("nginx ended by itself")

// balancer keeps nginx's upstream servers equal to the ready ones.
type balancer struct {
	conf     string // with DNS names as upstream servers
	log      *slog.Logger
	finder   *finder
	interval time.Duration
	nginx    *nginx

	applied string // the configuration that nginx uses
	refused string // the last rejected one, so that it is neither tested nor reported again
}

// run updates nginx until ctx is done, or nginx ends by itself.
func (b *balancer) run(ctx context.Context) error {
	names := namesOf(b.conf)
	if err := b.refresh(ctx, names); err != nil && ctx.Err() == nil {
		return err // nginx does not run yet
	}
	ticker := time.NewTicker(b.interval) // not earlier: a reload must not reach an nginx that is still starting
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			b.log.Info("stopping")
			return b.nginx.stop()
		case err := <-b.nginx.ended:
			return errors.Join(errNginxEnded, err)
		case <-ticker.C:
		}
		if err := b.refresh(ctx, names); err != nil {
			b.log.Error("nginx keeps its configuration", "error", err)
		}
	}
}

// refresh configures nginx with the servers that are ready now, if they have changed.
func (b *balancer) refresh(ctx context.Context, names []endpoint) error {
	servers := b.finder.find(ctx, names)
	conf := expand(b.conf, servers)
	if ctx.Err() != nil || conf == b.applied || conf == b.refused {
		return nil
	}
	if err := b.nginx.apply(ctx, conf); err != nil {
		if errors.Is(err, errRefused) { // other errors may be temporary
			b.refused = conf
		}
		return err
	}
	b.applied, b.refused = conf, ""
	for _, name := range names {
		b.log.Info("balancing", "name", name.String(), "servers", servers[name])
	}
	return nil
}

// serverLine matches an upstream server given by name: indent, name, port and parameters. One given by address begins
// with a digit and stays unchanged.
var serverLine = regexp.MustCompile(`(?m)^([ \t]*)server[ \t]+([A-Za-z][A-Za-z0-9_.-]*):([0-9]+)([^;\n]*);`)

// endpoint is a host name and a port, as written in the configuration.
type endpoint struct{ host, port string }

// String returns the endpoint as host:port.
func (e endpoint) String() string { return e.host + ":" + e.port }

// namesOf lists the endpoints of a configuration without duplicates.
func namesOf(conf string) []endpoint {
	found := map[endpoint]bool{}
	for _, m := range serverLine.FindAllStringSubmatch(conf, -1) {
		found[endpoint{m[2], m[3]}] = true
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b endpoint) int { return strings.Compare(a.String(), b.String()) })
}

// expand replaces each server given by name with one server per address, with the same parameters.
func expand(conf string, servers map[endpoint][]netip.AddrPort) string {
	return serverLine.ReplaceAllStringFunc(conf, func(line string) string {
		m := serverLine.FindStringSubmatch(line)
		indent, name, params := m[1], endpoint{m[2], m[3]}, m[4]
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
