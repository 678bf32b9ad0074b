package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"
)

// How a [Snowflake] divides its 63 bits.
const (
	workerBits   = 10
	sequenceBits = 12
	workers      = 1 << workerBits
)

// ahead is for how long a Snowflake reserves time at once.
const ahead = 3 * time.Second

// ErrClock is the result of [Snowflake.Next] when the clock has gone backwards, or is behind what all free workers have used.
var ErrClock = errors.New("recipes: the clock is behind ids that were handed out")

// SnowflakeOptions are those of a [Snowflake].
type SnowflakeOptions struct {
	// Epoch is the time from which ids count milliseconds, for 69 years; zero is 2020-01-01 UTC. All use the same.
	Epoch time.Time
	// Clock is asked for the time; nil is time.Now.
	Clock func() time.Time
}

// Snowflake hands out ids without a round trip: 41 bits of milliseconds since an epoch, 10 of a worker, 12 of a counter. The
// worker's number is leased by an ephemeral node in workers/. Before a worker hands out ids of some time it has reserved that time
// in until/, and whoever has the number next starts after what was reserved.
//
// Guaranteed: no id is handed out twice, even by a worker that was suspended, lost its session and does not know: it has ids left only
// for time that no other worker of its number uses. Ids of one Snowflake grow. When the session expires the next id
// comes from another lease, without the caller's doing. If the clock goes backwards there are no ids until it has caught up: [ErrClock].
type Snowflake struct {
	c     *Client
	dir   string
	epoch time.Time
	clock func() time.Time

	turn     chan struct{} // holds a token for whoever uses what follows
	lease    *Lease
	worker   int64
	version  int32 // of the node in until/
	reserved int64 // ids are of milliseconds before this one
	last     int64 // millisecond of the last id
	count    int64 // ids of that millisecond
}

// NewSnowflake hands out ids of the workers at a path.
func NewSnowflake(c *Client, dir string, o SnowflakeOptions) *Snowflake {
	s := &Snowflake{c: c, dir: path.Clean(dir), epoch: o.Epoch, clock: o.Clock, turn: make(chan struct{}, 1), last: -1}
	if s.epoch.IsZero() {
		s.epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	return s
}

// Next returns an id. It waits for a server when there is no worker or the time that was reserved is over, and for the next
// millisecond after 4096 ids of one.
func (s *Snowflake) Next(ctx context.Context) (int64, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, cause(ctx)
	}
	defer func() { <-s.turn }()
	for {
		now, err := s.now()
		if err != nil {
			return 0, err
		}
		if s.lease == nil || s.lease.Context().Err() != nil {
			err = s.hire(ctx)
		} else if now >= s.reserved {
			err = s.reserve(ctx, now)
		} else if now == s.last && s.count == 1<<sequenceBits {
			err = s.tick(ctx)
		} else {
			if now > s.last {
				s.last, s.count = now, 0
			}
			s.count++
			return now<<(workerBits+sequenceBits) | s.worker<<sequenceBits | (s.count - 1), nil
		}
		if err != nil {
			return 0, fmt.Errorf("ids %s: %w", s.dir, err)
		}
	}
}

// Worker is the number of the worker that handed out an id.
func Worker(id int64) int { return int(id >> sequenceBits & (workers - 1)) }

// now is the time in milliseconds since the epoch, which does not run backwards.
func (s *Snowflake) now() (int64, error) {
	now := s.clock().Sub(s.epoch).Milliseconds()
	if now < s.last || now < 0 || now >= 1<<(63-workerBits-sequenceBits) {
		return 0, fmt.Errorf("ids %s: %d ms since the epoch, the last id has %d: %w", s.dir, now, s.last, ErrClock)
	}
	return now, nil
}

// tick waits for about a millisecond.
func (s *Snowflake) tick(ctx context.Context) error {
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return cause(ctx)
	}
}

// hire leases the number of a worker whose reserved time is over.
func (s *Snowflake) hire(ctx context.Context) error {
	for _, dir := range []string{"workers", "until"} {
		if err := s.c.ensure(ctx, path.Join(s.dir, dir)); err != nil {
			return err
		}
	}
	busy, err := s.c.children(ctx, path.Join(s.dir, "workers"))
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	for _, name := range busy {
		taken[name] = true
	}
	behind := false
	for n := range int64(workers) {
		name := strconv.FormatInt(n, 10)
		if taken[name] {
			continue
		}
		ok, late, err := s.occupy(ctx, name)
		if err != nil {
			return err
		}
		if ok {
			s.worker = n
			return nil
		}
		behind = behind || late
	}
	if behind {
		return ErrClock
	}
	return fmt.Errorf("all %d workers are in use: %w", workers, ErrNotAcquired)
}

// occupy leases one number, if it is free and its time is not ahead of the clock (late).
func (s *Snowflake) occupy(ctx context.Context, name string) (ok, late bool, err error) {
	p := place{dir: path.Join(s.dir, "workers"), name: name}
	until := path.Join(s.dir, "until", name)
	n, err := s.c.get(ctx, until)
	if errors.Is(err, zk.ErrNoNode) {
		if err = s.c.ensure(ctx, until); err == nil {
			n, err = s.c.get(ctx, until)
		}
	}
	if err != nil {
		return false, false, err
	}
	used, _ := strconv.ParseInt(string(n.data), 10, 64) // 0 before the first time
	now, err := s.now()
	if err != nil {
		return false, false, err
	}
	if now < used {
		return false, true, nil
	}
	mine := []byte(uuid())
	_, err = callOr(ctx, s.c, func(conn *zk.Conn) (string, error) {
		return conn.Create(p.path(), mine, zk.FlagEphemeral, s.c.acl)
	}, func(_ string, err error) {
		if err == nil {
			s.c.discard(p.path())
		}
	})
	if transient(err) {
		if err := s.c.sync(ctx, p.path()); err != nil {
			return false, false, err
		}
	}
	if err != nil && !transient(err) && !errors.Is(err, zk.ErrNodeExists) {
		return false, false, err
	}
	there, err := s.c.get(ctx, p.path())
	if errors.Is(err, zk.ErrNoNode) || err == nil && string(there.data) != string(mine) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	if p.owner, p.czxid = s.c.owned(there.stat.EphemeralOwner), there.stat.Czxid; p.owner == nil {
		return false, false, nil
	}
	s.lease = s.c.newLease(ctx, p, nil)
	s.version, s.reserved = n.stat.Version, 0
	if err := s.reserve(ctx, now); err != nil {
		return false, false, err
	}
	return s.reserved > 0, false, nil
}

// reserve writes up to when ids may be handed out. If someone else has done that, the number is another's.
func (s *Snowflake) reserve(ctx context.Context, now int64) error {
	until := now + ahead.Milliseconds()
	stat, err := s.c.set(ctx, path.Join(s.dir, "until", path.Base(s.lease.Path())), strconv.AppendInt(nil, until, 10), s.version)
	switch {
	case err == nil:
		s.version, s.reserved = stat.Version, until
		return nil
	case errors.Is(err, zk.ErrBadVersion) || transient(err): // perhaps it was ourselves: another lease is the safe way
		_ = s.lease.Release(ctx) // what is left is deleted in the background
		s.lease, s.reserved = nil, 0
		return nil
	}
	return err
}

// Close gives the worker's number up.
func (s *Snowflake) Close(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.lease == nil {
		return nil
	}
	err := s.lease.Release(ctx)
	s.lease = nil
	if errors.Is(err, ErrLost) {
		return nil
	}
	return err
}
