package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"zebu/proto"
)

// Net is how a server opens and accepts connections to and from its peers. The zero value is plain TCP without
// authentication.
type Net struct {
	// Auth is SASL on connections (quorum.auth.enableSasl); nil for none.
	Auth *Auth
	// WrapDialed and WrapAccepted, unless nil, put a layer such as TLS on a connection before anything else happens on
	// it. A deadline is set when they are called; the connection that they return must honour later ones. If they fail,
	// the connection is closed.
	WrapDialed, WrapAccepted func(net.Conn) (net.Conn, error)
	// DialContext replaces that of a [net.Dialer]. The address is a host, by name if that is how it was configured, and a
	// port: names are resolved anew for each connection.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	KeepAlive   bool // tcpKeepAlive
	Nagle       bool // leader.nodelay or follower.nodelay is false
	// Log gets a line for each connection that ends otherwise than it should; nil for none.
	Log *zap.Logger
}

func (n *Net) log() *zap.Logger {
	if n.Log == nil {
		return zap.NewNop()
	}
	return n.Log
}

// conn is a connection on which something may have been read ahead.
type conn struct {
	net.Conn
	br    *bufio.Reader
	since time.Time // when a mesh took it into use
}

func newConn(c net.Conn) *conn { return &conn{Conn: c, br: bufio.NewReader(c)} }

// guard closes c when ctx ends, which interrupts whoever reads or writes. The caller calls the result when that must not
// happen any more; it returns false if it has.
func guard(ctx context.Context, c net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.Close() })
}

// ErrRefused says that hosts answered, and that no server did.
var ErrRefused = errors.New("connection refused")

// dialAny connects to the one of several addresses of a server that answers first. The deadline of the connection is
// set, to when the timeout for all of this ends.
func (n *Net) dialAny(ctx context.Context, addrs []proto.HostPort, timeout time.Duration) (*conn, error) {
	if len(addrs) == 0 {
		return nil, errors.New("no address known")
	}
	deadline := time.Now().Add(timeout)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	type result struct {
		c   net.Conn
		err error
	}
	results := make([]result, len(addrs))
	var all sync.WaitGroup
	for i, a := range addrs {
		all.Go(func() {
			c, err := n.dial(ctx, a, deadline)
			results[i] = result{c, err}
			if err == nil {
				cancel() // the others need not go on
			}
		})
	}
	all.Wait()
	var first net.Conn
	var errs []error
	refused := true
	for _, r := range results {
		switch {
		case r.err != nil:
			errs = append(errs, r.err)
			refused = refused && errors.Is(r.err, syscall.ECONNREFUSED)
		case first == nil:
			first = r.c
		default:
			_ = r.c.Close()
		}
	}
	if first != nil {
		return newConn(first), nil
	}
	if refused {
		return nil, fmt.Errorf("%w: %w", ErrRefused, errors.Join(errs...))
	}
	return nil, errors.Join(errs...)
}

func (n *Net) dial(ctx context.Context, a proto.HostPort, deadline time.Time) (net.Conn, error) {
	dial := n.DialContext
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	c, err := dial(ctx, "tcp", a.String())
	if err != nil {
		return nil, err
	}
	return n.prepare(ctx, c, n.WrapDialed, deadline)
}

// prepare sets the options and the deadline of a new connection and wraps it.
func (n *Net) prepare(ctx context.Context, c net.Conn, wrap func(net.Conn) (net.Conn, error), deadline time.Time) (net.Conn, error) {
	if t, ok := c.(*net.TCPConn); ok {
		// Failures show when the connection is used.
		_ = t.SetKeepAlive(n.KeepAlive)
		_ = t.SetNoDelay(!n.Nagle)
	}
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close()
		return nil, err
	}
	if wrap == nil {
		return c, nil
	}
	stop := guard(ctx, c)
	w, err := wrap(c)
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("connection with %v: %w", c.RemoteAddr(), err)
	}
	if !stop() {
		_ = w.Close()
		return nil, context.Cause(ctx)
	}
	return w, nil
}

// isWildcard says whether a host is no place to dial: it stands for all addresses of a machine.
func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
