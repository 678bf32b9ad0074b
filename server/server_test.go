package server

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/zap/zaptest"

	"zebu/conf"
	"zebu/proto"
)

// testConfig is a configuration on a scratch directory and a free loopback port.
func testConfig(t *testing.T) *conf.Config {
	t.Helper()
	c := conf.Default()
	c.DataDir = t.TempDir()
	c.DataLogDir = c.DataDir
	c.Client.Addr = conf.Address("127.0.0.1", 0)
	c.Log.PreAlloc = 1 << 20
	c.TickTime = 200
	c.Session.MinTimeout, c.Session.MaxTimeout = 400, 40_000
	c.Tree.ExtendedTypes = true
	c.FourLetterWords = []string{"*"}
	return c
}

// startServer runs a server until stop is called, which returns Run's error.
func startServer(t *testing.T, c *conf.Config) (s *Server, stop func() error) {
	t.Helper()
	return startWith(t, Options{Config: c, Log: zaptest.NewLogger(t)})
}

// startWith is startServer with options of the test's own.
func startWith(t *testing.T, opt Options) (s *Server, stop func() error) {
	t.Helper()
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s, stop
}

func dial(t *testing.T, s *Server) *zk.Conn {
	t.Helper()
	c, events, err := zk.Connect([]string{s.Addr().String()}, 10*time.Second, zk.WithLogInfo(false), zk.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	timeout := time.After(10 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return c
			}
		case <-timeout:
			t.Fatal("no session within 10 s")
		}
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

var open = zk.WorldACL(zk.PermAll)

func TestServesAClientAndSurvivesARestart(t *testing.T) {
	cfg := testConfig(t)
	s, stop := startServer(t, cfg)
	c := dial(t, s)
	for i := range 50 {
		if _, err := c.Create(fmt.Sprintf("/n%d", i), []byte(fmt.Sprint(i)), 0, open); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := c.Create("/n0/seq-", nil, zk.FlagSequence, open); err != nil || p != "/n0/seq-0000000000" {
		t.Fatalf("sequential create: %q %v", p, err)
	}
	if _, err := c.Set("/n1", []byte("new"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Set("/n1", []byte("newer"), 0); err != zk.ErrBadVersion {
		t.Fatalf("stale set: %v", err)
	}
	if err := c.Delete("/n2", -1); err != nil {
		t.Fatal(err)
	}
	res, err := c.Multi(&zk.CreateRequest{Path: "/m", Acl: open}, &zk.SetDataRequest{Path: "/m", Data: []byte("d"), Version: 0})
	if err != nil || len(res) != 2 || res[1].Stat.Version != 1 {
		t.Fatalf("multi: %+v %v", res, err)
	}
	if _, err := c.Create("/gone", nil, zk.FlagEphemeral, open); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	s, _ = startServer(t, cfg)
	c = dial(t, s)
	kids, st, err := c.Children("/")
	if err != nil || len(kids) != 51 || st.NumChildren != 51 {
		t.Fatalf("%d children, %v: %v", len(kids), err, kids)
	}
	data, st, err := c.Get("/n1")
	if err != nil || string(data) != "new" || st.Version != 1 {
		t.Fatalf("get: %q %+v %v", data, st, err)
	}
	if ok, _, err := c.Exists("/gone"); ok || err != nil {
		t.Fatalf("ephemeral of a closed session: %t %v", ok, err)
	}
}

func TestWatchesFire(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	w, c := dial(t, s), dial(t, s)
	_, _, created, err := w.ExistsW("/a")
	if err != nil {
		t.Fatal(err)
	}
	_, _, kids, err := w.ChildrenW("/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create("/a", nil, 0, open); err != nil {
		t.Fatal(err)
	}
	for what, ch := range map[string]<-chan zk.Event{"created": created, "children": kids} {
		select {
		case e := <-ch:
			if e.Err != nil {
				t.Errorf("%s: %v", what, e.Err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("no %s event", what)
		}
	}
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// raw is a connection that speaks the protocol by hand.
type raw struct {
	t      testing.TB
	nc     net.Conn
	events []proto.WatcherEvent // that came before replies
}

func dialRaw(t testing.TB, s *Server) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &raw{t: t, nc: nc}
}

func (r *raw) send(frames ...[]byte) {
	r.t.Helper()
	if _, err := r.nc.Write(encode(frames)); err != nil {
		r.t.Fatal(err)
	}
}

// encode puts frames one behind the other, each after its length.
func encode(frames [][]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(proto.AppendInt32(b, int32(len(f))), f...)
	}
	return b
}

// recv returns the next frame, nil if the server has closed the connection.
func (r *raw) recv() []byte {
	r.t.Helper()
	var n [4]byte
	if _, err := readFull(r.nc, n[:]); err != nil {
		return nil
	}
	d := proto.NewDecoder(n[:])
	b := make([]byte, d.Int32())
	if _, err := readFull(r.nc, b); err != nil {
		return nil
	}
	return b
}

func readFull(nc net.Conn, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := nc.Read(b[n:])
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (r *raw) connect(timeout int32) proto.ConnectResponse {
	r.t.Helper()
	r.send((&proto.ConnectRequest{Timeout: timeout, HasReadOnly: true, Passwd: make([]byte, 16)}).Append(nil))
	var resp proto.ConnectResponse
	d := proto.NewDecoder(r.recv())
	if resp.Decode(&d); d.Err() != nil || resp.SessionID == 0 {
		r.t.Fatalf("handshake: %+v %v", resp, d.Err())
	}
	return resp
}

// reply returns the header and the body of the next reply, and keeps the events that come before it. A closed connection
// fails the test.
func (r *raw) reply() (proto.ReplyHeader, []byte) {
	r.t.Helper()
	hdr, body, ok := r.next()
	for ok && hdr.Xid == proto.XidWatcherEvent {
		d := proto.NewDecoder(body)
		var ev proto.WatcherEvent
		if ev.Decode(&d); d.Err() != nil {
			r.t.Fatal(d.Err())
		}
		r.events = append(r.events, ev)
		hdr, body, ok = r.next()
	}
	if !ok {
		r.t.Fatal("the connection ended before the reply")
	}
	return hdr, body
}

// next returns the next message, a reply or an event; false at the end of the connection.
func (r *raw) next() (hdr proto.ReplyHeader, body []byte, ok bool) {
	r.t.Helper()
	b := r.recv()
	if b == nil {
		return hdr, nil, false
	}
	d := proto.NewDecoder(b)
	if hdr.Decode(&d); d.Err() != nil {
		r.t.Fatalf("reply % x: %v", b, d.Err())
	}
	return hdr, d.Rest(), true
}

// call sends one request and returns the code of its reply, and the body.
func (r *raw) call(xid int32, op proto.OpCode, body interface{ Append([]byte) []byte }) (proto.ErrCode, []byte) {
	r.t.Helper()
	r.send(request(xid, op, body))
	hdr, rest := r.reply()
	if hdr.Xid != xid {
		r.t.Fatalf("reply to %d, want %d", hdr.Xid, xid)
	}
	return hdr.Err, rest
}

// must is call for what has to succeed.
func (r *raw) must(xid int32, op proto.OpCode, body interface{ Append([]byte) []byte }) []byte {
	r.t.Helper()
	code, rest := r.call(xid, op, body)
	if code != proto.OK {
		r.t.Fatalf("op %d: %v", op, code)
	}
	return rest
}

// closed fails the test unless the server ends the connection now.
func (r *raw) closed() {
	r.t.Helper()
	if hdr, body, ok := r.next(); ok {
		r.t.Fatalf("got %+v % x, want the end of the connection", hdr, body)
	}
}

// resume connects with a session and its password.
func (r *raw) resume(id proto.SessionID, passwd []byte, seen proto.Zxid) (resp proto.ConnectResponse, ok bool) {
	r.t.Helper()
	r.send((&proto.ConnectRequest{SessionID: id, Passwd: passwd, Timeout: 10_000, LastZxidSeen: seen, HasReadOnly: true}).Append(nil))
	b := r.recv()
	if b == nil {
		return resp, false
	}
	d := proto.NewDecoder(b)
	if resp.Decode(&d); d.Err() != nil {
		r.t.Fatal(d.Err())
	}
	return resp, true
}

var openACL = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}

func createReq(path string, flags proto.CreateMode) *proto.CreateRequest {
	return &proto.CreateRequest{Path: path, Data: []byte("data"), ACL: openACL, Flags: flags}
}

func readReq(path string, watch bool) *proto.PathWatchRequest {
	return &proto.PathWatchRequest{Path: path, Watch: watch}
}

func setReq(path string, data []byte) *proto.SetDataRequest {
	return &proto.SetDataRequest{Path: path, Data: data, Version: -1}
}

// await waits until cond holds, which nothing tells of.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(500 * time.Microsecond)
	defer again.Stop()
	for !cond() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func request(xid int32, op proto.OpCode, body interface{ Append([]byte) []byte }) []byte {
	b := (&proto.RequestHeader{Xid: xid, Op: op}).Append(nil)
	if body != nil {
		b = body.Append(b)
	}
	return b
}

func TestPipelineKeepsOrder(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	r := dialRaw(t, s)
	r.connect(10_000)
	acl := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
	var frames [][]byte
	const n = 2000
	for i := range int32(n) {
		switch i % 4 {
		case 0:
			frames = append(frames, request(i+1, proto.OpCreate, &proto.CreateRequest{Path: fmt.Sprintf("/p%d", i), ACL: acl}))
		case 1:
			frames = append(frames, request(i+1, proto.OpGetData, &proto.PathWatchRequest{Path: fmt.Sprintf("/p%d", i-1)}))
		case 2:
			frames = append(frames, request(i+1, proto.OpSync, &proto.PathRequest{Path: "/"}))
		default:
			frames = append(frames, request(proto.XidPing, proto.OpPing, nil))
		}
	}
	all := encode(frames)
	go func() { _, _ = r.nc.Write(all) }() // a failure shows in the replies
	for i := range int32(n) {
		var hdr proto.ReplyHeader
		d := proto.NewDecoder(r.recv())
		hdr.Decode(&d)
		want := i + 1
		if i%4 == 3 {
			want = proto.XidPing
		}
		if d.Err() != nil || hdr.Xid != want || hdr.Err != proto.OK {
			t.Fatalf("reply %d: %+v %v", i, hdr, d.Err())
		}
	}
}

func TestBrokenFramesEndTheConnection(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	for name, bytes := range map[string][]byte{
		"negative length": {0xff, 0xff, 0xff, 0xfe},
		"absurd length":   {0x7f, 0xff, 0xff, 0xff},
		"empty frame":     {0, 0, 0, 0},
		"short header":    {0, 0, 0, 3, 1, 2, 3},
	} {
		r := dialRaw(t, s)
		r.connect(10_000)
		if _, err := r.nc.Write(bytes); err != nil {
			t.Fatal(err)
		}
		if b := r.recv(); b != nil {
			t.Errorf("%s: answered % x", name, b)
		}
	}
	r := dialRaw(t, s)
	r.send([]byte{1, 2, 3}) // no ConnectRequest
	if b := r.recv(); b != nil {
		t.Errorf("broken handshake answered % x", b)
	}
}

func TestIdleSessionExpires(t *testing.T) {
	s, _ := startServer(t, testConfig(t))
	r := dialRaw(t, s)
	if resp := r.connect(1); resp.Timeout != 400 {
		t.Fatalf("negotiated %d ms, want the minimum 400", resp.Timeout)
	}
	if b := r.recv(); b != nil {
		t.Fatalf("got % x, want the end of the connection", b)
	}
	s.state.RLock()
	defer s.state.RUnlock()
	if n := s.rep.Sessions().Len(); n != 0 {
		t.Errorf("%d sessions after expiry", n)
	}
}
