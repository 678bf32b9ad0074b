package recipes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/go-zookeeper/zk"
)

func TestMutexInOrder(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		ctx, dir := within(t), fresh(t)
		o := LockOptions{Layout: layout}
		first := must(NewMutex(client(t), dir, o).Lock(ctx))(t)
		watcher := client(t)
		const waiters = 5
		order := make(chan int64, waiters)
		for i := range waiters {
			c := client(t)
			go func() {
				l, err := NewMutex(c, dir, o).Lock(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				order <- l.Token()
				if err := l.Release(ctx); err != nil {
					t.Error(err)
				}
			}()
			numbering(t, watcher, dir, i+2)
		}
		if _, err := NewMutex(watcher, dir, o).TryLock(ctx); !errors.Is(err, ErrNotAcquired) {
			t.Errorf("TryLock on a lock that is held: %v", err)
		}
		ok(t, first.Release(ctx))
		last := first.Token()
		for range waiters {
			token := until(t, order, "the next holder")
			if token <= last {
				t.Errorf("token %d after %d", token, last)
			}
			last = token
		}
		empties(t, watcher, dir)
		l := must(NewMutex(watcher, dir, o).TryLock(ctx))(t)
		ok(t, l.Release(ctx))
		if err := context.Cause(l.Context()); !errors.Is(err, ErrReleased) {
			t.Errorf("cause after release: %v", err)
		}
	}
}

// TestMutexNoHerd checks that a release wakes one waiter: the events that the clients of all get are counted.
func TestMutexNoHerd(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	var mu sync.Mutex
	events := 0
	holder := must(NewMutex(client(t), dir, LockOptions{}).Lock(ctx))(t)
	got := make(chan *Lease, 1)
	const waiters = 8
	watcher := client(t)
	for i := range waiters {
		c := client(t)
		c.hook(func(e zk.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Path != "" {
				events++
			}
		})
		go func() {
			l, err := NewMutex(c, dir, LockOptions{}).Lock(ctx)
			if err != nil {
				return // the test is over
			}
			got <- l
		}()
		numbering(t, watcher, dir, i+2)
	}
	ok(t, holder.Release(ctx))
	until(t, got, "the next holder")
	mu.Lock()
	defer mu.Unlock()
	if events != 1 {
		t.Errorf("%d events for one release", events)
	}
}

func TestMutexReentrant(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	c := client(t)
	m := NewMutex(c, dir, LockOptions{Reentrant: true})
	outer := must(m.Lock(ctx))(t)
	inner := must(m.Lock(outer.Context()))(t)
	innermost := must(m.TryLock(inner.Context()))(t)
	if inner.Token() != outer.Token() || innermost.Token() != outer.Token() {
		t.Error("different tokens of one holder")
	}
	ok(t, outer.Release(ctx))
	ok(t, must(m.Lock(innermost.Context()))(t).Release(ctx))
	ok(t, innermost.Release(ctx))
	if inner.Context().Err() != nil {
		t.Error("the inner lease ended with others")
	}
	if _, err := m.TryLock(ctx); !errors.Is(err, ErrNotAcquired) {
		t.Errorf("another locks in between: %v", err)
	}
	ok(t, inner.Release(ctx))
	ok(t, must(m.TryLock(ctx))(t).Release(ctx))

	strict := NewMutex(c, dir, LockOptions{})
	l := must(strict.Lock(ctx))(t)
	if _, err := strict.Lock(l.Context()); !errors.Is(err, ErrDeadlock) {
		t.Errorf("locking again: %v", err)
	}
}

func TestMutexContextEnds(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	holder := must(NewMutex(client(t), dir, LockOptions{}).Lock(ctx))(t)
	short, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	c, watcher := client(t), client(t)
	go func() {
		_, err := NewMutex(c, dir, LockOptions{}).Lock(short)
		result <- err
	}()
	numbering(t, watcher, dir, 2)
	cancel()
	if err := until(t, result, "Lock to end with its context"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	numbering(t, watcher, dir, 1)
	if holder.Context().Err() != nil {
		t.Error("the holder lost the lock")
	}
}

// TestMutexOneWatch gives up many times: those who wait for the same share a watch.
func TestMutexOneWatch(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	must(NewMutex(client(t), dir, LockOptions{}).Lock(ctx))(t)
	c, watcher := client(t), client(t)
	for range 10 {
		short, cancel := context.WithCancel(ctx)
		result := make(chan error, 1)
		go func() {
			_, err := NewMutex(c, dir, LockOptions{}).Lock(short)
			result <- err
		}()
		numbering(t, watcher, dir, 2)
		cancel()
		until(t, result, "Lock to end with its context")
		numbering(t, watcher, dir, 1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.watches); n > 1 {
		t.Errorf("%d watches", n)
	}
}

// TestMutexEachStep holds and releases the lock while every fault happens at every request, beside another who wants the lock.
func TestMutexEachStep(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		eachStep(t, func(t *testing.T, c *Client, _ *faults) {
			ctx, dir := within(t), fresh(t)
			l := must(NewMutex(c, dir, LockOptions{Layout: layout}).Lock(ctx))(t)
			err := l.Release(ctx)
			if err != nil && !errors.Is(err, ErrLost) {
				t.Fatal(err)
			}
			watcher := client(t)
			empties(t, watcher, dir) // nothing is left that others would wait for
			other := must(NewMutex(watcher, dir, LockOptions{Layout: layout}).Lock(ctx))(t)
			if other.Token() <= l.Token() {
				t.Errorf("token %d after %d", other.Token(), l.Token())
			}
		})
	}
}

func TestMutexLostWithSession(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	f := newFaults(-1, unsent)
	l := must(NewMutex(faultyClient(t, f), dir, LockOptions{}).Lock(ctx))(t)
	f.cut() // a lost connection is no loss
	c := client(t)
	if _, err := NewMutex(c, dir, LockOptions{}).TryLock(ctx); !errors.Is(err, ErrNotAcquired) {
		t.Fatal(err)
	}
	ok(t, l.h.c.sync(ctx, "/"))
	if l.Context().Err() != nil {
		t.Fatal("lost with the connection")
	}
	f.expire(t)
	next := must(NewMutex(c, dir, LockOptions{}).Lock(ctx))(t)
	until(t, l.Context().Done(), "the lease to be lost")
	if err := context.Cause(l.Context()); !errors.Is(err, ErrLost) {
		t.Error(err)
	}
	if err := l.Release(ctx); !errors.Is(err, ErrLost) {
		t.Errorf("release of a lost lease: %v", err)
	}
	var fence Fence
	ok(t, fence.Admit(next.Token()))
	if err := fence.Admit(l.Token()); !errors.Is(err, ErrFenced) {
		t.Errorf("the old holder is let in: %v", err)
	}
	if _, err := c.multi(ctx, l.Check(), &zk.CreateRequest{Path: dir + "-late", Acl: c.acl}); !errors.Is(err, zk.ErrNoNode) {
		t.Errorf("the old holder writes: %v", err)
	}
	if _, err := c.multi(ctx, next.Check(), &zk.CreateRequest{Path: dir + "-intime", Acl: c.acl}); err != nil {
		t.Errorf("the holder writes: %v", err)
	}
}

// TestMutexLostWhenCutOff checks that a holder that hears from no server stops by itself before its session times out.
func TestMutexLostWhenCutOff(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	gate := newGate()
	c := clientWith(t, Options{Dial: gate.dial, SessionTimeout: limit / 5})
	l := must(NewMutex(c, dir, LockOptions{}).Lock(ctx))(t)
	watcher := client(t)
	w, err := watcher.watchNode(ctx, l.Path())
	ok(t, err)
	gate.shut()
	until(t, l.Context().Done(), "the lease to be given up")
	select {
	case <-w.fired:
		t.Error("the server was first to end the session")
	default:
	}
	gate.open() // the session goes on, and the node is cleaned away
	until(t, w.fired, "the node to go")
	ok(t, must(NewMutex(c, dir, LockOptions{}).Lock(ctx))(t).Release(ctx))
}

func TestMutexWaiterSurvivesItsSession(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	holder := must(NewMutex(client(t), dir, LockOptions{}).Lock(ctx))(t)
	f := newFaults(-1, unsent)
	c, watcher := faultyClient(t, f), client(t)
	got := make(chan *Lease, 1)
	go func() {
		if l, err := NewMutex(c, dir, LockOptions{}).Lock(ctx); err == nil {
			got <- l
		}
	}()
	before := numbering(t, watcher, dir, 2)
	f.expire(t)
	childrenBecome(t, watcher, dir, "another place in the line", func(names []string) bool {
		return len(names) == 2 && fmt.Sprint(names) != fmt.Sprint(before)
	})
	ok(t, holder.Release(ctx))
	until(t, got, "the waiter to hold the lock")
}

func TestLineParse(t *testing.T) {
	l := line{marks: []string{curatorLock, kazooLock}}
	for name, want := range map[string]int32{
		"_c_a5a3d3c6-9c53-4f8f-8a3e-0d7b52f2a3c1-lock-0000000007": 7,
		"_c_0123456789abcdef0123456789abcdef-lock-2147483647":     2147483647,
		"0123456789abcdef0123456789abcdef__lock__0000000012":      12,
		"0123456789abcdef0123456789abcdef__lock__-2147483648":     -2147483648,
		"x-lock--2147483648":   -2147483648,
		"x-lock--000000005":    -5,
		"x__rlock__0000000001": -1, "lock-": -1, "0000000001": -1, "x-lock-00000000a1": -1, "": -1,
	} {
		p, ok := l.parse(name)
		if want == -1 && ok || want != -1 && (!ok || p.seq != want) {
			t.Errorf("%q: %v %v, expected %d", name, p.seq, ok, want)
		}
	}
}

// TestIdentity checks that nothing is asked before the server knows who asks.
func TestIdentity(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	o := Options{Scheme: "digest", Auth: []byte("me:secret"), ACL: zk.DigestACL(zk.PermAll, "me", "secret")}
	l := must(NewMutex(clientWith(t, o), dir, LockOptions{}).Lock(ctx))(t)
	again := clientWith(t, o)
	if _, err := NewMutex(again, dir, LockOptions{}).TryLock(ctx); !errors.Is(err, ErrNotAcquired) {
		t.Errorf("the same identity: %v", err)
	}
	if _, err := NewMutex(client(t), dir, LockOptions{}).TryLock(ctx); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("another identity: %v", err)
	}
	ok(t, l.Release(ctx))
	ok(t, must(NewMutex(again, dir, LockOptions{}).TryLock(ctx))(t).Release(ctx))
}
