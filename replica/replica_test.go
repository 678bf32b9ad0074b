package replica

import (
	"fmt"
	"strings"
	"testing"

	"zebu/proto"
	"zebu/session"
)

// memLog keeps planned transactions in order.
type memLog struct{ txns [][]byte }

func (l *memLog) Begin() []byte                { return nil }
func (l *memLog) End(buf []byte, _ proto.Zxid) { l.txns = append(l.txns, buf) }

// bench drives a replica by hand: what is planned stays in the log until commit.
type bench struct {
	t   *testing.T
	r   *Replica
	log memLog
	now proto.Millis
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, r: New(Options{
		ServerID: 1, Tick: 1000, MinSessionTimeout: 2000, MaxSessionTimeout: 20000, ReapInterval: 60000, ReapPerCheck: 100, StrictDigest: true,
	})}
	b.advance(1)
	if err := b.r.Lead(); err != nil {
		t.Fatal(err)
	}
	b.r.LendLog(&b.log)
	return b
}

func (b *bench) advance(d proto.Millis) {
	b.now += d
	b.r.Advance(Clock{Mono: b.now, Wall: 1_700_000_000_000 + b.now})
}

// commit applies everything planned and returns what each connection was sent, in words.
func (b *bench) commit() []string {
	b.t.Helper()
	b.r.LendBuffer(nil)
	for _, txn := range b.log.txns {
		if err := b.r.Apply(txn); err != nil {
			b.t.Fatal(err)
		}
	}
	b.log.txns = nil
	b.r.Settle()
	return b.sent()
}

// sent renders the outputs since the buffer was lent.
func (b *bench) sent() []string {
	outs, buf := b.r.Outputs()
	var all []string
	for _, o := range outs {
		name := o.Conn.Handle.(string)
		frames := buf[o.Start:o.End]
		for len(frames) > 0 {
			d := proto.NewDecoder(frames)
			n := d.Int32()
			all = append(all, name+": "+render(o, frames[4:4+n]))
			frames = frames[4+n:]
		}
		if o.Close {
			all = append(all, name+": close")
		}
	}
	return all
}

func render(o Output, frame []byte) string {
	d := proto.NewDecoder(frame)
	if o.Op == proto.OpCreateSession && o.Reply {
		var resp proto.ConnectResponse
		resp.Decode(&d)
		return fmt.Sprintf("connect timeout=%d session=%t", resp.Timeout, resp.SessionID != 0)
	}
	var hdr proto.ReplyHeader
	hdr.Decode(&d)
	if hdr.Xid == proto.XidWatcherEvent {
		var ev proto.WatcherEvent
		ev.Decode(&d)
		return fmt.Sprintf("event %d %s", ev.Type, ev.Path)
	}
	return fmt.Sprintf("reply %d %s %v", hdr.Xid, hdr.Err.String(), hdr.Zxid)
}

func (b *bench) connect(name string) *Conn {
	b.t.Helper()
	c := &Conn{Handle: name, IDs: []proto.ID{{Scheme: "ip", ID: "127.0.0.1"}}}
	b.r.LendBuffer(nil)
	b.r.Connect(c, &proto.ConnectRequest{Timeout: 4000, HasReadOnly: true}, b.now)
	b.want(b.commit(), name+": connect timeout=4000 session=true")
	return c
}

func (b *bench) submit(c *Conn, xid int32, op proto.OpCode, body interface{ Append([]byte) []byte }) {
	req := Request{Xid: xid, Op: op, IDs: c.IDs, At: b.now}
	if body != nil {
		req.Body = body.Append(nil)
	}
	b.r.Submit(c, &req)
}

func (b *bench) want(got []string, want ...string) {
	b.t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Fatalf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

var anyone = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}

func create(path string, flags proto.CreateMode) *proto.CreateRequest {
	return &proto.CreateRequest{Path: path, Data: []byte("x"), ACL: anyone, Flags: flags}
}

func TestWritesPipelineAndReadsKeepTheirPlace(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.submit(c, 1, proto.OpCreate, create("/n", 0))
	b.submit(c, 2, proto.OpCreate, create("/n", 0))
	b.submit(c, 3, proto.OpExists, &proto.PathWatchRequest{Path: "/n"})
	b.submit(c, 4, proto.OpSetData, &proto.SetDataRequest{Path: "/n", Version: 0})
	b.submit(c, 5, proto.OpSync, &proto.PathRequest{Path: "/n"})
	b.submit(c, 6, proto.OpPing, nil)
	if !c.Busy() {
		t.Fatal("connection with writes in flight is not busy")
	}
	b.want(b.commit(),
		"a: reply 1 OK 0x2", "a: reply 2 NODEEXISTS 0x3", "a: reply 3 OK 0x3", "a: reply 4 OK 0x4", "a: reply 5 OK 0x4", "a: reply -2 OK 0x4")
	if c.Busy() {
		t.Fatal("connection without writes in flight is busy")
	}
}

func TestSyncWithNothingOutstandingIsAnsweredBySettle(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.submit(c, 1, proto.OpSync, &proto.PathRequest{Path: "/"})
	if !b.r.Unsettled() {
		t.Fatal("sync is not waiting to be settled")
	}
	b.want(b.commit(), "a: reply 1 OK 0x1")
}

func TestSyncInAnEpochWithoutTransactionsIsAnsweredBySettle(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	if err := b.r.lead(proto.MakeZxid(1, 0)); err != nil {
		t.Fatal(err)
	}
	b.submit(c, 1, proto.OpSync, &proto.PathRequest{Path: "/"})
	if !b.r.Unsettled() {
		t.Fatal("sync is not waiting to be settled")
	}
	b.want(b.commit(), "a: reply 1 OK 0x1")
}

func TestEventPrecedesReplyOfItsWrite(t *testing.T) {
	b := newBench(t)
	a, w := b.connect("a"), b.connect("w")
	for _, c := range []*Conn{a, w} {
		_, fx := b.r.Read(c, &Request{Op: proto.OpExists, Body: (&proto.PathWatchRequest{Path: "/n", Watch: true}).Append(nil)}, nil)
		if fx.Err != proto.ErrNoNode || fx.Watch.Path != "/n" {
			t.Fatalf("exists on a missing node: %+v", fx)
		}
		b.r.Register(c, fx.Watch)
	}
	b.submit(a, 1, proto.OpCreate, create("/n", 0))
	b.want(b.commit(), "a: event 1 /n", "w: event 1 /n", "a: reply 1 OK 0x3")
	b.submit(a, 2, proto.OpSetData, &proto.SetDataRequest{Path: "/n", Version: -1})
	b.want(b.commit(), "a: reply 2 OK 0x4")
}

func TestEventsAreForReadersOnly(t *testing.T) {
	b := newBench(t)
	a, w := b.connect("a"), b.connect("w")
	a.IDs = append(a.IDs, proto.ID{Scheme: "digest", ID: "u:h"})
	if _, fx := b.r.Read(w, &Request{Op: proto.OpAddWatch, Body: (&proto.AddWatchRequest{Path: "/", Mode: proto.AddWatchRecursive}).Append(nil)}, nil); fx.Err != proto.OK {
		t.Fatal(fx.Err)
	}
	secret := create("/secret", 0)
	secret.ACL = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "digest", ID: "u:h"}}}
	b.submit(a, 1, proto.OpCreate, secret)
	b.submit(a, 2, proto.OpCreate, create("/open", 0))
	b.submit(a, 3, proto.OpDelete, &proto.PathVersion{Path: "/secret", Version: -1})
	b.want(b.commit(), "a: reply 1 OK 0x3", "w: event 1 /open", "a: reply 2 OK 0x4", "a: reply 3 OK 0x5")
}

func TestCloseSessionRemovesEphemeralsAndRejectsWhatFollows(t *testing.T) {
	b := newBench(t)
	a, w := b.connect("a"), b.connect("w")
	b.submit(a, 1, proto.OpCreate, create("/e", proto.Ephemeral))
	b.want(b.commit(), "a: reply 1 OK 0x3")
	_, fx := b.r.Read(w, &Request{Op: proto.OpGetData, Body: (&proto.PathWatchRequest{Path: "/e", Watch: true}).Append(nil)}, nil)
	b.r.Register(w, fx.Watch)
	b.submit(a, 2, proto.OpCreate, create("/f", proto.Ephemeral)) // planned, not applied, when the close is planned
	b.submit(a, 3, proto.OpCloseSession, nil)
	b.submit(a, 4, proto.OpCreate, create("/g", proto.Ephemeral))
	b.want(b.commit(), "a: reply 2 OK 0x4", "w: event 2 /e", "a: reply 3 OK 0x5", "a: close")
	for _, p := range []string{"/e", "/f", "/g"} {
		if b.r.Tree().Lookup(p) != nil {
			t.Errorf("%s outlived its session", p)
		}
	}
	if b.r.Sessions().Len() != 1 {
		t.Errorf("%d sessions, want 1", b.r.Sessions().Len())
	}
}

func TestSessionExpiresAndItsConnectionIsClosed(t *testing.T) {
	b := newBench(t)
	a := b.connect("a")
	w := b.connect("w")
	b.submit(a, 1, proto.OpCreate, create("/e", proto.Ephemeral))
	b.commit()
	for range 10 {
		b.advance(500)
		b.r.Touch(w, b.now)
		b.r.LendBuffer(nil)
		b.r.Tick()
	}
	b.want(b.commit(), "a: close")
	if b.r.Tree().Lookup("/e") != nil {
		t.Error("ephemeral outlived its expired session")
	}
	if b.r.Counts().ExpiredSessions != 1 {
		t.Errorf("expired %d sessions, want 1", b.r.Counts().ExpiredSessions)
	}
}

func TestNobodyExpiresBecauseTheServerStoodStill(t *testing.T) {
	b := newBench(t)
	alive := b.connect("alive")
	b.connect("dead")
	b.r.Tick()
	b.advance(60_000) // a stopped process; what alive sends meanwhile waits in its socket
	b.r.LendBuffer(nil)
	b.r.Tick()
	b.want(b.commit())
	b.r.Touch(alive, b.now)
	for range 2 {
		b.advance(500)
		b.r.LendBuffer(nil)
		b.r.Tick()
	}
	b.want(b.commit(), "dead: close")
}

func TestReadsThatNothingHoldsUpComeBeforeTheNextWrite(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.submit(c, 1, proto.OpExists, &proto.PathWatchRequest{Path: "/n", Watch: true})
	b.submit(c, 2, proto.OpSync, &proto.PathRequest{Path: "/n"})
	b.submit(c, 3, proto.OpExists, &proto.PathWatchRequest{Path: "/n"})
	b.submit(c, 4, proto.OpCreate, create("/n", 0))
	b.submit(c, 5, proto.OpExists, &proto.PathWatchRequest{Path: "/n"})
	b.want(b.commit(), "a: reply 1 NONODE 0x1", "a: reply 2 OK 0x1", "a: reply 3 NONODE 0x1", "a: event 1 /n", "a: reply 4 OK 0x2", "a: reply 5 OK 0x2")
}

func TestMultiReadIsBounded(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.submit(c, 1, proto.OpCreate, &proto.CreateRequest{Path: "/n", Data: make([]byte, 1<<20), ACL: anyone})
	b.commit()
	for n, want := range map[int]proto.ErrCode{60: proto.OK, 70: proto.ErrMarshalling} {
		var body []byte
		for range n {
			body = (&proto.PathWatchRequest{Path: "/n"}).Append((&proto.MultiHeader{Op: proto.OpGetData, Err: -1}).Append(body))
		}
		body = (&proto.MultiHeader{Op: -1, Done: true, Err: -1}).Append(body)
		buf, fx := b.r.Read(c, &Request{Op: proto.OpMultiRead, Body: body}, nil)
		if fx.Err != want || want != proto.OK && len(buf) != 20 {
			t.Errorf("%d times a megabyte: %v, %d bytes", n, fx.Err, len(buf))
		}
	}
}

func TestWallClockJumpsExpireNobody(t *testing.T) {
	b := newBench(t)
	b.connect("a")
	for _, wall := range []proto.Millis{1 << 41, 0, 1 << 60, -1 << 60} {
		b.r.Advance(Clock{Mono: b.now, Wall: wall})
		b.r.LendBuffer(nil)
		b.r.Tick()
		b.r.Advance(Clock{Mono: b.now - 100_000, Wall: wall}) // a monotonic clock does not do that
		b.r.Tick()
		b.want(b.commit())
	}
	if b.r.Sessions().Len() != 1 {
		t.Error("the session expired")
	}
}

func TestResume(t *testing.T) {
	b := newBench(t)
	a := b.connect("a")
	pw := session.Password(a.Session)
	again := func(name string, id proto.SessionID, passwd []byte, seen proto.Zxid) []string {
		b.r.LendBuffer(nil)
		c := &Conn{Handle: name}
		b.r.Connect(c, &proto.ConnectRequest{SessionID: id, Passwd: passwd, Timeout: 6000, LastZxidSeen: seen}, b.now)
		return b.sent()
	}
	b.want(again("wrong", a.Session, make([]byte, 16), 0), "wrong: connect timeout=0 session=false", "wrong: close")
	b.want(again("unknown", 77, pw[:], 0), "unknown: connect timeout=0 session=false", "unknown: close")
	b.want(again("ahead", a.Session, pw[:], 99), "ahead: close")
	b.want(again("b", a.Session, pw[:], 1), "a: close", "b: connect timeout=6000 session=true")
}

func TestSetWatchesSendsWhatWasMissed(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.submit(c, 1, proto.OpCreate, create("/old", 0))
	b.submit(c, 2, proto.OpCreate, create("/new", 0))
	b.submit(c, 3, proto.OpCreate, create("/old/kid", 0))
	b.commit()
	body := &proto.SetWatches{
		RelativeZxid: 2, DataWatches: []string{"/old", "/new", "/gone"}, ExistWatches: []string{"/new", "/later"}, ChildWatches: []string{"/old", "/new"},
	}
	buf, fx := b.r.Read(c, &Request{Xid: proto.XidSetWatches, Op: proto.OpSetWatches, Body: body.Append(nil)}, nil)
	if fx.Err != proto.OK {
		t.Fatal(fx.Err)
	}
	b.r.LendBuffer(buf)
	b.r.emit(Output{Conn: c, End: len(buf)})
	b.want(b.sent(), "a: event 3 /new", "a: event 2 /gone", "a: event 1 /new", "a: event 4 /old", "a: event 4 /new", "a: reply -8 OK 0x4")
	b.submit(c, 4, proto.OpSetData, &proto.SetDataRequest{Path: "/old", Version: -1})
	b.submit(c, 5, proto.OpCreate, create("/later", 0))
	b.submit(c, 6, proto.OpSetData, &proto.SetDataRequest{Path: "/new", Version: -1})
	b.want(b.commit(), "a: event 3 /old", "a: reply 4 OK 0x5", "a: event 1 /later", "a: reply 5 OK 0x6", "a: reply 6 OK 0x7")
}

func TestUnknownOperationIsAnsweredAndEndsTheConnection(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	for _, op := range []proto.OpCode{0, 10, 20, -10, -1, proto.OpCheck, 999} {
		buf, fx := b.r.Read(c, &Request{Xid: 5, Op: op}, nil)
		d := proto.NewDecoder(buf[4:])
		var hdr proto.ReplyHeader
		hdr.Decode(&d)
		if !fx.Close || hdr.Err != proto.ErrUnimplemented || hdr.Zxid != -1 {
			t.Errorf("op %d: %+v %+v", op, hdr, fx)
		}
	}
}

func TestReadOnAConnectionLetGoLeavesNothing(t *testing.T) {
	b := newBench(t)
	old := b.connect("old")
	pw := session.Password(old.Session)
	b.submit(old, 1, proto.OpCreate, create("/n", 0))
	b.commit()
	b.r.LendBuffer(nil)
	next := &Conn{Handle: "next"}
	b.r.Connect(next, &proto.ConnectRequest{SessionID: old.Session, Passwd: pw[:], Timeout: 4000}, b.now)
	if next.ID != old.ID {
		t.Fatalf("slots %d and %d: the test wants the slot used again", old.ID, next.ID)
	}
	for _, req := range []*Request{
		{Op: proto.OpGetData, Body: (&proto.PathWatchRequest{Path: "/n", Watch: true}).Append(nil)},
		{Op: proto.OpAddWatch, Body: (&proto.AddWatchRequest{Path: "/n", Mode: proto.AddWatchRecursive}).Append(nil)},
		{Op: proto.OpSetWatches, Body: (&proto.SetWatches{DataWatches: []string{"/n"}}).Append(nil)},
	} {
		if buf, fx := b.r.Read(old, req, nil); len(buf) > 0 || !fx.Close || fx.Watch.Path != "" {
			t.Errorf("op %d: % x %+v", req.Op, buf, fx)
		}
	}
	b.r.Disconnect(next)
	b.submit(b.connect("w"), 1, proto.OpSetData, &proto.SetDataRequest{Path: "/n", Version: -1})
	b.want(b.commit(), "w: reply 1 OK 0x4")
	if st := b.r.Watches().Stats(); st.Data.Watches != 0 {
		t.Errorf("%+v", st)
	}
}

func TestBodiesOfQueuedReadsAreLetGo(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.submit(c, 1, proto.OpCreate, create("/n", 0))
	b.commit()
	read := &proto.PathWatchRequest{Path: "/n"}
	b.submit(c, 0, proto.OpSetData, &proto.SetDataRequest{Path: "/n", Version: -1})
	for i := range int32(1000) { // one write is always in flight, with a read behind it
		b.submit(c, 2*i, proto.OpGetData, read)
		ready := b.log.txns
		b.log.txns = nil
		b.submit(c, 2*i+1, proto.OpSetData, &proto.SetDataRequest{Path: "/n", Version: -1})
		b.submit(c, 2*i+1, proto.OpGetData, read)
		b.log.txns, ready = ready, b.log.txns
		b.commit()
		b.log.txns = ready
		if len(c.queue) == 0 {
			t.Fatal("the queue ran empty")
		}
	}
	if got := cap(c.queueBuf); got > queueChunk {
		t.Errorf("the queue holds on to %d bytes", got)
	}
}

// A client that works through two servers at once must find out which of them has its session, and a multi is no exception.
func TestMovedSessionIsHungUp(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.r.tracker.SetOwner(c.Session, 99)
	h, end := proto.MultiHeader{Op: proto.OpDelete, Err: -1}, proto.MultiHeader{Op: proto.OpError, Done: true, Err: -1}
	body := proto.PathVersion{Path: "/n", Version: -1}
	b.r.Submit(c, &Request{Xid: 1, Op: proto.OpMulti, IDs: c.IDs, Body: end.Append(body.Append(h.Append(nil)))})
	b.want(b.commit(), "a: close")
}

// With local sessions, a leader takes writes of sessions that it does not know, but an ephemeral node needs one that it knows: it
// would outlive a session that has been closed (ZOOKEEPER-1208).
func TestEphemeralsNeedASessionOfTheEnsemble(t *testing.T) {
	b := newBench(t)
	b.r.opt.LocalSessions, b.r.locals = true, session.NewTracker(1000)
	const elsewhere proto.SessionID = 7 << 56
	for _, c := range []struct {
		flags proto.CreateMode
		want  proto.ErrCode
	}{{proto.Persistent, proto.OK}, {proto.Ephemeral, proto.ErrSessionExpired}} {
		body := create("/n", c.flags)
		if got := b.r.check(elsewhere, 5, &Request{Op: proto.OpCreate, Body: body.Append(nil)}); got != c.want {
			t.Errorf("mode %d: %v, want %v", c.flags, got, c.want)
		}
	}
}

// A session of the ensemble has moved, and is closed at another server. What it asked for at the first one comes after that: it is late,
// and not of a local session.
func TestPastSessionIsNotLocal(t *testing.T) {
	b := newBench(t)
	b.r.opt.LocalSessions, b.r.locals = true, session.NewTracker(1000)
	const elsewhere proto.SessionID = 7 << 56
	late := &Request{Op: proto.OpDelete}
	b.r.tracker.Track(elsewhere, 4000, 0)
	b.r.tracker.SetOwner(elsewhere, 6)
	if got := b.r.check(elsewhere, 5, late); got != proto.ErrSessionMoved {
		t.Errorf("of a session that has moved: %v", got)
	}
	b.r.plan(nil, 6, elsewhere, &Request{Op: proto.OpCloseSession})
	b.commit()
	if got := b.r.check(elsewhere, 5, late); got != proto.ErrSessionExpired {
		t.Errorf("of a session that has ended: %v", got)
	}
	for s := range proto.SessionID(2 * maxPast) {
		b.r.past.add(8<<56 + s)
	}
	if n := len(b.r.past.ids); n != maxPast || len(b.r.past.order) != maxPast || b.r.past.has(8<<56+maxPast-1) || !b.r.past.has(8<<56+maxPast) {
		t.Errorf("%d are remembered, and not the last", n)
	}
}
