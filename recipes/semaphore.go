package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-zookeeper/zk"
)

// Semaphore lets at most a number of holders in at a time: Curator's InterProcessSemaphoreV2, kazoo's Semaphore. Who wants
// in takes a mutex first, and only who has that watches the leases, so a release wakes one.
//
// Guaranteed: there are never more leases at the server than the number, as long as all use the same number (in kazoo's layout it is
// kept in the node, and another one is an error). A holder whose session expires loses its lease as that of a [Mutex] is
// lost. Tokens grow in the order in which leases were given.
type Semaphore struct {
	c      *Client
	dir    string
	max    int
	o      LockOptions
	mutex  *Mutex
	leases line
}

// NewSemaphore is the semaphore at a path with a number of leases. Reentrant is not among its options.
func NewSemaphore(c *Client, dir string, leases int, o LockOptions) *Semaphore {
	s := &Semaphore{c: c, dir: path.Clean(dir), max: leases, o: o}
	o.Reentrant = false
	s.leases = line{c: c, layout: o.Layout, data: []byte(o.ID)}
	if o.Layout == Kazoo {
		s.mutex = NewMutex(c, s.dir+"-"+kazooLock, o)
		s.leases.dir = s.dir
	} else {
		s.mutex = NewMutex(c, path.Join(s.dir, "locks"), o)
		s.leases.dir, s.leases.mark, s.leases.marks = path.Join(s.dir, "leases"), "lease-", []string{"lease-"}
	}
	return s
}

// Acquire waits for a lease. Errors are those of [Mutex.Lock].
func (s *Semaphore) Acquire(ctx context.Context) (*Lease, error) { return s.acquire(ctx, false) }

// TryAcquire is Acquire, but returns [ErrNotAcquired] where that would wait for another holder.
func (s *Semaphore) TryAcquire(ctx context.Context) (*Lease, error) { return s.acquire(ctx, true) }

func (s *Semaphore) acquire(ctx context.Context, try bool) (*Lease, error) {
	if s.max < 1 {
		return nil, fmt.Errorf("semaphore %s: %d leases", s.dir, s.max)
	}
	for {
		turn, err := s.mutex.lock(ctx, try)
		if err != nil {
			return nil, err
		}
		p, err := s.take(ctx, turn, try)
		_ = turn.Release(ctx) // if it was lost, the lease still counts; what is left is deleted in the background
		switch {
		case err == nil:
			return s.c.newLease(ctx, p, nil), nil
		case errors.Is(err, ErrNotAcquired):
			return nil, err
		case !errors.Is(err, ErrLost):
			return nil, fmt.Errorf("semaphore %s: %w", s.dir, err)
		}
	}
}

// take makes a lease while the caller has its turn. In Curator's layout the lease is made first and counts when it is among few enough;
// in kazoo's it is made when there is room. With the turn lost the lease is given back: another may be counting.
func (s *Semaphore) take(ctx context.Context, turn *Lease, try bool) (place, error) {
	if s.o.Layout == Kazoo {
		if err := s.agree(ctx); err != nil {
			return place{}, err
		}
		if err := s.room(ctx, turn, try, s.max-1); err != nil {
			return place{}, err
		}
		return s.fixed(ctx, turn)
	}
	p, err := s.leases.enter(ctx)
	if err != nil {
		return place{}, err
	}
	if err := s.room(ctx, turn, try, s.max); err != nil {
		s.c.withdraw(ctx, p.path(), err)
		return place{}, err
	}
	if stat, err := s.c.exists(ctx, p.path()); err != nil || stat == nil {
		s.c.discard(p.path())
		if err == nil {
			err = ErrLost
		}
		return place{}, err
	}
	return p, nil
}

// room waits until there are no more than most leases.
func (s *Semaphore) room(ctx context.Context, turn *Lease, try bool, most int) error {
	for {
		w, err := s.c.watchChildren(ctx, s.leases.dir)
		if errors.Is(err, zk.ErrNoNode) {
			return ErrLost
		}
		if err != nil {
			return err
		}
		switch {
		case turn.Context().Err() != nil:
			return ErrLost
		case len(w.value) <= most:
			return nil
		case try:
			return ErrNotAcquired
		}
		select {
		case <-w.fired:
		case <-turn.Context().Done():
			return ErrLost
		case <-ctx.Done():
			return cause(ctx)
		}
	}
}

// agree writes the number into kazoo's node, or compares it with what is there.
func (s *Semaphore) agree(ctx context.Context) error {
	if err := s.c.ensure(ctx, s.dir); err != nil {
		return err
	}
	n, err := s.c.get(ctx, s.dir)
	if err != nil {
		return err
	}
	if len(n.data) == 0 {
		_, err := retry(ctx, s.c, func(conn *zk.Conn) (*zk.Stat, error) {
			return conn.Set(s.dir, []byte(strconv.Itoa(s.max)), -1)
		})
		return err
	}
	if there, err := strconv.Atoi(string(n.data)); err == nil && there != s.max {
		return fmt.Errorf("the node says %d leases, the caller %d", there, s.max)
	}
	return nil
}

// fixed creates kazoo's lease, whose name is a GUID alone, if the turn still holds.
func (s *Semaphore) fixed(ctx context.Context, turn *Lease) (place, error) {
	p := place{dir: s.dir, name: strings.ReplaceAll(uuid(), "-", "")}
	create := &zk.CreateRequest{Path: p.path(), Data: s.leases.data, Acl: s.c.acl, Flags: zk.FlagEphemeral}
	for {
		_, err := callOr(ctx, s.c, func(conn *zk.Conn) ([]zk.MultiResponse, error) { return conn.Multi(turn.Check(), create) },
			func([]zk.MultiResponse, error) { s.c.discard(p.path()) })
		switch {
		case errors.Is(err, zk.ErrNoNode) || errors.Is(err, zk.ErrSessionExpired):
			return place{}, ErrLost
		case transient(err):
			continue // the next try finds the node, or makes it
		case err != nil && !errors.Is(err, zk.ErrNodeExists):
			return place{}, err
		}
		stat, err := s.c.exists(ctx, p.path())
		if err == nil && stat != nil {
			p.owner, p.czxid = s.c.owned(stat.EphemeralOwner), stat.Czxid
		}
		if p.owner != nil {
			return p, nil
		}
		s.c.discard(p.path())
		if err == nil {
			err = ErrLost
		}
		return place{}, err
	}
}

// Holders lists what the holders gave as ID, in no order.
func (s *Semaphore) Holders(ctx context.Context) ([]string, error) {
	names, err := s.c.children(ctx, s.leases.dir)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		return nil, err
	}
	var ids []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		n, err := s.c.get(ctx, path.Join(s.leases.dir, name))
		switch {
		case err == nil:
			ids = append(ids, string(n.data))
		case !errors.Is(err, zk.ErrNoNode):
			return nil, err
		}
	}
	return ids, nil
}
