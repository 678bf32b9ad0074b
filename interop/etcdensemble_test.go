package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// Tests of etcd's own Go client on ensembles.

// withEtcd gives all members the etcd API.
func (e *ensemble) withEtcd() *ensemble {
	e.t.Helper()
	for _, m := range e.members {
		m.etcd = memberPort(e.t)
	}
	return e
}

// etcdClient connects to members, all of them if none is named.
func (e *ensemble) etcdClient(ids ...int) *clientv3.Client {
	e.t.Helper()
	var endpoints []string
	for _, m := range e.members {
		if m.etcd != 0 && (len(ids) == 0 || slices.Contains(ids, m.id)) {
			endpoints = append(endpoints, fmt.Sprintf("127.0.0.1:%d", m.etcd))
		}
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	return c
}

// eventually tries until there is an outcome, as long as ensembles may take to find a leader.
func eventually(t *testing.T, what string, f func(ctx context.Context) error) {
	t.Helper()
	var last error
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		last = f(ctx)
		cancel()
		if last == nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("%s: %v", what, last)
}

// sameEtcd waits until all running members have the same key space, and returns its revision.
func (e *ensemble) sameEtcd() (revision int64) {
	e.t.Helper()
	e.settle()
	hashes := ""
	poll(e.t, 30*time.Second, "equal key spaces", func() bool {
		var seen []string
		for _, id := range e.running() {
			c := e.etcdClient(id)
			ctx, cancel := context.WithTimeout(e.t.Context(), 5*time.Second)
			h, err := c.HashKV(ctx, c.Endpoints()[0], 0)
			cancel()
			c.Close()
			if err != nil {
				seen = append(seen, err.Error())
				continue
			}
			seen = append(seen, fmt.Sprintf("%x at %d", h.Hash, h.HashRevision))
			revision = h.HashRevision
		}
		hashes = strings.Join(seen, ", ")
		return len(slices.Compact(seen)) == 1
	}, &hashes)
	e.watch.look()
	return revision
}

// etcdWriters put keys of their own until they are stopped, and remember which were acknowledged.
type etcdWriters struct {
	stop  chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	acked map[string]int64 // by key, the revision
	count atomic.Int64
}

func startEtcdWriters(e *ensemble, n int) *etcdWriters {
	w := &etcdWriters{stop: make(chan struct{}), acked: map[string]int64{}}
	for i := range n {
		c := e.etcdClient()
		w.done.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-w.stop:
					return
				default:
				}
				key := fmt.Sprintf("w%d/%06d", i, k)
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				resp, err := c.Put(ctx, key, strings.Repeat("v", 100))
				cancel()
				if err != nil {
					continue // its fate is not known, and nothing depends on it
				}
				w.mu.Lock()
				w.acked[key] = resp.Header.Revision
				w.mu.Unlock()
				w.count.Add(1)
			}
		})
	}
	return w
}

// progress waits until n more are acknowledged.
func (w *etcdWriters) progress(t *testing.T, n int64) {
	t.Helper()
	until := w.count.Load() + n
	poll(t, time.Minute, "progress of writers", func() bool { return w.count.Load() >= until })
}

func (w *etcdWriters) end() map[string]int64 {
	close(w.stop)
	w.done.Wait()
	return w.acked
}

// etcdHistory is what a watch from the beginning tells: for each change its key and revision, in order.
type etcdHistory struct {
	mu     sync.Mutex
	last   int64
	events int
	wrong  string
	seen   map[string]int64
}

// watchAll follows all changes through a client, which goes from member to member as they die.
func watchAll(t *testing.T, c *clientv3.Client) *etcdHistory {
	h := &etcdHistory{seen: map[string]int64{}}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	done.Go(func() {
		for resp := range c.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(1)) {
			h.mu.Lock()
			if err := resp.Err(); err != nil && ctx.Err() == nil {
				h.wrong = err.Error()
			}
			for _, ev := range resp.Events {
				if ev.Kv.ModRevision < h.last {
					h.wrong = fmt.Sprintf("revision %d after %d", ev.Kv.ModRevision, h.last)
				}
				if _, twice := h.seen[string(ev.Kv.Key)]; twice && ev.IsCreate() {
					h.wrong = fmt.Sprintf("%s was created twice", ev.Kv.Key)
				}
				h.last = ev.Kv.ModRevision
				h.seen[string(ev.Kv.Key)] = ev.Kv.ModRevision
				h.events++
			}
			h.mu.Unlock()
		}
	})
	return h
}

// complete waits until the watch has told of everything up to a revision, and checks it against what was acknowledged.
func (h *etcdHistory) complete(t *testing.T, revision int64, acked map[string]int64) {
	t.Helper()
	poll(t, 30*time.Second, "watch events", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.last >= revision || h.wrong != ""
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wrong != "" {
		t.Error(h.wrong)
	}
	for key, rev := range acked {
		if h.seen[key] != rev {
			t.Fatalf("%s was acknowledged at revision %d, and watched at %d", key, rev, h.seen[key])
		}
	}
}

// TestEtcdEnsemble kills members under a load of etcd clients: what was acknowledged is on every member, all key spaces are
// equal, watches miss nothing and tell nothing twice. A member that has lost its disk, or the key space
// alone, gets it with a snapshot.
func TestEtcdEnsemble(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "zebu", "zebu").withEtcd()
	e.lines = append(e.lines, "snapCount=2000")
	e.start(1, 2, 3)
	histories := []*etcdHistory{watchAll(t, e.etcdClient()), watchAll(t, e.etcdClient())}
	w := startEtcdWriters(e, 4)
	w.progress(t, 300)
	for _, lost := range []string{"version-2", "version-2/etcd"} {
		leader := e.leader()
		e.kill(leader)
		w.progress(t, 100)
		e.start(leader)
		follower := leader%3 + 1
		e.kill(follower)
		w.progress(t, 1500) // more than the leader remembers
		if err := os.RemoveAll(filepath.Join(e.seat(follower).dir, "data", lost)); err != nil {
			t.Fatal(err)
		}
		e.start(follower)
		w.progress(t, 100)
	}
	for _, m := range e.members { // all at once
		e.kill(m.id)
	}
	e.start(1, 2, 3)
	w.progress(t, 100)
	acked := w.end()
	revision := e.sameEtcd()
	e.same()
	for _, id := range e.running() {
		c := e.etcdClient(id)
		resp, err := c.Get(t.Context(), "w", clientv3.WithPrefix(), clientv3.WithSerializable())
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]int64{}
		for _, kv := range resp.Kvs {
			have[string(kv.Key)] = kv.ModRevision
		}
		for key, rev := range acked {
			if have[key] != rev {
				t.Fatalf("member %d: %s was acknowledged at revision %d, and stands at %d", id, key, rev, have[key])
			}
		}
	}
	for _, h := range histories {
		h.complete(t, revision, acked)
	}
	t.Logf("%d acknowledged, revision %d", len(acked), revision)
}

// TestEtcdConcurrency runs etcd's recipes while the leader dies: a mutex excludes, an election has one leader at a time, STM
// counts right, and a lease that is kept alive outlives its leader.
func TestEtcdConcurrency(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "zebu", "zebu").withEtcd()
	e.start(1, 2, 3)
	var inside, holds, counted, unknown atomic.Int64
	stop := make(chan struct{})
	var done sync.WaitGroup
	for range 3 {
		c := e.etcdClient()
		session, err := concurrency.NewSession(c, concurrency.WithTTL(20))
		if err != nil {
			t.Fatal(err)
		}
		done.Go(func() {
			m := concurrency.NewMutex(session, "lock")
			for {
				select {
				case <-stop:
					return
				case <-session.Done():
					t.Error("a session with a TTL of 20 s ended")
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				if err := m.Lock(ctx); err == nil {
					if n := inside.Add(1); n > 1 {
						t.Errorf("%d hold the mutex", n)
					}
					holds.Add(1)
					_, err := concurrency.NewSTM(c, func(s concurrency.STM) error {
						s.Put("count", s.Get("count")+"1")
						return nil
					}, concurrency.WithAbortContext(ctx))
					if err == nil {
						counted.Add(1)
					} else {
						unknown.Add(1)
					}
					inside.Add(-1)
				}
				cancel()
				ctx, cancel = context.WithTimeout(context.Background(), 5*time.Second)
				_ = m.Unlock(ctx) // if it fails, the next Lock finds its own key
				cancel()
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		until := holds.Load() + n
		poll(t, time.Minute, "progress", func() bool { return holds.Load() >= until })
	}
	more(20)
	for range 2 {
		leader := e.leader()
		e.kill(leader)
		more(10)
		e.start(leader)
		more(10)
	}
	close(stop)
	done.Wait()
	c := e.etcdClient()
	resp, err := c.Get(t.Context(), "count")
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatal(resp, err)
	}
	if n := int64(len(resp.Kvs[0].Value)); n < counted.Load() || n > counted.Load()+unknown.Load() {
		t.Errorf("counted %d, and %d more may have been: the count is %d", counted.Load(), unknown.Load(), n)
	}
	e.sameEtcd()
}

// TestEtcdMixed has an Apache ZooKeeper among the members: as long as it is there etcd mutations are refused with a reason, and
// all else works. Once it is replaced they work, and it is not let in any more.
func TestEtcdMixed(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "3.9", "zebu").withEtcd()
	e.lead(3)
	for _, id := range []int{1, 3} {
		c := e.etcdClient(id)
		_, err := c.Put(t.Context(), "k", "v")
		var status rpctypes.EtcdError
		if grpcstatus.Code(err) != codes.Unavailable && (!errors.As(err, &status) || status.Code() != codes.Unavailable) || !strings.Contains(err.Error(), "Apache ZooKeeper") {
			t.Errorf("member %d: %v", id, err)
		}
		if resp, err := c.Get(t.Context(), "k"); err != nil || resp.Header.Revision != 1 || len(resp.Kvs) != 0 {
			t.Errorf("member %d: %v, %v", id, resp, err)
		}
	}
	zk := connect(t, 30*time.Second, e.seat(1).addr())
	zk.mustCreate("/still", "works", 0)

	e.stop(2)
	apache := e.seat(2).maker
	e.seat(2).maker = makerOf(t, "zebu")
	e.start(2)
	for _, id := range []int{1, 2, 3} {
		c := e.etcdClient(id)
		eventually(t, "put", func(ctx context.Context) error {
			_, err := c.Put(ctx, fmt.Sprintf("k%d", id), "v")
			return err
		})
	}
	e.sameEtcd()

	e.stop(2)
	e.seat(2).maker = apache
	// It would stop at what is in its log; an empty disk is what a careful operator would give it.
	if err := os.RemoveAll(filepath.Join(e.seat(2).dir, "data", "version-2")); err != nil {
		t.Fatal(err)
	}
	e.launch(2)
	e.watch.excuse("2")
	leader := e.seat(e.leader())
	poll(t, 30*time.Second, "refusal of an Apache member", func() bool {
		return strings.Contains(leader.sinceStart(), "it cannot apply transactions of the etcd API")
	})
	c := e.etcdClient(1)
	eventually(t, "put", func(ctx context.Context) error {
		_, err := c.Put(ctx, "k", "v")
		return err
	})
	e.kill(2)
	e.sameEtcd()
}

// TestEtcdMembers changes an ensemble through etcd's API: a new server comes as a learner, becomes a voter, and another one goes.
func TestEtcdMembers(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "zebu", "zebu").withEtcd()
	e.reconfig = true
	e.lines = append(e.lines, "reconfigEnabled=true")
	e.lead(3)
	c := e.etcdClient(1) // a follower
	members := func(what string, want ...string) {
		t.Helper()
		eventually(t, what, func(ctx context.Context) error {
			list, err := c.MemberList(ctx)
			if err != nil {
				return err
			}
			var got []string
			for _, m := range list.Members {
				got = append(got, fmt.Sprintf("%s %t", m.Name, m.IsLearner))
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("%q", got)
			}
			return nil
		})
	}
	members("three", "server.1 false", "server.2 false", "server.3 false")

	four := e.add("zebu+o")
	four.etcd = memberPort(t)
	e.launch(4)
	added, err := c.MemberAddAsLearner(t.Context(), []string{fmt.Sprintf("http://127.0.0.1:%d?election=%d&client=127.0.0.1:%d", four.quorum, four.election, four.client)})
	if err != nil || added.Member.ID != 4 {
		t.Fatal(added, err)
	}
	e.serving(4)
	members("a learner", "server.1 false", "server.2 false", "server.3 false", "server.4 true")
	eventually(t, "put", func(ctx context.Context) error { _, err := c.Put(ctx, "k", "v"); return err })
	e.sameEtcd()

	if _, err := c.MemberPromote(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	four.observer = false
	members("a voter", "server.1 false", "server.2 false", "server.3 false", "server.4 false")
	e.becomes(4, "follower")
	if _, err := c.MemberRemove(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	members("one less", "server.1 false", "server.3 false", "server.4 false")
	e.watch.look() // while the server that goes can still be asked
	e.stop(2)
	eventually(t, "put", func(ctx context.Context) error { _, err := c.Put(ctx, "k", "w"); return err })
	e.sameEtcd()
}
