package server

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"zebu/proto"
	"zebu/session"
)

func (s *Server) sessionCount() int {
	s.state.RLock()
	defer s.state.RUnlock()
	return s.rep.Sessions().Len()
}

func (s *Server) exists(path string) bool {
	s.state.RLock()
	defer s.state.RUnlock()
	return s.rep.Tree().Lookup(path) != nil
}

func TestResumingASession(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	first := dialRaw(t, s)
	resp := first.connect(10_000)
	if pw := session.Password(resp.SessionID); !slices.Equal(pw[:], resp.Passwd) || resp.Timeout != 10_000 || resp.ReadOnly {
		t.Fatalf("%+v", resp)
	}
	first.must(1, proto.OpCreate, createReq("/e", proto.Ephemeral))
	first.must(2, proto.OpExists, readReq("/e", true))

	none := make([]byte, 16)
	for name, try := range map[string]struct {
		id     proto.SessionID
		passwd []byte
	}{
		"wrong password": {resp.SessionID, none},
		"short password": {resp.SessionID, resp.Passwd[:15]},
		"no password":    {resp.SessionID, nil},
		"unknown id":     {resp.SessionID + 1, resp.Passwd},
		"negative id":    {-1, none},
	} {
		r := dialRaw(t, s)
		got, ok := r.resume(try.id, try.passwd, 0)
		if !ok || got.Timeout != 0 || got.SessionID != 0 || !slices.Equal(got.Passwd, none) || !got.HasReadOnly {
			t.Errorf("%s: %+v, answered %t", name, got, ok)
		}
		r.closed()
	}
	if _, ok := dialRaw(t, s).resume(resp.SessionID, resp.Passwd, 1<<40); ok {
		t.Error("a client from the future was answered")
	}
	first.must(3, proto.OpGetData, readReq("/e", false)) // none of them has disturbed it

	second := dialRaw(t, s)
	got, ok := second.resume(resp.SessionID, resp.Passwd, 2)
	if !ok || got.SessionID != resp.SessionID || got.Timeout != 10_000 || !slices.Equal(got.Passwd, resp.Passwd) {
		t.Fatalf("%+v, answered %t", got, ok)
	}
	first.closed()
	second.must(1, proto.OpSetData, setReq("/e", nil))
	if len(second.events) > 0 {
		t.Errorf("the old connection's watch fired: %v", second.events)
	}
	second.must(2, proto.OpCloseSession, nil)
	second.closed()
	if s.exists("/e") || s.sessionCount() != 0 {
		t.Error("the session outlived its end")
	}
	r := dialRaw(t, s)
	if got, ok := r.resume(resp.SessionID, resp.Passwd, 0); !ok || got.SessionID != 0 {
		t.Errorf("a closed session was resumed: %+v", got)
	}
}

func TestHandshakesOfAllAges(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	full := (&proto.ConnectRequest{Timeout: 5000, HasReadOnly: true, ReadOnly: true, Passwd: make([]byte, 16)}).Append(nil)
	for name, tt := range map[string]struct {
		frame []byte
		want  int // bytes of the answer
	}{
		"with readOnly":    {full, 37},
		"without readOnly": {full[:len(full)-1], 36},
		"empty password":   {(&proto.ConnectRequest{Timeout: 5000}).Append(nil), 36},
	} {
		r := dialRaw(t, s)
		r.send(tt.frame)
		if b := r.recv(); len(b) != tt.want {
			t.Errorf("%s: answer of %d bytes, want %d", name, len(b), tt.want)
		}
		r.must(proto.XidPing, proto.OpPing, nil)
	}
	for cut := 1; cut < len(full)-1; cut++ {
		r := dialRaw(t, s)
		r.send(full[:cut])
		if b := r.recv(); b != nil {
			t.Errorf("%d bytes of a handshake: answer % x", cut, b)
		}
	}
}

func TestTimeoutsAreClamped(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	for ask, want := range map[int32]int32{-1: 400, 0: 400, 400: 400, 401: 401, 40_000: 40_000, 40_001: 40_000, 1<<31 - 1: 40_000} {
		if got := dialRaw(t, s).connect(ask).Timeout; got != want {
			t.Errorf("asked for %d ms, got %d, want %d", ask, got, want)
		}
	}
}

// The frames behind a ConnectRequest wait for its session.
func TestRequestsRightBehindTheHandshake(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	r := dialRaw(t, s)
	r.send((&proto.ConnectRequest{Timeout: 5000}).Append(nil), request(1, proto.OpCreate, createReq("/a", proto.Ephemeral)),
		request(2, proto.OpGetData, readReq("/a", false)))
	if b := r.recv(); len(b) != 36 {
		t.Fatalf("handshake % x", b)
	}
	for xid := int32(1); xid <= 2; xid++ {
		if hdr, _ := r.reply(); hdr.Xid != xid || hdr.Err != proto.OK {
			t.Fatalf("%+v", hdr)
		}
	}
}

func TestSessionsSurviveARestart(t *testing.T) {
	cfg := testConfig(t)
	s, stop := startServer(t, cfg)
	kept, left := dialRaw(t, s), dialRaw(t, s)
	keptResp := kept.connect(10_000)
	left.connect(2000)
	kept.must(1, proto.OpCreate, createReq("/kept", proto.Ephemeral))
	left.must(1, proto.OpCreate, createReq("/left", proto.Ephemeral))
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	s, _ = startServer(t, cfg)
	if !s.exists("/kept") || !s.exists("/left") || s.sessionCount() != 2 {
		t.Fatal("sessions or ephemerals lost")
	}
	again := dialRaw(t, s)
	resp, ok := again.resume(keptResp.SessionID, keptResp.Passwd, 4)
	if !ok || resp.SessionID != keptResp.SessionID {
		t.Fatalf("%+v, answered %t", resp, ok)
	}
	again.must(1, proto.OpExists, readReq("/left", true))
	hdr, _, _ := again.next() // the other one's session expires
	if hdr.Xid != proto.XidWatcherEvent {
		t.Fatalf("%+v", hdr)
	}
	if !s.exists("/kept") || s.exists("/left") || s.sessionCount() != 1 {
		t.Error("the wrong session expired")
	}
	again.must(2, proto.OpSetData, setReq("/kept", nil))
}

func TestExpiryRemovesEphemeralsOfManySessionsAtOnce(t *testing.T) {
	cfg := testConfig(t)
	cfg.Limits.MaxClientCnxns = 0
	s, _ := startServer(t, cfg)
	const n = 100
	watcher := newClient(t, s)
	watcher.must(1, proto.OpCreate, createReq("/group", 0))
	watcher.must(2, proto.OpAddWatch, &proto.AddWatchRequest{Path: "/group", Mode: proto.AddWatchRecursive})
	for i := range n {
		r := dialRaw(t, s)
		r.connect(2000)
		r.must(1, proto.OpCreate, createReq(fmt.Sprintf("/group/m%d", i), proto.Ephemeral))
		if i%2 == 0 {
			r.nc.Close() // gone, or just silent
		}
	}
	created, deleted := 0, 0
	for deleted < n {
		hdr, body, ok := watcher.next()
		if !ok {
			t.Fatal("the watcher was disconnected")
		}
		d := proto.NewDecoder(body)
		var ev proto.WatcherEvent
		ev.Decode(&d)
		switch {
		case hdr.Xid != proto.XidWatcherEvent:
			t.Fatalf("%+v", hdr)
		case ev.Type == proto.EventNodeCreated:
			created++
		case ev.Type == proto.EventNodeDeleted:
			deleted++
		}
	}
	if created != n || s.sessionCount() != 1 {
		t.Errorf("%d created, %d sessions left", created, s.sessionCount())
	}
	await(t, "connections of expired sessions are closed", func() bool { return s.Server().Connections == 1 })
}

// Requests of a connection whose session has moved on or ended meet nobody, whatever the client still sends.
func TestWatchesOfALostConnectionDoNotStay(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	w := newClient(t, s)
	w.must(1, proto.OpCreate, createReq("/n", 0))
	for range 20 {
		old := dialRaw(t, s)
		resp := old.connect(10_000)
		done := make(chan struct{})
		go func() {
			defer close(done)
			req := request(1, proto.OpGetData, readReq("/n", true))
			b := append(proto.AppendInt32(nil, int32(len(req))), req...)
			for range 2000 {
				if _, err := old.nc.Write(b); err != nil {
					return
				}
			}
		}()
		next := dialRaw(t, s)
		if got, ok := next.resume(resp.SessionID, resp.Passwd, 0); !ok || got.SessionID == 0 {
			t.Fatal("not resumed")
		}
		w.must(2, proto.OpSetData, setReq("/n", nil))
		next.must(1, proto.OpCloseSession, nil)
		next.closed()
		if len(next.events) > 0 {
			t.Fatalf("events for watches that it never set: %v", next.events)
		}
		old.nc.Close()
		<-done
	}
	await(t, "all watches are gone", func() bool { return s.WatchSummary().Watches == 0 })
	w.must(3, proto.OpSetData, setReq("/n", nil))
}

func TestAPingKeepsASessionAlive(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	r := dialRaw(t, s)
	r.connect(10_000)
	expiry := func() time.Time {
		all := s.Sessions()
		if len(all) != 1 {
			t.Fatalf("sessions %v", all)
		}
		return all[0].Expiry
	}
	before := expiry()
	await(t, "the ping moves the session's expiry", func() bool {
		r.must(proto.XidPing, proto.OpPing, nil)
		return expiry().After(before)
	})
}
