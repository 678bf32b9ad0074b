package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"
)

// Names of nodes in the lines of locks. Mutexes of both layouts see each other's.
const (
	curatorLock = "lock-"
	kazooLock   = "__lock__"
)

// LockOptions are those of all locks. The zero value is a lock that is not reentrant, in Curator's layout.
type LockOptions struct {
	Layout Layout
	// ID is written into the lock's node, for people and for kazoo's contenders().
	ID string
	// Reentrant lets a goroutine that works under the context of one of the lock's leases lock again.
	Reentrant bool
}

// Mutex is a lock that one holder has at a time, in the order in which they asked: Curator's InterProcessMutex, go-zookeeper's
// Lock, kazoo's Lock.
//
// Guaranteed: no two leases are valid at once as the server sees it, and tokens grow from holder to holder. Not guaranteed, as
// with every lock in a network: that a holder notices at once that it has lost the lock. The session timeout bounds that, see the package's
// description; where it matters the resource checks the token.
//
// When the session expires the lease is lost: its context ends with [ErrLost]. The caller stops what it does under the lock,
// and locks again if it wants to. Loss of the connection alone, shorter than the session timeout, and change to another
// server do not end the lease, and do not make anyone who waits lose its place.
type Mutex struct {
	line line
	o    LockOptions
}

// NewMutex is the lock at a path. The node is created when first needed, in Curator's layout as a container.
func NewMutex(c *Client, dir string, o LockOptions) *Mutex {
	l := line{c: c, dir: path.Clean(dir), layout: o.Layout, mark: curatorLock, marks: []string{curatorLock, kazooLock}, data: []byte(o.ID)}
	if o.Layout == Kazoo {
		l.mark = kazooLock
	}
	return &Mutex{line: l, o: o}
}

// Lock waits until the caller holds the lock. Errors: the context's; [ErrDeadlock]; [ErrClosed]; the server's refusals
// (zk.ErrNoAuth …).
func (m *Mutex) Lock(ctx context.Context) (*Lease, error) { return m.lock(ctx, false) }

// TryLock is Lock, but returns [ErrNotAcquired] where that would wait for another holder. It does wait for a connection.
func (m *Mutex) TryLock(ctx context.Context) (*Lease, error) { return m.lock(ctx, true) }

func (m *Mutex) lock(ctx context.Context, try bool) (*Lease, error) {
	return m.line.lock(ctx, try, m.o.Reentrant, "mutex")
}

// lock acquires, or enters again what the context already has under this kind.
func (l *line) lock(ctx context.Context, try, reentrant bool, kind string) (*Lease, error) {
	key := leaseKey{l.c, kind + " " + l.dir}
	if outer := l.held(ctx, kind); outer != nil {
		if !reentrant {
			return nil, fmt.Errorf("lock %s: %w", l.dir, ErrDeadlock)
		}
		if inner, ok := outer.again(ctx); ok {
			return inner, nil
		}
	}
	p, err := l.acquire(ctx, try)
	if errors.Is(err, ErrNotAcquired) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.dir, err)
	}
	return l.c.newLease(ctx, p, &key), nil
}

// held returns the lease of this kind that a context is of, nil if there is none or it has ended.
func (l *line) held(ctx context.Context, kind string) *Lease {
	if outer, ok := ctx.Value(leaseKey{l.c, kind + " " + l.dir}).(*Lease); ok && outer.ctx.Err() == nil {
		return outer
	}
	return nil
}

// Path is the directory of the lock's nodes.
func (m *Mutex) Path() string { return m.line.dir }
