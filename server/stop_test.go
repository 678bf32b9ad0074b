package server

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/zap"

	"zebu/proto"
)

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, "zebu.lock")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// Stopping in the middle of a load loses nothing that was acknowledged, and leaves no goroutine behind.
func TestStopUnderLoad(t *testing.T) {
	cfg := testConfig(t)
	cfg.Snapshot.Count = 100
	before := runtime.NumGoroutine()
	s, stop := startWith(t, Options{Config: cfg, Log: zap.NewNop()})
	stopped := make(chan error, 1)
	acked := pourUntilBroken(t, s, func() { go func() { stopped <- stop() }() })
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if len(acked) < 500 {
		t.Fatalf("only %d creates were acknowledged", len(acked))
	}
	await(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before+1 })
	for _, stack := range strings.Split(stacks(), "\n\n") {
		if strings.Contains(stack, "zebu/server.(*") && !strings.Contains(stack, "TestStopUnderLoad") {
			t.Errorf("left behind: %s", stack)
		}
	}

	s, _ = startServer(t, cfg)
	for path := range acked {
		if !s.exists(path) {
			t.Fatalf("%s was acknowledged and is missing", path)
		}
	}
	if n := s.rep.Counts().DigestMismatches; n != 0 {
		t.Errorf("%d digests do not agree", n)
	}
}

func stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

// Connections come and go without leaving anything on the server's books.
func TestConnectionsLeaveNothingBehind(t *testing.T) {
	cfg := testConfig(t)
	cfg.Limits.MaxClientCnxns = 0
	s, _ := startServer(t, cfg)
	a := newClient(t, s)
	before := runtime.NumGoroutine()
	for i := range int32(100) {
		r := newClient(t, s)
		r.must(1, proto.OpCreate, createReq(fmt.Sprintf("/e%d", i), proto.Ephemeral))
		r.must(2, proto.OpGetChildren, readReq("/", true))
		r.must(3, proto.OpAddWatch, &proto.AddWatchRequest{Path: "/", Mode: int32(i % 2)})
		switch i % 3 {
		case 0:
			r.must(4, proto.OpCloseSession, nil)
			r.closed()
		case 1:
			r.nc.Close()
		default:
			r.send([]byte{1})
			for _, _, ok := r.next(); ok; _, _, ok = r.next() {
			}
		}
	}
	await(t, "all are forgotten", func() bool { return s.Server().Connections == 1 && runtime.NumGoroutine() <= before })
	if w := s.WatchSummary(); w.Watches != 0 || s.inflight.Load() != 0 {
		t.Errorf("%+v, %d in flight", w, s.inflight.Load())
	}
	s.state.RLock()
	st := s.rep.Watches().Stats()
	s.state.RUnlock()
	if st.Data.Watches != 0 || st.Child.Watches != 0 {
		t.Errorf("%+v", st)
	}
	a.must(2, proto.OpSetData, setReq("/", nil))
}
