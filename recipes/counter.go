package recipes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/go-zookeeper/zk"
)

// Counter is a number in a node that changes by compare-and-set: Curator's DistributedAtomicLong (eight bytes), kazoo's Counter
// (decimal text). It belongs to no session.
//
// Guaranteed: a change for which nil is returned was made exactly once. If the connection is lost at a change, and what is
// there afterwards leaves open whether the change was made, the result is [ErrUnknownOutcome].
type Counter struct {
	c      *Client
	path   string
	layout Layout
}

// NewCounter is the counter whose node is at a path. It is 0 before its first change.
func NewCounter(c *Client, p string, layout Layout) *Counter {
	return &Counter{c, path.Clean(p), layout}
}

// Value returns the number. It may be that of a moment ago: another server may know a later one.
func (n *Counter) Value(ctx context.Context) (int64, error) {
	v, _, err := n.read(ctx)
	return v, err
}

// read returns the version too, -1 if there is no node.
func (n *Counter) read(ctx context.Context) (int64, int32, error) {
	node, err := n.c.get(ctx, n.path)
	if errors.Is(err, zk.ErrNoNode) {
		return 0, -1, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("counter %s: %w", n.path, err)
	}
	v, err := n.decode(node.data)
	if err != nil {
		return 0, 0, fmt.Errorf("counter %s: %w", n.path, err)
	}
	return v, node.stat.Version, nil
}

func (n *Counter) decode(b []byte) (int64, error) {
	switch {
	case len(b) == 0:
		return 0, nil
	case n.layout == Kazoo:
		return strconv.ParseInt(string(b), 10, 64)
	case len(b) == 8:
		return int64(binary.BigEndian.Uint64(b)), nil
	case len(b) == 4: // DistributedAtomicInteger
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	}
	return 0, fmt.Errorf("%d bytes: not a number in Curator's layout", len(b))
}

func (n *Counter) encode(v int64) []byte {
	if n.layout == Kazoo {
		return strconv.AppendInt(nil, v, 10)
	}
	return binary.BigEndian.AppendUint64(nil, uint64(v))
}

// Add adds to the number and returns what it has become.
func (n *Counter) Add(ctx context.Context, delta int64) (int64, error) {
	for {
		v, version, err := n.read(ctx)
		if err != nil {
			return 0, err
		}
		done, err := n.swap(ctx, v+delta, version)
		if done || err != nil {
			return v + delta, err
		}
	}
}

// CompareAndSet makes the number another if it is the one expected, and reports whether it was.
func (n *Counter) CompareAndSet(ctx context.Context, expected, becomes int64) (bool, error) {
	for {
		v, version, err := n.read(ctx)
		if err != nil || v != expected {
			return false, err
		}
		done, err := n.swap(ctx, becomes, version)
		if done || err != nil {
			return done, err
		}
	}
}

// Set makes the number another, whatever it is.
func (n *Counter) Set(ctx context.Context, v int64) error {
	for {
		_, version, err := n.read(ctx)
		if err != nil {
			return err
		}
		if done, err := n.swap(ctx, v, version); done || err != nil {
			return err
		}
	}
}

// swap writes if the node still has the version. It reports false if it does not have it.
func (n *Counter) swap(ctx context.Context, v int64, version int32) (bool, error) {
	if version < 0 {
		if err := n.c.ensure(ctx, n.path); err != nil {
			return false, err
		}
		version = 0
	}
	data := n.encode(v)
	for {
		_, err := n.c.set(ctx, n.path, data, version)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, zk.ErrBadVersion) || errors.Is(err, zk.ErrNoNode):
			return false, nil
		case !transient(err):
			return false, fmt.Errorf("counter %s: %w", n.path, err)
		}
		if err := n.c.sync(ctx, n.path); err != nil {
			return false, fmt.Errorf("counter %s: %w (%w)", n.path, err, ErrUnknownOutcome)
		}
		now, err := n.c.get(ctx, n.path)
		switch {
		case err != nil:
			return false, fmt.Errorf("counter %s: %w (%w)", n.path, err, ErrUnknownOutcome)
		case now.stat.Version == version:
			continue // nothing was changed
		case now.stat.Version == version+1 && string(now.data) != string(data):
			return false, nil // someone else made the one change there was
		}
		return false, fmt.Errorf("counter %s: %w", n.path, ErrUnknownOutcome)
	}
}
