package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"
)

// Barrier stops those who wait while its node is there: Curator's DistributedBarrier, kazoo's Barrier. It belongs to no session:
// what has been set stays until it is removed. All who wait are told at once; that is what it is for.
type Barrier struct {
	c    *Client
	path string
}

// NewBarrier is the barrier whose node is at a path.
func NewBarrier(c *Client, path string) *Barrier { return &Barrier{c, path} }

// Set puts the barrier up. It may be up already.
func (b *Barrier) Set(ctx context.Context) error { return b.c.ensure(ctx, b.path) }

// Remove takes the barrier down. It may be down already. Of a barrier that is set and removed quickly those who wait may
// miss that it was down, if it was set again before they could look.
func (b *Barrier) Remove(ctx context.Context) error { return b.c.remove(ctx, b.path) }

// Wait returns when the barrier has been down, as far as the server knows that it asks: what another client has set a moment ago it may
// not know yet.
func (b *Barrier) Wait(ctx context.Context) error {
	for {
		w, err := b.c.watchNode(ctx, b.path)
		if errors.Is(err, zk.ErrNoNode) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait at %s: %w", b.path, err)
		}
		select {
		case <-w.fired:
			if w.event.Type == zk.EventNodeDeleted {
				return nil
			}
		case <-ctx.Done():
			return cause(ctx)
		}
	}
}

// readyNode is the node that opens a double barrier, in Curator and kazoo.
const readyNode = "ready"

// DoubleBarrier lets its members start together and end together: Curator's DistributedDoubleBarrier, kazoo's DoubleBarrier.
//
// Guaranteed: Enter returns nil only after as many members as were asked for were inside at one time; Leave only when all
// have left or lost their sessions. A member whose session expires is outside: its Enter returns [ErrLost], and if it was inside,
// so does its Leave. A barrier is used for one computation at a time, and by a value of this type for one Enter and Leave after the other.
type DoubleBarrier struct {
	c       *Client
	dir     string
	members int
	path    string // our node
}

// NewDoubleBarrier is the barrier at a path for a number of members.
func NewDoubleBarrier(c *Client, dir string, members int) *DoubleBarrier {
	dir = path.Clean(dir)
	return &DoubleBarrier{c: c, dir: dir, members: members, path: path.Join(dir, uuid())}
}

// Enter waits until enough members have entered. If it fails the member is outside.
func (b *DoubleBarrier) Enter(ctx context.Context) error {
	err := b.enter(ctx)
	if err != nil {
		b.c.discard(b.path)
		return fmt.Errorf("enter %s: %w", b.dir, err)
	}
	return nil
}

func (b *DoubleBarrier) enter(ctx context.Context) error {
	if err := b.c.ensure(ctx, b.dir); err != nil {
		return err
	}
	_, err := retry(ctx, b.c, func(conn *zk.Conn) (string, error) {
		return conn.Create(b.path, nil, zk.FlagEphemeral, b.c.acl)
	})
	if err != nil && !errors.Is(err, zk.ErrNodeExists) {
		return err
	}
	stat, err := b.c.exists(ctx, b.path)
	if err != nil {
		return err
	}
	if stat == nil {
		return ErrLost
	}
	s := b.c.owned(stat.EphemeralOwner)
	if s == nil {
		return ErrLost
	}
	for {
		ready, err := b.c.watchExists(ctx, path.Join(b.dir, readyNode))
		if err != nil {
			return err
		}
		inside, err := b.inside(ctx)
		if err != nil {
			return err
		}
		switch {
		case s.ctx.Err() != nil || !slices.Contains(inside, path.Base(b.path)):
			return ErrLost
		case ready.value != nil:
			return nil
		case len(inside) >= b.members:
			return b.c.ensure(ctx, path.Join(b.dir, readyNode))
		}
		select {
		case <-ready.fired:
			if ready.event.Type == zk.EventNodeCreated {
				return nil // kazoo's members delete it again when the first leaves
			}
		case <-s.ctx.Done():
			return ErrLost
		case <-ctx.Done():
			return cause(ctx)
		}
	}
}

// inside lists the members, in order.
func (b *DoubleBarrier) inside(ctx context.Context) ([]string, error) {
	names, err := b.c.children(ctx, b.dir)
	if errors.Is(err, zk.ErrNoNode) {
		err = nil
	}
	names = slices.DeleteFunc(names, func(s string) bool { return s == readyNode })
	slices.SortFunc(names, strings.Compare)
	return names, err
}

// Leave waits until all members have left. The first in order of names goes last, and the others wait for it, so each of
// them is woken once.
func (b *DoubleBarrier) Leave(ctx context.Context) error {
	lost, err := b.leave(ctx)
	if err == nil && lost {
		err = ErrLost
	}
	if err != nil {
		b.c.discard(b.path)
		return fmt.Errorf("leave %s: %w", b.dir, err)
	}
	return nil
}

func (b *DoubleBarrier) leave(ctx context.Context) (lost bool, err error) {
	own, gone := path.Base(b.path), false
	for {
		inside, err := b.inside(ctx)
		if err != nil {
			return lost, err
		}
		here := slices.Contains(inside, own)
		lost = lost || !here && !gone
		gone = gone || !here
		if len(inside) == 0 || len(inside) == 1 && here {
			if err := b.c.remove(ctx, b.path); err != nil {
				return lost, err
			}
			return lost, b.c.remove(ctx, path.Join(b.dir, readyNode))
		}
		waitFor := inside[0]
		if inside[0] == own {
			waitFor = inside[len(inside)-1]
		} else if here {
			if err := b.c.remove(ctx, b.path); err != nil {
				return lost, err
			}
			gone = true
		}
		w, err := b.c.watchNode(ctx, path.Join(b.dir, waitFor))
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return lost, err
		}
		if err := b.c.await(ctx, w.fired); err != nil {
			return lost, err
		}
	}
}
