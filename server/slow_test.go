package server

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"zebu/proto"
)

// connOf returns the server's side of the connection.
func connOf(t testing.TB, s *Server, r *raw) *conn {
	t.Helper()
	s.connMu.Lock()
	defer s.connMu.Unlock()
	for c := range s.conns {
		if c.remote.String() == r.nc.LocalAddr().String() {
			return c
		}
	}
	t.Fatal("the server does not know the connection")
	return nil
}

func (c *conn) owed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.unsent, len(c.out))
}

// TestRepliesWaitForTheirReader pipelines reads with large answers without taking any: the server must stop to make them,
// serve others, and go on where it stopped once the client reads.
func TestRepliesWaitForTheirReader(t *testing.T) {
	const size, n = 128 << 10, 600
	for name, op := range map[string]proto.OpCode{"reads": proto.OpGetData, "reads behind writes": proto.OpSetData} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.Log.ForceSync = false
			s, _ := startServer(t, cfg)
			other, r := newClient(t, s), newClient(t, s)
			other.must(1, proto.OpCreate, &proto.CreateRequest{Path: "/big", ACL: openACL, Data: make([]byte, size)})
			other.must(2, proto.OpCreate, createReq("/n", 0))
			var frames [][]byte
			for i := range int32(n) {
				if op == proto.OpSetData && i%10 == 0 {
					frames = append(frames, request(i, proto.OpSetData, setReq("/n", nil)))
				} else {
					frames = append(frames, request(i, proto.OpGetData, readReq("/big", false)))
				}
			}
			r.send(frames...)
			c := connOf(t, s, r)
			await(t, "answers pile up", func() bool { return c.owed() > readHighWater })
			most := 0
			for i := range int32(200) { // others are served meanwhile
				other.must(3+i, proto.OpSetData, setReq("/n", []byte("x")))
				most = max(most, c.owed())
			}
			if limit := readHighWater + maxQueuedReads*(size+200); most > limit {
				t.Errorf("%d bytes wait for a client that does not read, want at most %d", most, limit)
			}
			for i := range int32(n) {
				if hdr, _ := r.reply(); hdr.Xid != i || hdr.Err != proto.OK {
					t.Fatalf("reply %d: %+v", i, hdr)
				}
			}
		})
	}
}

// fullMulti sets the node's data n times in one transaction.
func fullMulti(path string, n int) []byte {
	b := (&proto.RequestHeader{Xid: 1, Op: proto.OpMulti}).Append(nil)
	for range n {
		b = setReq(path, nil).Append((&proto.MultiHeader{Op: proto.OpSetData, Err: -1}).Append(b))
	}
	return (&proto.MultiHeader{Op: -1, Done: true, Err: -1}).Append(b)
}

func TestAWatcherThatDoesNotReadIsDisconnected(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	s, _ := startServer(t, cfg)
	w, a := newClient(t, s), newClient(t, s)
	if err := w.nc.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	w.must(1, proto.OpAddWatch, &proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchRecursive})
	path := "/" + strings.Repeat("n", 1000)
	a.must(1, proto.OpCreate, createReq(path, 0))
	c := connOf(t, s, w)
	most := 0
	for range 200 { // 80 MB of events
		a.send(fullMulti(path, 400))
		if hdr, _ := a.reply(); hdr.Err != proto.OK {
			t.Fatal(hdr.Err)
		}
		most = max(most, c.owed())
		if c.gone.Load() {
			break
		}
	}
	if !c.gone.Load() || most > eventHighWater {
		t.Fatalf("disconnected: %t, %d bytes waited", c.gone.Load(), most)
	}
	await(t, "its watches are freed", func() bool { return s.WatchSummary().Watches == 0 && s.Server().Connections == 1 })
	if n := c.owed(); n != 0 {
		t.Errorf("%d bytes are still kept", n)
	}
	a.must(1, proto.OpSetData, setReq(path, nil))
}

// Answers that the reader makes itself are bounded too while somebody else waits for the client to read.
func TestAuthRepliesWaitForTheirReader(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	s, _ := startServer(t, cfg)
	w, a := newClient(t, s), newClient(t, s)
	if err := w.nc.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	w.must(1, proto.OpAddWatch, &proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchRecursive})
	path := "/" + strings.Repeat("n", 1000)
	a.must(1, proto.OpCreate, createReq(path, 0))
	c := connOf(t, s, w)
	for c.owed() < 2*readHighWater { // the socket is full, and a goroutine of its own writes to it
		a.send(fullMulti(path, 100))
		a.reply()
	}
	var sender sync.WaitGroup
	sender.Go(func() {
		f := request(proto.XidAuth, proto.OpAuth, &proto.AuthPacket{Scheme: "ip"})
		f = append(proto.AppendInt32(nil, int32(len(f))), f...)
		_, _ = w.nc.Write(bytes.Repeat(f, 80_000))
	})
	most := 0
	for range 1000 {
		a.must(1, proto.OpSync, &proto.PathRequest{Path: "/"})
		most = max(most, c.owed())
	}
	if limit := 2*readHighWater + 256<<10; most > limit {
		t.Errorf("%d bytes wait for a client that does not read, want at most %d", most, limit)
	}
	w.nc.Close()
	sender.Wait()
}

// However a connection ends, a client that does not read its last replies must not keep it.
func TestClientsThatDoNotReadTheirLastReplies(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	s, _ := startServer(t, cfg)
	s.closeGrace = 50 * time.Millisecond
	a := newClient(t, s)
	a.must(1, proto.OpCreate, &proto.CreateRequest{Path: "/big", ACL: openACL, Data: make([]byte, 1<<20)[:1000_000]})
	stalled := func(timeout int32) (*raw, *conn, proto.ConnectResponse) {
		r := dialRaw(t, s)
		resp := r.connect(timeout)
		var frames [][]byte
		for i := range int32(50) {
			frames = append(frames, request(i, proto.OpGetData, readReq("/big", false)))
		}
		r.send(frames...)
		c := connOf(t, s, r)
		await(t, "answers pile up", func() bool { return c.owed() > 0 })
		return r, c, resp
	}
	for name, end := range map[string]func() *conn{
		"expiry": func() *conn { _, c, _ := stalled(1000); return c },
		"moved": func() *conn {
			_, c, resp := stalled(20_000)
			if got, ok := dialRaw(t, s).resume(resp.SessionID, resp.Passwd, 0); !ok || got.SessionID == 0 {
				t.Fatal("not resumed")
			}
			return c
		},
		"closeSession": func() *conn {
			r, c, _ := stalled(20_000)
			r.send(request(99, proto.OpCloseSession, nil))
			r.nc.Close()
			return c
		},
	} {
		c := end()
		await(t, name+": the connection ends", c.gone.Load)
	}
	await(t, "all are forgotten", func() bool { return s.Server().Connections <= 2 })
	a.must(proto.XidPing, proto.OpPing, nil)
}

// Reads and watches of many connections against writers: see that answers are in order, that everybody reads what it has
// written, and that an event comes before any newer data.
func TestOrderUnderConcurrency(t *testing.T) {
	cfg := testConfig(t)
	cfg.Log.ForceSync = false
	cfg.Limits.MaxClientCnxns = 0
	s, _ := startServer(t, cfg)
	setup := newClient(t, s)
	const nodes, clients, rounds = 4, 8, 60
	for i := range nodes {
		setup.must(1, proto.OpCreate, createReq(fmt.Sprintf("/shared%d", i), 0))
	}
	var all sync.WaitGroup
	for id := range clients {
		r := newClient(t, s)
		r.must(1, proto.OpCreate, createReq(fmt.Sprintf("/own%d", id), 0))
		all.Go(func() { (&orderClient{t: t, r: r, id: id, nodes: nodes}).run(rounds) })
	}
	all.Wait()
}

// orderClient pipelines rounds of requests and checks their answers.
type orderClient struct {
	t     *testing.T
	r     *raw
	id    int
	nodes int
}

// want is what a pipelined request must be answered with.
type want struct {
	op      proto.OpCode
	version int32 // of its own node, for setData and the getData behind it; -1 if it is a shared one
	path    string
	watch   bool
}

func (c *orderClient) run(rounds int) {
	const depth = 40
	version := int32(0)
	watched := map[string]int32{} // paths with a watch set, and the version that the client saw then
	xid := int32(100)
	for round := range rounds {
		own := fmt.Sprintf("/own%d", c.id)
		var frames [][]byte
		var wants []want
		for i := range depth {
			shared := fmt.Sprintf("/shared%d", (i+round+c.id)%c.nodes)
			var body interface{ Append([]byte) []byte }
			var w want
			switch (i*7 + round + c.id) % 6 {
			case 0:
				version++
				w, body = want{op: proto.OpSetData, version: version, path: own}, setReq(own, nil)
			case 1, 2:
				w, body = want{op: proto.OpGetData, version: version, path: own}, readReq(own, false)
			case 3:
				w, body = want{op: proto.OpSetData, version: -1, path: shared}, setReq(shared, nil)
			case 4:
				w, body = want{op: proto.OpGetData, version: -1, path: shared, watch: true}, readReq(shared, true)
			default:
				w, body = want{op: proto.OpSync, path: "/"}, &proto.PathRequest{Path: "/"}
			}
			wants = append(wants, w)
			frames = append(frames, request(xid+int32(i), w.op, body))
		}
		c.r.send(frames...)
		for i, w := range wants {
			c.check(xid+int32(i), &w, watched)
		}
		xid += depth
	}
}

// check reads up to the reply to xid. An event must be for a watch that is set.
func (c *orderClient) check(xid int32, w *want, watched map[string]int32) {
	hdr, body, ok := c.r.next()
	for ; ok && hdr.Xid == proto.XidWatcherEvent; hdr, body, ok = c.r.next() {
		d := proto.NewDecoder(body)
		var ev proto.WatcherEvent
		ev.Decode(&d)
		if _, set := watched[ev.Path]; !set {
			c.t.Errorf("client %d: event %v %s without a watch, or before the reply that set it", c.id, ev.Type, ev.Path)
		}
		delete(watched, ev.Path)
	}
	if !ok || hdr.Xid != xid || hdr.Err != proto.OK {
		c.t.Errorf("client %d: got %+v (%t), want a reply to %d", c.id, hdr, ok, xid)
		return
	}
	var st proto.Stat
	d := proto.NewDecoder(body)
	switch w.op {
	case proto.OpSetData:
		st.Decode(&d)
	case proto.OpGetData:
		d.Buf()
		st.Decode(&d)
	default:
		return
	}
	if w.version >= 0 && st.Version != w.version {
		c.t.Errorf("client %d: %s at version %d, want %d: its own writes", c.id, w.path, st.Version, w.version)
	}
	if seen, set := watched[w.path]; set && st.Version != seen {
		c.t.Errorf("client %d: %s at version %d before the event of the watch set at %d", c.id, w.path, st.Version, seen)
	}
	if w.watch {
		watched[w.path] = st.Version
	}
}
