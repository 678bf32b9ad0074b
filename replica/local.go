package replica

import (
	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/session"
)

// openLocal sets up a session that only this server knows (spec 13.1): no transaction tells of it, and it ends with the
// server's role.
func (r *Replica) openLocal(c *Conn, at proto.Millis) {
	c.local = true
	r.attach(c)
	r.locals.Track(c.Session, c.Timeout, r.now.Mono)
	r.answerConnect(c, true, at)
}

// resumeLocal lets a client go on with a local session of this server. It reports false if there is no such session.
func (r *Replica) resumeLocal(c *Conn, at proto.Millis) bool {
	if _, ok := r.locals.Timeout(c.Session); !ok {
		return false
	}
	c.local = true
	r.attachInstead(c)
	r.locals.Track(c.Session, c.Timeout, r.now.Mono)
	r.answerConnect(c, true, at)
	return true
}

// serverByte is where in a session id the server stands that made it (spec 1.5).
const serverByte = 56

// check says whether a request of owner's in a session may go on. Sessions that are unknown here and were made elsewhere may be local to
// a learner, if there are such sessions; but a session that makes ephemeral nodes must be one of the ensemble, or they might
// outlive it, and one of the ensemble that has ended is known: what it asked for at a server that it has left may still be on its way from there
// (Apache's leaders carry it out).
func (r *Replica) check(s proto.SessionID, owner session.Owner, req *Request) proto.ErrCode {
	if r.opt.LocalSessions && (!makesEphemeral(req.Op, req.Body) || mutant.On(mutant.LocalMakesEphemeral)) {
		if _, ok := r.locals.Timeout(s); ok {
			return proto.OK
		}
		_, known := r.tracker.Timeout(s)
		if !known && (!r.past.has(s) || mutant.On(mutant.LocalMakesEphemeral)) && proto.ServerID(uint64(s)>>serverByte) != r.opt.ServerID {
			return proto.OK
		}
	}
	return r.tracker.Check(s, owner)
}

// pastSessions are the sessions of the ensemble that ended last, while this server has led. Where sessions are local to servers few become
// the ensemble's, so that these go further back than a link between servers can delay anything without being given up.
type pastSessions struct {
	ids   map[proto.SessionID]struct{}
	order []proto.SessionID // a ring, once it is full
	next  int
}

// maxPast is how many sessions are remembered: about 3 MiB.
const maxPast = 1 << 16

func (p *pastSessions) has(s proto.SessionID) bool {
	_, ok := p.ids[s]
	return ok
}

func (p *pastSessions) add(s proto.SessionID) {
	if p.ids == nil {
		p.ids = map[proto.SessionID]struct{}{}
	}
	p.ids[s] = struct{}{}
	if len(p.order) < maxPast {
		p.order = append(p.order, s)
		return
	}
	delete(p.ids, p.order[p.next])
	p.order[p.next] = s
	p.next = (p.next + 1) % maxPast
}

// submitLocal takes a request of a local session. It returns false if the request goes the way of all others.
func (r *Replica) submitLocal(c *Conn, req *Request) bool {
	switch {
	case req.Refuse != proto.OK:
		return false
	case req.Op == proto.OpCloseSession:
		r.enqueue(c, req) // nobody else needs to know
		return true
	case !makesEphemeral(req.Op, req.Body):
		return false
	case !r.opt.UpgradeLocal:
		req.Refuse = proto.ErrEphemeralOnLocalSession
	default:
		r.upgrade(c)
	}
	return false
}

// upgrade makes a local session one of the ensemble, under its id, ahead of the request that needs it.
func (r *Replica) upgrade(c *Conn) {
	c.local = false
	r.locals.Remove(c.Session)
	create := &Request{Op: proto.OpCreateSession, Body: proto.AppendInt32(nil, c.Timeout)}
	if r.role == learning {
		r.touch(c)
		r.forward(nil, c.Session, create, "")
		return
	}
	r.tracker.Track(c.Session, c.Timeout, r.now.Mono)
	r.tracker.SetOwner(c.Session, c.owner())
	r.plan(nil, c.owner(), c.Session, create)
}

// makesEphemeral says whether a request creates an ephemeral node, as far as it can be decoded.
func makesEphemeral(op proto.OpCode, body []byte) bool {
	d := proto.NewDecoder(body)
	if op == proto.OpMulti {
		return multiMakesEphemeral(&d)
	}
	return createsEphemeral(op, &d)
}

func createsEphemeral(op proto.OpCode, d *proto.Decoder) bool {
	if op != proto.OpCreate && op != proto.OpCreate2 {
		return false
	}
	var c proto.CreateRequest
	c.Decode(d)
	return d.Err() == nil && c.Flags.Ephemeral()
}

func multiMakesEphemeral(d *proto.Decoder) bool {
	for {
		var h proto.MultiHeader
		if h.Decode(d); d.Err() != nil || h.Done {
			return false
		}
		switch h.Op {
		case proto.OpCreate, proto.OpCreate2:
			if createsEphemeral(h.Op, d) {
				return true
			}
		case proto.OpCreateTTL:
			var c proto.CreateTTLRequest
			c.Decode(d)
		case proto.OpCreateContainer:
			var c proto.CreateRequest
			c.Decode(d)
		case proto.OpDelete, proto.OpCheck:
			var c proto.PathVersion
			c.Decode(d)
		case proto.OpSetData:
			var c proto.SetDataRequest
			c.Decode(d)
		default:
			return false
		}
	}
}

// expireLocal ends local sessions that have not been heard of in time.
func (r *Replica) expireLocal() {
	r.due = r.locals.Due(r.now.Mono, r.due[:0])
	for _, s := range r.due {
		r.locals.Remove(s)
		r.counts.ExpiredSessions++
		if c := r.bySession[s]; c != nil {
			r.hangUp(c)
		}
	}
}
