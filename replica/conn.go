package replica

import (
	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/session"
	"zebu/watch"
)

// Conn is one client connection as the replica sees it. The zero value with IDs set is a connection before its handshake.
type Conn struct {
	ID      watch.ConnID
	Session proto.SessionID // 0 until the session is set up
	Timeout int32           // negotiated, milliseconds

	// Handle is the caller's own, to find its side of the connection from an Output.
	Handle any

	// IDs are the identities that the client has proved. The slice is replaced, never changed in place.
	IDs []proto.ID

	hasReadOnly bool // the handshake carried the readOnly byte, so its answer must
	open        bool // holds a slot
	gone        bool // has been disconnected
	local       bool // its session is known to this server only
	touched     bool // is among those that a learner has heard of

	// submitted and completed number this connection's writes; reads that arrive behind a write in flight wait in queue.
	submitted, completed uint64
	queue                []queued
	queueBuf             []byte
}

// queued is a read that runs right after the write numbered after.
type queued struct {
	req   Request
	after uint64
}

// Request is one client request as it came off the wire. Body may alias the caller's buffer during the call only.
type Request struct {
	Xid  int32
	Op   proto.OpCode
	Body []byte
	IDs  []proto.ID   // the connection's identities when the request arrived
	At   proto.Millis // when it arrived, in the caller's terms; comes back in the Output

	// Refuse, if not OK, is the answer: the request keeps its place but is not carried out.
	Refuse proto.ErrCode
}

// Output is what is owed to one connection: the bytes [Start, End) of the lent buffer, then the end of the connection if
// Close is set. Replies carry what statistics want to know; events have Xid proto.XidWatcherEvent.
type Output struct {
	Conn       *Conn
	Start, End int
	Close      bool
	Reply      bool // answers a request, which the fields below describe
	Lost       bool // the connection was gone before its write was done; for the audit log
	Xid        int32
	Op         proto.OpCode
	Err        proto.ErrCode
	At         proto.Millis
	Zxid       proto.Zxid
}

// Busy says whether the connection has writes in flight or reads behind them, so that a read must be submitted rather
// than run at once.
func (c *Conn) Busy() bool {
	return (c.submitted != c.completed || len(c.queue) > 0) && !mutant.On(mutant.ReadOvertakesWrite)
}

// Connect handles a connection's first frame (spec 1.4): it creates a session or resumes one. The answer is an Output
// with Op createSession; a refused client gets a zero answer and its connection closed.
func (r *Replica) Connect(c *Conn, req *proto.ConnectRequest, at proto.Millis) {
	c.hasReadOnly = req.HasReadOnly
	if req.LastZxidSeen > max(r.applied, r.begun) && !mutant.On(mutant.StaleServerServes) || r.role == idle ||
		r.role == readOnly && !req.ReadOnly && !mutant.On(mutant.ReadOnlyForAll) {
		r.hangUp(c)
		return
	}
	c.Timeout = session.Negotiate(req.Timeout, r.opt.MinSessionTimeout, r.opt.MaxSessionTimeout)
	if req.SessionID != 0 {
		r.resume(c, req, at)
		return
	}
	c.Session = r.ids.Next()
	for r.sessionKnown(c.Session) {
		c.Session = r.ids.Next()
	}
	switch {
	case r.opt.LocalSessions:
		r.openLocal(c, at)
		return
	case r.role == readOnly:
		r.refuseReadOnly(c)
		return
	}
	r.attach(c)
	create := &Request{Op: proto.OpCreateSession, Body: proto.AppendInt32(nil, c.Timeout), At: at}
	if r.role == learning {
		r.touch(c)
		r.forward(c, c.Session, create, "")
		return
	}
	r.tracker.Track(c.Session, c.Timeout, r.now.Mono)
	r.tracker.SetOwner(c.Session, c.owner())
	r.plan(c, c.owner(), c.Session, create)
}

// owner is c's number in the session tracker, where 0 is nobody. Learners' links have negative numbers.
func (c *Conn) owner() session.Owner { return session.Owner(c.ID) + 1 }

func (r *Replica) sessionKnown(id proto.SessionID) bool {
	if r.role != leading {
		_, ok := r.table.Timeout(id)
		return ok || r.bySession[id] != nil
	}
	_, ok := r.tracker.Timeout(id)
	return ok
}

// resume lets a client continue its session if it knows the password and the session is alive, which a learner asks
// its leader. The connection that held it until now is closed.
func (r *Replica) resume(c *Conn, req *proto.ConnectRequest, at proto.Millis) {
	if !session.CheckPassword(req.SessionID, req.Passwd) {
		r.answerConnect(c, false, at)
		return
	}
	c.Session = req.SessionID
	switch {
	case r.opt.LocalSessions && r.resumeLocal(c, at):
		return
	case r.role == readOnly:
		r.hangUp(c) // whether the session lives is for a leader to say
		return
	case r.role == learning:
		r.revalidate(c, at)
		return
	}
	if !r.goOn(c, at) {
		if r.alone || mutant.On(mutant.DeposedLeaderExpires) {
			r.answerConnect(c, false, at)
			return
		}
		r.doubts = append(r.doubts, doubt{conn: c, at: at})
	}
}

// goOn lets a client of a server that leads go on with its session. It reports false if there is no such session.
func (r *Replica) goOn(c *Conn, at proto.Millis) bool {
	if r.tracker.Check(c.Session, r.tracker.Owner(c.Session)) != proto.OK && !mutant.On(mutant.UnknownSessionResumes) {
		return false
	}
	r.attachInstead(c)
	r.tracker.SetOwner(c.Session, c.owner())
	r.tracker.Track(c.Session, c.Timeout, r.now.Mono)
	r.answerConnect(c, true, at)
	return true
}

// conclude answers a client whose session was not known, now that this server is sure to lead.
func (r *Replica) conclude(c *Conn, at proto.Millis) {
	if !c.gone && !r.goOn(c, at) {
		r.answerConnect(c, false, at)
	}
}

// attachInstead makes c its session's connection in place of the one that held it until now, which is closed.
func (r *Replica) attachInstead(c *Conn) {
	if old := r.bySession[c.Session]; old != nil && old != c && !mutant.On(mutant.MovedSessionWrites) {
		r.hangUp(old)
	}
	r.attach(c)
}

// attach gives c a slot and makes it its session's connection.
func (r *Replica) attach(c *Conn) {
	if n := len(r.free); n > 0 {
		c.ID, r.free = r.free[n-1], r.free[:n-1]
		r.conns[c.ID] = c
	} else {
		c.ID = watch.ConnID(len(r.conns))
		r.conns = append(r.conns, c)
	}
	c.open = true
	r.bySession[c.Session] = c
}

// Disconnect forgets a connection and its watches. Its session lives on until it expires. A second call does nothing.
func (r *Replica) Disconnect(c *Conn) {
	c.queue, c.queueBuf = nil, nil
	c.gone = true
	if !c.open {
		return
	}
	c.open = false
	r.watches.RemoveConn(c.ID)
	r.conns[c.ID] = nil
	r.free = append(r.free, c.ID)
	if r.bySession[c.Session] == c {
		delete(r.bySession, c.Session)
	}
}

// Touch notes a sign of life from the connection's client at the given monotonic time.
func (r *Replica) Touch(c *Conn, at proto.Millis) {
	switch {
	case !c.open:
	case c.local:
		r.locals.Touch(c.Session, at)
	case r.role == leading:
		r.tracker.Touch(c.Session, at)
	case r.role == learning:
		r.touch(c)
	}
}

// answerConnect writes the ConnectResponse; a refused client's connection ends with it.
func (r *Replica) answerConnect(c *Conn, ok bool, at proto.Millis) {
	resp := proto.ConnectResponse{HasReadOnly: c.hasReadOnly, ReadOnly: r.role == readOnly, Passwd: make([]byte, 16)}
	if ok {
		pw := session.Password(c.Session)
		resp.Timeout, resp.SessionID, resp.Passwd = c.Timeout, c.Session, pw[:]
	}
	start := len(r.buf)
	r.buf = resp.Append(beginFrame(r.buf))
	endFrame(r.buf, start)
	out := Output{
		Conn: c, Start: start, End: len(r.buf), Close: !ok, Reply: true, Op: proto.OpCreateSession, At: at, Zxid: r.applied,
	}
	if !ok {
		out.Err = proto.ErrSessionExpired
	}
	r.emit(out)
}

// refuseReadOnly answers a client that asks for a session of the ensemble where there is none: as ZooKeeper does, with the
// header of a reply where the client expects a session.
func (r *Replica) refuseReadOnly(c *Conn) {
	start := len(r.buf)
	r.buf = appendReplyHeader(r.buf, 0, r.applied, proto.ErrNotReadOnly)
	endFrame(r.buf, start)
	r.emit(Output{Conn: c, Start: start, End: len(r.buf), Close: true})
}

func (r *Replica) emit(o Output) { r.out = append(r.out, o) }

// beginFrame reserves the length that precedes every message; endFrame fills it in.
func beginFrame(b []byte) []byte { return append(b, 0, 0, 0, 0) }

func endFrame(b []byte, start int) { proto.PutInt32(b[start:], int32(len(b)-start-4)) }
