package server

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"zebu/proto"
)

// backup returns a snapshot of the server as it is.
func backup(t *testing.T, s *Server) ([]byte, proto.Zxid) {
	t.Helper()
	var b bytes.Buffer
	z, err := s.WriteSnapshot(&b)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), z
}

func TestRestoringSnapshots(t *testing.T) {
	other, _ := startServer(t, testConfig(t)) // one that is far ahead
	o := newClient(t, other)
	for i := range int32(50) {
		o.must(i, proto.OpCreate, createReq(fmt.Sprintf("/other%d", i), 0))
	}
	newer, newerZxid := backup(t, other)

	cfg := testConfig(t)
	s, stop := startServer(t, cfg)
	r := dialRaw(t, s)
	resp := r.connect(20_000)
	r.must(1, proto.OpCreate, createReq("/old", 0))
	r.must(2, proto.OpCreate, createReq("/e", proto.Ephemeral))
	older, olderZxid := backup(t, s)
	r.must(3, proto.OpCreate, createReq("/new", 0))
	r.must(4, proto.OpExists, readReq("/new", true))

	for name, bad := range map[string][]byte{
		"empty":     nil,
		"cut short": older[:len(older)-30],
		"garbage":   bytes.Repeat([]byte{7}, 1000),
		"bit flip":  flipped(older, len(older)/2),
	} {
		if z, err := s.RestoreSnapshot(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s: restored at %v", name, z)
		}
	}
	r.must(5, proto.OpSetData, setReq("/new", nil)) // nothing has changed, nobody was disconnected

	at, err := s.RestoreSnapshot(bytes.NewReader(older))
	if err != nil || at <= olderZxid {
		t.Fatalf("restored at %v: %v", at, err)
	}
	for _, _, ok := r.next(); ok; _, _, ok = r.next() {
	}
	r = dialRaw(t, s)
	if got, ok := r.resume(resp.SessionID, resp.Passwd, at); !ok || got.SessionID != resp.SessionID {
		t.Fatalf("the session is in the snapshot: %+v, answered %t", got, ok)
	}
	if code, _ := r.call(1, proto.OpExists, readReq("/new", false)); code != proto.ErrNoNode {
		t.Errorf("/new: %v", code)
	}
	r.must(2, proto.OpSetData, setReq("/e", nil))
	if zxid := lastZxid(r); zxid <= at {
		t.Errorf("zxid %v after a restore at %v", zxid, at)
	}

	at, err = s.RestoreSnapshot(bytes.NewReader(newer))
	if err != nil || at <= newerZxid || at.Epoch() != newerZxid.Epoch()+1 {
		t.Fatalf("restored at %v: %v", at, err)
	}
	r.closed()
	r = dialRaw(t, s)
	if got, ok := r.resume(resp.SessionID, resp.Passwd, 0); !ok || got.SessionID != 0 {
		t.Fatalf("a session that is not in the snapshot was resumed: %+v", got)
	}
	r = newClient(t, s)
	r.must(1, proto.OpCreate, createReq("/after", 0))
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	s, _ = startServer(t, cfg)
	for path, want := range map[string]bool{"/old": false, "/e": false, "/other0": true, "/other49": true, "/after": true} {
		if got := s.exists(path); got != want {
			t.Errorf("%s after a restart: %t", path, got)
		}
	}
	if n := s.rep.Counts().DigestMismatches; n != 0 {
		t.Errorf("%d digests do not agree", n)
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// lastZxid is the zxid in the reply to a ping.
func lastZxid(r *raw) proto.Zxid {
	r.t.Helper()
	r.send(request(proto.XidPing, proto.OpPing, nil))
	hdr, _ := r.reply()
	return hdr.Zxid
}

// What was asked for before a restore is not done after it, even if its session is in the snapshot.
func TestRequestsBeforeARestoreAreNotForTheNewState(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	for range 10 {
		r := newClient(t, s)
		snap, _ := backup(t, s)
		s.state.RLock()
		restored := make(chan error, 1)
		go func() {
			_, err := s.RestoreSnapshot(bytes.NewReader(snap))
			restored <- err
		}()
		await(t, "the restore waits for the state", func() bool {
			free := s.state.TryRLock()
			if free {
				s.state.RUnlock()
			}
			return !free
		})
		r.send(request(1, proto.OpCreate, createReq("/x", 0)))
		await(t, "the request is in the inbox", func() bool { return s.inflight.Load() == 1 })
		s.state.RUnlock()
		if err := <-restored; err != nil {
			t.Fatal(err)
		}
		await(t, "the connection is gone", func() bool { return s.Server().Connections == 0 && s.inflight.Load() == 0 })
		if s.exists("/x") {
			t.Fatal("a request from before was carried out")
		}
	}
}

// Restores, snapshots and writers at the same time: afterwards memory and disk agree.
func TestRestoringUnderLoad(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	cfg.Snapshot.Count = 30
	s, stop := startServer(t, cfg)
	newClient(t, s).must(1, proto.OpCreate, createReq("/base", 0))
	snap, _ := backup(t, s)
	quit := make(chan struct{})
	var all sync.WaitGroup
	for id := range 3 {
		all.Go(func() {
			for n := 0; ; n++ {
				r := dialRaw(t, s)
				r.send((&proto.ConnectRequest{Timeout: 5000}).Append(nil))
				r.recv()
				for i := 0; ; i++ {
					select {
					case <-quit:
						r.nc.Close()
						return
					default:
					}
					b := request(1, proto.OpCreate, createReq(fmt.Sprintf("/w%d-%d-%d", id, n, i), proto.CreateMode(i%2)))
					if _, err := r.nc.Write(append(proto.AppendInt32(nil, int32(len(b))), b...)); err != nil {
						break
					}
					if r.recv() == nil {
						break
					}
				}
			}
		})
	}
	all.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
			}
			if _, err := s.TakeSnapshot(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 20 {
		if _, err := s.RestoreSnapshot(bytes.NewReader(snap)); err != nil {
			t.Error(err)
			break
		}
	}
	close(quit)
	all.Wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := s.rep.Counts().DigestMismatches; n != 0 {
		t.Errorf("%d digests do not agree", n)
	}
	want, _ := s.rep.Tree().Digest()
	again, err := New(Options{Config: cfg, Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, _ := again.rep.Tree().Digest(); got != want || again.rep.Counts().DigestMismatches != 0 {
		t.Errorf("digest %#x after a restart, %#x before", got, want)
	}
}

// A snapshot taken while clients write is the state at exactly its zxid: its digest is that of the log there.
func TestSnapshotStreamIsExact(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	s, _ := startServer(t, cfg)
	var writers sync.WaitGroup
	for i := range 3 {
		r := newClient(t, s)
		writers.Go(func() { flood(t, r, fmt.Sprintf("w%d-", i), 600) })
	}
	target, _ := startServer(t, testConfig(t))
	last := proto.Zxid(0)
	for range 10 {
		b, z := backup(t, s)
		if z < last {
			t.Fatalf("snapshot at %v after one at %v", z, last)
		}
		last = z
		if _, err := target.RestoreSnapshot(bytes.NewReader(b)); err != nil { // checks the digest
			t.Fatal(err)
		}
		want := 0
		for i := range 3 {
			n := 0
			for target.exists(fmt.Sprintf("/w%d-%d", i, n)) {
				n++
			}
			want += n
		}
		if got := target.Server().NodeCount - 5; got != want {
			t.Fatalf("%d nodes in the snapshot, %d of them in sequence", got, want)
		}
	}
	writers.Wait()
}
