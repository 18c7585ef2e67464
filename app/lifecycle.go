package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// errSecondSignal ends a graceful shutdown early.
var errSecondSignal = errors.New("second signal")

// service is the running program.
type service struct {
	cfg     Config
	log     *slog.Logger
	health  *health
	public  *http.Server
	private *http.Server                         // metrics
	after   func(time.Duration) <-chan time.Time // time.After outside of tests
}

// serve runs the program until a signal stops it or it fails.
func serve(cfg Config, log *slog.Logger, signals <-chan os.Signal) error {
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding the host name: %w", err)
	}
	// Listen first: an address in use is detected before Redis is contacted, and probes that arrive while an
	// unresponsive Redis delays the first connection are answered late rather than refused.
	public, err := net.Listen("tcp", cfg.ListenAddr)
	if err != nil {
		return fmt.Errorf("listening for visitors: %w", err)
	}
	private, err := net.Listen("tcp", cfg.MetricsAddr)
	if err != nil {
		return fmt.Errorf("listening for metrics: %w", err)
	}
	redis, err := openRedis(cfg.Redis)
	if err != nil {
		return err
	}

	health, metrics := &health{}, newMetrics()
	counter := &watchedCounter{counter: redis, metrics: metrics, health: health, log: log}
	probeCtx, stopProbe := context.WithCancel(context.Background())
	defer stopProbe()
	go counter.probe(probeCtx)

	s := &service{
		cfg: cfg, log: log, health: health, after: time.After,
		public:  newHTTPServer(newHandler(&hitHandler{counter, hostname}, health, metrics, log), log),
		private: newHTTPServer(metrics.handler(), log),
	}
	log.Info("serving", "version", version, "address", public.Addr().String(), "metrics", private.Addr().String(),
		"redis", cfg.Redis.address(), "tls", cfg.Redis.TLS)
	if err := s.run(public, private, signals); err != nil {
		return err // without Close, which an unresponsive Redis would delay
	}
	redis.client.Close()
	return nil
}

// run serves on both listeners until the first signal, then shuts down without losing requests:
//
//  1. /readyz returns 503 and every response closes its connection; all requests are still served. Load balancers
//     take a while to route new requests elsewhere.
//  2. After the drain delay, new connections are refused, idle ones are closed, and requests in flight have until the
//     shutdown timeout.
//
// A second signal ends it at once. The metrics server runs until the end, so that the last requests are still scraped.
func (s *service) run(public, private net.Listener, signals <-chan os.Signal) error {
	failed := make(chan error, 2)
	go func() { failed <- s.public.Serve(public) }()
	go func() { failed <- s.private.Serve(private) }()
	defer func() { _, _ = s.public.Close(), s.private.Close() }()

	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case sig := <-signals:
		s.log.Info("draining", "signal", sig.String(), "delay", s.cfg.DrainDelay.String())
	}
	s.health.stopping.Store(true)
	select {
	case <-s.after(s.cfg.DrainDelay):
	case <-signals:
		return errSecondSignal
	}

	s.log.Info("shutting down", "timeout", s.cfg.ShutdownTimeout.String())
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.public.Shutdown(ctx) }()
	select {
	case err := <-stopped:
		if err != nil {
			return fmt.Errorf("shutting down: %w", err)
		}
	case <-signals:
		return errSecondSignal
	}
	s.log.Info("stopped")
	return nil
}
