package recipes

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/go-zookeeper/zk"
)

const curatorLatch = "latch-"

// ElectionOptions are those of an election. The zero value is an election in the layout of Curator's LeaderLatch.
type ElectionOptions struct {
	Layout Layout
	// ID tells the others who leads.
	ID string
}

// Election chooses one leader at a time among the candidates, in the order in which they came: Curator's LeaderLatch (and
// LeaderSelector in the same directory, whose names differ but stand in the same line for us; not for them), kazoo's Election.
//
// Guaranteed and not guaranteed is the same as for [Mutex]: at most one candidate's node is first at the server; a leader that is cut
// off learns within the session timeout that its term is over, and stops by itself before another begins if its process
// is not suspended. Actions of a leader that must not come late carry the token of its term.
//
// When the session expires the term ends. [Election.Run] stands again by itself; after [Election.Campaign] the caller does.
type Election struct {
	line line
	id   string
}

// NewElection is the election at a path.
func NewElection(c *Client, dir string, o ElectionOptions) *Election {
	l := line{
		c: c, dir: path.Clean(dir), layout: o.Layout, mark: curatorLatch,
		marks: []string{curatorLatch, curatorLock, kazooLock}, data: []byte(o.ID),
	}
	if o.Layout == Kazoo {
		l.mark = kazooLock
	}
	return &Election{line: l, id: o.ID}
}

// Campaign stands for election and waits until the caller leads. Releasing the lease resigns.
func (e *Election) Campaign(ctx context.Context) (*Lease, error) {
	p, err := e.line.acquire(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("stand in %s: %w", e.line.dir, err)
	}
	return e.line.c.newLease(ctx, p, nil), nil
}

// Run stands for election and calls lead for each term, with a context that ends with the term or with ctx, whichever is first,
// and the term's fencing token. It resigns when lead returns. If the term had been lost it stands again, otherwise Run returns what lead did. A lead that does not
// return when its context ends keeps this candidate from standing, and no one else.
func (e *Election) Run(ctx context.Context, lead func(ctx context.Context, token int64) error) error {
	for {
		term, err := e.Campaign(ctx)
		if err != nil {
			return err
		}
		within, cancel := context.WithCancelCause(term.Context())
		stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
		err = lead(within, term.Token())
		stop()
		cancel(ErrReleased)
		resigned := term.Release(ctx)
		if ctx.Err() != nil {
			if err == nil {
				err = context.Cause(ctx)
			}
			return err
		}
		if !errors.Is(resigned, ErrLost) {
			return err
		}
	}
}

// Leader is who leads.
type Leader struct {
	ID    string // of its [ElectionOptions], or what Curator's or kazoo's candidate gave
	Token int64  // of its term; 0: nobody leads
}

// Candidates lists who stands, the leader first.
func (e *Election) Candidates(ctx context.Context) ([]Leader, error) {
	places, err := e.line.all(ctx)
	if err != nil {
		return nil, err
	}
	var all []Leader
	for _, p := range places {
		n, err := e.line.c.get(ctx, p.path())
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Leader{string(n.data), n.stat.Czxid})
	}
	return all, nil
}

// Observe calls f with the leader and again with each that follows, until ctx ends or f returns an error, and returns that. A short
// term may be left out. What f is told is past: to act on it, let the leader's token decide.
func (e *Election) Observe(ctx context.Context, f func(Leader) error) error {
	last := int64(-1)
	for {
		now, changed, err := e.first(ctx)
		if err != nil {
			return fmt.Errorf("observe %s: %w", e.line.dir, err)
		}
		if now.Token != last {
			last = now.Token
			if err := f(now); err != nil {
				return err
			}
		}
		if err := e.line.c.await(ctx, changed); err != nil {
			return err
		}
	}
}

// first returns the leader and a watch on its node, or on what has to change before there is one.
func (e *Election) first(ctx context.Context) (Leader, <-chan struct{}, error) {
	c := e.line.c
	for {
		places, err := e.line.all(ctx)
		if err != nil {
			return Leader{}, nil, err
		}
		if len(places) > 0 {
			w, err := c.watchNode(ctx, places[0].path())
			if errors.Is(err, zk.ErrNoNode) {
				continue
			}
			if err != nil {
				return Leader{}, nil, err
			}
			return Leader{string(w.value.data), w.value.stat.Czxid}, w.fired, nil
		}
		w, err := c.watchChildren(ctx, e.line.dir)
		if errors.Is(err, zk.ErrNoNode) {
			w, err := c.watchExists(ctx, e.line.dir)
			if err != nil {
				return Leader{}, nil, err
			}
			if w.value == nil {
				return Leader{}, w.fired, nil
			}
			continue
		}
		if err != nil {
			return Leader{}, nil, err
		}
		if !slices.ContainsFunc(w.value, func(name string) bool { _, ok := e.line.parse(name); return ok }) {
			return Leader{}, w.fired, nil
		}
	}
}
