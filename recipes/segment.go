package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"sync"

	"github.com/go-zookeeper/zk"
)

// SegmentIDs hands out numbers from a range that it has reserved with one compare-and-set, and reserves the next range when
// half of one is used: most numbers cost no round trip, and servers that are away for a while are not missed.
//
// Guaranteed: no number is handed out twice, in whatever session. Numbers of different clients are in no order; what a client
// has reserved and not used when it ends is left out.
type SegmentIDs struct {
	c    *Client
	path string
	size int64

	mu         sync.Mutex
	next, end  int64    // what is left of the present range
	prefetched *segment // the next one
}

// segment is a range that is being reserved. The fields are set when done is closed.
type segment struct {
	done       chan struct{}
	first, end int64
	err        error
}

// NewSegmentIDs hands out numbers from 1, in ranges of a size. The node at the path holds the first number that is not
// reserved, in decimal.
func NewSegmentIDs(c *Client, p string, size int) *SegmentIDs {
	return &SegmentIDs{c: c, path: path.Clean(p), size: int64(max(size, 1))}
}

// Next returns a number. It waits only if a range is used up before the next one is reserved.
func (s *SegmentIDs) Next(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next == s.end {
		p := s.prefetch()
		s.mu.Unlock()
		err := s.c.await(ctx, p.done)
		s.mu.Lock()
		if err != nil {
			return 0, fmt.Errorf("ids %s: %w", s.path, err)
		}
		if s.prefetched == p { // nobody was faster
			s.prefetched = nil
			if p.err != nil {
				return 0, fmt.Errorf("ids %s: %w", s.path, p.err)
			}
			s.next, s.end = p.first, p.end
		}
	}
	id := s.next
	s.next++
	if s.end-s.next <= s.size/2 {
		s.prefetch()
	}
	return id, nil
}

// prefetch starts to reserve a range unless that goes on already; s.mu is held.
func (s *SegmentIDs) prefetch() *segment {
	if s.prefetched == nil {
		p := &segment{done: make(chan struct{}), err: ErrClosed}
		s.prefetched = p
		started := s.c.spawn(func() {
			defer close(p.done)
			p.first, p.end, p.err = s.reserve(context.Background()) // ends with the client
		})
		if !started {
			close(p.done)
		}
	}
	return s.prefetched
}

// reserve takes the next range. One that was possibly taken when a connection was lost is left out.
func (s *SegmentIDs) reserve(ctx context.Context) (first, end int64, err error) {
	for {
		n, err := s.c.get(ctx, s.path)
		if errors.Is(err, zk.ErrNoNode) {
			if err := s.c.ensure(ctx, s.path); err != nil {
				return 0, 0, err
			}
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		first := int64(1)
		if len(n.data) > 0 {
			if first, err = strconv.ParseInt(string(n.data), 10, 64); err != nil {
				return 0, 0, err
			}
		}
		_, err = s.c.set(ctx, s.path, strconv.AppendInt(nil, first+s.size, 10), n.stat.Version)
		switch {
		case err == nil:
			return first, first + s.size, nil
		case !errors.Is(err, zk.ErrBadVersion) && !transient(err):
			return 0, 0, err
		}
	}
}
