package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// dial connects to Redis, but fails at once within redialPause of a failed dial. The client passes its own dialer,
// and runs one dial at a time.
func (c *redisCounter) dial(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
	if last := c.failed.Load(); last != nil && time.Now().Before(last.over) {
		return nil, last.err
	}
	conn, err := c.connect(ctx, addr, d)
	if err != nil {
		if ctx.Err() == nil { // otherwise the call was canceled, which is not a failure of Redis
			c.failed.Store(&failedDial{err, time.Now().Add(redialPause)})
		}
		return nil, err
	}
	c.silence.sign() // the greeting has its own limit, which starts here
	c.conn.Store(conn)
	return conn, nil
}

// connect establishes a connection up to the greeting, within half of the timeout. It reads the password and the
// certificate authorities from their files each time, so that renewed ones end an outage without a restart.
func (c *redisCounter) connect(ctx context.Context, addr string, d *net.Dialer) (*redisConn, error) {
	roots, err := c.cfg.rootCAs()
	if err != nil {
		return nil, fmt.Errorf("REDIS_TLS_CA_FILE: %w", err)
	}
	if c.password, err = c.cfg.password(); err != nil {
		return nil, fmt.Errorf("REDIS_PASSWORD_FILE: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout/2)
	defer cancel()
	plain, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn := &redisConn{Conn: plain, silence: &c.silence}
	if !c.cfg.TLS {
		conn.hint = "; does that port want TLS (REDIS_TLS=true)?"
	} else if err := c.secure(ctx, conn, roots); err != nil {
		_ = plain.Close()
		return nil, fmt.Errorf("TLS handshake: %w%s", err, conn.hint)
	}
	return conn, nil
}

// secure switches conn to TLS. Its error has a possible cause if the server gave no reason.
func (c *redisCounter) secure(ctx context.Context, conn *redisConn, roots *x509.CertPool) error {
	secured := tls.Client(conn.Conn, &tls.Config{
		ServerName: c.cfg.Host, RootCAs: roots, MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			conn.hint = "; it asks for a client certificate, and this program has none (see tls-auth-clients of Redis)"
			return &tls.Certificate{}, nil
		},
	})
	conn.Conn = secured
	err := secured.HandshakeContext(ctx)
	_, otherProtocol := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case otherProtocol:
		return fmt.Errorf("%w; does that port speak TLS?", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v (%w); does that port speak TLS?", c.cfg.Timeout/2, err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w; does that port speak TLS? A Redis with too many clients (maxclients) hangs up, too", err)
	}
	return err
}

// redisConn is a connection to Redis that reports received data to silence, batches commands, and adds the current
// phase to its errors.
type redisConn struct {
	net.Conn
	silence *silence
	hint    string      // possible cause if the greeting fails
	greeted atomic.Bool // Redis has sent a reply
}

// replyTypes are the bytes with which a Redis reply may begin, see
// https://redis.io/docs/latest/develop/reference/protocol-spec/.
const replyTypes = "+-:$*_,#!=(%~>|"

// Read implements net.Conn.
func (c *redisConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.silence.sign()
		if !c.greeted.Load() {
			if !strings.Contains(replyTypes, string(p[:1])) {
				return 0, c.explain(fmt.Errorf("%.40q is no answer of Redis", p[:n]))
			}
			c.greeted.Store(true)
		}
	}
	return n, c.explain(err)
}

// Write implements net.Conn. It lets other goroutines run first: the client writes as soon as it has one command,
// while the handlers that are about to issue the next ones wait for the processor; after they have run, their
// commands are sent together. With 50 visitors that is 14 commands per write instead of 2. If no other goroutine is
// runnable, Gosched returns at once.
func (c *redisConn) Write(p []byte) (int, error) {
	runtime.Gosched()
	n, err := c.Conn.Write(p)
	return n, c.explain(err)
}

// explain adds the current phase to a connection error and, if the connection ended before the first reply, the hint.
// A timeout gets no hint, because a Redis that hangs causes it as well as a wrong setting.
func (c *redisConn) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case c.greeted.Load():
		return fmt.Errorf("counting: %w", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("greeting: %w", err)
	}
	return fmt.Errorf("greeting: %w%s", err, c.hint)
}
