package recipes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func both(t *testing.T, f func(t *testing.T, o QueueOptions)) {
	for _, layout := range []Layout{Curator, Kazoo} {
		t.Run([]string{"curator", "kazoo"}[layout], func(t *testing.T) {
			t.Parallel()
			f(t, QueueOptions{Layout: layout})
		})
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, o QueueOptions) {
		ctx, dir := within(t), fresh(t)
		f := newFaults(-1, unsent)
		q, other := NewQueue(faultyClient(t, f), dir, o), NewQueue(client(t), dir, o)
		if _, err := q.TryTake(ctx); !errors.Is(err, ErrNotAcquired) {
			t.Fatal(err)
		}
		for i := range 3 {
			ok(t, q.Put(ctx, []byte{byte(i)}))
		}
		first, second := must(q.Take(ctx))(t), must(other.Take(ctx))(t)
		if first.Data[0] != 0 || second.Data[0] != 1 {
			t.Errorf("took %d and %d", first.Data, second.Data)
		}
		ok(t, second.Return(ctx))
		again := must(other.Take(ctx))(t)
		if again.Data[0] != 1 {
			t.Errorf("took %d after it was given back", again.Data)
		}
		ok(t, again.Ack(ctx))
		third := must(other.Take(ctx))(t)
		ok(t, third.Ack(ctx))
		if n, err := q.Len(ctx); err != nil || n != 1 {
			t.Errorf("%d items are left, %v", n, err)
		}
		got := make(chan *Item, 1)
		go func() {
			if i, err := other.Take(ctx); err == nil {
				got <- i
			}
		}()
		numbering(t, client(t), other.turn.Path(), 1) // it waits
		f.expire(t)
		redelivered := until(t, got, "delivery after the session of the taker is lost")
		until(t, first.Context().Done(), "the first taker to learn of it")
		if err := first.Ack(ctx); !errors.Is(err, ErrLost) {
			t.Errorf("the first taker acknowledges: %v", err)
		}
		if redelivered.Data[0] != 0 {
			t.Errorf("redelivered %d", redelivered.Data)
		}
		ok(t, redelivered.Ack(ctx))
		empties(t, client(t), q.entries)
	})
}

// TestQueueNoHerd counts the events at those who wait: an item wakes the first, whose leaving wakes the next.
func TestQueueNoHerd(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	var mu sync.Mutex
	events := map[int]int{}
	watcher := client(t)
	q := NewQueue(watcher, dir, QueueOptions{})
	got := make(chan *Item, 1)
	for i := range 6 {
		c := client(t)
		taker := NewQueue(c, dir, QueueOptions{})
		go func() {
			if item, err := taker.Take(ctx); err == nil {
				got <- item
			}
		}()
		numbering(t, watcher, q.turn.Path(), i+1)
		c.hook(func(e zk.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Path != "" {
				events[i]++
			}
		})
	}
	ok(t, q.Put(ctx, []byte("x")))
	until(t, got, "the item")
	numbering(t, watcher, q.turn.Path(), 5)
	mu.Lock()
	defer mu.Unlock()
	for i := 2; i < 6; i++ {
		if events[i] > 0 {
			t.Errorf("waiter %d got %d events", i, events[i])
		}
	}
}

// TestQueueEachStep puts, takes and acknowledges while every fault happens at every request. All that was put is delivered; what was
// acknowledged is delivered no more.
func TestQueueEachStep(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		eachStep(t, func(t *testing.T, c *Client, _ *faults) {
			ctx, dir := within(t), fresh(t)
			o := QueueOptions{Layout: layout}
			q := NewQueue(c, dir, o)
			ok(t, q.Put(ctx, []byte("a")))
			ok(t, q.Put(ctx, []byte("b")))
			item := must(q.Take(ctx))(t)
			err := item.Ack(ctx)
			if err != nil && !errors.Is(err, ErrLost) {
				t.Fatal(err)
			}
			checker := NewQueue(client(t), dir, o)
			seen := map[string]bool{}
			if err == nil {
				seen[string(item.Data)] = true
			}
			for {
				n, err := checker.Len(ctx)
				ok(t, err)
				if n == 0 {
					break
				}
				left := must(checker.Take(ctx))(t)
				seen[string(left.Data)] = true
				ok(t, left.Ack(ctx))
			}
			if !seen["a"] || !seen["b"] {
				t.Errorf("delivered %v", seen)
			}
		})
	}
}

func TestPriorityQueue(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, o QueueOptions) {
		ctx := within(t)
		q := NewPriorityQueue(client(t), fresh(t), o)
		priorities, want := []int32{5, 0, 999, 5}, []string{"0-1", "5-0", "5-3", "999-2"}
		if o.Layout == Curator {
			priorities, want = []int32{5, -3, 1 << 30, -7}, []string{"-7-3", "-3-1", "5-0", "1073741824-2"}
		}
		for i, p := range priorities {
			ok(t, q.Put(ctx, fmt.Appendf(nil, "%d-%d", p, i), p))
		}
		for _, w := range want {
			item := must(q.Take(ctx))(t)
			if string(item.Data) != w {
				t.Errorf("took %s, expected %s", item.Data, w)
			}
			ok(t, item.Ack(ctx))
		}
		if err := q.Put(ctx, nil, 1000); (err == nil) != (o.Layout == Curator) {
			t.Errorf("priority 1000: %v", err)
		}
	})
}

func TestDelayQueue(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	q := NewDelayQueue(client(t), fresh(t), "")
	start := time.Now()
	ok(t, q.Put(ctx, []byte("later"), start.Add(700*time.Millisecond)))
	ok(t, q.Put(ctx, []byte("sooner"), start.Add(300*time.Millisecond)))
	ok(t, q.Put(ctx, []byte("never"), start.Add(time.Hour)))
	if _, err := q.TryTake(ctx); time.Since(start) < 300*time.Millisecond && !errors.Is(err, ErrNotAcquired) {
		t.Errorf("taken before it was due: %v", err)
	}
	for i, want := range []string{"sooner", "later"} {
		item := must(q.Take(ctx))(t)
		if string(item.Data) != want {
			t.Errorf("took %s, expected %s", item.Data, want)
		}
		if due := []time.Duration{300, 700}[i] * time.Millisecond; time.Since(start) < due-time.Millisecond {
			t.Errorf("%s was taken after %v", want, time.Since(start))
		}
		ok(t, item.Ack(ctx))
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := q.Take(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestItems(t *testing.T) {
	good := encodeItems([]byte("ab"))
	if got := fmt.Sprintf("%x", good); got != "00010001"+"01"+"00000002"+"6162"+"02" {
		t.Error(got)
	}
	for n := range good {
		if _, err := decodeItems(good[:n]); err == nil {
			t.Errorf("%x is accepted", good[:n])
		}
	}
	if _, err := decodeItems([]byte{0, 1, 0, 1, 1, 255, 255, 255, 255, 2}); err == nil {
		t.Error("a wrong length is accepted")
	}
	all, err := decodeItems([]byte{0, 1, 0, 1, 1, 0, 0, 0, 1, 'x', 1, 0, 0, 0, 0, 2})
	if err != nil || len(all) != 2 || string(all[0]) != "x" || len(all[1]) != 0 {
		t.Errorf("%q, %v", all, err)
	}
}
