package recipes

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestRWMutex(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		ctx, dir := within(t), fresh(t)
		o := LockOptions{Layout: layout}
		lock := func() *RWMutex { return NewRWMutex(client(t), dir, o) }
		r1, r2 := must(lock().RLock(ctx))(t), must(lock().RLock(ctx))(t)
		if _, err := lock().TryLock(ctx); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("a writer beside readers: %v", err)
		}
		watcher := client(t)
		numbering(t, watcher, dir, 2)
		got := make(chan *Lease, 3)
		queue := func(f func(context.Context) (*Lease, error), n int) {
			go func() {
				if l, err := f(ctx); err == nil {
					got <- l
				}
			}()
			numbering(t, watcher, dir, n)
		}
		queue(lock().Lock, 3)
		queue(lock().RLock, 4) // behind the writer
		queue(lock().RLock, 5)
		if _, err := lock().TryRLock(ctx); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("a reader passes a writer that waits: %v", err)
		}
		ok(t, r1.Release(ctx))
		ok(t, r2.Release(ctx))
		w := until(t, got, "the writer")
		if w.Token() <= r2.Token() {
			t.Error("the writer's token is not the greater")
		}
		select {
		case <-got:
			t.Error("a reader beside the writer")
		default:
		}
		ok(t, w.Release(ctx))
		for range 2 { // both at once
			if r := until(t, got, "a reader"); r.Token() <= w.Token() {
				t.Error("a reader's token is not greater than that of the writer before")
			}
		}
	}
}

func TestRWMutexReentrant(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	c := client(t)
	m := NewRWMutex(c, dir, LockOptions{Reentrant: true})
	w := must(m.Lock(ctx))(t)
	r := must(m.RLock(w.Context()))(t)
	ok(t, must(m.Lock(r.Context()))(t).Release(ctx))
	ok(t, w.Release(ctx))
	if _, err := m.TryRLock(ctx); !errors.Is(err, ErrNotAcquired) {
		t.Errorf("a reader beside who has not released all: %v", err)
	}
	ok(t, r.Release(ctx))
	r = must(m.RLock(ctx))(t)
	if _, err := m.Lock(r.Context()); !errors.Is(err, ErrDeadlock) {
		t.Errorf("a reader becomes a writer: %v", err)
	}
	ok(t, must(m.RLock(r.Context()))(t).Release(ctx))
	strict := NewRWMutex(c, fresh(t), LockOptions{})
	w = must(strict.Lock(ctx))(t)
	if _, err := strict.RLock(w.Context()); !errors.Is(err, ErrDeadlock) {
		t.Errorf("a writer reads: %v", err)
	}
}

func TestRWMutexEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, dir := within(t), fresh(t)
		m := NewRWMutex(c, dir, LockOptions{})
		for _, take := range []func(context.Context) (*Lease, error){m.RLock, m.Lock} {
			l := must(take(ctx))(t)
			if err := l.Release(ctx); err != nil && !errors.Is(err, ErrLost) {
				t.Fatal(err)
			}
		}
		empties(t, client(t), dir)
	})
}

func TestSemaphore(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		ctx, dir := within(t), fresh(t)
		sem := func(id string, n int) *Semaphore {
			return NewSemaphore(client(t), dir, n, LockOptions{Layout: layout, ID: id})
		}
		a, b := must(sem("a", 2).Acquire(ctx))(t), must(sem("b", 2).Acquire(ctx))(t)
		if _, err := sem("c", 2).TryAcquire(ctx); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("a third holder of two: %v", err)
		}
		got := make(chan *Lease, 1)
		c := sem("c", 2)
		go func() {
			if l, err := c.Acquire(ctx); err == nil {
				got <- l
			}
		}()
		ok(t, a.Release(ctx))
		third := until(t, got, "the third holder")
		ids, err := sem("", 2).Holders(ctx)
		if ok(t, err); len(ids) != 2 {
			t.Errorf("holders %q", ids)
		}
		ok(t, b.Release(ctx))
		ok(t, third.Release(ctx))
		if layout == Kazoo {
			if _, err := sem("d", 3).Acquire(ctx); err == nil {
				t.Error("another number of leases is accepted")
			}
		}
		if _, err := sem("d", 0).Acquire(ctx); err == nil {
			t.Error("no leases, and yet one")
		}
	}
}

func TestSemaphoreEachStep(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		eachStep(t, func(t *testing.T, c *Client, _ *faults) {
			ctx, dir := within(t), fresh(t)
			o := LockOptions{Layout: layout}
			l := must(NewSemaphore(c, dir, 1, o).Acquire(ctx))(t)
			if err := l.Release(ctx); err != nil && !errors.Is(err, ErrLost) {
				t.Fatal(err)
			}
			other := client(t)
			s := NewSemaphore(other, dir, 1, o)
			empties(t, other, s.leases.dir)
			empties(t, other, s.mutex.Path())
			ok(t, must(s.Acquire(ctx))(t).Release(ctx))
		})
	}
}

func TestMultiLock(t *testing.T) {
	t.Parallel()
	ctx, a, b := within(t), fresh(t), fresh(t)
	f := newFaults(-1, unsent)
	lock := func(c *Client, first, second string) *MultiLock {
		return NewMultiLock(NewMutex(c, first, LockOptions{}), NewRWMutex(c, second, LockOptions{}).Reader())
	}
	c, other := faultyClient(t, f), client(t)
	held := must(lock(c, b, a).Lock(ctx))(t)
	if held.Parts()[0].Path() > held.Parts()[1].Path() {
		t.Error("taken in the order given")
	}
	if _, err := lock(other, b, a).TryLock(ctx); !errors.Is(err, ErrNotAcquired) {
		t.Errorf("held twice: %v", err)
	}
	numbering(t, other, a, 1) // what TryLock took it gave back
	numbering(t, other, b, 1)
	f.expire(t)
	until(t, held.Context().Done(), "the lease to be lost")
	if err := held.Release(ctx); !errors.Is(err, ErrLost) {
		t.Error(err)
	}
	again := must(lock(other, b, a).Lock(ctx))(t)
	ok(t, again.Release(ctx))
	if err := context.Cause(again.Context()); !errors.Is(err, ErrReleased) {
		t.Error(err)
	}
}

func TestMultiLockEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, dir := within(t), fresh(t)
		lock := func(c *Client) *MultiLock {
			return NewMultiLock(NewMutex(c, dir+"/b", LockOptions{}), NewMutex(c, dir+"/a", LockOptions{}))
		}
		l, err := lock(c).Lock(ctx)
		if err == nil {
			err = l.Release(ctx)
		}
		if err != nil && !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		ok(t, must(lock(client(t)).Lock(ctx))(t).Release(ctx)) // nothing is left in the way
	})
}

// TestWhoWaitsForWhom checks the rules of the lines.
func TestWhoWaitsForWhom(t *testing.T) {
	m := NewRWMutex(nil, "/x", LockOptions{})
	for _, c := range []struct{ before, reader, writer string }{
		{"", "", ""},
		{"r1 r2", "", "r2"},
		{"w1 r2 w3 r4 r5", "w3", "r5"},
		{"r1 w2", "w2", "w2"},
		{"w1 w2", "w2", "w2"},
	} {
		var places []place
		for _, name := range strings.Fields(c.before) {
			places = append(places, place{name: name, mark: map[byte]string{'r': curatorRead, 'w': curatorWrite}[name[0]]})
		}
		if p, blocked := m.read.before(places); p.name != c.reader || blocked != (c.reader != "") {
			t.Errorf("behind %q a reader waits for %q, expected %q", c.before, p.name, c.reader)
		}
		if p, blocked := m.write.before(places); p.name != c.writer || blocked != (c.writer != "") {
			t.Errorf("behind %q a writer waits for %q, expected %q", c.before, p.name, c.writer)
		}
	}
}
