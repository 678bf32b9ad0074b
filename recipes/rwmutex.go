package recipes

import (
	"context"
	"fmt"
	"path"
	"slices"
)

// Names of nodes in the lines of read-write locks.
const (
	curatorRead  = "__READ__"
	curatorWrite = "__WRIT__"
	kazooRead    = "__rlock__"
)

// RWMutex is a lock that either one writer has or any number of readers: Curator's InterProcessReadWriteLock, kazoo's ReadLock and
// WriteLock. All stand in one line. A reader waits for the last writer before it, a writer for whoever stands before it, so nobody
// is overtaken and each release wakes who can go on and nobody else: one writer, or the readers up to the next one.
//
// Guarantees, loss of the session and tokens are those of [Mutex]. Readers have tokens too: a reader's is greater than those of
// all writers before it.
//
// If it is reentrant a writer may read under its lease's context; it still excludes all others then, until both leases are released. A
// reader that wants to write releases first: there is no upgrade, and trying it is [ErrDeadlock].
type RWMutex struct {
	read, write line
	o           LockOptions
}

// NewRWMutex is the read-write lock at a path.
func NewRWMutex(c *Client, dir string, o LockOptions) *RWMutex {
	marks := []string{curatorRead, curatorWrite, kazooRead, kazooLock}
	m := &RWMutex{o: o}
	m.write = line{c: c, dir: path.Clean(dir), layout: o.Layout, mark: curatorWrite, marks: marks, data: []byte(o.ID)}
	m.read = m.write
	m.read.mark = curatorRead
	if o.Layout == Kazoo {
		m.read.mark, m.write.mark = kazooRead, kazooLock
	}
	m.read.ahead = func(before []place) (place, bool) {
		for _, p := range slices.Backward(before) {
			if p.mark == curatorWrite || p.mark == kazooLock {
				return p, true
			}
		}
		return place{}, false
	}
	return m
}

// Lock waits until the caller alone holds the lock. Errors are those of [Mutex.Lock].
func (m *RWMutex) Lock(ctx context.Context) (*Lease, error) {
	return m.exclusive(ctx, false)
}

// TryLock is Lock, but returns [ErrNotAcquired] where that would wait for another holder.
func (m *RWMutex) TryLock(ctx context.Context) (*Lease, error) {
	return m.exclusive(ctx, true)
}

// RLock waits until the caller holds the lock, perhaps with other readers.
func (m *RWMutex) RLock(ctx context.Context) (*Lease, error) {
	return m.shared(ctx, false)
}

// TryRLock is RLock, but returns [ErrNotAcquired] where that would wait for a writer.
func (m *RWMutex) TryRLock(ctx context.Context) (*Lease, error) {
	return m.shared(ctx, true)
}

func (m *RWMutex) exclusive(ctx context.Context, try bool) (*Lease, error) {
	if m.write.held(ctx, "write") == nil && m.read.held(ctx, "read") != nil {
		return nil, fmt.Errorf("lock %s: %w", m.Path(), ErrDeadlock)
	}
	return m.write.lock(ctx, try, m.o.Reentrant, "write")
}

func (m *RWMutex) shared(ctx context.Context, try bool) (*Lease, error) {
	if m.write.held(ctx, "write") != nil {
		return m.write.lock(ctx, try, m.o.Reentrant, "write")
	}
	return m.read.lock(ctx, try, m.o.Reentrant, "read")
}

// Reader is the lock for reading, as part of a [MultiLock].
func (m *RWMutex) Reader() Locker { return reader{m} }

// Path is the directory of the lock's nodes.
func (m *RWMutex) Path() string { return m.write.dir }

type reader struct{ m *RWMutex }

func (r reader) Lock(ctx context.Context) (*Lease, error)    { return r.m.RLock(ctx) }
func (r reader) TryLock(ctx context.Context) (*Lease, error) { return r.m.TryRLock(ctx) }
func (r reader) Path() string                                { return r.m.Path() }
