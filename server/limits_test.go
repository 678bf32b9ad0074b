package server

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"zebu/conf"
	"zebu/internal/metrics"
	"zebu/proto"
)

// frameOf is a setData request that is n bytes long.
func frameOf(n int) []byte {
	empty := len(request(1, proto.OpSetData, setReq("/n", []byte{})))
	return request(1, proto.OpSetData, setReq("/n", bytes.Repeat([]byte("x"), n-empty)))
}

func TestFramesUpToMaxBuffer(t *testing.T) {
	for _, most := range []int{600, 70_000, 0xfffff} {
		cfg := testConfig(t)
		cfg.Limits.MaxBuffer = most
		s, _ := startServer(t, cfg)
		r := newClient(t, s)
		r.must(1, proto.OpCreate, createReq("/n", 0))
		for _, n := range []int{most - 1, most} {
			r.send(frameOf(n))
			if hdr, _ := r.reply(); hdr.Err != proto.OK {
				t.Fatalf("%d of %d bytes: %v", n, most, hdr.Err)
			}
		}
		d := proto.NewDecoder(r.must(2, proto.OpGetData, readReq("/n", false)))
		if data := d.Buf(); len(data) < most-100 || bytes.Trim(data, "x") != nil && len(bytes.Trim(data, "x")) > 0 {
			t.Fatalf("%d bytes came back of %d", len(data), most)
		}
		// One byte more ends the connection as soon as its length is there.
		if _, err := r.nc.Write(proto.AppendInt32(nil, int32(most+1))); err != nil {
			t.Fatal(err)
		}
		r.closed()
	}
}

// A length alone buys no memory.
func TestAnnouncedFramesTakeNoMemory(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	r := newClient(t, s)
	if _, err := r.nc.Write(proto.AppendInt32(nil, 0xfffff)); err != nil {
		t.Fatal(err)
	}
	received := func() int64 { return s.met.BytesReceivedCount.Count() }
	start := received()
	if _, err := r.nc.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	await(t, "the server has read the bytes", func() bool { return received() >= start+100 })
	if err := r.nc.Close(); err != nil {
		t.Fatal(err)
	}
	var c *conn
	s.connMu.Lock()
	for c = range s.conns {
	}
	s.connMu.Unlock()
	await(t, "the connection ends", func() bool { return s.Server().Connections == 0 })
	if c != nil && cap(c.in) > busyReadBuffer {
		t.Errorf("%d bytes set aside for a frame of which 100 have come", cap(c.in))
	}
}

func TestConnectionLimits(t *testing.T) {
	for name, limits := range map[string]conf.Limits{
		"maxClientCnxns": {MaxClientCnxns: 2, MaxBuffer: 1000},
		"maxCnxns":       {MaxCnxns: 2, MaxBuffer: 1000},
	} {
		cfg := testConfig(t)
		cfg.Limits = limits
		s, _ := startServer(t, cfg)
		a, _ := newClient(t, s), newClient(t, s)
		dialRaw(t, s).closed()
		if n := s.met.ConnectionRejected.Count(); n != 1 {
			t.Errorf("%s: %d connections rejected", name, n)
		}
		a.must(1, proto.OpCloseSession, nil)
		a.closed()
		await(t, "the connection is forgotten", func() bool { return s.Server().Connections == 1 })
		newClient(t, s)
	}
}

func TestConnectionThrottle(t *testing.T) {
	fresh := (&proto.ConnectRequest{}).Append(nil)
	renew := (&proto.ConnectRequest{SessionID: 1}).Append(nil)
	base := conf.Throttle{
		ConnTokens: 7, ConnFillTime: time.Hour, ConnFillCount: 1, ConnFreezeTime: -1, ConnGlobalWeight: 3, ConnRenewWeight: 2,
	}
	admitted := func(cfg conf.Throttle, frames ...[]byte) (n int) {
		th := newConnThrottle(cfg, metrics.New())
		for _, f := range frames {
			if th.admit(f) {
				n++
			}
		}
		return n
	}
	many := make([][]byte, 20)
	for i := range many {
		many[i] = fresh
	}
	if n := admitted(base, many...); n != 7 {
		t.Errorf("%d admitted on 7 tokens", n)
	}
	off := base
	off.ConnTokens = 0
	if n := admitted(off, many...); n != 20 {
		t.Errorf("%d of 20 admitted without a throttle", n)
	}
	weighted := base
	weighted.ConnWeighted = true
	if n := admitted(weighted, fresh, renew, renew, renew, fresh); n != 3 { // 3 + 2 + 2
		t.Errorf("%d admitted by weight", n)
	}

	th := newConnThrottle(base, metrics.New())
	th.tokens = 0
	th.filled = th.filled.Add(-3 * time.Hour)
	for i := range 5 {
		if got := th.admit(fresh); got != (i < 3) {
			t.Errorf("connection %d after three refills: %t", i, got)
		}
	}
	th.filled = th.filled.Add(-1000 * time.Hour)
	th.admit(fresh)
	if th.tokens != 6 {
		t.Errorf("%d tokens in a bucket of 7 after one was taken", th.tokens)
	}

	blue := base
	blue.ConnFreezeTime, blue.ConnDropIncrease, blue.ConnDropDecrease = 0, 1, 0.5
	th = newConnThrottle(blue, metrics.New())
	th.tokens = 0
	if th.admit(fresh) || th.drop != 1 {
		t.Errorf("an empty bucket: drop chance %v", th.drop)
	}
	th.tokens = 7
	th.admit(fresh)
	if th.drop != 0.5 {
		t.Errorf("a full bucket: drop chance %v", th.drop)
	}
}

func TestConnectionThrottleHangsUp(t *testing.T) {
	cfg := testConfig(t)
	cfg.Throttle.ConnTokens, cfg.Throttle.ConnFillTime = 1, time.Hour
	s, _ := startServer(t, cfg)
	newClient(t, s)
	r := dialRaw(t, s)
	r.send((&proto.ConnectRequest{Timeout: 5000}).Append(nil))
	r.closed()
	if n := s.met.ConnectionRejected.Count(); n != 1 {
		t.Errorf("%d rejected", n)
	}
}

// flood pipelines n creates and waits for all answers, in order.
func flood(t *testing.T, r *raw, name string, n int) {
	t.Helper()
	frames := make([][]byte, n)
	for i := range frames {
		frames[i] = request(int32(i), proto.OpCreate, createReq(fmt.Sprintf("/%s%d", name, i), 0))
	}
	var sent sync.WaitGroup
	sent.Go(func() { r.send(frames...) })
	for i := range n {
		if hdr, _ := r.reply(); hdr.Xid != int32(i) || hdr.Err != proto.OK {
			t.Fatalf("reply %d: %+v", i, hdr)
		}
	}
	sent.Wait()
}

// highWater samples the requests in flight until done is closed.
func highWater(s *Server, done <-chan struct{}) int64 {
	most := int64(0)
	for {
		most = max(most, s.inflight.Load())
		select {
		case <-done:
			return most
		case <-time.After(50 * time.Microsecond):
		}
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(c *conf.Config)
		most int64
	}{
		"globalOutstandingLimit":        {func(c *conf.Config) { c.Limits.Outstanding = 10 }, 10 + 3*10},
		"request_throttle_max_requests": {func(c *conf.Config) { c.Throttle.MaxRequests = 10 }, 10},
		"one at a time":                 {func(c *conf.Config) { c.Throttle.MaxRequests = 1 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.Log.ForceSync = false
			tt.set(cfg)
			s, _ := startServer(t, cfg)
			done := make(chan struct{})
			var sampler, clients sync.WaitGroup
			var most int64
			sampler.Go(func() { most = highWater(s, done) })
			for i := range 3 {
				r := newClient(t, s)
				clients.Go(func() { flood(t, r, fmt.Sprintf("c%d-", i), 400) })
			}
			clients.Wait()
			close(done)
			sampler.Wait()
			if most > tt.most {
				t.Errorf("%d requests in flight at once, want at most %d", most, tt.most)
			}
			await(t, "nothing is left on the books", func() bool { return s.inflight.Load() == 0 })
		})
	}
}

// That the server does not read because too much is in flight must not cost anybody the session.
func TestHeldConnectionsKeepTheirSession(t *testing.T) {
	cfg := testConfig(t)
	cfg.Throttle.MaxRequests = 1
	s, _ := startServer(t, cfg)
	r := dialRaw(t, s)
	r.connect(1000)
	s.inflight.Add(1) // somebody's request that takes long
	start := s.now()
	r.send(request(1, proto.OpCreate, createReq("/a", proto.Ephemeral)), request(proto.XidPing, proto.OpPing, nil))
	await(t, "the reader is held", func() bool { return s.roomWaiters.Load() == 1 })
	await(t, "the session would expire", func() bool { return s.now() > start+1500 })
	s.inflight.Add(-1)
	for _, xid := range []int32{1, proto.XidPing} {
		if hdr, _ := r.reply(); hdr.Xid != xid || hdr.Err != proto.OK {
			t.Fatalf("%+v", hdr)
		}
	}
}

// A connection that dies with requests in flight must not take room for ever.
func TestDeadConnectionsGiveTheirRoomBack(t *testing.T) {
	cfg := testConfig(t)
	cfg.Throttle.MaxRequests = 4
	cfg.Limits.LargeRequestThreshold, cfg.Limits.LargeRequestMaxBytes = 10, 1<<30
	s, _ := startServer(t, cfg)
	for i := range 30 {
		r := dialRaw(t, s)
		resp := r.connect(10_000)
		var frames [][]byte
		for j := range 200 {
			frames = append(frames, request(int32(j), proto.OpCreate, createReq(fmt.Sprintf("/d%d-%d", i, j), 0)))
		}
		switch i % 3 {
		case 0:
			r.send(frames...)
			r.nc.Close()
		case 1: // its session closes in the middle
			frames[50] = request(50, proto.OpCloseSession, nil)
			r.send(frames...)
			for _, _, ok := r.next(); ok; _, _, ok = r.next() {
			}
		case 2: // its session moves on
			r.send(frames...)
			if got, ok := dialRaw(t, s).resume(resp.SessionID, resp.Passwd, 0); !ok || got.SessionID == 0 {
				t.Fatal("not resumed")
			}
		}
	}
	await(t, "no request is in flight", func() bool { return s.inflight.Load() == 0 && s.largeBytes.Load() == 0 })
	newClient(t, s).must(1, proto.OpCreate, createReq("/alive", 0))
}

func TestLargeRequests(t *testing.T) {
	cfg := testConfig(t)
	cfg.Limits.LargeRequestThreshold, cfg.Limits.LargeRequestMaxBytes = 1000, 3000
	s, _ := startServer(t, cfg)
	r := newClient(t, s)
	r.must(1, proto.OpCreate, createReq("/n", 0))
	for range 20 { // one after the other they fit
		r.must(1, proto.OpSetData, setReq("/n", make([]byte, 2000)))
	}
	r.must(1, proto.OpSetData, setReq("/n", make([]byte, 100)))
	if n := s.largeBytes.Load(); n != 0 {
		t.Errorf("%d bytes on the books", n)
	}
	big := request(2, proto.OpSetData, setReq("/n", make([]byte, 3000)))
	r.send(big)
	r.closed()
	if n := s.met.LargeRequestsRejected.Count(); n != 1 {
		t.Errorf("%d rejected", n)
	}
	if n := s.largeBytes.Load(); n != 0 {
		t.Errorf("%d bytes on the books", n)
	}
}

// A request that waited too long is refused in its place, without a zxid.
func TestThrottledOpsKeepTheirPlace(t *testing.T) {
	cfg := testConfig(t)
	cfg.Throttle.OpWaitTime = time.Nanosecond // whatever has not arrived in this millisecond is late
	s, _ := startServer(t, cfg)
	r := newClient(t, s)
	var block, blocked = make(chan struct{}), make(chan struct{})
	go s.loop.do(func() error { close(blocked); <-block; return nil })
	<-blocked
	start := s.now()
	r.send(request(1, proto.OpCreate, createReq("/a", 0)), request(2, proto.OpGetData, readReq("/", false)),
		request(proto.XidPing, proto.OpPing, nil), request(3, proto.OpSync, &proto.PathRequest{Path: "/"}),
		request(4, proto.OpMulti, &proto.MultiHeader{Op: -1, Done: true}), request(5, proto.OpCloseSession, nil))
	await(t, "the requests are in the inbox", func() bool { return s.inflight.Load() == 6 })
	await(t, "time passes", func() bool { return s.now() > start+20 })
	close(block)
	for _, want := range []proto.ReplyHeader{
		{Xid: 1, Zxid: 1, Err: proto.ErrThrottledOp}, {Xid: 2, Zxid: 1, Err: proto.ErrThrottledOp}, {Xid: proto.XidPing, Zxid: 1},
		{Xid: 3, Zxid: 1, Err: proto.ErrThrottledOp}, {Xid: 4, Zxid: 1, Err: proto.ErrThrottledOp}, {Xid: 5, Zxid: 2},
	} {
		if hdr, _ := r.reply(); hdr != want {
			t.Errorf("got %+v, want %+v", hdr, want)
		}
	}
	r.closed()
	if s.exists("/a") {
		t.Error("a refused write was carried out")
	}
	if n := s.met.ThrottledOps.Count(); n != 4 {
		t.Errorf("%d throttled", n)
	}
}

func TestConnectionsWithoutASessionAreClosed(t *testing.T) {
	cfg := testConfig(t)
	cfg.Client.HandshakeTimeout = 50 * time.Millisecond
	s, _ := startServer(t, cfg)
	silent, half := dialRaw(t, s), dialRaw(t, s)
	frame := (&proto.ConnectRequest{Timeout: 5000}).Append(proto.AppendInt32(nil, 44))
	if _, err := half.nc.Write(frame[:20]); err != nil {
		t.Fatal(err)
	}
	silent.closed()
	half.closed()
	await(t, "both are counted", func() bool { return s.met.SessionlessConnectionsExpired.Count() == 2 })
	await(t, "both are forgotten", func() bool { return s.Server().Connections == 0 })
}

func TestFourLetterWordsThatComeInPieces(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	ask := func(pieces ...string) string {
		r := dialRaw(t, s)
		for _, p := range pieces {
			before := s.met.BytesReceivedCount.Count()
			if _, err := r.nc.Write([]byte(p)); err != nil {
				t.Fatal(err)
			}
			await(t, "the piece has arrived", func() bool { return s.met.BytesReceivedCount.Count() >= before+int64(len(p)) })
		}
		var all bytes.Buffer
		if _, err := all.ReadFrom(r.nc); err != nil {
			t.Fatal(err)
		}
		return all.String()
	}
	if got := ask("ru", "ok"); got != "imok" {
		t.Errorf("ruok: %q", got)
	}
	if got := ask("stmk", "\x00\x00\x00\x00", "\x00\x00\x01\x02"); got != "258" {
		t.Errorf("stmk: %q", got)
	}
	if got := ask("gtm", "k"); got != "258" {
		t.Errorf("gtmk: %q", got)
	}
	await(t, "the connections are forgotten", func() bool { return s.Server().Connections == 0 })
}
