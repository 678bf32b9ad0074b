package sim

import "zebu/proto"

// onlooker is a client that wants to read even from a server without a leader (readonlymode.enabled). It connects now and then,
// reads everything, tries to write, and leaves.
type onlooker struct {
	w     *World
	node  int
	e     *end
	ready bool
	last  proto.Zxid // of this connection
	xid   int32
}

func (l *onlooker) later() { l.w.after(Time(l.w.intn(int(Second))), l.connect) }

func (l *onlooker) connect() {
	w := l.w
	defer l.later()
	if l.e != nil {
		l.e.close(true)
		l.e = nil
	}
	h := w.hosts[w.intn(len(w.hosts))]
	if !h.up || w.cut[l.node][h.node] || w.cut[h.node][l.node] {
		return
	}
	here, there := w.connect(l.node, h.node)
	l.e, l.ready, l.last, l.xid = here, false, 0, 0
	here.recv = func(m any) {
		if l.e == here {
			l.take(m.([]byte))
		}
	}
	here.closed = func() {
		if l.e == here {
			l.e = nil
		}
	}
	h.accept(there)
	here.send(&proto.ConnectRequest{Timeout: w.o.SessionTimeout, Passwd: []byte{}, HasReadOnly: true, ReadOnly: true})
}

// take handles what the server has sent.
func (l *onlooker) take(b []byte) {
	for len(b) > 0 && l.e != nil {
		d := proto.NewDecoder(b)
		n := d.Int32()
		frame := b[4 : 4+n]
		b = b[4+n:]
		if l.ready {
			l.answer(frame)
		} else {
			l.welcome(frame)
		}
	}
}

// replyHeaderSize is what a server answers who could only make a session of the ensemble: not a session, but the head of a reply.
const replyHeaderSize = 16

func (l *onlooker) welcome(frame []byte) {
	if len(frame) == replyHeaderSize {
		l.w.check.count("read-only refused")
		return
	}
	d := proto.NewDecoder(frame)
	var r proto.ConnectResponse
	r.Decode(&d)
	if !r.ReadOnly { // there is a leader
		l.ask(proto.OpCloseSession, nil)
		return
	}
	l.w.check.count("read-only sessions")
	l.ready = true
	for k := range l.w.paths {
		body := proto.PathWatchRequest{Path: l.w.path(k)}
		l.ask(proto.OpExists, body.Append(nil))
	}
	body := proto.SetDataRequest{Path: l.w.path(0), Data: []byte("no"), Version: -1}
	l.ask(proto.OpSetData, body.Append(nil))
}

func (l *onlooker) ask(op proto.OpCode, body []byte) {
	l.xid++
	hdr := proto.RequestHeader{Xid: l.xid, Op: op}
	l.e.send(append(hdr.Append(nil), body...))
}

// answer compares what was read with the state that it is of, which need not be committed.
func (l *onlooker) answer(frame []byte) {
	d := proto.NewDecoder(frame)
	var hdr proto.ReplyHeader
	hdr.Decode(&d)
	w := l.w
	key := int(hdr.Xid) - 1
	if key == len(w.paths) {
		if hdr.Err != proto.ErrNotReadOnly {
			w.failf("a write without a leader: %v", hdr.Err)
		}
		return
	}
	s := w.check.states[w.check.plain(hdr.Zxid)]
	if s == nil || hdr.Zxid < l.last {
		w.failf("read without a leader at %s, after %s", zx(hdr.Zxid), zx(l.last))
		return
	}
	l.last = hdr.Zxid
	n := &s.nodes[key]
	var st proto.Stat
	if hdr.Err == proto.OK {
		st.Decode(&d)
	}
	if (hdr.Err == proto.OK) != n.exists || hdr.Err == proto.OK && (st.Mzxid != n.mzxid || st.EphemeralOwner != n.owner) {
		w.failf("read without a leader of %s at %s: %v, of %s, and it is %+v", w.path(key), zx(hdr.Zxid), hdr.Err, zx(st.Mzxid), *n)
	}
}
