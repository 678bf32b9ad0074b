package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"zebu/conf"
	"zebu/internal/vfs"
	"zebu/proto"
)

// startFaulty runs a server on a disk that fails when fault says so. failed returns what Run returns.
func startFaulty(t *testing.T, cfg *conf.Config, fault func(op vfs.Op, name string) *vfs.Fault) (s *Server, failed func() error) {
	t.Helper()
	s, err := New(Options{Config: cfg, Log: zaptest.NewLogger(t), FS: vfs.NewFaulty(vfs.OS, fault)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	failed = sync.OnceValue(func() error { return <-done })
	t.Cleanup(func() {
		cancel()
		_ = failed()
	})
	return s, failed
}

func isLog(name string) bool { return strings.HasPrefix(filepath.Base(name), "log.") }

func TestLogFailuresStopTheServerWithoutLosingAnything(t *testing.T) {
	for name, tt := range map[string]struct {
		op    vfs.Op
		fault vfs.Fault
		say   string
	}{
		"fsync fails":        {vfs.OpSync, vfs.Fault{Err: syscall.EIO}, "check the disk of dataLogDir"},
		"disk is full":       {vfs.OpWrite, vfs.Fault{Err: syscall.ENOSPC}, "make room in dataLogDir"},
		"short write":        {vfs.OpWrite, vfs.Fault{Err: syscall.ENOSPC, Short: 77}, "make room in dataLogDir"},
		"short, and garbage": {vfs.OpWrite, vfs.Fault{Err: syscall.EIO, Short: 500}, "check the disk of dataLogDir"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			var broken atomic.Bool
			s, failed := startFaulty(t, cfg, func(op vfs.Op, file string) *vfs.Fault {
				if broken.Load() && op == tt.op && isLog(file) {
					return &tt.fault
				}
				return nil
			})
			acked := pourUntilBroken(t, s, func() { broken.Store(true) })
			err := failed()
			if !errors.Is(err, tt.fault.Err) || !strings.Contains(err.Error(), tt.say) {
				t.Errorf("Run: %v, want one that says %q", err, tt.say)
			}

			s, _ = startServer(t, cfg)
			r := newClient(t, s)
			for path := range acked {
				if code, _ := r.call(1, proto.OpGetData, readReq(path, false)); code != proto.OK {
					t.Fatalf("%s was acknowledged: %v", path, code)
				}
			}
			r.must(1, proto.OpCreate, createReq("/goes-on", 0))
		})
	}
}

// pourUntilBroken creates nodes on several connections, breaks the disk in the middle, and returns what was acknowledged
// when all connections have ended.
func pourUntilBroken(t *testing.T, s *Server, breakIt func()) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	acked := map[string]bool{}
	var clients sync.WaitGroup
	for id := range 4 {
		r := newClient(t, s)
		clients.Go(func() {
			for i := int32(0); ; i += 20 {
				var b []byte
				for j := i; j < i+20; j++ {
					f := request(j, proto.OpCreate, createReq(fmt.Sprintf("/c%d-%d", id, j), 0))
					b = append(proto.AppendInt32(b, int32(len(f))), f...)
				}
				if _, err := r.nc.Write(b); err != nil {
					return
				}
				for j := i; j < i+20; j++ {
					hdr, _, ok := r.next()
					if !ok {
						return
					}
					if hdr.Xid != j || hdr.Err != proto.OK {
						t.Errorf("got %+v, want a reply to %d", hdr, j)
						return
					}
					mu.Lock()
					acked[fmt.Sprintf("/c%d-%d", id, j)] = true
					n := len(acked)
					mu.Unlock()
					if n == 500 {
						breakIt()
					}
				}
			}
		})
	}
	clients.Wait()
	return acked
}

func TestFailedSnapshotLeavesTheOldOneInForce(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	cfg.Snapshot.Count = 40
	var full atomic.Bool
	var failures atomic.Int64
	s, _ := startFaulty(t, cfg, func(op vfs.Op, file string) *vfs.Fault {
		if full.Load() && op == vfs.OpWrite && !isLog(file) {
			failures.Add(1)
			return &vfs.Fault{Err: syscall.ENOSPC, Short: 100}
		}
		return nil
	})
	r := newClient(t, s)
	before := s.LastSnapshot().Zxid
	full.Store(true)
	i := int32(0)
	create := func() {
		r.must(i, proto.OpCreate, createReq(fmt.Sprintf("/n%d", i), 0))
		i++
	}
	await(t, "two snapshots fail", func() bool { create(); return failures.Load() >= 2 })
	if got := s.LastSnapshot().Zxid; got != before {
		t.Errorf("last snapshot %v, want the one before, %v", got, before)
	}
	if n := s.met.SnapshotErrorCount.Count(); n == 0 {
		t.Error("no failure counted")
	}
	if _, err := s.TakeSnapshot(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("TakeSnapshot on a full disk: %v", err)
	}
	full.Store(false)
	await(t, "a snapshot is written", func() bool { create(); return s.LastSnapshot().Zxid > before })
	full.Store(true)
	await(t, "another fails", func() bool { create(); return failures.Load() >= 4 })
	r.must(i, proto.OpCloseSession, nil)
	checkRestart(t, s, cfg, int(i))
}

// checkRestart starts a second server on what the first has written so far, and looks for nodes /n0 to /n<count-1>.
func checkRestart(t *testing.T, s *Server, cfg *conf.Config, count int) {
	t.Helper()
	copied := *cfg
	copied.DataDir = t.TempDir()
	copied.DataLogDir = copied.DataDir
	s.snapshotting.Lock() // a failed snapshot's file is on its way out: let it go first
	copyDir(t, filepath.Join(cfg.DataDir, "version-2"), filepath.Join(copied.DataDir, "version-2"))
	s.snapshotting.Unlock()
	again, err := New(Options{Config: &copied, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for i := range count {
		if path := fmt.Sprintf("/n%d", i); !again.exists(path) {
			t.Fatalf("%s is missing", path)
		}
	}
	if n := again.rep.Counts().DigestMismatches; n != 0 {
		t.Errorf("%d digests do not agree", n)
	}
	s.state.RLock()
	defer s.state.RUnlock()
	want, _ := s.rep.Tree().Digest()
	if got, _ := again.rep.Tree().Digest(); got != want {
		t.Errorf("digest %#x after a restart, %#x before", got, want)
	}
}

func TestFailedPurgeOnlyWarns(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	cfg.Snapshot.Retain, cfg.Snapshot.PurgeInterval = 3, time.Millisecond
	core, logs := observer.New(zap.WarnLevel)
	s, err := New(Options{Config: cfg, Log: zap.New(core), FS: vfs.NewFaulty(vfs.OS, func(op vfs.Op, file string) *vfs.Fault {
		if op == vfs.OpRemove && strings.Contains(file, "snapshot") {
			return &vfs.Fault{Err: syscall.EACCES}
		}
		return nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r := newClient(t, s)
	for i := range int32(6) {
		r.must(i, proto.OpCreate, createReq(fmt.Sprintf("/n%d", i), 0))
		if _, err := s.TakeSnapshot(); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "a warning", func() bool { return logs.FilterMessageSnippet("purge").Len() > 0 })
	r.must(9, proto.OpCreate, createReq("/goes-on", 0))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
