package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.uber.org/zap/zaptest"

	"zebu/conf"
	"zebu/mvcc"
	"zebu/proto"
	"zebu/quorum"
	"zebu/replica"
)

func etcdConfig(t *testing.T) *conf.Config {
	c := testConfig(t)
	c.Etcd.Addr = conf.Address("127.0.0.1", 0)
	return c
}

func (s *Server) mustPut(t *testing.T, key, value string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	res, err := s.Propose(ctx, mvcc.NewRecord(&pb.PutRequest{Key: []byte(key), Value: []byte(value)}))
	if err = errors.Join(err, res.Err); err != nil {
		t.Fatal(err)
	}
	return res.Revision
}

// etcdDump is the state of the key space in one line.
func (s *Server) etcdDump(t *testing.T) (text string) {
	t.Helper()
	s.Read(func(store *mvcc.Store) {
		resp, err := store.Range(&pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}})
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range resp.Kvs {
			text += fmt.Sprintf("%s=%s@%d ", kv.Key, kv.Value, kv.ModRevision)
		}
		text += fmt.Sprintf("revision %d, %d leases", resp.Header.Revision, store.NumLeases())
	})
	return text
}

func TestEtcdRestart(t *testing.T) {
	cfg := etcdConfig(t)
	cfg.Snapshot.Count = 20
	want := ""
	for round := range 4 {
		s, stop := startServer(t, cfg)
		if got := s.etcdDump(t); want != "" && got != want {
			t.Errorf("round %d: %s, expected %s", round, got, want)
		}
		c := newClient(t, s)
		for i := range 15 { // znodes and keys take turns in the log
			s.mustPut(t, fmt.Sprintf("k%d", i), fmt.Sprint(round))
			c.must(int32(i+1), proto.OpCreate, createReq(fmt.Sprintf("/%d-%d", round, i), 0))
		}
		res, err := s.Propose(t.Context(), mvcc.NewRecord(&pb.LeaseGrantRequest{TTL: 1000}))
		if err != nil || res.Err != nil {
			t.Fatal(err, res.Err)
		}
		want = s.etcdDump(t)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEtcdLost takes the key space away, or puts an older one in its place: a standalone server does not go on without it.
func TestEtcdLost(t *testing.T) {
	for name, damage := range map[string]func(root string) error{
		"gone":        func(root string) error { return os.RemoveAll(filepath.Join(root, "0")) },
		"all gone":    os.RemoveAll,
		"not current": func(root string) error { return os.Remove(filepath.Join(root, currentName)) },
		"older": func(root string) error {
			if err := os.RemoveAll(filepath.Join(root, "0")); err != nil {
				return err
			}
			return os.CopyFS(filepath.Join(root, "0"), os.DirFS(filepath.Join(root, "older")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := etcdConfig(t)
			s, stop := startServer(t, cfg)
			root := s.etcd.root
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			older := filepath.Join(t.TempDir(), "older")
			if err := os.CopyFS(older, os.DirFS(filepath.Join(root, "0"))); err != nil {
				t.Fatal(err)
			}
			s, stop = startServer(t, cfg)
			s.mustPut(t, "k", "v")
			if err := s.etcd.sync(); err != nil {
				t.Fatal(err)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(root, "older"), os.DirFS(older)); err != nil {
				t.Fatal(err)
			}
			if err := damage(root); err != nil {
				t.Fatal(err)
			}
			if _, err := New(Options{Config: cfg, Log: zaptest.NewLogger(t)}); !errors.Is(err, errSpaceLost) {
				t.Errorf("start: %v", err)
			}
			if o, err := OpenOffline(cfg, zaptest.NewLogger(t)); err != nil {
				t.Error(err)
			} else if lost := o.Etcd.Err != nil; lost != (name != "older") || o.Etcd.Dir == "" || o.Close() != nil {
				t.Errorf("offline: %+v", o.Etcd)
			}
			if err := errors.Join(os.RemoveAll(root), os.Remove(s.etcd.begunFile())); err != nil {
				t.Fatal(err)
			}
			startServer(t, cfg) // with an empty key space, as the error says
		})
	}
}

// TestEtcdWaitsInTheLog starts a member that has no snapshot any more. What is not known to be committed is in its log alone, so that a
// snapshot of the tree must not make that log superfluous.
func TestEtcdWaitsInTheLog(t *testing.T) {
	cfg := etcdConfig(t)
	s, stop := startServer(t, cfg)
	s.mustPut(t, "seen", "v")
	if err := s.etcd.sync(); err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(s.etcd.root)); err != nil {
		t.Fatal(err)
	}
	s.mustPut(t, "not seen", "v")
	s.mustPut(t, "nor this", "v")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.etcd.root); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(s.etcd.root, os.DirFS(older)); err != nil { // as a failure of power may leave it
		t.Fatal(err)
	}
	snapshots := func() []string {
		list, err := filepath.Glob(filepath.Join(cfg.DataDir, "version-2", "snapshot.*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for _, path := range snapshots() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Snapshot.TrustEmpty = true
	cfg.Quorum.ServerID = 1
	for id := range proto.ServerID(3) {
		cfg.Quorum.Config.Members = append(cfg.Quorum.Config.Members, quorum.Member{ID: id + 1, Addrs: []quorum.PeerAddr{{Host: "127.0.0.1"}}})
	}
	s, err := New(Options{Config: cfg, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if waiting, list := s.rep.EtcdWaiting(), snapshots(); waiting != 2 || len(list) > 0 {
		t.Errorf("%d transactions wait, and there are %v", waiting, list)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestEtcdCutOffInstall starts a member that was killed when it had written the snapshot that came from a leader, and not yet made
// the key space that came along the current one. Transactions that followed the image are in it.
func TestEtcdCutOffInstall(t *testing.T) {
	cfg := etcdConfig(t)
	s, stop := startServer(t, cfg)
	s.mustPut(t, "old", "v")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	e := newEtcd(s, nil)
	const z = proto.Zxid(5<<32 | 10)
	dir, err := e.create(z)
	if err != nil {
		t.Fatal(err)
	}
	staged, err := e.open(dir)
	if err != nil {
		t.Fatal(err)
	}
	staged.store.Advance(z)
	record, err := mvcc.NewRecord(&pb.PutRequest{Key: []byte("new")}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := staged.advance([]replica.EtcdTxn{{Zxid: z + 1, Record: record}}, z+3); err != nil {
		t.Fatal(err)
	}
	if err := staged.close(); err != nil {
		t.Fatal(err)
	}
	current, synced, err := e.current()
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.find(current, synced, z+3)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.dir != dir || p.store.Revision() != 2 || p.store.Applied() != z+3 {
		t.Errorf("%s, revision %d, %v", p.dir, p.store.Revision(), p.store.Applied())
	}
	if current, _, err = e.current(); current != dir || err != nil {
		t.Error(current, err)
	}
}

// TestEtcdStopsBehindAView stops a server while somebody looks at its key space. Who lets that one look is told.
func TestEtcdStopsBehindAView(t *testing.T) {
	s, stop := startServer(t, etcdConfig(t))
	s.mustPut(t, "k", "v")
	v, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	<-s.Stopped()
	v.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestEtcdNeedsItsPort starts a server without the etcd API on a log with etcd transactions.
func TestEtcdNeedsItsPort(t *testing.T) {
	cfg := etcdConfig(t)
	s, stop := startServer(t, cfg)
	s.mustPut(t, "k", "v")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cfg.Etcd = conf.Etcd{}
	if _, err := New(Options{Config: cfg, Log: zaptest.NewLogger(t)}); err == nil || !strings.Contains(err.Error(), "etcd.clientPort") {
		t.Errorf("start: %v", err)
	}
}

// TestEtcdWatch follows a key space while it changes, from the past on, with a stream that falls behind.
func TestEtcdWatch(t *testing.T) {
	s, _ := startServer(t, etcdConfig(t))
	const n = 3 * maxDeliveries
	for i := range n / 3 {
		s.mustPut(t, "k", fmt.Sprint(i))
	}
	w := s.OpenWatches()
	defer w.Close()
	w.Create(&pb.WatchCreateRequest{Key: []byte("k"), StartRevision: 2})
	for i := n / 3; i < n; i++ {
		s.mustPut(t, "k", fmt.Sprint(i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	next := int64(2)
	for next < n+2 {
		out, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("after revision %d: %v", next-1, err)
		}
		for _, d := range out {
			for _, e := range d.Events {
				if e.Kv.ModRevision != next {
					t.Fatalf("revision %d, expected %d", e.Kv.ModRevision, next)
				}
				next++
			}
		}
	}
}

// TestEtcdRenewTogether keeps long leases alive, all at once, of which the log has how much is left.
func TestEtcdRenewTogether(t *testing.T) {
	cfg := etcdConfig(t)
	s, stop := startServer(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const n = 50
	check := &pb.LeaseCheckpointRequest{}
	for i := range int64(n) {
		res, err := s.Propose(ctx, mvcc.NewRecord(&pb.LeaseGrantRequest{ID: i + 1, TTL: 1000}))
		if err = errors.Join(err, res.Err); err != nil {
			t.Fatal(err)
		}
		check.Checkpoints = append(check.Checkpoints, &pb.LeaseCheckpoint{ID: i + 1, Remaining_TTL: 500})
	}
	if _, err := s.Propose(ctx, mvcc.NewRecord(check)); err != nil {
		t.Fatal(err)
	}
	var renewals sync.WaitGroup
	for i := range mvcc.LeaseID(n) {
		renewals.Go(func() {
			if ttl, err := s.Renew(ctx, i+1); ttl != 1000 || err != nil {
				t.Errorf("lease %d: %d, %v", i+1, ttl, err)
			}
		})
	}
	renewals.Wait()
	s.Read(func(store *mvcc.Store) {
		for _, l := range store.Leases() {
			if l.Remaining != 0 {
				t.Errorf("%+v", l)
			}
		}
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s, stop = startServer(t, cfg)
	if got := s.etcdDump(t); got != "revision 1, 50 leases" {
		t.Error(got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestEtcdWatchLargeValues has a client that takes nothing while large values are written.
func TestEtcdWatchLargeValues(t *testing.T) {
	s, _ := startServer(t, etcdConfig(t))
	w := s.OpenWatches()
	defer w.Close()
	w.Create(&pb.WatchCreateRequest{Key: []byte("k")})
	const n = 40
	for range n {
		s.mustPut(t, "k", strings.Repeat("v", 1<<20))
	}
	w.mu.Lock()
	if held := len(w.waiting); held > 2+maxDeliveryBytes>>20 {
		t.Errorf("%d deliveries of a megabyte wait", held)
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for next := int64(2); next < n+2; {
		out, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("after revision %d: %v", next-1, err)
		}
		for _, d := range out {
			for _, e := range d.Events {
				if e.Kv.ModRevision != next {
					t.Fatalf("revision %d, expected %d", e.Kv.ModRevision, next)
				}
				next++
			}
		}
	}
}
