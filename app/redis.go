package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// hitsKey is the Redis key that holds the total.
const hitsKey = "hits"

// redisCounter is a Counter in Redis.
//
// The client is rueidis because it puts the commands of concurrent callers into one write. CPU time of the server per
// request, 50 visitors, one CPU (lowest of six runs): 25 us without Redis, 34 us with rueidis and redisConn below,
// 40 us with rueidis alone, 63 us with go-redis v9.23, 39 us with the automatic pipelines that go-redis calls
// experimental. One run each of a trial server (a ring of 2^10, no deadline on the pipelines), at 2,000 requests/s and
// with a timeout of 500 ms, when Redis
//
//	                     hangs: longest answer   restarts: first hit   hung: memory
//	rueidis              431 ms                  0.1 s                 41 MB
//	go-redis             534 ms                  1.0 s                 50 MB
//	go-redis, pipelines  2.7 s                   1.0 s                 152 MB
type redisCounter struct {
	client  rueidis.Client
	conn    atomic.Pointer[redisConn]  // the newest connection
	failed  atomic.Pointer[failedDial] // the newest dial, if it failed
	silence silence
}

// failedDial is the answer for all who would dial before it is over.
type failedDial struct {
	err  error
	over time.Time
}

// redialPause is the time between a failed dial and the next. A dial looks up the name, and a name in a cluster is looked
// up in each of the pod's search domains, for IPv4 and IPv6. Without a pause every visit of an outage does that: with
// Redis gone and 160 visits/s, one of a hundred waited 2.2 s for its 503, longer than with a Redis that hangs.
const redialPause = 100 * time.Millisecond

// restPing is the interval of pings on a connection without calls. They find one that broke unnoticed before a visitor
// does. A ping wakes the program up for 0.6 ms of CPU.
const restPing = 10 * time.Second

// openRedis returns a counter in the Redis that cfg names. Redis need not be there yet: every call connects if there
// is no connection.
//
// No call waits longer than cfg.Timeout. The client has no such setting, but its parts add up to one:
//
//   - Without a connection, a call waits for a dial and then for the greeting. Each has half of the time.
//   - A connection on which nothing comes for three quarters of the time to all of it is broken, which fails all calls
//     that wait on it.
//
// A deadline per call would cost 1 to 3 us of CPU for its timer, and not be enough: a call that waits for a place
// among those under way does not look at its deadline. The client's own pings would do, but at an interval that finds
// a silent connection in time they cost a program at rest 5m of CPU, without one visit.
func openRedis(cfg RedisConfig) (*redisCounter, error) {
	c := &redisCounter{}
	c.silence.interval, c.silence.found = cfg.Timeout/4, c.dropSilent
	options := rueidis.ClientOption{
		InitAddress:      []string{net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))},
		Username:         cfg.Username,
		Password:         cfg.Password,
		DialCtxFn:        c.dial,
		Dialer:           net.Dialer{Timeout: cfg.Timeout / 2, KeepAlive: restPing},
		ConnWriteTimeout: cfg.Timeout / 2,

		ForceSingleClient: true, // start without Redis; and a lone counter needs no cluster
		DisableRetry:      true, // an INCR whose answer was lost may have been counted: never send it again
		DisableCache:      true,

		// One connection: the more calls share one, the more of them travel in one packet.
		PipelineMultiplex: -1,
		// The defaults are made for large values and would take 1 MiB; a reply here is some 10 bytes. Up to 2^8 calls
		// are under way at a time, more wait for a place.
		ReadBufferEachConn:  4 << 10,
		WriteBufferEachConn: 4 << 10,
		RingScaleEachConn:   8,
	}
	if cfg.TLS {
		options.TLSConfig = &tls.Config{ServerName: cfg.Host, RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12}
	}
	// With ForceSingleClient there is a client also when the first dial failed. The first call reports that.
	client, err := rueidis.NewClient(options)
	if client == nil {
		return nil, fmt.Errorf("creating redis client: %w", err)
	}
	c.client = client
	return c, nil
}

// Increment implements Counter with one atomic INCR.
func (c *redisCounter) Increment(ctx context.Context) (int64, error) {
	return c.do(ctx, c.client.B().Incr().Key(hitsKey).Build())
}

// Check tells whether Increment would work, without counting: adding zero needs the same connection, login,
// permission and kind of value, and fails on a read-only replica.
func (c *redisCounter) Check(ctx context.Context) error {
	_, err := c.do(ctx, c.client.B().Incrby().Key(hitsKey).Increment(0).Build())
	return err
}

func (c *redisCounter) do(ctx context.Context, command rueidis.Completed) (int64, error) {
	c.silence.begin()
	defer c.silence.end()
	n, err := c.client.Do(ctx, command).AsInt64()
	if err != nil {
		c.dropReadOnly(err)
	}
	return n, err
}

// Close ends the connection. Calls after it fail.
func (c *redisCounter) Close() { c.client.Close() }

// dropReadOnly breaks the connection if err says that it leads to a read-only replica. After a failover a managed
// Redis keeps connections to the old primary open, and only a new look-up of its name finds the new one, see
// https://github.com/redis-rb/redis-client/issues/69.
func (c *redisCounter) dropReadOnly(err error) {
	if reply, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(reply.Error(), "READONLY") {
		if conn := c.conn.Load(); conn != nil {
			_ = conn.Close()
		}
	}
}

// dropSilent breaks the connection. Its reads and writes fail for want of time, which is the reason that is told for
// the calls, rather than for its being closed.
func (c *redisCounter) dropSilent() {
	if conn := c.conn.Load(); conn != nil {
		_ = conn.SetDeadline(time.Unix(1, 0))
	}
}

// dial connects to Redis, but fails at once if a dial failed just before. The client passes its own dialer and TLS
// settings, and dials once at a time.
func (c *redisCounter) dial(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
	if last := c.failed.Load(); last != nil && time.Now().Before(last.over) {
		return nil, last.err
	}
	var conn net.Conn
	var err error
	if t != nil {
		conn, err = (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, "tcp", addr)
	} else {
		conn, err = d.DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		if ctx.Err() == nil { // else it says nothing about Redis, but that the visitor left
			c.failed.Store(&failedDial{err, time.Now().Add(redialPause)})
		}
		return nil, err
	}
	c.silence.sign() // a greeting has its own limit, from here on
	watched := &redisConn{conn, &c.silence}
	c.conn.Store(watched)
	return watched, nil
}

// redisConn is a connection to Redis that tells when something came, and sends more at a time.
type redisConn struct {
	net.Conn
	silence *silence
}

// Read implements net.Conn.
func (c *redisConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.silence.sign()
	}
	return n, err
}

// Write implements net.Conn. It lets other goroutines run before: the client writes as soon as it has one command,
// while the handlers that are about to issue the next ones wait for the processor; after they ran, their commands
// travel together. With 50 visitors that is 14 commands per write instead of 2. When nothing else wants to run it returns
// at once.
func (c *redisConn) Write(p []byte) (int, error) {
	runtime.Gosched()
	return c.Conn.Write(p)
}

// Reasons why a call of Redis failed.
const (
	reasonTimeout    = "timeout"
	reasonConnection = "connection"
	reasonReply      = "reply"
)

func failureReason(err error) string {
	var timeout interface{ Timeout() bool }
	if _, ok := rueidis.IsRedisErr(err); ok {
		return reasonReply
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout() {
		return reasonTimeout
	}
	return reasonConnection
}
