package recipes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"

	"github.com/go-zookeeper/zk"
)

// contextError is the cause of a context that has ended: never transient, though context.DeadlineExceeded calls itself a net.Error.
type contextError struct{ cause error }

func (e *contextError) Error() string { return e.cause.Error() }

func (e *contextError) Unwrap() error { return e.cause }

func cause(ctx context.Context) error { return &contextError{context.Cause(ctx)} }

// call runs one request and waits for it no longer than the context. The request itself cannot be withdrawn: it may still be carried out.
func call[T any](ctx context.Context, c *Client, f func(*zk.Conn) (T, error)) (T, error) {
	return callOr(ctx, c, f, nil)
}

// callOr is call, with late called for an answer that comes when nobody waits for it any more.
func callOr[T any](ctx context.Context, c *Client, f func(*zk.Conn) (T, error), late func(T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var zero T
	if ctx.Err() != nil {
		return zero, cause(ctx)
	}
	if c.ended() {
		return zero, ErrClosed
	}
	answer := make(chan result) // not buffered: either the caller takes the answer or late does
	gone := make(chan struct{})
	go func() { // Close does not wait for it: go-zookeeper may leave requests without an answer when it closes
		select {
		case <-c.identified:
		case <-c.done:
		}
		v, err := f(c.conn)
		select {
		case answer <- result{v, err}:
		case <-gone:
			if late != nil {
				late(v, err)
			}
		}
	}()
	defer close(gone)
	select {
	case r := <-answer:
		if transient(r.err) && c.ended() {
			return zero, ErrClosed
		}
		return r.v, r.err
	case <-ctx.Done():
		return zero, cause(ctx)
	case <-c.over:
		return zero, ErrClosed
	}
}

// ended reports whether the client is closed.
func (c *Client) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// retry repeats a request that does no harm twice until it has an answer. go-zookeeper holds a request back while there is no
// connection, so this does not spin.
func retry[T any](ctx context.Context, c *Client, f func(*zk.Conn) (T, error)) (T, error) {
	for {
		v, err := call(ctx, c, f)
		if err == nil || !transient(err) {
			return v, err
		}
	}
}

// transient reports whether an error says that there is no answer, rather than being one.
func transient(err error) bool {
	var over *contextError
	if err == nil || errors.As(err, &over) {
		return false
	}
	var network net.Error
	for _, t := range []error{zk.ErrConnectionClosed, zk.ErrNoServer, zk.ErrSessionExpired, zk.ErrSessionMoved, io.EOF, net.ErrClosed, io.ErrClosedPipe} {
		if errors.Is(err, t) {
			return true
		}
	}
	return errors.As(err, &network)
}

// node is a node's data and stat.
type node struct {
	data []byte
	stat *zk.Stat
}

func (c *Client) get(ctx context.Context, p string) (node, error) {
	return retry(ctx, c, readNode(p))
}

// exists returns a nil stat if there is no node.
func (c *Client) exists(ctx context.Context, p string) (*zk.Stat, error) {
	return retry(ctx, c, readStat(p))
}

func (c *Client) children(ctx context.Context, p string) ([]string, error) {
	return retry(ctx, c, readChildren(p))
}

// sync lets the next reads see all that was written before, whichever server took it.
func (c *Client) sync(ctx context.Context, p string) error {
	_, err := retry(ctx, c, func(conn *zk.Conn) (string, error) { return conn.Sync(p) })
	return err
}

// create creates a node once. A transient error leaves open whether it did.
func (c *Client) create(ctx context.Context, p string, data []byte, flags int32) (string, error) {
	return call(ctx, c, func(conn *zk.Conn) (string, error) { return conn.Create(p, data, flags, c.acl) })
}

// multi runs a transaction once. A transient error leaves open whether it did.
func (c *Client) multi(ctx context.Context, ops ...any) ([]zk.MultiResponse, error) {
	return call(ctx, c, func(conn *zk.Conn) ([]zk.MultiResponse, error) { return conn.Multi(ops...) })
}

// set sets a node's data once. A transient error leaves open whether it did.
func (c *Client) set(ctx context.Context, p string, data []byte, version int32) (*zk.Stat, error) {
	return call(ctx, c, func(conn *zk.Conn) (*zk.Stat, error) { return conn.Set(p, data, version) })
}

// remove deletes a node that nobody makes anew; that it is gone is no error.
func (c *Client) remove(ctx context.Context, p string) error {
	_, err := retry(ctx, c, func(conn *zk.Conn) (struct{}, error) { return struct{}{}, conn.Delete(p, -1) })
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

// discard removes a node in the background, however long it takes.
func (c *Client) discard(p string) {
	c.spawn(func() {
		_ = c.remove(context.Background(), p) // ends with the client, whose session owns the node, or is refused for good
	})
}

// withdraw removes the node of who does not get what it wants because of err. Who has only tried waits for that: the next one
// who tries must not find it.
func (c *Client) withdraw(ctx context.Context, p string, err error) {
	if !errors.Is(err, ErrNotAcquired) || c.remove(ctx, p) != nil {
		c.discard(p)
	}
}

// ensure creates a persistent node and those above it.
func (c *Client) ensure(ctx context.Context, p string) error {
	return c.ensureWith(ctx, p, func(conn *zk.Conn, p string) (string, error) {
		return conn.Create(p, nil, zk.FlagPersistent, c.acl)
	})
}

// ensureContainer creates a container node, which the server deletes some time after its last child, and containers above it, as
// Curator does. A server that knows no containers gets persistent nodes.
func (c *Client) ensureContainer(ctx context.Context, p string) error {
	return c.ensureWith(ctx, p, func(conn *zk.Conn, p string) (string, error) {
		made, err := conn.CreateContainer(p, nil, zk.FlagContainer, c.acl)
		if err != nil && strings.HasSuffix(err.Error(), "-6") { // unimplemented
			return conn.Create(p, nil, zk.FlagPersistent, c.acl)
		}
		return made, err
	})
}

func (c *Client) ensureWith(ctx context.Context, p string, create func(*zk.Conn, string) (string, error)) error {
	for {
		_, err := retry(ctx, c, func(conn *zk.Conn) (string, error) { return create(conn, p) })
		switch {
		case err == nil || errors.Is(err, zk.ErrNodeExists):
			return nil
		case !errors.Is(err, zk.ErrNoNode):
			return fmt.Errorf("create %s: %w", p, err)
		}
		if err := c.ensureWith(ctx, path.Dir(p), create); err != nil {
			return err
		}
	}
}

// uuid returns a random UUID (RFC 9562, version 4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
