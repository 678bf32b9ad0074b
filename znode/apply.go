package znode

import (
	"errors"
	"fmt"

	"zebu/internal/mutant"
	"zebu/proto"
)

// Change is one change that watches may wait for.
type Change struct {
	Type proto.EventType
	Path string
	ACL  []proto.ACL // READ on it is needed to be told (spec 4.2); stays valid
	Size int         // of the data that was written, in bytes
}

// OpResult is the outcome of one operation of a multi. Type is that of the transaction, OpError if the operation failed
// or was not tried.
type OpResult struct {
	Type proto.OpCode
	Err  proto.ErrCode
	Path string
	Stat proto.Stat // of create and setData
}

// Result is what applying a transaction brought about. The caller lends it to [Tree.Apply] again and again. Paths alias
// the transaction's bytes, but those of ephemeral nodes that a closeSession transaction does not list.
type Result struct {
	Type    proto.OpCode  // of the transaction
	Err     proto.ErrCode // of a multi, the failing operation's; its reply's header says 0 all the same (spec 2.4)
	Path    string
	Stat    proto.Stat // of create, setData, reconfig and setACL
	Config  []byte     // of reconfig: the configuration's text; aliases the transaction's bytes
	Record  []byte     // of a transaction of the etcd API, which does not touch the tree; aliases the transaction's bytes
	Timeout int32      // of createSession, in milliseconds
	Changes []Change   // in firing order
	Ops     []OpResult // of a multi

	// HasDigest says that the transaction carries Digest, the digest of its author's tree after it.
	HasDigest bool
	Digest    proto.TxnDigest
}

// maxRoom is how many changes or operations a Result keeps room for from one transaction to the next.
const maxRoom = 1 << 14

func (r *Result) reset(op proto.OpCode) {
	if cap(r.Changes) > maxRoom || cap(r.Ops) > maxRoom {
		*r = Result{}
	}
	clear(r.Changes)
	*r = Result{Type: op, Changes: r.Changes[:0], Ops: r.Ops[:0]}
}

var (
	errTxnType = errors.New("unsupported type")
	errTxnPath = errors.New("not a path")
)

// Apply carries out the transaction with header h; body is everything after the header. Outcomes that a client may see,
// and those that replaying over a fuzzy snapshot meets (NONODE, NODEEXISTS), are in res.Err; the returned error means
// that the transaction cannot be understood, and nothing was changed. [Tree.LastZxid] advances when all of it is done.
func (t *Tree) Apply(h *proto.TxnHeader, body []byte, res *Result) error {
	res.reset(h.Type)
	d := proto.NewDecoder(body)
	x := &t.txns.txn
	if err := t.txns.decode(h, h.Type, &d); err != nil {
		return fmt.Errorf("apply %v of type %v: %w", h.Zxid, h.Type, err)
	}
	if d.Remaining() >= digestLen {
		res.HasDigest = true
		res.Digest.Decode(&d)
	}
	switch h.Type {
	case proto.OpMulti:
		if err := t.applyMulti(h, res); err != nil {
			return fmt.Errorf("apply %v: %w", h.Zxid, err)
		}
	case proto.OpCloseSession:
		t.closeSession(h.ClientID, h.Zxid, x.paths, res)
	default:
		res.Path, res.Timeout = x.path, x.timeout
		res.Err = t.applyOne(h, x, &res.Stat, res)
		switch h.Type {
		case proto.OpReconfig:
			res.Config = x.data
		case proto.OpEtcd:
			res.Record = x.data
		}
	}
	t.last = max(t.last, h.Zxid)
	return nil
}

// applyOne applies anything but multi and closeSession.
func (t *Tree) applyOne(h *proto.TxnHeader, x *txn, st *proto.Stat, res *Result) proto.ErrCode {
	switch x.op {
	case proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL:
		return t.applyCreate(h, x, st, res)
	case proto.OpDelete, proto.OpDeleteContainer:
		return t.applyDelete(x.path, h.Zxid, res)
	case proto.OpSetData, proto.OpReconfig:
		return t.applySetData(h, x, st, res)
	case proto.OpSetACL:
		return t.applySetACL(x, st)
	case proto.OpError:
		return x.err
	}
	return proto.OK // createSession is for the session table, etcd for the key space, check changes nothing
}

func (t *Tree) applyCreate(h *proto.TxnHeader, x *txn, st *proto.Stat, res *Result) proto.ErrCode {
	parentPath, name := split(x.path)
	parent := t.resolve(parentPath)
	if parent == 0 {
		return proto.ErrNoNode
	}
	p := t.mut(parent)
	p.childCreated(x.version, h.Zxid)
	t.redigest(p)
	acl := t.acls.acquire(x.acl)
	if old := t.find(parent, name); old != 0 {
		// A fuzzy snapshot holds the node, maybe with an ACL that it lists no more: repaired here (scenario 30).
		n := t.mut(old)
		t.acls.release(n.acl)
		n.acl = acl
		return proto.ErrNodeExists
	}
	var m meta
	m.created(h.Zxid, h.Time, x.owner)
	n := t.node(t.insert(parent, name, x.path, x.data, acl, &m))
	t.quotaCreated(parentPath, name, x.path, len(x.data))
	t.Stat(n, st)
	res.Changes = append(res.Changes,
		Change{proto.EventNodeCreated, x.path, t.ACL(n), len(x.data)},
		Change{proto.EventNodeChildrenChanged, watched(parentPath), t.ACL(t.node(parent)), 0})
	return proto.OK
}

func (t *Tree) applyDelete(path string, z proto.Zxid, res *Result) proto.ErrCode {
	if !splittable(path) {
		return proto.ErrNoNode
	}
	parentPath, name := split(path)
	parent := t.resolve(parentPath)
	if parent == 0 {
		return proto.ErrNoNode
	}
	// Before anything else: a fuzzy snapshot may lack the node already, but not the parent's change (scenario 29).
	p := t.mut(parent)
	p.childDeleted(z)
	t.redigest(p)
	idx := t.find(parent, name)
	if idx == 0 {
		return proto.ErrNoNode
	}
	if t.node(idx).firstChild != 0 {
		t.removeBelow(idx, path)
	}
	n := t.node(idx)
	acl, size := t.ACL(n), n.dataLen()
	t.remove(idx, path)
	t.quotaDeleted(parentPath, name, path, size)
	res.Changes = append(res.Changes,
		Change{proto.EventNodeDeleted, path, acl, 0},
		Change{proto.EventNodeChildrenChanged, watched(parentPath), t.ACL(t.node(parent)), 0})
	return proto.OK
}

// removeBelow removes all descendants of a node that a transaction deletes. When the transaction was made there were
// none, so those here come from later in the range of a fuzzy snapshot, and the replay will create them again.
func (t *Tree) removeBelow(top uint32, path string) {
	for idx := t.node(top).firstChild; idx != 0; idx = t.node(top).firstChild {
		for c := t.node(idx).firstChild; c != 0; c = t.node(idx).firstChild {
			idx = c
		}
		p := t.pathOf(idx)
		parentPath, name := split(p)
		size := t.node(idx).dataLen()
		t.remove(idx, p)
		t.quotaDeleted(parentPath, name, p, size)
	}
}

func (t *Tree) applySetData(h *proto.TxnHeader, x *txn, st *proto.Stat, res *Result) proto.ErrCode {
	idx := t.resolve(x.path)
	if idx == 0 {
		return proto.ErrNoNode
	}
	n := t.mut(idx)
	delta := len(x.data) - n.dataLen()
	n.dataSet(h.Zxid, h.Time, x.version)
	t.setPayload(n, x.path, x.data)
	t.redigest(n)
	t.Stat(n, st)
	t.quotaChanged(x.path, 0, delta)
	res.Changes = append(res.Changes, Change{proto.EventNodeDataChanged, x.path, t.ACL(n), len(x.data)})
	return proto.OK
}

func (t *Tree) applySetACL(x *txn, st *proto.Stat) proto.ErrCode {
	idx := t.resolve(x.path)
	if idx == 0 {
		return proto.ErrNoNode
	}
	n := t.mut(idx)
	acl := t.acls.acquire(x.acl)
	t.acls.release(n.acl)
	n.acl, n.aversion = acl, x.version
	t.redigest(n)
	t.Stat(n, st)
	return proto.OK
}

// applyMulti applies the operations of t.txns.multi, all or, if one of them is an error, none.
func (t *Tree) applyMulti(h *proto.TxnHeader, res *Result) error {
	subs := t.txns.multi.Txns
	failed := false
	for i := range subs {
		d := proto.NewDecoder(subs[i].Data)
		if err := t.txns.decodeSub(h, subs[i].Type, &d); err != nil {
			return fmt.Errorf("operation %d of multi, type %v: %w", i, subs[i].Type, err)
		}
		failed = failed || subs[i].Type == proto.OpError
	}
	after := false // the failing operation
	for i := range subs {
		d := proto.NewDecoder(subs[i].Data)
		if err := t.txns.decodeSub(h, subs[i].Type, &d); err != nil {
			return err
		}
		x := &t.txns.txn
		res.Ops = append(res.Ops, OpResult{Type: x.op, Path: x.path})
		op := &res.Ops[len(res.Ops)-1]
		switch {
		case !failed:
			op.Err = t.applyOne(h, x, &op.Stat, res)
		case x.op == proto.OpError:
			op.Err, after = x.err, true
		default:
			*op = OpResult{Type: proto.OpError}
			if after {
				op.Err = proto.ErrRuntimeInconsistency
			}
		}
		if res.Err == proto.OK {
			res.Err = op.Err
		}
	}
	return nil
}

// closeSession deletes the nodes that the transaction lists, and then any others that the session owns: an older
// transaction lists none.
func (t *Tree) closeSession(s proto.SessionID, z proto.Zxid, paths []string, res *Result) {
	if mutant.On(mutant.EphemeralsLeft) {
		return
	}
	for _, p := range paths {
		_ = t.applyDelete(p, z, res) // a replay may have nothing to delete
	}
	for l := t.owned.sessions[s]; len(l) > 0; l = t.owned.sessions[s] {
		_ = t.applyDelete(t.pathOf(l[0]), z, res)
	}
}

// KillSession deletes the ephemeral nodes of a session that no longer exists, as if it had ended at z: for those left
// over after a restore (spec 10.3).
func (t *Tree) KillSession(s proto.SessionID, z proto.Zxid) {
	var res Result
	t.closeSession(s, z, nil, &res)
}
