package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// steadyWriter puts one key after the other through one member, and notes the longest time without an answer.
type steadyWriter struct {
	mu      sync.Mutex
	acked   map[string]int64 // by key, the revision
	errs    []error
	last    time.Time
	longest time.Duration
	stop    chan struct{}
	done    sync.WaitGroup
}

func startSteadyWriter(c *clientv3.Client, name string) *steadyWriter {
	w := &steadyWriter{acked: map[string]int64{}, stop: make(chan struct{}), last: time.Now()}
	w.done.Go(func() {
		for k := 0; ; k++ {
			select {
			case <-w.stop:
				return
			default:
			}
			key := fmt.Sprintf("%s/%06d", name, k)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			resp, err := c.Put(ctx, key, "v")
			cancel()
			w.note(key, resp, err)
		}
	})
	return w
}

func (w *steadyWriter) note(key string, resp *clientv3.PutResponse, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s: %w", key, err))
		return
	}
	w.acked[key] = resp.Header.Revision
	now := time.Now()
	w.longest = max(w.longest, now.Sub(w.last))
	w.last = now
}

// pause returns the longest time without an answer since the last call.
func (w *steadyWriter) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest := w.longest
	w.longest = 0
	return longest
}

func (w *steadyWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// TestEtcdMoveLeader moves the leader from member to member with etcdctl while clients write at all of them: it leads who was asked to, as
// often as not one that no election would have chosen; no write fails, is lost or done twice, and writes stand still for a moment only.
func TestEtcdMoveLeader(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "zebu", "zebu", "zebu+o").withEtcd()
	e.lead(3)
	var endpoints []string
	for _, m := range e.members {
		endpoints = append(endpoints, fmt.Sprintf("127.0.0.1:%d", m.etcd))
	}
	shell := etcdctl(t, endpoints...)
	eventually(t, "put", func(ctx context.Context) error { _, err := e.etcdClient().Put(ctx, "k", "v"); return err })
	history := watchAll(t, e.etcdClient(2))
	var writers []*steadyWriter
	for _, m := range e.members {
		writers = append(writers, startSteadyWriter(e.etcdClient(m.id), fmt.Sprint("w", m.id)))
	}
	var pauses []time.Duration
	for i, to := range []int{1, 2, 1, 3, 2, 3} {
		for _, w := range writers {
			n := w.count()
			poll(t, 30*time.Second, "writes", func() bool { return w.count() >= n+20 })
			w.pause()
		}
		before := e.leader()
		out, complaint, ok := shell.run(t.Context(), "move-leader", fmt.Sprintf("%x", to))
		if want := fmt.Sprintf("Leadership transferred from %x to %x\n", before, to); !ok || out != want {
			t.Fatalf("move %d: %q, expected %q: %s", i, out, want, complaint)
		}
		status, err := e.etcdClient(before).Status(t.Context(), endpoints[before-1])
		if err != nil || status.Leader != uint64(to) {
			t.Fatalf("move %d: leader is %v (%v), expected %d", i, status, err, to)
		}
		n := writers[0].count()
		poll(t, 30*time.Second, "writes", func() bool { return writers[0].count() >= n+20 })
		for _, w := range writers {
			pauses = append(pauses, w.pause().Round(time.Millisecond))
		}
	}
	acked := map[string]int64{}
	var unknown []error // of a server that had no time to hear of the leader's end
	for _, w := range writers {
		close(w.stop)
		w.done.Wait()
		for _, err := range w.errs {
			if unknown = append(unknown, err); !errors.Is(err, rpctypes.ErrTimeoutDueToLeaderFail) || len(unknown) > 3 {
				t.Errorf("a write failed: %v", err)
			}
		}
		for key, revision := range w.acked {
			acked[key] = revision
		}
	}
	t.Logf("%d writes; longest pauses by move and member: %v; of unknown fate: %v", len(acked), pauses, unknown)
	history.complete(t, e.sameEtcd(), acked)
	e.same()
	refusesToMove(t, e, endpoints)
}

// refusesToMove asks for what etcd refuses too.
func refusesToMove(t *testing.T, e *ensemble, endpoints []string) {
	t.Helper()
	leader := e.leader()
	follower := leader%3 + 1
	for _, c := range []struct {
		at, to int
		want   error
	}{
		{leader, leader, nil}, {leader, 4, rpctypes.ErrBadLeaderTransferee}, {leader, 77, rpctypes.ErrBadLeaderTransferee},
		{follower, follower, rpctypes.ErrNotLeader}, {4, leader, rpctypes.ErrNotLeader},
	} {
		_, err := e.etcdClient(c.at).MoveLeader(t.Context(), uint64(c.to))
		if !errors.Is(err, c.want) {
			t.Errorf("member %d is asked to make %d the leader: %v, expected %v", c.at, c.to, err, c.want)
		}
	}
	e.kill(follower)
	other := 6 - leader - follower
	poll(t, 30*time.Second, "a follower less", func() bool {
		_, err := e.etcdClient(leader).MoveLeader(t.Context(), uint64(follower))
		return err != nil && strings.Contains(err.Error(), fmt.Sprintf("server %d is not in sync with the leader", follower))
	})
	resp, err := http.Post("http://"+endpoints[leader-1]+"/v3/maintenance/transfer-leadership", "", strings.NewReader(fmt.Sprintf(`{"targetID":"%d"}`, other)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || string(body) != "{}" {
		t.Errorf("with one member down: %s %s, %v", resp.Status, body, err)
	}
	if got := e.leader(); got != other {
		t.Errorf("member %d leads, not %d", got, other)
	}
}

// TestEtcdMoveLeaderMixed has an Apache ZooKeeper among the voters, which cannot be told whom to vote for: it is elected in place of a server of a
// smaller id, and can be chosen itself.
func TestEtcdMoveLeaderMixed(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "3.9", "zebu").withEtcd()
	e.lead(3)
	client := connect(t, 30*time.Second, e.seat(1).addr())
	write := func(path string) { // all have the same history then
		t.Helper()
		poll(t, 30*time.Second, path, func() bool {
			_, err := client.Create(path, nil, 0, worldACL)
			return err == nil || errors.Is(err, zk.ErrNodeExists) // by an attempt whose answer was lost
		})
		e.settle()
	}
	write("/a")
	c := e.etcdClient(3)
	_, err := c.MoveLeader(t.Context(), 1)
	if err == nil || !strings.Contains(err.Error(), "zebu: server 2 has been elected instead of server 1") {
		t.Errorf("to 1: %v", err)
	}
	if got := e.leader(); got != 2 {
		t.Fatalf("member %d leads", got)
	}
	e.kill(2)
	if got := e.leader(); got != 3 {
		t.Fatalf("member %d leads", got)
	}
	e.start(2)
	write("/b")
	if _, err := c.MoveLeader(t.Context(), 2); err != nil {
		t.Errorf("to 2: %v", err)
	}
	if got := e.leader(); got != 2 {
		t.Errorf("member %d leads", got)
	}
	write("/c")
	e.same()
}
