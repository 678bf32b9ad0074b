package recipes

import (
	"context"
	"errors"
	"testing"
)

func TestElectionRun(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Curator, Kazoo} {
		ctx, dir := within(t), fresh(t)
		observer := NewElection(client(t), dir, ElectionOptions{Layout: layout})
		leaders := make(chan Leader, 10)
		go func() {
			_ = observer.Observe(ctx, func(l Leader) error { leaders <- l; return nil }) // ends with the test
		}()
		if l := until(t, leaders, "the state before"); l.ID != "" || l.Token != 0 {
			t.Errorf("%+v leads before anyone stands", l)
		}
		fa := newFaults(-1, unsent)
		a, b := NewElection(faultyClient(t, fa), dir, ElectionOptions{layout, "a"}), NewElection(client(t), dir, ElectionOptions{layout, "b"})
		terms, ended := make(chan int64, 10), make(chan error, 1)
		runA, stopA := context.WithCancel(ctx)
		go func() {
			ended <- a.Run(runA, func(ctx context.Context, token int64) error {
				terms <- token
				<-ctx.Done()
				return context.Cause(ctx)
			})
		}()
		first := until(t, terms, "a to lead")
		if l := until(t, leaders, "the observer to see a"); l != (Leader{"a", first}) {
			t.Errorf("%+v leads, expected a with %d", l, first)
		}
		bLeads := make(chan *Lease, 1)
		go func() {
			if l, err := b.Campaign(ctx); err == nil {
				bLeads <- l
			}
		}()
		numbering(t, client(t), dir, 2)
		fa.expire(t) // a learns of it, and stands again behind b
		second := until(t, bLeads, "b to lead")
		if l := until(t, leaders, "the observer to see b"); l != (Leader{"b", second.Token()}) {
			t.Errorf("%+v leads, expected b", l)
		}
		numbering(t, client(t), dir, 2)
		all, err := observer.Candidates(ctx)
		if ok(t, err); len(all) != 2 || all[0].ID != "b" || all[1].ID != "a" {
			t.Errorf("candidates %+v", all)
		}
		ok(t, second.Release(ctx))
		if third := until(t, terms, "a to lead again"); third <= second.Token() || second.Token() <= first {
			t.Errorf("tokens %d, %d, %d", first, second.Token(), third)
		}
		stopA()
		if err := until(t, ended, "Run to end"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		empties(t, client(t), dir)
	}
}

func TestElectionRunReturnsWhatLeadDoes(t *testing.T) {
	t.Parallel()
	ctx, dir := within(t), fresh(t)
	failure := errors.New("failure")
	c := client(t)
	err := NewElection(c, dir, ElectionOptions{}).Run(ctx, func(context.Context, int64) error { return failure })
	if !errors.Is(err, failure) {
		t.Error(err)
	}
	empties(t, c, dir)
}

func TestElectionEachStep(t *testing.T) {
	t.Parallel()
	eachStep(t, func(t *testing.T, c *Client, _ *faults) {
		ctx, dir := within(t), fresh(t)
		terms := 0
		ok(t, NewElection(c, dir, ElectionOptions{ID: "x"}).Run(ctx, func(ctx context.Context, _ int64) error {
			terms++
			return nil
		}))
		if terms == 0 {
			t.Error("never led")
		}
		empties(t, client(t), dir)
	})
}
