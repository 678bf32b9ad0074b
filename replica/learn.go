package replica

import (
	"fmt"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/session"
)

// upstream is what a learner has for its leader, and waits for from it.
type upstream struct {
	packets      []proto.QuorumPacket // to be sent
	revalidating []revalidation
	touched      []*Conn // heard of since the last PING
}

// revalidation is a client that wants to go on with its session, which the leader has been asked about.
type revalidation struct {
	conn *Conn
	at   proto.Millis
}

func (u *upstream) clear() {
	clear(u.packets)
	clear(u.revalidating)
	clear(u.touched)
	u.packets, u.revalidating, u.touched = u.packets[:0], u.revalidating[:0], u.touched[:0]
}

// unassigned stands for the zxid of a forwarded request, which only the leader knows.
const unassigned proto.Zxid = 1<<63 - 1

// forward passes a client's write or sync on to the leader. The leader takes a learner's requests in the order in which
// they were sent, so they are answered in that order. c is nil if nobody is to be answered.
func (r *Replica) forward(c *Conn, s proto.SessionID, req *Request, path string) {
	f := proto.ForwardedRequest{Session: s, Cxid: req.Xid, Op: req.Op, Body: req.Body}
	p := proto.QuorumPacket{Type: proto.PacketRequest, Zxid: -1, Data: f.Append(nil), AuthInfo: req.IDs}
	r.upstream.packets = append(r.upstream.packets, p)
	if c != nil {
		c.submitted++
	}
	r.pending.push(pendingWrite{zxid: unassigned, session: s, conn: c, xid: req.Xid, op: req.Op, at: req.At, path: path})
}

// own finds out whether a committed transaction is one that this learner has forwarded, as session and cxid tell (spec
// 8.6), and if so notes its zxid. Requests are answered in their order, so the leader has passed over what was forwarded before:
// a leader may do that with one that it cannot decode.
func (r *Replica) own(hdr *proto.TxnHeader) {
	for i := range r.pending.len() {
		p := r.pending.at(i)
		if p.zxid == unassigned && (p.session == hdr.ClientID || mutant.On(mutant.AnswerOfAnother)) && p.xid == hdr.Cxid && becomes(p.op, hdr.Type) {
			p.zxid = hdr.Zxid
			r.passOver(i)
			return
		}
		if i == 0 && r.bySession[hdr.ClientID] == nil {
			return
		}
	}
}

// passOver gives up the oldest n requests, which will never be answered. Nobody knows what became of them, and whoever waits for
// one is told so by the end of the connection.
func (r *Replica) passOver(n int) {
	for range n {
		c := r.pending.at(0).conn
		r.pending.drop()
		if c != nil && c.open {
			r.hangUp(c)
		}
	}
}

// becomes says whether a request can lead to a transaction of a type. A session's end has no cxid of its own, so
// that it must be told from a request that has the same.
func becomes(op, txn proto.OpCode) bool {
	switch op {
	case proto.OpSync:
		return false
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return txn == proto.OpCreate || txn == proto.OpCreate2 || txn == proto.OpCreateContainer || txn == proto.OpCreateTTL || txn == proto.OpError
	case proto.OpReconfig:
		return txn == proto.OpReconfig || txn == proto.OpSetData || txn == proto.OpError
	}
	return op == txn || txn == proto.OpError
}

// synced answers the oldest sync, which the leader says is done; see own about the requests before it.
func (r *Replica) synced() {
	for i := range r.pending.len() {
		p := r.pending.at(i)
		if p.op != proto.OpSync || p.zxid != unassigned {
			continue
		}
		p.zxid = r.applied
		r.passOver(i)
		r.answerUpTo(r.applied, nil)
		return
	}
}

// revalidate asks the leader whether a session still exists.
func (r *Replica) revalidate(c *Conn, at proto.Millis) {
	data := proto.AppendTouches(nil, proto.Touch{Session: c.Session, Timeout: c.Timeout})
	r.upstream.packets = append(r.upstream.packets, proto.QuorumPacket{Type: proto.PacketRevalidate, Zxid: -1, Data: data})
	r.upstream.revalidating = append(r.upstream.revalidating, revalidation{c, at})
}

// revalidated takes the leader's answer for the client that has waited longest among those of the session.
func (r *Replica) revalidated(v proto.Revalidation) {
	u := &r.upstream
	for i, w := range u.revalidating {
		if w.conn.Session != v.Session {
			continue
		}
		u.revalidating = append(u.revalidating[:i], u.revalidating[i+1:]...)
		switch {
		case w.conn.gone:
		case v.Valid:
			r.attachInstead(w.conn)
			r.touch(w.conn)
			r.answerConnect(w.conn, true, w.at)
		default:
			r.answerConnect(w.conn, false, w.at)
		}
		return
	}
}

// touch notes that a learner has heard of a session.
func (r *Replica) touch(c *Conn) {
	if !c.touched {
		c.touched = true
		r.upstream.touched = append(r.upstream.touched, c)
	}
}

// touches returns the answer to a leader's PING: the sessions heard of since the last one. It is not null, which
// Apache's leader does not bear.
func (r *Replica) touches() []byte {
	data := []byte{}
	for i, c := range r.upstream.touched {
		data = proto.AppendTouches(data, proto.Touch{Session: c.Session, Timeout: c.Timeout})
		c.touched = false
		r.upstream.touched[i] = nil
	}
	r.upstream.touched = r.upstream.touched[:0]
	return data
}

// forwarded plans what a learner has passed on; owner stands for the learner's link.
func (r *Replica) forwarded(owner session.Owner, f *proto.ForwardedRequest, ids []proto.ID) error {
	switch {
	case f.Op == proto.OpCreateSession:
		d := proto.NewDecoder(f.Body)
		timeout := d.Int32()
		if d.Err() != nil {
			return fmt.Errorf("createSession of %v: %w", f.Session, d.Err())
		}
		r.tracker.Track(f.Session, timeout, r.now.Mono)
		r.tracker.SetOwner(f.Session, owner)
	case !IsWrite(f.Op):
		// Apache's followers pass on whatever looks like a write, such as a check outside of a multi, and wait for an answer.
		f.Op = proto.OpError
	}
	r.plan(nil, owner, f.Session, &Request{Xid: f.Cxid, Op: f.Op, Body: f.Body, IDs: ids})
	return nil
}

// heard takes the sessions that a learner has heard of.
func (r *Replica) heard(touches []proto.Touch) {
	if mutant.On(mutant.TouchesIgnored) {
		return
	}
	for _, t := range touches {
		r.tracker.Touch(t.Session, r.now.Mono)
	}
}

// renew answers a learner that asks for one of its clients whether its session still exists, and makes the learner the
// session's owner if it does.
func (r *Replica) renew(owner session.Owner, t proto.Touch) bool {
	if !r.tracker.SetOwner(t.Session, owner) && !mutant.On(mutant.UnknownSessionResumes) {
		return false
	}
	r.tracker.Track(t.Session, t.Timeout, r.now.Mono)
	return true
}
