package recipes

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Locker is a lock: [Mutex], [RWMutex] or [RWMutex.Reader].
type Locker interface {
	Lock(ctx context.Context) (*Lease, error)
	TryLock(ctx context.Context) (*Lease, error)
	Path() string
}

// MultiLock is several locks taken as one. They are taken in the order of their paths, so that those who want some of the same locks
// cannot wait for each other in a circle.
type MultiLock struct{ locks []Locker }

// NewMultiLock is the lock made of others, which are different locks.
func NewMultiLock(locks ...Locker) *MultiLock {
	m := &MultiLock{locks: slices.Clone(locks)}
	slices.SortStableFunc(m.locks, func(a, b Locker) int { return cmp.Compare(a.Path(), b.Path()) })
	return m
}

// MultiLease is the lease of a [MultiLock]: it holds as long as all its parts do.
type MultiLease struct {
	parts  []*Lease
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Lock waits until the caller holds all locks. If one cannot be had, or one is lost while waiting for another, none is held.
func (m *MultiLock) Lock(ctx context.Context) (*MultiLease, error) { return m.lock(ctx, Locker.Lock) }

// TryLock is Lock, but returns [ErrNotAcquired], and holds nothing, where that would wait for another holder.
func (m *MultiLock) TryLock(ctx context.Context) (*MultiLease, error) {
	return m.lock(ctx, Locker.TryLock)
}

func (m *MultiLock) lock(ctx context.Context, one func(Locker, context.Context) (*Lease, error)) (*MultiLease, error) {
	all := &MultiLease{}
	all.ctx, all.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for _, l := range m.locks {
		part, err := one(l, waiting)
		if err != nil {
			if errors.Is(context.Cause(waiting), ErrLost) {
				err = ErrLost
			}
			_ = all.Release(ctx) // what failed first is what the caller wants to know
			return nil, err
		}
		all.parts = append(all.parts, part)
		context.AfterFunc(part.Context(), func() {
			cause := context.Cause(part.Context())
			all.cancel(cause)
			stop(cause)
		})
	}
	return all, nil
}

// Context ends when the first of the locks is lost or the lease is released; see [Lease.Context].
func (l *MultiLease) Context() context.Context { return l.ctx }

// Parts are the leases of the locks in the order of their paths: each has its own fencing token.
func (l *MultiLease) Parts() []*Lease { return slices.Clone(l.parts) }

// Release gives all locks up, the last taken first. It returns [ErrLost] if one had been lost; see [Lease.Release].
func (l *MultiLease) Release(ctx context.Context) error {
	var errs []error
	for _, part := range slices.Backward(l.parts) {
		errs = append(errs, part.Release(ctx))
	}
	l.cancel(ErrReleased)
	return errors.Join(errs...)
}
