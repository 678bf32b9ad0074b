package sim

import (
	"fmt"

	"zebu/proto"
	"zebu/replica"
)

// clientConn is a server's side of a client's connection.
type clientConn struct {
	h  *Host
	e  *end
	rc replica.Conn

	inbox []replica.Request // handed over to the member's goroutine, which has not got to them
}

// accept takes a client's connection.
func (h *Host) accept(e *end) {
	c := &clientConn{h: h, e: e}
	c.rc.Handle, c.rc.IDs = c, []proto.ID{{Scheme: "ip", ID: "10.0.0.1"}, {Scheme: "super"}}
	h.clients = append(h.clients, c)
	life := h.life
	e.recv = func(m any) {
		switch {
		case h.life != life:
		case h.paused:
			h.input(func() { c.take(m) })
		case h.hears():
			c.take(m)
			h.heard()
		}
	}
	e.closed = func() {
		if h.life == life {
			h.input(func() { c.gone() })
		}
	}
}

func (c *clientConn) forget() {
	for i, o := range c.h.clients {
		if o == c {
			c.h.clients = append(c.h.clients[:i], c.h.clients[i+1:]...)
			return
		}
	}
}

func (c *clientConn) gone() {
	c.forget()
	c.handOver()
	c.h.rep.Disconnect(&c.rc)
}

// handOver lets the member's goroutine get to what has been handed over to it.
func (c *clientConn) handOver() {
	for i := range c.inbox {
		c.h.m.Submit(&c.rc, &c.inbox[i])
	}
	c.inbox = c.inbox[:0]
}

func (c *clientConn) close() {
	c.forget()
	c.e.close(false)
}

// take handles a frame: a ConnectRequest, or a request.
func (c *clientConn) take(m any) {
	if !c.e.open {
		return
	}
	h, now := c.h, c.h.mono()
	if req, ok := m.(*proto.ConnectRequest); ok {
		h.rep.Connect(&c.rc, req, now)
		return
	}
	d := proto.NewDecoder(m.([]byte))
	var hdr proto.RequestHeader
	if hdr.Decode(&d); d.Err() != nil {
		h.w.failf("request: %v", d.Err())
		return
	}
	req := replica.Request{Xid: hdr.Xid, Op: hdr.Op, Body: d.Rest(), IDs: c.rc.IDs, At: now}
	h.rep.Touch(&c.rc, now)
	if replica.IsWrite(hdr.Op) || hdr.Op == proto.OpSync || c.rc.Busy() || len(c.inbox) > 0 {
		c.inbox = append(c.inbox, req)
		switch {
		case len(c.inbox) > 1: // behind another one
		case h.w.chance(8):
			h.later(Time(h.w.intn(int(h.w.o.Turn+h.w.o.Latency))), func() { h.input(c.handOver) })
		default:
			c.handOver()
		}
		return
	}
	out, fx := h.rep.Read(&c.rc, &req, nil)
	if fx.Watch.Path != "" {
		h.rep.Register(&c.rc, fx.Watch)
	}
	if len(out) > 0 {
		c.e.send(out)
	}
	if fx.Close {
		h.rep.Disconnect(&c.rc)
		c.close()
	}
}

// client works on the ensemble in sessions, one after the other, from any server.
type client struct {
	w     *World
	index int
	node  int
	tries int // counts connections

	e        *end
	ready    bool // the session is there
	before   int  // how much was committed when the connection was made
	session  proto.SessionID
	passwd   []byte
	last     proto.Zxid // seen by the session
	lastOwn  proto.Zxid // of the session's last write
	heard    Time
	xid      int32
	under    []request
	watches  []standing // by key, the last on the children of the root
	follows  []follow   // by key, the last on the children of the root
	all      []follow   // by key: one recursive watch on everything
	holds    bool       // the lock
	closing  bool       // has asked for the session's end, of which the server may know before anything is logged
	token    proto.Zxid // of holding it
	versions []int32    // seen by key
	values   int
	avoid    int  // the server of the last attempt
	hasty    bool // tries the next server at once
	thinking bool
	idle     bool // asks for nothing more
	stopped  bool // does not even connect
	settled  bool // only reads and writes that must succeed are wanted
	home     int  // the server that is preferred, -1 if there is none

	done    int // requests answered
	expired int // sessions that were
	losses  int // of connections
}

// request is one under way.
type request struct {
	xid     int32
	op      proto.OpCode
	key     int
	value   string
	version int32
	watch   bool
	kind    proto.WatcherType
	fresh   bool       // is to see at least floor
	floor   proto.Zxid // what anybody had seen when it was sent
	call    Time
}

func newClient(w *World, index int) *client {
	n := w.o.paths()
	return &client{
		w: w, index: index, node: w.o.Voters + w.o.Observers + index, watches: make([]standing, n+1), versions: make([]int32, n), avoid: -1, home: -1,
		follows: make([]follow, n+1), all: make([]follow, n),
	}
}

func (c *client) start() { c.w.after(Time(c.w.intn(int(Second))), c.connect) }

// connect tries a server, not the last one if there are others.
func (c *client) connect() {
	w := c.w
	if c.e != nil || c.stopped {
		return
	}
	at := w.intn(len(w.hosts))
	if n := len(w.hosts); at == c.avoid && n > 1 {
		at = (at + 1 + w.intn(n-1)) % n
	}
	if c.home >= 0 && !w.chance(8) {
		at = c.home
	}
	c.avoid = at
	h := w.hosts[at]
	c.tries++
	try := c.tries
	w.after(w.latency(c.node, h.node), func() {
		if try != c.tries {
			return
		}
		if !h.up || w.cut[c.node][h.node] || w.cut[h.node][c.node] {
			c.retry()
			return
		}
		here, there := w.connect(c.node, h.node)
		c.e, c.ready, c.heard, c.before = here, false, w.now, len(w.check.committed)
		here.recv = func(m any) {
			if c.e == here {
				c.take(m.([]byte))
			}
		}
		here.closed = func() {
			if c.e == here {
				c.lost("closed")
			}
		}
		h.accept(there)
		here.send(&proto.ConnectRequest{
			LastZxidSeen: c.last, Timeout: w.o.SessionTimeout, SessionID: c.session, Passwd: append([]byte(nil), c.passwd...), HasReadOnly: true,
		})
		c.watchdog(here)
		if w.chance(2) && !c.settled && !c.idle { // an impatient one, whose session may be taken over by a server that it has left
			w.after(4*w.o.Latency+3*w.o.Fsync+2*w.o.Turn+Time(w.intn(int(20*w.o.Latency))), func() {
				if c.e == here && !c.ready {
					c.hasty = true
					c.lost("is impatient")
				}
			})
		}
	})
}

func (c *client) retry() {
	if c.hasty {
		c.hasty = false
		c.w.after(Time(c.w.intn(int(c.w.o.Latency))), c.connect)
		return
	}
	c.w.after(20*Millisecond+Time(c.w.intn(int(300*Millisecond))), c.connect)
}

// watchdog pings, and gives a silent server up.
func (c *client) watchdog(e *end) {
	w := c.w
	patience := Time(w.o.SessionTimeout) * Millisecond
	w.after(patience/3, func() {
		if c.e != e {
			return
		}
		if w.now-c.heard > patience*2/3 {
			c.lost("silence")
			return
		}
		if c.ready {
			hdr := proto.RequestHeader{Xid: proto.XidPing, Op: proto.OpPing}
			e.send(hdr.Append(nil))
		}
		c.watchdog(e)
	})
}

// lost gives the connection up. What became of requests under way is not known.
func (c *client) lost(why string) {
	c.losses++
	c.w.tracef("client %d leaves server %d: %s", c.index, c.e.peer.node+1, why)
	c.e.close(true)
	c.e, c.ready = nil, false
	for k := range c.follows {
		c.follows[k].armed = false
	}
	for k := range c.all {
		c.all[k].armed = false
	}
	for i := range c.under {
		c.w.check.unknown(c, &c.under[i])
	}
	c.under = c.under[:0]
	c.retry()
}

// over ends the session: it expired, or was closed.
func (c *client) over() {
	c.session, c.passwd, c.last, c.lastOwn = 0, nil, 0, 0
	clear(c.watches)
	clear(c.follows)
	clear(c.all)
	c.holds, c.closing = false, false
}

// take handles what a server sent, of which one slice may hold several messages.
func (c *client) take(b []byte) {
	c.heard = c.w.now
	for len(b) > 0 && c.e != nil {
		d := proto.NewDecoder(b)
		n := d.Int32()
		frame := b[4 : 4+n]
		b = b[4+n:]
		if c.ready {
			c.message(frame)
		} else {
			c.welcome(frame)
		}
	}
}

// welcome handles the answer to a ConnectRequest.
func (c *client) welcome(frame []byte) {
	d := proto.NewDecoder(frame)
	var r proto.ConnectResponse
	r.Decode(&d)
	w := c.w
	w.mix(uint64(c.node), uint64(r.SessionID))
	if r.Timeout == 0 {
		w.tracef("client %d: session %v has expired", c.index, c.session)
		w.check.sessionOver(c)
		w.check.count("sessions expired")
		c.expired++
		c.over()
		c.lost("expired")
		return
	}
	if r.ReadOnly {
		w.failf("client %d did not ask for a session without a leader", c.index)
	}
	if c.session != 0 && r.SessionID != c.session {
		w.failf("client %d asked for session %v and got %v", c.index, c.session, r.SessionID)
	}
	w.tracef("client %d: session %v at server %d", c.index, r.SessionID, c.e.peer.node+1)
	c.session, c.passwd, c.ready = r.SessionID, append([]byte(nil), r.Passwd...), true
	c.rearm()
	c.work()
}

// path is the node of a key; those behind the first are the clients' ephemerals, and a few more.
func (w *World) path(key int) string { return w.paths[key] }

// Nodes behind the clients' own ephemerals.
const (
	lockNode   = iota
	container  // whose only child comes and goes
	inside     // that child
	ttlNode    // lives for timeToLive when nobody writes it
	ownKinds   // how many there are
	timeToLive = 700 * proto.Millis(1)
)

// paths is the number of nodes that clients work on.
func (o *Options) paths() int { return o.Keys + o.Clients + ownKinds }

// key is that of a node behind the clients' own.
func (o *Options) key(own int) int { return o.Keys + o.Clients + own }

func (o *Options) path(key int) string {
	switch {
	case key < o.Keys:
		return fmt.Sprintf("/k%d", key)
	case key < o.Keys+o.Clients:
		return fmt.Sprintf("/e%d", key-o.Keys)
	}
	return [ownKinds]string{"/lock", "/c", "/c/x", "/t"}[key-o.Keys-o.Clients]
}

// work sends requests, as many as may be under way.
func (c *client) work() {
	if c.thinking {
		return
	}
	c.thinking = true
	c.w.after(c.w.o.Think/2+Time(c.w.intn(int(c.w.o.Think)+1)), func() {
		c.thinking = false
		if !c.ready || c.idle {
			return
		}
		if len(c.under) < c.w.o.Pipeline {
			c.request()
		}
		c.work()
	})
}

var openACL = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}

// request sends one of some kind.
func (c *client) request() {
	w := c.w
	key := w.intn(w.o.Keys)
	if w.o.Locking && w.chance(6) {
		c.lock()
		return
	}
	switch w.intn(18) {
	case 0, 1, 2:
		c.get(key, w.chance(2), false)
	case 3:
		c.exists(key, w.chance(2))
	case 4:
		c.exists(w.o.Keys+w.intn(w.o.paths()-w.o.Keys), w.chance(2))
	case 5, 6, 7:
		c.set(key, -1)
	case 8, 9:
		c.set(key, c.versions[key])
	case 10, 11:
		c.create(key, proto.Persistent)
	case 12:
		switch {
		case w.o.Reaping && w.chance(2):
			c.own()
		case w.o.Following && w.chance(2):
			c.follow()
		default:
			c.remove(key)
		}
	case 13:
		if own := w.o.Keys + c.index; w.chance(3) {
			c.remove(own)
		} else {
			c.create(own, proto.Ephemeral)
		}
	case 14:
		c.sync(key)
	case 15:
		c.multi(key, w.intn(w.o.Keys))
	case 16:
		c.watching()
	default:
		if w.chance(20) && !c.settled {
			c.close()
		} else {
			c.sync(key)
		}
	}
}

// close ends the session, and asks for more as if it did not know.
func (c *client) close() {
	c.closing = true
	c.send(request{op: proto.OpCloseSession}, nil)
	if e, own := c.e, c.w.o.Keys+c.index; c.w.chance(2) {
		for range 1 + c.w.intn(3) {
			c.w.after(Time(c.w.intn(int(6*c.w.o.Latency+2*c.w.o.Fsync))), func() {
				if c.e == e {
					c.create(own, proto.Ephemeral)
				}
			})
		}
	}
}

func (c *client) newValue() string {
	c.values++
	return fmt.Sprintf("%d.%d", c.index, c.values)
}

func (c *client) get(key int, watch, fresh bool) {
	body := proto.PathWatchRequest{Path: c.w.path(key), Watch: watch}
	c.send(request{op: proto.OpGetData, key: key, watch: watch, fresh: fresh}, body.Append(nil))
}

func (c *client) exists(key int, watch bool) {
	body := proto.PathWatchRequest{Path: c.w.path(key), Watch: watch}
	c.send(request{op: proto.OpExists, key: key, watch: watch}, body.Append(nil))
}

func (c *client) set(key int, version int32) {
	v := c.newValue()
	body := proto.SetDataRequest{Path: c.w.path(key), Data: []byte(v), Version: version}
	c.send(request{op: proto.OpSetData, key: key, value: v, version: version}, body.Append(nil))
}

func (c *client) create(key int, mode proto.CreateMode) {
	v := c.newValue()
	body := proto.CreateRequest{Path: c.w.path(key), Data: []byte(v), ACL: openACL, Flags: mode}
	c.send(request{op: proto.OpCreate2, key: key, value: v}, body.Append(nil))
}

// lock tries to take the lock, waits until it is free, uses what it guards, or gives it back.
func (c *client) lock() {
	key := c.w.o.key(lockNode)
	switch {
	case c.holds && c.w.chance(3):
		c.remove(key)
	case c.holds:
		c.w.check.use(c)
	case c.watches[key].set && c.watches[key].exists: // it is somebody else's, and an event will tell when it is free
	case c.w.chance(2):
		c.create(key, proto.Ephemeral)
	default:
		c.exists(key, true)
	}
}

// own does something with the nodes that servers remove by themselves.
func (c *client) own() {
	o := &c.w.o
	v := c.newValue()
	switch c.w.intn(4) {
	case 0:
		body := proto.CreateRequest{Path: c.w.path(o.key(container)), Data: []byte(v), ACL: openACL, Flags: proto.Container}
		c.send(request{op: proto.OpCreateContainer, key: o.key(container), value: v}, body.Append(nil))
	case 1:
		c.create(o.key(inside), proto.Persistent)
	case 2:
		c.remove(o.key(inside))
	default:
		body := proto.CreateTTLRequest{Path: c.w.path(o.key(ttlNode)), Data: []byte(v), ACL: openACL, Flags: proto.PersistentTTL, TTL: int64(timeToLive)}
		c.send(request{op: proto.OpCreateTTL, key: o.key(ttlNode), value: v}, body.Append(nil))
	}
}

func (c *client) remove(key int) {
	body := proto.PathVersion{Path: c.w.path(key), Version: -1}
	c.send(request{op: proto.OpDelete, key: key, version: -1}, body.Append(nil))
}

// multi sets a node if another one is as it was seen, or if it can make its own ephemeral node.
func (c *client) multi(check, key int) {
	v := c.newValue()
	h1, h2, end := proto.MultiHeader{Op: proto.OpCheck, Err: -1}, proto.MultiHeader{Op: proto.OpSetData, Err: -1}, proto.MultiHeader{Op: proto.OpError, Done: true, Err: -1}
	b1 := proto.PathVersion{Path: c.w.path(check), Version: c.versions[check]}
	b2 := proto.SetDataRequest{Path: c.w.path(key), Data: []byte(v), Version: -1}
	var body []byte
	switch c.w.intn(3) {
	case 0:
		body = b2.Append(h2.Append(b1.Append(h1.Append(nil))))
	case 1:
		body = b1.Append(h1.Append(b2.Append(h2.Append(nil))))
	default:
		own := proto.CreateRequest{Path: c.w.path(c.w.o.Keys + c.index), Data: []byte(v), ACL: openACL, Flags: proto.Ephemeral}
		h1.Op = proto.OpCreate2
		body = own.Append(h1.Append(b2.Append(h2.Append(nil))))
	}
	c.send(request{op: proto.OpMulti, key: key, value: v}, end.Append(body))
}

// sync reads what is newest.
func (c *client) sync(key int) {
	body := proto.PathRequest{Path: c.w.path(key)}
	c.send(request{op: proto.OpSync, key: key}, body.Append(nil))
	floor, call := c.under[len(c.under)-1].floor, c.w.now
	c.get(key, false, true)
	r := &c.under[len(c.under)-1]
	r.floor, r.call = floor, call
}

func (c *client) send(r request, body []byte) {
	c.xid++
	r.xid, r.floor, r.call = c.xid, c.w.check.seen, c.w.now
	c.under = append(c.under, r)
	hdr := proto.RequestHeader{Xid: r.xid, Op: r.op}
	c.e.send(append(hdr.Append(nil), body...))
}

// message handles a reply or an event.
func (c *client) message(frame []byte) {
	d := proto.NewDecoder(frame)
	var hdr proto.ReplyHeader
	hdr.Decode(&d)
	c.w.mix(uint64(c.node), uint64(uint32(hdr.Xid)), uint64(hdr.Zxid), uint64(uint32(hdr.Err)))
	switch hdr.Xid {
	case proto.XidPing:
		return
	case proto.XidWatcherEvent:
		var ev proto.WatcherEvent
		ev.Decode(&d)
		c.w.check.event(c, &hdr, &ev)
		return
	}
	if len(c.under) == 0 || c.under[0].xid != hdr.Xid {
		c.w.failf("client %d: reply to %d is out of order", c.index, hdr.Xid)
		return
	}
	r := c.under[0]
	c.under = append(c.under[:0], c.under[1:]...)
	if d.Err() != nil {
		c.w.failf("client %d: reply to %v: %v", c.index, r.op, d.Err())
		return
	}
	c.done++
	c.w.check.reply(c, &r, &hdr, &d)
	if r.op == proto.OpCloseSession && hdr.Err == proto.OK {
		c.over()
		c.lost("session closed")
	}
}
