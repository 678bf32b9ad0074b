package replica

import (
	"strings"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/watch"
	"zebu/znode"
)

// getACL needs READ or ADMIN; without ADMIN the digests are masked (CVE-2019-0201).
func (r *Replica) getACL(c *Conn, d *proto.Decoder, dst []byte) ([]byte, Effect) {
	var req proto.PathRequest
	if req.Decode(d); d.Err() != nil {
		return dst, fail(proto.ErrMarshalling)
	}
	n := r.tree.Lookup(req.Path)
	if n == nil {
		return dst, fail(proto.ErrNoNode)
	}
	acl := r.tree.ACL(n)
	if !r.tree.Permits(acl, proto.PermRead|proto.PermAdmin, c.IDs) {
		return dst, fail(proto.ErrNoAuth)
	}
	if !r.tree.Permits(acl, proto.PermAdmin, c.IDs) {
		acl = znode.MaskACL(nil, acl)
	}
	resp := proto.GetACLResponse{ACL: acl}
	r.tree.Stat(n, &resp.Stat)
	return resp.Append(dst), Effect{}
}

func (r *Replica) getAllChildrenNumber(c *Conn, d *proto.Decoder, dst []byte) ([]byte, Effect) {
	var req proto.PathRequest
	if req.Decode(d); d.Err() != nil {
		return dst, fail(proto.ErrMarshalling)
	}
	n := r.tree.Lookup(req.Path)
	if n == nil {
		return dst, fail(proto.ErrNoNode)
	}
	if !r.tree.Permits(r.tree.ACL(n), proto.PermRead, c.IDs) {
		return dst, fail(proto.ErrNoAuth)
	}
	return proto.AppendInt32(dst, int32(r.tree.Descendants(n))), Effect{}
}

func (r *Replica) getEphemerals(c *Conn, d *proto.Decoder, dst []byte) ([]byte, Effect) {
	var req proto.PathRequest
	if req.Decode(d); d.Err() != nil {
		return dst, fail(proto.ErrMarshalling)
	}
	resp := proto.StringsResponse{Strings: []string{}}
	for _, p := range r.tree.Ephemerals(c.Session) {
		if req.Path == "" || req.Path == "/" || strings.HasPrefix(p, req.Path) {
			resp.Strings = append(resp.Strings, p)
		}
	}
	return resp.Append(dst), Effect{}
}

// whoAmI lists the connection's identities, digests without their secret.
func whoAmI(c *Conn, dst []byte) []byte {
	resp := proto.WhoAmIResponse{ClientInfo: make([]proto.ClientInfo, 0, len(c.IDs))}
	for _, id := range c.IDs {
		resp.ClientInfo = append(resp.ClientInfo, proto.ClientInfo{AuthScheme: id.Scheme, User: UserName(id)})
	}
	return resp.Append(dst)
}

// UserName is the name under which reports and the audit log know an identity.
func UserName(id proto.ID) string {
	if id.Scheme == "digest" {
		user, _, _ := strings.Cut(id.ID, ":")
		return user
	}
	return id.ID
}

// maxMultiRead bounds the answer to a multiRead, in bytes: a short request can ask for the same large node many times.
const maxMultiRead = 64 << 20

// multiRead runs getData and getChildren operations against one state (spec 2.4). Watch flags in it are ignored. An answer
// beyond maxMultiRead is refused as one that cannot be marshalled; no known client would take it.
func (r *Replica) multiRead(c *Conn, d *proto.Decoder, dst []byte) ([]byte, Effect) {
	start := len(dst)
	for {
		var h proto.MultiHeader
		if h.Decode(d); d.Err() != nil || len(dst)-start > maxMultiRead {
			return dst, fail(proto.ErrMarshalling)
		}
		if h.Done {
			end := proto.MultiHeader{Op: proto.OpError, Done: true, Err: -1}
			return end.Append(dst), Effect{}
		}
		if h.Op != proto.OpGetData && h.Op != proto.OpGetChildren {
			return dst, fail(proto.ErrMarshalling)
		}
		at := len(dst)
		ok := proto.MultiHeader{Op: h.Op}
		var fx Effect
		dst, fx = r.readNode(c, h.Op, d, ok.Append(dst))
		switch fx.Err {
		case proto.OK:
		case proto.ErrMarshalling:
			return dst, fx
		default:
			bad := proto.MultiHeader{Op: proto.OpError, Err: fx.Err}
			dst = proto.AppendInt32(bad.Append(dst[:at]), int32(fx.Err))
		}
	}
}

func (r *Replica) addWatch(c *Conn, d *proto.Decoder, dst []byte) ([]byte, Effect) {
	var req proto.AddWatchRequest
	if req.Decode(d); d.Err() != nil {
		return dst, fail(proto.ErrMarshalling)
	}
	switch req.Mode {
	case proto.AddWatchPersistent:
		r.watches.Add(req.Path, c.ID, watch.Persistent)
	case proto.AddWatchRecursive:
		r.watches.Add(req.Path, c.ID, watch.Recursive)
	default:
		return dst, fail(proto.ErrMarshalling)
	}
	return proto.AppendInt32(dst, 0), Effect{}
}

func (r *Replica) matchWatches(c *Conn, op proto.OpCode, d *proto.Decoder) Effect {
	var req proto.PathWatcherType
	if req.Decode(d); d.Err() != nil {
		return fail(proto.ErrMarshalling)
	}
	if req.Type < proto.WatcherChildren || req.Type > proto.WatcherPersistentRecursive {
		return fail(proto.ErrMarshalling)
	}
	found := false
	if op == proto.OpCheckWatches {
		found = r.watches.Contains(c.ID, req.Path, req.Type)
	} else {
		found = r.watches.Remove(c.ID, req.Path, req.Type)
	}
	if !found {
		return fail(proto.ErrNoWatcher)
	}
	return Effect{}
}

// setWatches registers a reconnecting client's watches; for what changed since the zxid it saw last it sends events instead,
// before the reply (spec 4.3).
func (r *Replica) setWatches(c *Conn, req *Request, dst []byte) ([]byte, Effect) {
	start := len(dst)
	var sw proto.SetWatches2
	d := proto.NewDecoder(req.Body)
	if req.Op == proto.OpSetWatches {
		var old proto.SetWatches
		old.Decode(&d)
		sw = proto.SetWatches2{
			RelativeZxid: old.RelativeZxid, DataWatches: old.DataWatches, ExistWatches: old.ExistWatches, ChildWatches: old.ChildWatches,
		}
	} else {
		sw.Decode(&d)
	}
	if d.Err() != nil {
		dst = appendReplyHeader(dst, req.Xid, r.applied, proto.ErrMarshalling)
		endFrame(dst, start)
		return dst, fail(proto.ErrMarshalling)
	}
	for _, p := range sw.DataWatches {
		n := r.tree.Lookup(p)
		switch {
		case n == nil:
			dst = appendEvent(dst, proto.EventNodeDeleted, p, -1)
		case n.Mzxid() > sw.RelativeZxid && !mutant.On(mutant.MoveMissesChange):
			dst = appendEvent(dst, proto.EventNodeDataChanged, p, -1)
		case mutant.On(mutant.WatchLostOnMove):
		default:
			r.watches.AddData(p, c.ID, watch.Standard)
		}
	}
	for _, p := range sw.ExistWatches {
		if r.tree.Lookup(p) != nil {
			dst = appendEvent(dst, proto.EventNodeCreated, p, -1)
		} else {
			r.watches.AddData(p, c.ID, watch.Standard)
		}
	}
	for _, p := range sw.ChildWatches {
		n := r.tree.Lookup(p)
		switch {
		case n == nil:
			dst = appendEvent(dst, proto.EventNodeDeleted, p, -1)
		case n.Pzxid() > sw.RelativeZxid:
			dst = appendEvent(dst, proto.EventNodeChildrenChanged, p, -1)
		default:
			r.watches.AddChild(p, c.ID, watch.Standard)
		}
	}
	if mutant.On(mutant.PersistentNotRearmed) {
		sw.PersistentWatches, sw.PersistentRecursiveWatches = nil, nil
	}
	for _, p := range sw.PersistentWatches {
		r.watches.Add(p, c.ID, watch.Persistent)
	}
	for _, p := range sw.PersistentRecursiveWatches {
		r.watches.Add(p, c.ID, watch.Recursive)
	}
	start = len(dst)
	dst = appendReplyHeader(dst, req.Xid, r.applied, proto.OK)
	endFrame(dst, start)
	return dst, Effect{}
}
