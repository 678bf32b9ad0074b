package recipes

import (
	"context"
	"errors"
	"path"
	"sync"

	"github.com/go-zookeeper/zk"
)

// presence keeps an ephemeral node where it belongs: it makes it again when the session has expired or someone has deleted it.
type presence struct {
	c    *Client
	path string
	stop context.CancelFunc
	done chan struct{} // closed when nobody makes the node any more

	mu      sync.Mutex
	data    []byte
	session int64 // that made the node last
	up      chan struct{}
	upOnce  sync.Once
	err     error // why it was given up
	again   chan struct{}
}

// keep starts to keep a node. It is there when up is closed.
func (c *Client) keep(p string, data []byte) *presence {
	k := &presence{c: c, path: path.Clean(p), data: data, done: make(chan struct{}), up: make(chan struct{}), again: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	if !c.spawn(func() {
		defer close(k.done)
		err := k.run(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.err = err
	}) {
		k.err = ErrClosed
		close(k.done)
	}
	return k
}

// established waits until the node is there for the first time; if that fails it is given up. Another session's node of that name is
// waited for: it may be that of our own process before it was restarted.
func (k *presence) established(ctx context.Context) error {
	select {
	case <-k.up:
		return nil
	case <-k.done:
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.err
	case <-ctx.Done():
		_ = k.leave(ctx) // goes on in the background
		return cause(ctx)
	}
}

// update changes the data of the node, now and when it is made again.
func (k *presence) update(data []byte) {
	k.mu.Lock()
	k.data = data
	k.mu.Unlock()
	select {
	case k.again <- struct{}{}:
	default:
	}
}

// leave deletes the node and makes it no more. When ctx ends that goes on in the background, until the client ends.
func (k *presence) leave(ctx context.Context) error {
	k.stop()
	gone := make(chan error, 1)
	if !k.c.spawn(func() {
		<-k.done
		gone <- k.withdraw()
	}) {
		return ErrClosed
	}
	select {
	case err := <-gone:
		return err
	case <-ctx.Done():
		return cause(ctx)
	}
}

// withdraw deletes the node if it is ours, however long that takes; it ends with the client.
func (k *presence) withdraw() error {
	ctx := context.Background()
	stat, err := k.c.exists(ctx, k.path)
	if err != nil || stat == nil || k.c.owned(stat.EphemeralOwner) == nil {
		return err
	}
	return k.c.remove(ctx, k.path)
}

func (k *presence) run(ctx context.Context) error {
	for {
		if err := k.place(ctx); err != nil {
			return err
		}
		w, err := k.c.watchNode(ctx, k.path)
		if errors.Is(err, zk.ErrNoNode) {
			continue
		}
		if err != nil {
			return err
		}
		s := k.c.owned(w.value.stat.EphemeralOwner)
		if s == nil {
			if err := k.c.await(ctx, w.fired); err != nil {
				return err
			}
			continue
		}
		k.upOnce.Do(func() { close(k.up) })
		select {
		case <-w.fired:
		case <-k.again:
		case <-s.ctx.Done():
		case <-ctx.Done():
			return cause(ctx)
		case <-k.c.done:
			return ErrClosed
		}
	}
}

// place creates the node, or sets its data if it is ours already. That it is another's is no error. A change that was asked for is waited for
// also when ctx has ended: it must not come after the node's withdrawal.
func (k *presence) place(ctx context.Context) error {
	answered := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		s, err := k.c.session(ctx)
		if err != nil {
			return err
		}
		k.mu.Lock()
		data, before := k.data, k.session
		k.mu.Unlock()
		_, err = k.c.create(answered, k.path, data, zk.FlagEphemeral)
		switch {
		case err == nil:
			k.made(s)
			return nil
		case transient(err):
			k.made(s) // perhaps
			continue
		case errors.Is(err, zk.ErrNoNode):
			if err := k.c.ensureContainer(ctx, path.Dir(k.path)); err != nil {
				return err
			}
			continue
		case !errors.Is(err, zk.ErrNodeExists):
			return err
		}
		n, err := k.c.get(ctx, k.path)
		switch {
		case errors.Is(err, zk.ErrNoNode):
			continue
		case err != nil:
			return err
		case n.stat.EphemeralOwner == s.id:
			k.made(s)
			if string(n.data) == string(data) {
				return nil
			}
			if _, err := k.c.set(answered, k.path, data, n.stat.Version); err == nil {
				return nil
			} else if !transient(err) && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrBadVersion) {
				return err
			}
		case n.stat.EphemeralOwner == before && before != 0: // ours, of a session that is over
			if err := k.c.remove(answered, k.path); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return cause(ctx)
}

func (k *presence) made(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session = s.id
}
