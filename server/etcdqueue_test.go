package server

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"zebu/mvcc"
)

// hold keeps the committer from writing until the function that it returns is called.
func (e *etcd) hold(t *testing.T) (release func()) {
	t.Helper()
	held, gate := make(chan struct{}), make(chan struct{})
	e.s.state.Lock()
	e.mark(nil, func() { close(held); <-gate })
	e.s.state.Unlock()
	<-held
	return sync.OnceFunc(func() { close(gate) })
}

// TestEtcdCommitterBehind applies more than the committer writes: a member must not take more from the others then, and clients wait.
func TestEtcdCommitterBehind(t *testing.T) {
	s, _ := startServer(t, etcdConfig(t))
	e := s.etcd
	release := e.hold(t)
	defer release()
	value := strings.Repeat("v", 1<<20)
	n := 0
	for ; !e.behind(); n++ { // what the leader's proposals come to
		s.state.Lock()
		store := s.rep.Etcd()
		record, err := mvcc.NewRecord(&pb.PutRequest{Key: []byte("k"), Value: []byte(value)}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Apply(store.Applied()+1, record); err != nil {
			t.Fatal(err)
		}
		e.take()
		s.state.Unlock()
	}
	if n > 2*maxBacklog>>20 {
		t.Errorf("only after %d MiB", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Propose(ctx, mvcc.NewRecord(&pb.PutRequest{Key: []byte("k")})); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("a client's mutation:", err)
	}
	release()
	<-e.relieved
	if err := e.sync(); err != nil || e.behind() || e.backlog.Load() != 0 {
		t.Errorf("%v; %d bytes are left", err, e.backlog.Load())
	}
}

// TestEtcdUnderway has one client propose so much at once that it is bounded.
func TestEtcdUnderway(t *testing.T) {
	s, _ := startServer(t, etcdConfig(t))
	e := s.etcd
	release := e.hold(t)
	defer release()
	if err := e.enter(t.Context(), maxUnderway); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			if err := e.enter(ctx, maxUnderway); !errors.Is(err, context.Canceled) {
				t.Error("in the queue:", err)
			}
		})
	}
	for e.queued.Load() < 8*maxUnderway {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(e.queued.Load())
		}
	}
	if err := e.enter(ctx, maxQueued-8*maxUnderway+1); err != rpctypes.ErrGRPCRequestTooManyRequests {
		t.Error("beyond the queue:", err)
	}
	cancel()
	waiting.Wait()
	e.leave(maxUnderway)
	if n := e.queued.Load(); n != 0 {
		t.Errorf("%d bytes are queued for nobody", n)
	}
	if err := e.enter(t.Context(), 1); err != nil {
		t.Error(err)
	}
	e.leave(1)
	release()
	s.mustPut(t, "k", "v")
}
