package main

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"zebu/proto"
)

// startEcho serves the client protocol for the length of the test.
func startEcho(t *testing.T) string {
	t.Helper()
	s, err := newEchoServer("127.0.0.1:0", dataSize)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.serve() }()
	t.Cleanup(func() {
		s.listener.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s.listener.Addr().String()
}

func TestRunCountsEveryRequestOfABoundedRun(t *testing.T) {
	tree, err := openTree(t.Context(), []string{startEcho(t)}, 3, dataSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	fill, err := tree.fill(t.Context(), 2500)
	if err != nil || fill.Ops != 2503 { // three directories
		t.Fatalf("filling: %d operations, %v", fill.Ops, err)
	}
	for _, mix := range []string{"get", "get=1,set=1,exists=1,children=1", "create", "delete"} {
		res, err := tree.mixed(t.Context(), mustMix(mix), Run{Depth: 16, Ops: 2000})
		if err != nil || res.Errors != 0 {
			t.Fatalf("%s: %d errors, %v", mix, res.Errors, err)
		}
		if res.Latency.Count() != uint64(res.Ops) || res.Ops != 2000 && mix != "delete" {
			t.Errorf("%s: %d operations, %d latencies", mix, res.Ops, res.Latency.Count())
		}
		if mix == "delete" && (res.Ops < 1990 || res.Ops >= 2000) { // all nodes made before, and no directory
			t.Errorf("%d deletes of 2000 creates", res.Ops)
		}
	}
	for _, c := range tree.conns {
		if len(c.ownership.made) != 0 || c.answered != c.xid {
			t.Errorf("connection: %d nodes left, %d requests, %d answers", len(c.ownership.made), c.xid, c.answered)
		}
	}
}

func TestRunEndsWithItsContextAndItsDuration(t *testing.T) {
	tree, err := openTree(t.Context(), []string{startEcho(t)}, 2, dataSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res, err := tree.mixed(ctx, only(opGet), Run{Depth: 4}); err != nil {
		t.Errorf("cancelled run: %v, %v", res, err)
	}
	res, err := tree.mixed(t.Context(), only(opGet), Run{Depth: 4, Duration: 20 * time.Millisecond})
	if err != nil || res.Ops == 0 {
		t.Errorf("run of 20 ms: %d operations, %v", res.Ops, err)
	}
}

func TestPacedRunKeepsItsRate(t *testing.T) {
	tree, err := openTree(t.Context(), []string{startEcho(t)}, 2, dataSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	res, err := tree.mixed(t.Context(), only(opGet), Run{Rate: 1000, Ops: 100})
	if err != nil || res.Ops != 100 {
		t.Fatalf("%d operations, %v", res.Ops, err)
	}
	if res.Elapsed < 95*time.Millisecond {
		t.Errorf("100 requests at 1000/s took only %v", res.Elapsed)
	}
}

func TestStallIsFeltByAllThatItHeldUp(t *testing.T) {
	const stall = 50 * time.Millisecond
	w := &worker{begin: time.Now().Add(time.Millisecond - stall), interval: time.Millisecond}
	for due := range time.Duration(50) {
		if start := w.pace(stall); start != due*time.Millisecond {
			t.Fatalf("request due at %d ms and sent after the stall is timed from %v", due, start)
		}
	}
	if start := w.pace(stall - time.Millisecond); start < stall {
		t.Errorf("request due at %v was timed from %v", stall, start)
	}
}

// script is a server that a test drives by hand.
type script struct {
	t  *testing.T
	nc net.Conn
}

func newScript(t *testing.T) (*conn, *script) {
	t.Helper()
	client, server := connected(t)
	return &conn{nc: client, in: make([]byte, firstBuffer)}, &script{t, server}
}

// connected returns the two ends of a TCP connection. (Those of net.Pipe have no buffer: with both ends writing, neither
// would go on.)
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

// receive reads n requests and returns their xids.
func (s *script) receive(n int) (xids []int32) {
	s.t.Helper()
	buf := make([]byte, 64<<10)
	var held []byte
	for len(xids) < n {
		k, err := s.nc.Read(buf)
		if err != nil {
			s.t.Errorf("after %d of %d requests: %v", len(xids), n, err)
			return xids
		}
		held = append(held, buf[:k]...)
		for len(held) >= 4 && len(held) >= 4+int(binary.BigEndian.Uint32(held)) {
			xids = append(xids, int32(binary.BigEndian.Uint32(held[4:])))
			held = held[4+binary.BigEndian.Uint32(held):]
		}
	}
	return xids
}

func reply(xid int32, code proto.ErrCode, body string) []byte {
	b := proto.AppendInt32(nil, int32(replyHeader+len(body)))
	h := proto.ReplyHeader{Xid: xid, Zxid: 7, Err: code}
	return append(h.Append(b), body...)
}

// send writes b in pieces of size bytes.
func (s *script) send(b []byte, size int) {
	for piece := range slices.Chunk(b, size) {
		if _, err := s.nc.Write(piece); err != nil {
			s.t.Errorf("reply: %v", err)
			return
		}
	}
}

// runScript runs four gets, two in flight, on c.
func runScript(t *testing.T, c *conn) (*Result, error) {
	t.Helper()
	src := &mixed{mix: only(opGet), keys: 10, tree: new(space), rng: rand.NewPCG(1, 1)}
	return (&pool{[]*conn{c}}).run(t.Context(), Run{Depth: 2, Ops: 4}, []source{src})
}

func TestRepliesInPiecesWithEventsBetween(t *testing.T) {
	for _, size := range []int{1, 3, 7, 1 << 20} {
		c, s := newScript(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			xids := s.receive(2)
			event := reply(proto.XidWatcherEvent, proto.OK, "event")
			long := strings.Repeat("x", 5*firstBuffer) // longer than the read buffer
			s.send(slices.Concat(reply(xids[0], proto.OK, long), event, reply(xids[1], proto.ErrNoNode, "")), size)
			for _, xid := range s.receive(2) { // both at once only if the window was refilled once
				s.send(reply(xid, proto.OK, ""), size)
			}
		}()
		res, err := runScript(t, c)
		s.nc.Close()
		<-done
		if err != nil || res.Ops != 4 || res.Errors != 1 || res.FirstErr != proto.ErrNoNode || c.events != 1 {
			t.Errorf("pieces of %d: %d operations, %d errors (%v), %d events, %v", size, res.Ops, res.Errors, res.FirstErr, c.events, err)
		}
	}
}

func TestRunRefusesWhatIsNoReply(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"reply out of turn", reply(2, proto.OK, ""), "reply to request 2 while waiting for 1"},
		{"short frame", []byte{0, 0, 0, 3, 1, 2, 3}, "frame of 3 bytes"},
		{"negative length", []byte{0xff, 0xff, 0xff, 0xff}, "frame of 4294967295 bytes"},
		{"end", nil, "EOF"},
	} {
		conn, s := newScript(t)
		go func() {
			s.receive(2)
			s.send(c.b, 1<<20)
			s.nc.Close()
		}()
		if _, err := runScript(t, conn); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestDialIsRefused(t *testing.T) {
	client, server := connected(t)
	go func() {
		_, _ = server.Read(make([]byte, 100)) // a failure shows at the client
		resp := proto.ConnectResponse{Passwd: make([]byte, 16)}
		_, _ = server.Write(resp.Append(proto.AppendInt32(nil, 36)))
		server.Close()
	}()
	c := &conn{nc: client, in: make([]byte, firstBuffer)}
	if err := c.handshake(); err == nil || err.Error() != "refused" {
		t.Errorf("handshake: %v", err)
	}
}

func TestGeneratedRequestsDecode(t *testing.T) {
	c := &conn{}
	m := &mixed{keys: 5000, data: []byte("data"), tree: new(space), rng: rand.NewPCG(1, 1)}
	m.mix = only(opCreate)
	m.next(c) // the directory
	c.out = c.out[:0]
	m.next(c)
	d := proto.NewDecoder(c.out[12:])
	var create proto.CreateRequest
	if create.Decode(&d); d.Err() != nil || d.Remaining() != 0 {
		t.Fatalf("create: %v, %d bytes left", d.Err(), d.Remaining())
	}
	if create.Path != "/bench/d00000/n00000000" || string(create.Data) != "data" || !slices.Equal(create.ACL, openACL) || create.Flags != 0 {
		t.Errorf("create: %+v", create)
	}
	if got := string(appendNodePath(nil, 1_234_567)); got != "/bench/d01234/n01234567" || len(got) != nodePathLen {
		t.Errorf("path of node 1234567: %s", got)
	}
	c.out = c.out[:0]
	m.mix = only(opSet)
	m.next(c)
	d = proto.NewDecoder(c.out[12:])
	var set proto.SetDataRequest
	if set.Decode(&d); d.Err() != nil || d.Remaining() != 0 || len(set.Path) != nodePathLen || set.Version != -1 {
		t.Errorf("set: %+v, %v", set, d.Err())
	}
}

func TestRunAllocatesNothingPerRequest(t *testing.T) {
	m := &mixed{mix: mustMix("get=1,set=1,children=1"), keys: 5000, data: []byte("data"), tree: new(space), rng: rand.NewPCG(1, 1)}
	c := &conn{out: make([]byte, 0, 1<<10)}
	allocs := testing.AllocsPerRun(1000, func() {
		m.next(c)
		c.out = c.out[:0]
	})
	if allocs != 0 {
		t.Errorf("%v allocations a request", allocs)
	}
}
