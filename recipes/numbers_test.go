package recipes

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCounter(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		ctx, p := within(t), fresh(t)
		const adders, times = 4, 10
		var all sync.WaitGroup
		for range adders {
			n := NewCounter(client(t), p, layout)
			all.Go(func() {
				for range times {
					if _, err := n.Add(ctx, 3); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		n := NewCounter(client(t), p, layout)
		if v := must(n.Value(ctx))(t); v != adders*times*3 {
			t.Errorf("counted to %d", v)
		}
		if swapped := must(n.CompareAndSet(ctx, 1, 2))(t); swapped {
			t.Error("swapped another value")
		}
		if swapped := must(n.CompareAndSet(ctx, adders*times*3, -5))(t); !swapped {
			t.Error("not swapped")
		}
		ok(t, n.Set(ctx, -7))
		if v := must(n.Add(ctx, 1))(t); v != -6 {
			t.Errorf("-7+1 = %d", v)
		}
	}
}

// TestCounterEachStep counts exactly, or says that it does not know.
func TestCounterEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, p := within(t), fresh(t)
		n, unknown, want := NewCounter(c, p, Curator), int64(0), int64(0)
		for range 2 {
			switch v, err := n.Add(ctx, 1); {
			case errors.Is(err, ErrUnknownOutcome):
				unknown++
			case err != nil:
				t.Fatal(err)
			default:
				want = v
			}
		}
		got := must(NewCounter(client(t), p, Curator).Value(ctx))(t)
		if unknown == 0 && got != 2 || got < want || got > 2 {
			t.Errorf("counted to %d, %d unknown", got, unknown)
		}
	})
}

func TestSequenceEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, dir := within(t), fresh(t)
		s, last := NewSequence(c, dir), int64(-1)
		for range 3 {
			n := must(s.Next(ctx))(t)
			if n <= last {
				t.Errorf("%d after %d", n, last)
			}
			last = n
		}
	})
}

func TestSegmentIDsEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, p := within(t), fresh(t)
		a, b := NewSegmentIDs(c, p, 4), NewSegmentIDs(client(t), p, 4)
		seen := map[int64]bool{}
		for range 12 {
			for _, s := range []*SegmentIDs{a, b} {
				n := must(s.Next(ctx))(t)
				if seen[n] || n < 1 {
					t.Errorf("%d twice, or not from 1", n)
				}
				seen[n] = true
			}
		}
	})
}

// TestSegmentIDsWithoutServer hands out what is reserved while no server can be reached.
func TestSegmentIDsWithoutServer(t *testing.T) {
	t.Parallel()
	ctx, g := within(t), newGate()
	s := NewSegmentIDs(clientWith(t, Options{Dial: g.dial}), fresh(t), 100)
	must(s.Next(ctx))(t)
	g.shut()
	defer g.open()
	for range 99 {
		must(s.Next(ctx))(t)
	}
}

// clock is a clock that stands still until it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestSnowflake(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	k := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	o := SnowflakeOptions{Clock: k.time}
	f := newFaults(-1, unsent)
	a, b := NewSnowflake(faultyClient(t, f), dir, o), NewSnowflake(client(t), dir, o)
	var ids []int64
	for range 3 {
		ids = append(ids, must(a.Next(ctx))(t), must(b.Next(ctx))(t))
	}
	if Worker(ids[0]) == Worker(ids[1]) {
		t.Error("two workers of one number")
	}
	if want := k.time().Sub(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)).Milliseconds(); ids[0]>>22 != want {
		t.Errorf("millisecond %d, expected %d", ids[0]>>22, want)
	}
	k.move(-time.Millisecond)
	if _, err := a.Next(ctx); !errors.Is(err, ErrClock) {
		t.Errorf("the clock went backwards: %v", err)
	}
	k.move(2 * time.Millisecond)
	ids = append(ids, must(a.Next(ctx))(t))
	// Whoever gets a's number next, a's reserved time is not theirs; nor is it a's own after a new lease.
	lease := a.lease
	f.expire(t)
	until(t, lease.Context().Done(), "the lease to be lost")
	again := must(a.Next(ctx))(t)
	if Worker(again) == Worker(ids[0]) {
		t.Error("a number is leased again while its time is reserved")
	}
	ids = append(ids, again)
	k.move(2 * ahead)
	c := NewSnowflake(client(t), dir, o)
	first := must(c.Next(ctx))(t)
	if Worker(first) != Worker(ids[0]) {
		t.Errorf("worker %d is not leased again when its time is over: %d", Worker(ids[0]), Worker(first))
	}
	ids = append(ids, first, must(a.Next(ctx))(t))
	ok(t, c.Close(ctx))
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 10 {
		t.Errorf("an id was handed out twice: %v", ids)
	}
}

func TestSnowflakeMany(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	s := NewSnowflake(client(t), fresh(t), SnowflakeOptions{})
	last := int64(0)
	for range 3 << sequenceBits {
		id := must(s.Next(ctx))(t)
		if id <= last {
			t.Fatalf("%d after %d", id, last)
		}
		last = id
	}
}

func TestSnowflakeEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, dir := within(t), fresh(t)
		a, b := NewSnowflake(c, dir, SnowflakeOptions{}), NewSnowflake(client(t), dir, SnowflakeOptions{})
		seen := map[int64]bool{}
		for range 5 {
			for _, s := range []*Snowflake{a, b} {
				id := must(s.Next(ctx))(t)
				if seen[id] {
					t.Errorf("%d twice", id)
				}
				seen[id] = true
			}
		}
	})
}

func TestCounterLayouts(t *testing.T) {
	n := NewCounter(nil, "/x", Curator)
	if got := string(n.encode(-2)); got != "\xff\xff\xff\xff\xff\xff\xff\xfe" {
		t.Errorf("%x", got)
	}
	if v, err := n.decode([]byte{0, 0, 1, 0}); v != 256 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	if _, err := n.decode([]byte(strings.Repeat("1", 5))); err == nil {
		t.Error("five bytes are accepted")
	}
}
