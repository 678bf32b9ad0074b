package recipes

import (
	"errors"
	"testing"
)

func TestBarrier(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, p := within(t), fresh(t)
		b := NewBarrier(c, p)
		ok(t, b.Wait(ctx))
		ok(t, b.Set(ctx))
		passed := make(chan error, 1)
		go func() { passed <- b.Wait(ctx) }()
		other := client(t)
		select {
		case err := <-passed:
			t.Fatalf("passed a barrier that is up: %v", err)
		default:
		}
		ok(t, NewBarrier(other, p).Remove(ctx))
		ok(t, until(t, passed, "the barrier to open"))
		ok(t, b.Remove(ctx))
	})
}

func TestDoubleBarrier(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	const members = 4
	entered, left := make(chan error, members), make(chan error, members)
	goOn := make(chan struct{})
	for i := range members {
		b := NewDoubleBarrier(client(t), dir, members)
		go func() {
			entered <- b.Enter(ctx)
			<-goOn
			left <- b.Leave(ctx)
		}()
		if i == members-2 {
			numbering(t, client(t), dir, members-1)
			select {
			case err := <-entered:
				t.Fatalf("entered alone: %v", err)
			default:
			}
		}
	}
	for range members {
		ok(t, until(t, entered, "all to enter"))
	}
	close(goOn)
	for range members {
		ok(t, until(t, left, "all to leave"))
	}
	empties(t, client(t), dir)
}

func TestDoubleBarrierEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, dir := within(t), fresh(t)
		b := NewDoubleBarrier(c, dir, 1)
		if err := b.Enter(ctx); err != nil && !errors.Is(err, ErrLost) {
			t.Error(err)
		}
		if err := b.Leave(ctx); err != nil && !errors.Is(err, ErrLost) {
			t.Error(err)
		}
		empties(t, client(t), dir)
	})
}
