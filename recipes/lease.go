package recipes

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/go-zookeeper/zk"
)

// Lease is what a holder has of a lock, a semaphore or leadership. It holds until it is released or lost; both end its context.
type Lease struct {
	h        *hold
	ctx      context.Context
	cancel   context.CancelCauseFunc
	released atomic.Bool
}

// hold is one ephemeral node, and the leases on it: several if a lock was entered again.
type hold struct {
	c     *Client
	path  string
	token int64
	key   *leaseKey       // under which contexts carry the leases; nil: they do not
	ctx   context.Context // ends when the node or its session does
	lose  context.CancelCauseFunc

	mu    sync.Mutex
	count int // of leases
}

// leaseKey finds the lease of a lock in a context.
type leaseKey struct {
	c   *Client
	dir string
}

// newLease makes the lease of a node that belongs to a session, and watches over both. It takes the values of ctx, not
// its end. key is nil if the lease cannot be found again.
func (c *Client) newLease(ctx context.Context, p place, key *leaseKey) *Lease {
	h := &hold{c: c, path: p.path(), token: p.czxid, key: key, count: 1}
	h.ctx, h.lose = context.WithCancelCause(context.WithoutCancel(ctx))
	l := &Lease{h: h}
	l.ctx, l.cancel = context.WithCancelCause(l.carried(h.ctx))
	if !c.spawn(func() { h.guard(p.owner) }) {
		h.lose(ErrLost)
	}
	return l
}

// carried is the context that the lease can be found in.
func (l *Lease) carried(ctx context.Context) context.Context {
	if l.h.key == nil {
		return ctx
	}
	return context.WithValue(ctx, *l.h.key, l)
}

// again returns one more lease on the same node.
func (l *Lease) again(ctx context.Context) (*Lease, bool) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if l.h.count == 0 || l.h.ctx.Err() != nil {
		return nil, false
	}
	l.h.count++
	inner := &Lease{h: l.h}
	base, cancel := context.WithCancelCause(inner.carried(context.WithoutCancel(ctx)))
	stop := context.AfterFunc(l.h.ctx, func() { cancel(context.Cause(l.h.ctx)) })
	inner.ctx, inner.cancel = base, func(cause error) { stop(); cancel(cause) }
	return inner, true
}

// guard ends the hold when its node or its session is gone.
func (h *hold) guard(s *session) {
	ctx, cancel := context.WithCancelCause(h.ctx)
	defer cancel(nil)
	stop := context.AfterFunc(s.ctx, func() { cancel(ErrLost) })
	defer stop()
	for {
		w, err := h.c.watchNode(ctx, h.path)
		if err != nil {
			break // no node, no session, or released
		}
		select {
		case <-w.fired: // data changed, or deleted: the next look tells
			continue
		case <-ctx.Done():
		}
		break
	}
	if h.ctx.Err() == nil {
		h.lose(ErrLost)
		h.c.discard(h.path) // if the session goes on after all, others wait for this node
	}
}

// Token is the fencing token: the zxid of the creation of the holder's node. Later holders have greater ones. A reentrant lock has
// one token for all its leases.
func (l *Lease) Token() int64 { return l.h.token }

// Path is the node that stands for the lease.
func (l *Lease) Path() string { return l.h.path }

// Context ends when the lease does: its cause is [ErrReleased], or [ErrLost] if the session expired, may have expired, or the node
// was deleted by someone. Work that the lease protects is done under it. It has the values of the context that the lease was
// acquired with, but does not end with that.
func (l *Lease) Context() context.Context { return l.ctx }

// Check makes a transaction (zk.Conn.Multi) fail with zk.ErrNoNode unless the lease still holds when the server carries it
// out: the exact way to protect data in ZooKeeper itself.
func (l *Lease) Check() *zk.CheckVersionRequest {
	return &zk.CheckVersionRequest{Path: l.h.path, Version: -1}
}

// Release gives the lease up. It returns [ErrLost] if the lease had been lost before, so what was done under it was possibly
// not done alone, and nil otherwise. If the context ends first its error is returned, and the node is deleted in the
// background. Releasing again does nothing.
func (l *Lease) Release(ctx context.Context) error {
	if l.released.Swap(true) {
		return nil
	}
	l.h.mu.Lock()
	l.h.count--
	last := l.h.count == 0
	l.h.mu.Unlock()
	lost := errors.Is(context.Cause(l.h.ctx), ErrLost)
	l.cancel(ErrReleased)
	if last {
		l.h.lose(ErrReleased)
	}
	switch {
	case lost:
		return ErrLost
	case !last:
		return nil
	}
	if err := l.h.c.remove(ctx, l.h.path); err != nil {
		l.h.c.discard(l.h.path)
		return err
	}
	return nil
}

// Fence refuses the late: a resource that is changed by the holders of a lock one after the other asks it before each change. The
// zero value is ready. It is for a resource in memory; one with a store of its own keeps the greatest token there, in the same
// transaction as the change.
type Fence struct {
	mu       sync.Mutex
	greatest int64
}

// ErrFenced is what [Fence.Admit] returns to a holder that has been superseded.
var ErrFenced = errors.New("recipes: a later holder has been here")

// Admit lets a holder in unless one with a greater token has been let in before.
func (f *Fence) Admit(token int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token < f.greatest {
		return ErrFenced
	}
	f.greatest = token
	return nil
}
