package replica

import (
	"zebu/proto"
	"zebu/watch"
)

// Watch is a one-shot watch that a read asks for.
type Watch struct {
	Path  string // aliases the request; "" if there is none to register
	Child bool   // in the child table instead of the data table
}

// Effect is what a read brings about besides its reply.
type Effect struct {
	Err   proto.ErrCode
	Watch Watch // to be registered before the state lock is released
	Close bool  // the connection ends after the reply
}

// Exclusive says whether a read changes the watch registry in ways that need the whole state, so that [Replica.Read] must
// not run beside others.
func Exclusive(op proto.OpCode) bool {
	switch op {
	case proto.OpSetWatches, proto.OpSetWatches2, proto.OpAddWatch, proto.OpRemoveWatches, proto.OpCheckWatches:
		return true
	}
	return false
}

// AnswerSize estimates how many bytes the answer to a read would take now, so that a caller can bound what it asks for at
// once. Like [Replica.Read] it only looks.
func (r *Replica) AnswerSize(req *Request) int {
	const perChild = 40
	d := proto.NewDecoder(req.Body)
	switch req.Op {
	case proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren2:
		n := r.tree.Lookup(d.Str())
		switch {
		case n == nil:
			return 0
		case req.Op == proto.OpGetData:
			return len(n.Data())
		}
		return n.NumChildren() * perChild
	case proto.OpMultiRead:
		return maxMultiRead
	}
	return len(req.Body)
}

// Register adds the watch of a read that has just run.
func (r *Replica) Register(c *Conn, w Watch) {
	if w.Child {
		r.watches.AddChild(w.Path, c.ID, watch.Standard)
	} else {
		r.watches.AddData(w.Path, c.ID, watch.Standard)
	}
}

// Read runs a request that is no write and appends its framed reply to dst. A connection that the replica has let go of
// (its session ended, or moved on to another connection) gets no reply and leaves no watch: its slot may be another's.
func (r *Replica) Read(c *Conn, req *Request, dst []byte) ([]byte, Effect) {
	if !c.open {
		return dst, Effect{Close: true}
	}
	start := len(dst)
	if req.Refuse != proto.OK {
		dst = appendReplyHeader(dst, req.Xid, r.applied, req.Refuse)
		endFrame(dst, start)
		return dst, fail(req.Refuse)
	}
	if req.Op == proto.OpSetWatches || req.Op == proto.OpSetWatches2 {
		return r.setWatches(c, req, dst)
	}
	if req.Op == proto.OpCloseSession { // of a local session
		dst = appendReplyHeader(dst, req.Xid, r.applied, proto.OK)
		endFrame(dst, start)
		return dst, Effect{Close: true}
	}
	if req.Op == proto.OpPing {
		dst = appendReplyHeader(dst, proto.XidPing, r.applied, proto.OK) // whatever the request's xid
		endFrame(dst, start)
		return dst, Effect{}
	}
	dst = appendReplyHeader(dst, req.Xid, r.applied, proto.OK)
	d := proto.NewDecoder(req.Body)
	dst, fx := r.readBody(c, req.Op, &d, dst)
	if fx.Err != proto.OK {
		z := r.applied
		if fx.Err == proto.ErrUnimplemented {
			z = -1
		}
		dst = appendReplyHeader(dst[:start], req.Xid, z, fx.Err)
	}
	endFrame(dst, start)
	return dst, fx
}

// fail is an Effect with an error.
func fail(code proto.ErrCode) Effect { return Effect{Err: code} }

func (r *Replica) readBody(c *Conn, op proto.OpCode, d *proto.Decoder, dst []byte) ([]byte, Effect) {
	switch op {
	case proto.OpGetData, proto.OpExists, proto.OpGetChildren, proto.OpGetChildren2:
		return r.readNode(c, op, d, dst)
	case proto.OpGetACL:
		return r.getACL(c, d, dst)
	case proto.OpGetAllChildrenNumber:
		return r.getAllChildrenNumber(c, d, dst)
	case proto.OpGetEphemerals:
		return r.getEphemerals(c, d, dst)
	case proto.OpWhoAmI:
		return whoAmI(c, dst), Effect{}
	case proto.OpMultiRead:
		return r.multiRead(c, d, dst)
	case proto.OpAddWatch:
		return r.addWatch(c, d, dst)
	case proto.OpCheckWatches, proto.OpRemoveWatches:
		return dst, r.matchWatches(c, op, d)
	}
	return dst, Effect{Err: proto.ErrUnimplemented, Close: true}
}

// readNode serves the reads of one node that may leave a watch (spec 2.5).
func (r *Replica) readNode(c *Conn, op proto.OpCode, d *proto.Decoder, dst []byte) ([]byte, Effect) {
	var req proto.PathWatchRequest
	if req.Decode(d); d.Err() != nil {
		return dst, fail(proto.ErrMarshalling)
	}
	var fx Effect
	if req.Watch {
		fx.Watch = Watch{Path: req.Path, Child: op == proto.OpGetChildren || op == proto.OpGetChildren2}
	}
	n := r.tree.Lookup(req.Path)
	if n == nil {
		if op != proto.OpExists {
			fx.Watch = Watch{}
		} else if hasNUL(req.Path) {
			return dst, fail(proto.ErrBadArguments)
		}
		fx.Err = proto.ErrNoNode
		return dst, fx
	}
	if !r.tree.Permits(r.tree.ACL(n), proto.PermRead, c.IDs) {
		return dst, fail(proto.ErrNoAuth)
	}
	switch op {
	case proto.OpGetData:
		dst = proto.AppendBuf(dst, n.Data())
	case proto.OpGetChildren, proto.OpGetChildren2:
		dst = r.tree.AppendChildren(dst, n)
	}
	if op != proto.OpGetChildren {
		var st proto.Stat
		r.tree.Stat(n, &st)
		dst = st.Append(dst)
	}
	return dst, fx
}

func hasNUL(path string) bool {
	for i := range len(path) {
		if path[i] == 0 {
			return true
		}
	}
	return false
}
