package recipes

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestGroup(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	seen := make(chan string, 100)
	observer := NewGroup(client(t), dir)
	go func() {
		_ = observer.Watch(ctx, func(m map[string][]byte) { // ends with the test
			var all []string
			for _, id := range slices.Sorted(maps.Keys(m)) {
				all = append(all, id+"="+string(m[id]))
			}
			seen <- strings.Join(all, " ")
		})
	}()
	expect := func(want string) {
		t.Helper()
		for got := until(t, seen, want); got != want; got = until(t, seen, want) {
			t.Logf("meanwhile %q", got)
		}
	}
	expect("")
	f := newFaults(-1, unsent)
	a := must(NewGroup(faultyClient(t, f), dir).Join(ctx, "a", []byte("1")))(t)
	expect("a=1")
	b := must(NewGroup(client(t), dir).Join(ctx, "b", nil))(t)
	expect("a=1 b=")
	a.Update([]byte("2"))
	expect("a=2 b=")
	f.expire(t)
	ok(t, b.Leave(ctx))
	expect("a=2") // again, by itself
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := NewGroup(client(t), dir).Join(short, "a", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ok(t, a.Leave(ctx))
	expect("")
	if m, err := observer.Members(ctx); err != nil || len(m) != 0 {
		t.Errorf("%v %v", m, err)
	}
}

func TestGroupEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, dir := within(t), fresh(t)
		m := must(NewGroup(c, dir).Join(ctx, "x", []byte("y")))(t)
		numbering(t, client(t), dir, 1)
		m.Update([]byte("z"))
		watcher := NewGroup(client(t), dir)
		saw, stop := context.WithCancel(ctx)
		_ = watcher.Watch(saw, func(m map[string][]byte) {
			if string(m["x"]) == "z" {
				stop()
			}
		})
		if ctx.Err() != nil {
			t.Error("the update is not seen")
		}
		ok(t, m.Leave(ctx))
		empties(t, client(t), dir)
	})
}

// TestGroupLeaveWhileJoining has members leave while their nodes are still being asked for: no node comes after the leave.
func TestGroupLeaveWhileJoining(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	c := client(t)
	ok(t, c.ensureContainer(ctx, dir))
	_, err := c.session(ctx)
	ok(t, err)
	released := make(chan struct{})
	c.identified = released // requests of now on wait for that, and go in any order then
	const members = 100
	all := make([]*presence, members)
	for i := range all {
		all[i] = c.keep(path.Join(dir, strconv.Itoa(i)), nil)
	}
	left := make(chan error, members)
	for _, k := range all {
		go func() { left <- k.leave(ctx) }()
	}
	close(released)
	for range all {
		ok(t, <-left)
	}
	if names, err := c.children(ctx, dir); err != nil || len(names) > 0 {
		t.Errorf("%d nodes are left, error %v", len(names), err)
	}
}
