package main

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// errNginxEnded makes the program end as well, so that the container is started anew.
var errNginxEnded = errors.New("nginx ended by itself")

// balancer keeps nginx's servers those that are ready.
type balancer struct {
	conf     string // with names for servers
	log      *slog.Logger
	finder   *finder
	interval time.Duration
	nginx    *nginx

	applied string // the configuration that nginx has
	refused string // the one that it refused last, so that it is neither tested nor reported again
}

// run works until ctx is done, or nginx ends by itself.
func (b *balancer) run(ctx context.Context) error {
	names := namesOf(b.conf)
	if err := b.refresh(ctx, names); err != nil && ctx.Err() == nil {
		return err // nothing runs yet that could go on
	}
	ticker := time.NewTicker(b.interval) // from here on: a reload must not meet an nginx that is just starting
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

// refresh gives nginx the servers that are ready now, if they are not those that it has.
func (b *balancer) refresh(ctx context.Context, names []endpoint) error {
	servers := b.finder.find(ctx, names)
	conf := expand(b.conf, servers)
	if ctx.Err() != nil || conf == b.applied || conf == b.refused {
		return nil
	}
	if err := b.nginx.apply(ctx, conf); err != nil {
		if errors.Is(err, errRefused) { // what else went wrong may go right in a second
			b.refused = conf
		}
		return err
	}
	b.applied, b.refused = conf, ""
	for _, name := range names {
		b.log.Info("balancing", "name", name.host+":"+name.port, "servers", servers[name])
	}
	return nil
}
