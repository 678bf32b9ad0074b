package recipes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// QueueOptions are those of all queues. The zero value is a queue in Curator's layout.
type QueueOptions struct {
	Layout Layout
	// LockPath is where those who take items in Curator's layout lock them, and must be the same for all (QueueBuilder.lockPath in
	// Java); "" is the queue's path with -locks behind it. Kazoo's layout has its own place.
	LockPath string
}

// Queue delivers items in the order in which they were put, each to one taker at a time, at least once: Curator's
// DistributedQueue with a lockPath, kazoo's LockingQueue (and, on its entries node, kazoo's Queue, which acknowledges
// what it takes before it has worked on it; so does Curator's queue without a lockPath).
//
// Guaranteed: what Put has returned nil for is delivered until a taker acknowledges it. It is delivered again if a taker gives it back, if its session
// expires, or if an acknowledgement gets lost with the session; so the work on it bears repetition. While an item is taken nobody
// else has it, with the limits that [Mutex] describes; [Item.Context] ends when it may have been given to others. Order is that of
// first delivery: what is delivered again comes when it comes.
//
// Those who find nothing to take stand in line, and only the first of them watches the queue.
type Queue struct{ *queue }

// NewQueue is the queue at a path.
func NewQueue(c *Client, dir string, o QueueOptions) *Queue {
	q := newQueue(c, dir, o)
	q.fifo = o.Layout == Curator // others may put items with priorities into a queue in kazoo's layout
	return &Queue{q}
}

// Put appends an item. If the connection is lost meanwhile it tries again, and may then have put the item twice.
func (q *Queue) Put(ctx context.Context, data []byte) error {
	if q.layout == Kazoo {
		return q.put(ctx, fmt.Sprintf("entry-%03d-", kazooPriority), data)
	}
	return q.put(ctx, "queue-", data)
}

// queue is what all queues share: items in one directory, locks on them in another.
type queue struct {
	c              *Client
	layout         Layout
	entries, locks string
	prefix         string                      // of items' names
	ready          func(name string) time.Time // nil: at once
	compare        func(a, b string) int       // order of delivery
	turn           *Mutex                      // of those who wait
	fifo           bool                        // what is put later comes later

	mu     sync.Mutex
	ticket ticket
	known  []string // if fifo: items that were free at the last listing, the next first
}

// maxKnown is how many items are remembered from a listing, so that not every taking lists them all.
const maxKnown = 100

// ticket is an ephemeral node that a transaction checks to be sure that it runs in a certain session: go-zookeeper would send a
// request that waited during an expiry in the next session.
type ticket struct {
	path    string
	session *session
}

func newQueue(c *Client, dir string, o QueueOptions) *queue {
	dir = path.Clean(dir)
	q := &queue{c: c, layout: o.Layout, entries: dir, locks: o.LockPath, prefix: "queue-", compare: strings.Compare}
	if q.locks == "" {
		q.locks = dir + "-locks"
	}
	if o.Layout == Kazoo {
		q.entries, q.locks, q.prefix = path.Join(dir, "entries"), path.Join(dir, "taken"), "entry-"
	}
	q.turn = NewMutex(c, path.Join(q.locks, "waiting"), LockOptions{})
	return q
}

func (q *queue) put(ctx context.Context, prefix string, data []byte) error {
	if q.layout == Curator {
		data = encodeItems(data)
	}
	for {
		_, err := retry(ctx, q.c, func(conn *zk.Conn) (string, error) {
			return conn.Create(path.Join(q.entries, prefix), data, zk.FlagSequence, q.c.acl)
		})
		if errors.Is(err, zk.ErrNoNode) {
			err = q.c.ensure(ctx, q.entries)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("put into %s: %w", q.entries, err)
		}
		return nil
	}
}

// Len is the number of items, those that are taken and not acknowledged included.
func (q *queue) Len(ctx context.Context) (int, error) {
	stat, err := q.c.exists(ctx, q.entries)
	if err != nil || stat == nil {
		return 0, err
	}
	return int(stat.NumChildren), nil
}

// Item is an item that its taker has for itself until it acknowledges it, gives it back, or loses its session.
type Item struct {
	Data []byte
	// All is Data and what else was put with it in one node, as Curator's putMulti does. They are acknowledged together.
	All [][]byte

	q      *queue
	name   string
	ticket ticket
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Name is that of the item's node, which no other one has or had: the same item has it again when it is delivered again.
func (i *Item) Name() string { return i.name }

// TryTake returns an item that is there, or [ErrNotAcquired].
func (q *queue) TryTake(ctx context.Context) (*Item, error) {
	item, _, err := q.tryTake(ctx, false)
	if err == nil && item == nil {
		return nil, ErrNotAcquired
	}
	return item, err
}

// Take waits for an item. Errors: the context's; [ErrClosed]; the server's refusals.
func (q *queue) Take(ctx context.Context) (*Item, error) {
	item, _, err := q.tryTake(ctx, false)
	for item == nil && err == nil {
		item, err = q.takeInTurn(ctx)
	}
	return item, err
}

// takeInTurn waits in line and then for an item; it returns none if the place in line is lost.
func (q *queue) takeInTurn(ctx context.Context) (*Item, error) {
	turn, err := q.turn.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = turn.Release(ctx) }() // what is left of it is deleted in the background
	for {
		item, more, err := q.tryTake(ctx, true)
		if item != nil || err != nil {
			return item, err
		}
		lost, err := more.wait(ctx, turn.Context())
		if lost || err != nil {
			return nil, err
		}
	}
}

// news is what can bring an item: a change of the queue or of the locks, or time.
type news struct {
	entries, locks <-chan struct{}
	at             time.Time // zero: never
}

func (n news) wait(ctx, turn context.Context) (lost bool, err error) {
	var due <-chan time.Time
	if !n.at.IsZero() {
		timer := time.NewTimer(time.Until(n.at))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-n.entries:
	case <-n.locks:
	case <-due:
	case <-turn.Done():
		return true, nil
	case <-ctx.Done():
		return false, cause(ctx)
	}
	return false, nil
}

// tryTake takes the first item that nobody has. Without one it returns what to wait for, if asked to watch.
func (q *queue) tryTake(ctx context.Context, watch bool) (*Item, news, error) {
	if name, ok := q.recall(); ok {
		if item, err := q.take(ctx, name); item != nil || err != nil {
			return item, news{}, err
		}
		q.remember(nil) // others take from here too
	}
	for {
		names, n, err := q.free(ctx, watch)
		if err != nil {
			return nil, n, fmt.Errorf("take from %s: %w", q.entries, err)
		}
		stale := false
		for i, name := range names {
			if q.ready != nil {
				if at := q.ready(name); time.Until(at) > 0 {
					n.at = at
					break // those behind it are due later
				}
			}
			item, err := q.take(ctx, name)
			if item != nil || err != nil {
				q.remember(names[i+1:])
				return item, n, err
			}
			stale = true // another was faster: there may be news that came before the watch
		}
		if !stale {
			return nil, n, nil
		}
	}
}

// recall returns the next item that is remembered.
func (q *queue) recall() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.known) == 0 {
		return "", false
	}
	name := q.known[0]
	q.known = q.known[1:]
	return name, true
}

// remember keeps the first of some items for the next takings.
func (q *queue) remember(names []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fifo {
		q.known = slices.Clone(names[:min(len(names), maxKnown)])
	}
}

// free lists the items that nobody has taken, in order.
func (q *queue) free(ctx context.Context, watch bool) ([]string, news, error) {
	list := func(dir string) ([]string, <-chan struct{}, error) {
		for {
			if !watch {
				names, err := q.c.children(ctx, dir)
				if !errors.Is(err, zk.ErrNoNode) {
					return names, nil, err
				}
			} else if w, err := q.c.watchChildren(ctx, dir); err == nil {
				return w.value, w.fired, nil
			} else if !errors.Is(err, zk.ErrNoNode) {
				return nil, nil, err
			}
			if err := q.c.ensure(ctx, dir); err != nil {
				return nil, nil, err
			}
		}
	}
	var n news
	var err error
	var names, locked []string
	if names, n.entries, err = list(q.entries); err != nil || len(names) == 0 {
		return nil, n, err
	}
	if locked, n.locks, err = list(q.locks); err != nil {
		return nil, n, err
	}
	taken := map[string]bool{}
	for _, l := range locked {
		taken[l] = true
	}
	names = slices.DeleteFunc(names, func(s string) bool { return taken[s] || !strings.HasPrefix(s, q.prefix) })
	slices.SortFunc(names, q.compare)
	return names, n, nil
}

// take locks an item and reads it; nil if it is gone or another's.
func (q *queue) take(ctx context.Context, name string) (*Item, error) {
	lock, mine := path.Join(q.locks, name), []byte(uuid())
	for {
		t, err := q.admit(ctx)
		if err != nil {
			return nil, err
		}
		release := func([]zk.MultiResponse, error) { q.unlock(name, t) } // if it is not ours there is no harm: see unlock
		results, err := callOr(ctx, q.c, func(conn *zk.Conn) ([]zk.MultiResponse, error) {
			return conn.Multi(
				&zk.CheckVersionRequest{Path: t.path, Version: -1},
				&zk.CheckVersionRequest{Path: path.Join(q.entries, name), Version: -1},
				&zk.CreateRequest{Path: lock, Data: mine, Acl: q.c.acl, Flags: zk.FlagEphemeral})
		}, release)
		switch {
		case errors.Is(err, zk.ErrNodeExists):
			return nil, nil
		case errors.Is(err, zk.ErrNoNode):
			if len(results) > 0 && results[0].Error != nil {
				q.forget(t)
				continue
			}
			return nil, nil
		case transient(err):
			if err := q.c.sync(ctx, lock); err != nil {
				q.c.spawn(func() { q.unlock(name, t) })
				return nil, err
			}
			n, err := q.c.get(ctx, lock)
			if err == nil && string(n.data) == string(mine) {
				break
			}
			if err != nil && !errors.Is(err, zk.ErrNoNode) {
				q.c.spawn(func() { q.unlock(name, t) })
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		}
		return q.item(ctx, name, t)
	}
}

// item reads an item that is locked; nil if it is gone after all.
func (q *queue) item(ctx context.Context, name string, t ticket) (*Item, error) {
	n, err := q.c.get(ctx, path.Join(q.entries, name))
	if err == nil && t.session.ctx.Err() != nil {
		err = zk.ErrNoNode // ours no more
	}
	item := &Item{q: q, name: name, ticket: t}
	if err == nil {
		item.All = [][]byte{n.data}
		if q.layout == Curator {
			item.All, err = decodeItems(n.data)
			if err != nil {
				err = fmt.Errorf("item %s: %w", path.Join(q.entries, name), err)
			}
		}
	}
	if err != nil {
		q.c.spawn(func() { q.unlock(name, t) })
		if errors.Is(err, zk.ErrNoNode) {
			return nil, nil
		}
		return nil, err
	}
	if len(item.All) > 0 {
		item.Data = item.All[0]
	}
	item.ctx, item.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	context.AfterFunc(t.session.ctx, func() {
		if item.ctx.Err() == nil {
			item.cancel(ErrLost)
			q.c.spawn(func() { q.unlock(name, t) }) // if the session goes on after all
		}
	})
	return item, nil
}

// Context ends when the item is acknowledged or given back, or, with [ErrLost], when others may have it.
func (i *Item) Context() context.Context { return i.ctx }

// Ack removes the item from the queue: its work is done. [ErrLost] says that the session was lost before: the item is
// delivered again, or already was. Any other error leaves that open.
func (i *Item) Ack(ctx context.Context) error {
	tried := false
	for {
		_, err := i.q.c.multi(ctx,
			&zk.CheckVersionRequest{Path: i.ticket.path, Version: -1},
			&zk.DeleteRequest{Path: path.Join(i.q.locks, i.name), Version: -1},
			&zk.DeleteRequest{Path: path.Join(i.q.entries, i.name), Version: -1})
		switch {
		case err == nil:
			i.cancel(ErrReleased)
			return nil
		case transient(err):
			tried = true
			continue
		case !errors.Is(err, zk.ErrNoNode):
			return fmt.Errorf("acknowledge %s: %w", i.name, err)
		}
		if tried {
			if stat, err := i.q.c.exists(ctx, path.Join(i.q.entries, i.name)); err != nil || stat == nil {
				i.cancel(ErrReleased)
				return err
			}
		}
		i.cancel(ErrLost)
		return ErrLost
	}
}

// Return gives the item back: it is delivered again. If the context ends first that happens in the background.
func (i *Item) Return(ctx context.Context) error {
	i.cancel(ErrReleased)
	i.q.remember(nil) // what is remembered comes after it
	_, err := retry(ctx, i.q.c, i.q.unlocking(i.name, i.ticket))
	switch {
	case err == nil || errors.Is(err, zk.ErrNoNode): // not ours any more: given back
		return nil
	case ctx.Err() != nil:
		i.q.c.spawn(func() { i.q.unlock(i.name, i.ticket) })
	}
	return err
}

// unlock gives an item back in the background, unless it is ours no more. It tells by the ticket: while that is there the session goes
// on in which the lock was made, so the lock is ours, or there is none.
func (q *queue) unlock(name string, t ticket) {
	_, _ = retry(context.Background(), q.c, q.unlocking(name, t)) // ends with the client, whose session owns the lock
}

func (q *queue) unlocking(name string, t ticket) func(*zk.Conn) ([]zk.MultiResponse, error) {
	return func(conn *zk.Conn) ([]zk.MultiResponse, error) {
		return conn.Multi(
			&zk.CheckVersionRequest{Path: t.path, Version: -1},
			&zk.DeleteRequest{Path: path.Join(q.locks, name), Version: -1})
	}
}

// admit returns the ticket of the present session.
func (q *queue) admit(ctx context.Context) (ticket, error) {
	q.mu.Lock()
	t := q.ticket
	q.mu.Unlock()
	if t.session != nil && t.session.ctx.Err() == nil {
		return t, nil
	}
	for {
		t.path = path.Join(q.locks, "ticket-"+uuid())
		_, err := retry(ctx, q.c, func(conn *zk.Conn) (string, error) {
			return conn.Create(t.path, nil, zk.FlagEphemeral, q.c.acl)
		})
		if errors.Is(err, zk.ErrNoNode) {
			if err := q.c.ensure(ctx, q.locks); err != nil {
				return t, err
			}
			continue
		}
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return t, err
		}
		stat, err := q.c.exists(ctx, t.path)
		if err != nil {
			return t, err
		}
		if stat == nil {
			continue
		}
		if t.session = q.c.owned(stat.EphemeralOwner); t.session == nil {
			continue
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		q.ticket = t
		return t, nil
	}
}

// forget has admit make another ticket.
func (q *queue) forget(t ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ticket == t {
		q.ticket = ticket{}
	}
}

// Curator's ItemSerializer: a version, then items with their lengths, then an end.
const (
	itemsVersion = 0x00010001
	itemCode     = 1
	itemsEnd     = 2
)

func encodeItems(data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, itemsVersion)
	b = append(b, itemCode)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(append(b, data...), itemsEnd)
}

var errItems = errors.New("not what Curator's queues write")

func decodeItems(b []byte) ([][]byte, error) {
	if len(b) < 4 || binary.BigEndian.Uint32(b) != itemsVersion {
		return nil, errItems
	}
	var all [][]byte
	for b = b[4:]; len(b) > 0; {
		if b[0] == itemsEnd {
			return all, nil
		}
		if b[0] != itemCode || len(b) < 5 {
			return nil, errItems
		}
		n := binary.BigEndian.Uint32(b[1:])
		if b = b[5:]; uint64(n) > uint64(len(b)) {
			return nil, errItems
		}
		all = append(all, b[:n:n])
		b = b[n:]
	}
	return nil, errItems
}
