package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// hitsKey is the Redis key that holds the total.
const hitsKey = "hits"

// redisCounter is a Counter in Redis. docs/development.md has what the client and each part around it saves.
type redisCounter struct {
	cfg      RedisConfig
	client   rueidis.Client
	calls    atomic.Int64              // in flight
	received atomic.Int64              // reads of data; also rises when a call begins after none, and after a dial
	begun    chan struct{}             // receives when a call begins after none
	conn     atomic.Pointer[redisConn] // the newest connection
	password string                    // for the greeting after the newest dial; one goroutine at a time does both
}

// openRedis returns a counter in the Redis that cfg names. Redis need not be available yet: every call connects if
// there is no connection.
//
// No call waits longer than cfg.Timeout. The client has no such setting, but the following limits add up to it:
//
//   - Without a connection, a call waits for a dial and then for the greeting. Each has half of the timeout.
//   - A connection that receives nothing for three quarters of the timeout up to the whole timeout is broken, which
//     fails all calls that wait on it: see watch.
func openRedis(cfg RedisConfig) (*redisCounter, error) {
	c := &redisCounter{cfg: cfg, begun: make(chan struct{}, 1)}
	options := rueidis.ClientOption{
		InitAddress: []string{cfg.address()},
		AuthCredentialsFn: func(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
			return rueidis.AuthCredentials{Username: cfg.Username, Password: c.password}, nil
		},
		// If the greeting had more than one command, the client would lose the error that Redis sends before it closes the
		// connection, such as too many clients.
		ClientSetInfo: rueidis.DisableClientSetInfo,
		DialCtxFn:     c.dial,
		// ConnWriteTimeout limits the greeting. If the dialer's timeout expired first, the client would replace the
		// connection's error with a bare "context deadline exceeded". KeepAlive is the interval of pings on an idle
		// connection, which detect a broken one before a visitor does. Each takes 0.6 ms of CPU.
		Dialer:            net.Dialer{Timeout: cfg.Timeout, KeepAlive: 10 * time.Second},
		ConnWriteTimeout:  cfg.Timeout / 2,
		ForceSingleClient: true, // start without Redis; a single counter needs no cluster
		DisableRetry:      true, // an INCRBY whose reply was lost may have been counted: never retry it
		DisableCache:      true,
		// One connection: the more calls share it, the more of them are sent in one packet.
		PipelineMultiplex: -1,
		// Up to 2^8 calls are in flight at a time; further ones wait for a slot.
		RingScaleEachConn: 8,
	}
	// With ForceSingleClient, NewClient returns a client even if the first dial fails. The first call reports the error.
	client, err := rueidis.NewClient(options)
	if client == nil {
		return nil, fmt.Errorf("creating redis client: %w", err)
	}
	c.client = client
	go c.watch()
	return c, nil
}

// checksPerTimeout is the number of checks of the connection per timeout. With four, a silent connection is broken
// after three quarters of the timeout at the earliest, and after the whole timeout at the latest.
const checksPerTimeout = 4

// watch checks the connection while calls wait, and breaks it if nothing arrives for the whole timeout at most. An
// idle program does not wake up. A deadline per call would also fail calls that wait for the processor rather than for
// Redis, and would not end the client's own wait for a Redis that hangs.
func (c *redisCounter) watch() {
	for range c.begun {
		silent := 0
		for seen := int64(0); c.calls.Load() > 0; time.Sleep(c.cfg.Timeout / checksPerTimeout) {
			if received := c.received.Load(); received != seen {
				seen, silent = received, 0
			} else if silent++; silent == checksPerTimeout-1 {
				silent = 0
				if conn := c.conn.Load(); conn != nil {
					// Unlike a close, an expired deadline has the correct reason as its error.
					_ = conn.SetDeadline(time.Unix(1, 0))
				}
			}
		}
	}
}

// begin records a call, which ends with calls.Add(-1).
func (c *redisCounter) begin() {
	if c.calls.Add(1) == 1 {
		c.received.Add(1) // until now no call waited
		select {
		case c.begun <- struct{}{}:
		default: // watch has not received the last one yet
		}
	}
}

// Add implements Counter with one atomic INCRBY. The check (hits = 0) uses the same command, so it proves everything
// that a hit needs: connection, login, permission, a writable primary, and a number as the value.
func (c *redisCounter) Add(ctx context.Context, hits int64) (int64, error) {
	c.begin()
	defer c.calls.Add(-1)
	total, err := c.client.Do(ctx, c.client.B().Incrby().Key(hitsKey).Increment(hits).Build()).AsInt64()
	if err != nil {
		// After a failover a managed Redis keeps connections to the old primary, now a read-only replica, open:
		// https://github.com/redis-rb/redis-client/issues/69.
		if reply, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(reply.Error(), "READONLY") {
			_ = c.conn.Load().Close()
		}
		err = fmt.Errorf("%s: %w", c.cfg.address(), err)
	}
	return total, err
}

// Reasons why a Redis call failed.
const (
	reasonTimeout    = "timeout"
	reasonConnection = "connection"
	reasonReply      = "reply"
)

func failureReason(err error) string {
	if _, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return reasonReply
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return reasonTimeout
	}
	return reasonConnection
}
