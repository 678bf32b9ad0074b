package znode

import (
	"strconv"
	"strings"
	"unsafe"

	"zebu/internal/mutant"
	"zebu/proto"
)

func bytesString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// appendSequence appends n as Java's format %010d does: the sign counts.
func appendSequence(b []byte, n int32) []byte {
	width := 10
	v := int64(n)
	if v < 0 {
		b = append(b, '-')
		v, width = -v, 9
	}
	var digits [10]byte
	s := strconv.AppendInt(digits[:0], v, 10)
	for range width - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// nextVersion checks the version that a request expects, -1 for any, and returns the one after.
func nextVersion(current, expected int32) (int32, proto.ErrCode) {
	if expected != -1 && expected != current {
		return 0, proto.ErrBadVersion
	}
	return current + 1, proto.OK
}

// deletable checks that path can be taken apart and is not reserved.
func deletable(path string) proto.ErrCode {
	if !strings.Contains(path, "/") || strings.Contains(path, "\x00") || special(path) {
		return proto.ErrBadArguments
	}
	return proto.OK
}

func (p *Planner) planDelete(dst []byte, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	const op = proto.OpDelete
	var r proto.PathVersion
	r.Decode(d)
	err := orElse(undecodable(d), orElse(p.req.SessionErr, deletable(r.Path)))
	if err != proto.OK {
		return dst, op, err
	}
	parentPath, _ := split(r.Path)
	var parent, node state
	if !p.o.look(parentPath, &parent) {
		return dst, op, proto.ErrNoNode
	}
	if !p.o.t.Permits(parent.acl, proto.PermDelete, p.req.IDs) {
		return dst, op, proto.ErrNoAuth
	}
	if !p.o.look(r.Path, &node) {
		return dst, op, proto.ErrNoNode
	}
	if _, err := nextVersion(node.version, r.Version); err != proto.OK {
		return dst, op, err
	}
	if node.children > 0 {
		return dst, op, proto.ErrNotEmpty
	}
	p.recordDelete(r.Path, parentPath, &node, &parent)
	return proto.AppendStr(dst, r.Path), op, proto.OK
}

func (p *Planner) recordDelete(path, parentPath string, node, parent *state) {
	parent.childDeleted(p.o.zxid)
	parent.children--
	p.o.put(parentPath, parent)
	p.o.remove(path, node)
}

// planReap plans the removal of a container or TTL node that [Tree.Reapable] has found due. Apache ZooKeeper would also delete
// an ordinary node that has taken the place of the one that was due, and one that has been written or made anew since; here
// that is a version conflict, as it is for an ephemeral node.
func (p *Planner) planReap(dst []byte, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	const op = proto.OpDeleteContainer
	path := d.Str()
	if err := orElse(undecodable(d), deletable(path)); err != proto.OK {
		return dst, op, err
	}
	var parent, node state
	if !p.o.look(path, &node) {
		return dst, op, proto.ErrNoNode
	}
	if node.children > 0 && !mutant.On(mutant.ContainerReapedInUse) {
		return dst, op, proto.ErrNotEmpty
	}
	if k := p.o.t.opts.kind(node.owner); k != ownerContainer && k != ownerTTL || !p.o.t.opts.due(&node.meta, p.now, p.MaxNeverUsed) {
		return dst, op, proto.ErrBadVersion
	}
	parentPath, _ := split(path)
	if !p.o.look(parentPath, &parent) {
		return dst, op, proto.ErrNoNode
	}
	p.recordDelete(path, parentPath, &node, &parent)
	return proto.AppendStr(dst, path), op, proto.OK
}

// lookValid is the start of every operation on one existing node.
func (p *Planner) lookValid(path string, perm int32, s *state) proto.ErrCode {
	switch {
	case !p.o.look(path, s):
		return proto.ErrNoNode
	case !p.o.t.Permits(s.acl, perm, p.req.IDs):
		return proto.ErrNoAuth
	}
	return proto.OK
}

func validPath(path string) proto.ErrCode {
	if !ValidatePath(path) {
		return proto.ErrBadArguments
	}
	return proto.OK
}

func (p *Planner) planSetData(dst []byte, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	const op = proto.OpSetData
	var r proto.SetDataRequest
	r.Decode(d)
	err := orElse(undecodable(d), orElse(p.req.SessionErr, validPath(r.Path)))
	if err != proto.OK {
		return dst, op, err
	}
	var node state
	if err := p.lookValid(r.Path, proto.PermWrite, &node); err != proto.OK {
		return dst, op, err
	}
	if err := p.o.t.quotaAllows(r.Path, 0, len(r.Data)-int(node.size)); err != proto.OK {
		return dst, op, err
	}
	version, err := nextVersion(node.version, r.Version)
	if err != proto.OK {
		return dst, op, err
	}
	node.dataSet(p.o.zxid, p.now, version)
	node.size = int32(len(r.Data))
	if !p.o.t.opts.NoDigest && !hiddenPath(r.Path) {
		node.prefix = prefixCRC(strings.TrimSuffix(r.Path, "/"), r.Data) // a valid path that ends so is "/"
	}
	p.o.put(r.Path, &node)
	t := proto.SetDataTxn{Path: r.Path, Data: r.Data, Version: version}
	return t.Append(dst), op, proto.OK
}

func (p *Planner) planSetACL(dst []byte, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	const op = proto.OpSetACL
	r := &p.setACL
	r.Decode(d)
	err := orElse(undecodable(d), orElse(p.req.SessionErr, validPath(r.Path)))
	if err != proto.OK {
		return dst, op, err
	}
	p.acl, err = p.o.t.FixupACL(p.acl[:0], r.ACL, p.req.IDs)
	if err != proto.OK {
		return dst, op, err
	}
	var node state
	if err := p.lookValid(r.Path, proto.PermAdmin, &node); err != proto.OK {
		return dst, op, err
	}
	version, err := nextVersion(node.aversion, r.Version)
	if err != proto.OK {
		return dst, op, err
	}
	node.aversion = version
	node.acl = p.o.t.acls.own(p.acl)
	p.o.put(r.Path, &node)
	t := proto.SetACLTxn{Path: r.Path, ACL: p.acl, Version: version}
	return t.Append(dst), op, proto.OK
}

func (p *Planner) planCheck(dst []byte, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	const op = proto.OpCheck
	var r proto.PathVersion
	r.Decode(d)
	err := orElse(undecodable(d), orElse(p.req.SessionErr, validPath(r.Path)))
	if err != proto.OK {
		return dst, op, err
	}
	var node state
	if err := p.lookValid(r.Path, proto.PermRead, &node); err != proto.OK {
		return dst, op, err
	}
	if r.Version, err = nextVersion(node.version, r.Version); err != proto.OK {
		return dst, op, err
	}
	return r.Append(dst), op, proto.OK
}

// maxClosePaths bounds a closeSession transaction, in bytes. Beyond it the list is left out, as before ZooKeeper 3.6: every
// replica then deletes the ephemerals that it knows of, which are the same. A longer transaction could be written and not
// be read again: Apache ZooKeeper refuses records beyond jute.maxbuffer, and its ensembles did not restart (ZOOKEEPER-4306).
const maxClosePaths = 0xfffff

// planClose plans the end of the request's session. It asks no questions: the session may have ended by itself.
func (p *Planner) planClose(dst []byte) []byte {
	list := !p.o.t.opts.EmptyCloseSession
	start, n := len(dst), int32(0)
	if list {
		dst = proto.AppendInt32(dst, 0)
	}
	p.o.ephemerals(p.req.Session, func(path string) {
		n++
		if list {
			dst = proto.AppendStr(dst, path)
		}
		parentPath, _ := split(path)
		var parent, node state
		p.o.look(parentPath, &parent)
		p.o.look(path, &node)
		p.recordDelete(path, parentPath, &node, &parent)
	})
	if list && len(dst)-start > maxClosePaths {
		list, p.shortened = false, true
	}
	if !list {
		return dst[:start]
	}
	proto.PutInt32(dst[start:], n)
	return dst
}

// planMulti plans each operation on top of those before it. If one fails, all that was recorded is taken back; the
// transaction still lists what went well before it, then errors (spec 2.4).
func (p *Planner) planMulti(dst []byte, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	n := p.scanMulti(*d)
	if n < 0 {
		return dst, proto.OpMulti, proto.ErrMarshalling
	}
	dst = proto.AppendInt32(dst, n)
	m := p.o.beginMulti()
	failed := false
	for range n {
		if failed {
			dst = appendSubError(dst, proto.ErrRuntimeInconsistency)
			continue
		}
		var h proto.MultiHeader
		h.Decode(d)
		start := len(dst)
		dst = proto.AppendInt32(proto.AppendInt32(dst, 0), 0)
		var op proto.OpCode
		var err proto.ErrCode
		if dst, op, err = p.planMultiOp(dst, h.Op, d); err != proto.OK {
			failed = true
			p.o.rollback(m)
			dst = appendSubError(dst[:start], err)
			continue
		}
		proto.PutInt32(dst[start:], int32(op))
		proto.PutInt32(dst[start+4:], int32(len(dst)-start-8))
	}
	p.o.endMulti()
	return dst, proto.OpMulti, proto.OK
}

func appendSubError(dst []byte, err proto.ErrCode) []byte {
	dst = proto.AppendInt32(proto.AppendInt32(dst, int32(proto.OpError)), 4)
	return proto.AppendInt32(dst, int32(err))
}

// planMultiOp is planSub with a multi's own ideas of createTTL: without TTL flags it is a create.
func (p *Planner) planMultiOp(dst []byte, op proto.OpCode, d *proto.Decoder) ([]byte, proto.OpCode, proto.ErrCode) {
	if op != proto.OpCreateTTL {
		return p.planSub(dst, op, d)
	}
	p.create.Decode(d)
	if !p.create.Flags.TTL() {
		op, p.create.TTL = proto.OpCreate, -1
	}
	return p.planCreate(dst, op)
}

// scanMulti returns the number of operations in a multi's body, -1 if it is malformed or holds anything that may not be
// in one.
func (p *Planner) scanMulti(d proto.Decoder) int32 {
	for n := int32(0); ; n++ {
		var h proto.MultiHeader
		if h.Decode(&d); h.Done && d.Err() == nil {
			return n
		}
		switch h.Op {
		case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer:
			_ = p.decodeCreate(h.Op, &d) // d remembers
			if f := p.create.Flags; !f.Valid() || f.TTL() || p.create.ACL == nil {
				return -1
			}
		case proto.OpCreateTTL:
			p.create.Decode(&d)
		case proto.OpDelete, proto.OpCheck:
			var r proto.PathVersion
			r.Decode(&d)
		case proto.OpSetData:
			var r proto.SetDataRequest
			r.Decode(&d)
		default:
			return -1
		}
		if d.Err() != nil {
			return -1
		}
	}
}
