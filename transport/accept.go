package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"zebu/proto"
)

// Limits of handshakes that go on at the same time. Members of an ensemble that share a host are far below them.
const (
	maxHandshakes       = 256
	maxHandshakesSource = 64
)

// Waits of listeners.
const (
	bindDelay   = time.Second // between two tries to bind
	acceptDelay = 100 * time.Millisecond
)

// acceptor accepts connections on some addresses, and shakes hands on each in a goroutine of its own.
type acceptor struct {
	net     *Net
	timeout time.Duration
	// handle shakes hands. It owns the connection, whose deadline is set, and is told to stop by ctx.
	handle func(ctx context.Context, c *conn)

	listeners []net.Listener
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup

	mu      sync.Mutex
	sources map[string]int // handshakes by the address that they came from
	total   int
}

// listen binds the addresses, those that it can if there are several, or the same ports on all of this machine's
// addresses. Each is tried so many times, for ever if that is 0.
func listen(ctx context.Context, n *Net, addrs []proto.HostPort, allIPs bool, tries int, delay time.Duration) ([]net.Listener, error) {
	var names []string
	for _, a := range addrs {
		if allIPs {
			a.Host = ""
		}
		if !slices.Contains(names, a.String()) {
			names = append(names, a.String())
		}
	}
	listeners := make([]net.Listener, len(names))
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { listeners[i], errs[i] = bind(ctx, n, name, tries, delay) })
	}
	all.Wait()
	bound := slices.DeleteFunc(listeners, func(l net.Listener) bool { return l == nil })
	if len(bound) == 0 || ctx.Err() != nil {
		for _, l := range bound {
			_ = l.Close()
		}
		return nil, errors.Join(append(errs, ctx.Err())...)
	}
	return bound, nil
}

func bind(ctx context.Context, n *Net, name string, tries int, delay time.Duration) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1}
	for try := 1; ; try++ {
		l, err := config.Listen(ctx, "tcp", name)
		if err == nil {
			return l, nil
		}
		n.log().Error("cannot listen", zap.String("address", name), zap.Int("try", try), zap.Error(err))
		if try == tries {
			return nil, fmt.Errorf("listen on %s, %d times: %w", name, try, err)
		}
		if !pause(ctx, delay) {
			return nil, err
		}
	}
}

// pause waits. It returns false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// start accepts connections until close.
func (a *acceptor) start(listeners []net.Listener) {
	a.listeners = listeners
	a.sources = map[string]int{}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for _, l := range listeners {
		a.running.Go(func() { a.accept(l) })
	}
}

// close stops all of it and waits. Connections that handle has passed on are not touched.
func (a *acceptor) close() {
	a.cancel()
	for _, l := range a.listeners {
		_ = l.Close()
	}
	a.running.Wait()
}

func (a *acceptor) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if a.ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if err != nil {
			// The process may be out of file descriptors; others will be closed.
			a.net.log().Error("cannot accept a connection", zap.Stringer("address", l.Addr()), zap.Error(err))
			if !pause(a.ctx, acceptDelay) {
				return
			}
			continue
		}
		source := sourceOf(c)
		if !a.admit(source) {
			a.net.log().Warn("too many handshakes at once: connection closed", zap.Stringer("peer", c.RemoteAddr()))
			_ = c.Close()
			continue
		}
		a.running.Go(func() {
			defer a.leave(source)
			a.shake(c)
		})
	}
}

func (a *acceptor) shake(raw net.Conn) {
	c, err := a.net.prepare(a.ctx, raw, a.net.WrapAccepted, time.Now().Add(a.timeout))
	if err != nil {
		a.net.log().Warn("handshake failed", zap.Stringer("peer", raw.RemoteAddr()), zap.Error(err))
		return
	}
	a.handle(a.ctx, newConn(c))
}

func sourceOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

func (a *acceptor) admit(source string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= maxHandshakes || a.sources[source] >= maxHandshakesSource {
		return false
	}
	a.total++
	a.sources[source]++
	return true
}

func (a *acceptor) leave(source string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if a.sources[source]--; a.sources[source] == 0 {
		delete(a.sources, source)
	}
}
