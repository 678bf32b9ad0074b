package recipes

import (
	"context"

	"github.com/go-zookeeper/zk"
)

// watch is one watch at the server, for all who wait for the same. go-zookeeper cannot withdraw a watch, so one that nobody waits for
// any more stays until it fires; the next who asks for the same takes it over.
type watch struct {
	fired chan struct{} // closed when event is there
	event zk.Event
}

// watchKey is what a watch is for.
type watchKey struct {
	kind watchKind
	path string
}

type watchKind int

const (
	ofData watchKind = iota
	ofExistence
	ofChildren
)

// watched is what was read when a watch was set, or while it was.
type watched[T any] struct {
	value T
	*watch
}

// watchNode watches a node that is there; zk.ErrNoNode leaves no watch behind.
func (c *Client) watchNode(ctx context.Context, p string) (watched[node], error) {
	return watching(ctx, c, watchKey{ofData, p}, readNode(p), readNodeW(p))
}

// watchExists watches a path; the stat is nil if there is no node.
func (c *Client) watchExists(ctx context.Context, p string) (watched[*zk.Stat], error) {
	return watching(ctx, c, watchKey{ofExistence, p}, readStat(p), readStatW(p))
}

// watchChildren watches the children of a node that is there.
func (c *Client) watchChildren(ctx context.Context, p string) (watched[[]string], error) {
	return watching(ctx, c, watchKey{ofChildren, p}, readChildren(p), readChildrenW(p))
}

// watching reads with a watch. If there is one already it reads without: the reply comes after the event if what it tells is newer than
// that, so a watch that has not fired by then will.
func watching[T any](ctx context.Context, c *Client, key watchKey, read func(*zk.Conn) (T, error),
	readW func(*zk.Conn) (T, <-chan zk.Event, error),
) (watched[T], error) {
	return retry(ctx, c, func(conn *zk.Conn) (watched[T], error) {
		c.mu.Lock()
		w := c.watches[key]
		c.mu.Unlock()
		if w != nil {
			v, err := read(conn)
			return watched[T]{v, w}, err
		}
		v, event, err := readW(conn)
		if err != nil {
			return watched[T]{}, err
		}
		return watched[T]{v, c.adopt(key, event)}, nil
	})
}

// adopt makes a watch that go-zookeeper has set one for all.
func (c *Client) adopt(key watchKey, event <-chan zk.Event) *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.watches[key]; w != nil {
		return w // set at the same time
	}
	w := &watch{fired: make(chan struct{})}
	if c.closed {
		close(w.fired)
		return w
	}
	c.watches[key] = w
	c.tasks.Go(func() {
		select {
		case w.event = <-event:
		case <-c.done:
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watches, key)
		close(w.fired)
	})
	return w
}

func readNode(p string) func(*zk.Conn) (node, error) {
	return func(conn *zk.Conn) (node, error) {
		data, stat, err := conn.Get(p)
		return node{data, stat}, err
	}
}

func readNodeW(p string) func(*zk.Conn) (node, <-chan zk.Event, error) {
	return func(conn *zk.Conn) (node, <-chan zk.Event, error) {
		data, stat, event, err := conn.GetW(p)
		return node{data, stat}, event, err
	}
}

func readStat(p string) func(*zk.Conn) (*zk.Stat, error) {
	return func(conn *zk.Conn) (*zk.Stat, error) {
		ok, stat, err := conn.Exists(p)
		if !ok {
			stat = nil
		}
		return stat, err
	}
}

func readStatW(p string) func(*zk.Conn) (*zk.Stat, <-chan zk.Event, error) {
	return func(conn *zk.Conn) (*zk.Stat, <-chan zk.Event, error) {
		ok, stat, event, err := conn.ExistsW(p)
		if !ok {
			stat = nil
		}
		return stat, event, err
	}
}

func readChildren(p string) func(*zk.Conn) ([]string, error) {
	return func(conn *zk.Conn) ([]string, error) {
		names, _, err := conn.Children(p)
		return names, err
	}
}

func readChildrenW(p string) func(*zk.Conn) ([]string, <-chan zk.Event, error) {
	return func(conn *zk.Conn) ([]string, <-chan zk.Event, error) {
		names, _, event, err := conn.ChildrenW(p)
		return names, event, err
	}
}

// unshared reads with a watch of its own, whose event the caller learns from a hook.
func unshared[T any](ctx context.Context, c *Client, readW func(*zk.Conn) (T, <-chan zk.Event, error)) (T, error) {
	return retry(ctx, c, func(conn *zk.Conn) (T, error) {
		v, _, err := readW(conn)
		return v, err
	})
}
