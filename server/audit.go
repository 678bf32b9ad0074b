package server

import (
	"os/user"
	"strings"

	"zebu/internal/audit"
	"zebu/proto"
	"zebu/replica"
)

// auditEntry is what the audit log will say of a write once its outcome is known. A multi has one for each operation.
type auditEntry struct {
	xid   int32
	op    proto.OpCode
	event audit.Event
	ops   []auditEntry
}

// auditUser is the user of what the server does of its own accord: its operating system user.
func auditUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// noteAudit remembers what the audit log will say of a write, until its reply.
func (c *conn) noteAudit(req *replica.Request) {
	if !c.s.audit.Enabled() || !replica.IsWrite(req.Op) {
		return
	}
	names := make([]string, 0, len(req.IDs))
	for _, id := range req.IDs {
		names = append(names, replica.UserName(id))
	}
	base := audit.Event{Session: c.rc.Session, User: strings.Join(names, ","), IP: c.remote.Addr().String()}
	d := proto.NewDecoder(req.Body)
	e := describeWrite(req.Op, &d, base)
	e.xid = req.Xid
	c.mu.Lock()
	c.audits = append(c.audits, e)
	c.mu.Unlock()
}

// describeWrite decodes what a write is about. What cannot be decoded is left out: the write will fail.
func describeWrite(op proto.OpCode, d *proto.Decoder, base audit.Event) auditEntry {
	e := auditEntry{op: op, event: base}
	ev := &e.event
	switch op {
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer:
		var req proto.CreateRequest
		req.Decode(d)
		ev.Operation, ev.Path, ev.NodeType = audit.Create, strings.Clone(req.Path), audit.NodeType(int32(req.Flags))
	case proto.OpCreateTTL:
		var req proto.CreateTTLRequest
		req.Decode(d)
		ev.Operation, ev.Path, ev.NodeType = audit.Create, strings.Clone(req.Path), audit.NodeType(int32(req.Flags))
	case proto.OpDelete, proto.OpCheck:
		var req proto.PathVersion
		req.Decode(d)
		ev.Operation, ev.Path = audit.Delete, strings.Clone(req.Path)
	case proto.OpSetData:
		var req proto.SetDataRequest
		req.Decode(d)
		ev.Operation, ev.Path = audit.SetData, strings.Clone(req.Path)
	case proto.OpSetACL:
		var req proto.SetACLRequest
		req.Decode(d)
		ev.Operation, ev.Path = audit.SetACL, strings.Clone(req.Path)
		for _, a := range req.ACL {
			ev.ACL = append(ev.ACL, proto.ACL{Perms: a.Perms, ID: proto.ID{Scheme: strings.Clone(a.ID.Scheme), ID: strings.Clone(a.ID.ID)}})
		}
	case proto.OpReconfig:
		ev.Operation = audit.Reconfig
	case proto.OpMulti:
		ev.Operation = audit.Multi
		for {
			var h proto.MultiHeader
			if h.Decode(d); d.Err() != nil || h.Done {
				break
			}
			e.ops = append(e.ops, describeWrite(h.Op, d, base))
		}
	}
	return e
}

// auditReply logs the outcome of the oldest write in flight, from its reply. The caller holds c.mu.
func (c *conn) auditReply(o *replica.Output, frame []byte) {
	if !c.s.audit.Enabled() || len(c.audits) == 0 {
		return
	}
	e := c.audits[0]
	c.audits = c.audits[1:]
	for o.Lost && e.xid != o.Xid && len(c.audits) > 0 {
		// Requests that were refused in their place are not answered on a lost connection.
		e, c.audits = c.audits[0], c.audits[1:]
	}
	d := proto.NewDecoder(frame)
	d.Int32() // length
	var hdr proto.ReplyHeader
	hdr.Decode(&d)
	switch {
	case e.event.Operation == "": // closeSession
	case o.Err != proto.OK:
		e.event.Result = audit.Failure
		c.audit(e.event)
	case e.op == proto.OpMulti:
		c.auditMulti(&e, &d)
	default:
		c.auditSuccess(&e, &d)
	}
}

func (c *conn) auditSuccess(e *auditEntry, d *proto.Decoder) {
	e.event.Result = audit.Success
	if e.event.Operation == audit.Create {
		e.event.Path = strings.Clone(d.Str()) // with its sequence number
	}
	c.audit(e.event)
}

// audit has the loop log an event once no lock is held. Only the loop calls it.
func (c *conn) audit(e audit.Event) { c.s.loop.audited = append(c.s.loop.audited, e) }

// auditMulti logs each operation of a multi that succeeded, one line for one that failed.
func (c *conn) auditMulti(e *auditEntry, d *proto.Decoder) {
	for i := range e.ops {
		op := &e.ops[i]
		var h proto.MultiHeader
		h.Decode(d)
		if d.Err() != nil || h.Op == proto.OpError {
			e.event.Result = audit.Failure
			c.audit(e.event)
			return
		}
		switch h.Op {
		case proto.OpCreate, proto.OpCreate2:
			c.auditSuccess(op, d)
		case proto.OpDelete, proto.OpSetData:
			c.auditSuccess(op, d)
		}
		skipStat(h.Op, d)
	}
}

// skipStat passes over the stat at the end of an operation's result.
func skipStat(op proto.OpCode, d *proto.Decoder) {
	if op == proto.OpCreate2 || op == proto.OpSetData {
		var st proto.Stat
		st.Decode(d)
	}
}

// auditEnded logs the ephemeral nodes that went with their sessions since the last call.
func (s *Server) auditEnded() {
	if !s.audit.Enabled() {
		return
	}
	for _, e := range s.rep.TakeEnded() {
		s.loop.audited = append(s.loop.audited, audit.Event{
			Session: e.Session, User: s.auditUser, Operation: audit.EphemeralDeletion, Path: e.Path, Result: audit.Success,
		})
	}
}

func (s *Server) auditSelf(op audit.Operation, result audit.Result) {
	s.audit.Log(audit.Event{User: s.auditUser, Operation: op, Result: result})
}
