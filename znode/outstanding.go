package znode

import (
	"unsafe"

	"zebu/internal/mutant"
	"zebu/proto"
)

// state is what the planner must know of a node: as it will be once all planned transactions are applied.
type state struct {
	meta
	acl      []proto.ACL // never changes
	children int32
	size     int32 // bytes of data
	digest   uint32
	exists   bool
}

// record is the state of a path that some outstanding transaction changes.
type record struct {
	state
	key  []byte     // the path; what the map's key aliases
	zxid proto.Zxid // the last transaction that changes it

	// An ephemeral node of an outstanding create is in the list of its session.
	session      proto.SessionID
	older, newer *record
}

func (r *record) path() string { return unsafe.String(unsafe.SliceData(r.key), len(r.key)) }

// touch says that transaction zxid changed rec.
type touch struct {
	zxid proto.Zxid
	rec  *record
}

// undo is how a record was before an operation of a multi.
type undo struct {
	rec     *record
	fresh   bool // it was not there
	state   state
	zxid    proto.Zxid
	session proto.SessionID
}

// outstanding is the difference between the tree and what it will be. Records live until the last transaction that
// changed them is applied, and are used again.
type outstanding struct {
	t       *Tree
	records map[string]*record
	touches []touch // in order of zxid, from head
	head    int
	spare   []*record
	created map[proto.SessionID]*record // newest of the session's outstanding ephemerals

	digest uint64 // of the tree to be
	zxid   proto.Zxid
	multi  bool // undo is being kept
	undos  []undo
	buf    [60]byte
}

const (
	maxSpare    = 1 << 14 // records kept for later
	maxSpareKey = 1 << 10 // bytes of path a kept record may hold
	maxUndos    = 1 << 10 // room kept for the next multi
)

// begin starts the transaction z.
func (o *outstanding) begin(z proto.Zxid) {
	o.zxid = z
	if o.head == len(o.touches) {
		o.digest, _ = o.t.Digest()
	}
}

// look fills s with the state of the node at path, and says whether it exists.
func (o *outstanding) look(path string, s *state) bool {
	if path == "/" {
		path = ""
	}
	if len(o.records) > 0 {
		if r := o.records[path]; r != nil {
			*s = r.state
			return r.exists
		}
	}
	n := o.t.Lookup(path)
	if n == nil {
		return false
	}
	*s = state{
		meta: n.meta, acl: o.t.ACL(n), children: int32(n.numChildren), size: int32(n.dataLen()), digest: n.digest,
		exists: true,
	}
	return true
}

// put records that the transaction changes the node at path to s, whose digest is still the one before.
func (o *outstanding) put(path string, s *state) *record {
	if path == "/" {
		path = ""
	}
	old := s.digest
	switch {
	case !s.exists || o.t.opts.NoDigest || hiddenPath(path):
		s.digest = 0
	default:
		s.digest = s.meta.digest(&o.buf)
	}
	o.digest += uint64(s.digest) - uint64(old)

	r := o.records[path]
	fresh := r == nil
	if fresh {
		r = o.take(path)
	}
	if o.multi {
		o.undos = append(o.undos, undo{rec: r, fresh: fresh, state: r.state, zxid: r.zxid, session: r.session})
	}
	r.state = *s
	if r.zxid != o.zxid {
		r.zxid = o.zxid
		o.touches = append(o.touches, touch{o.zxid, r})
	}
	if r.session != 0 && !s.exists {
		o.unlink(r)
	}
	return r
}

// create records a new node.
func (o *outstanding) create(path string, s *state, session proto.SessionID) {
	s.digest = 0
	if r := o.put(path, s); session != 0 {
		o.link(r, session)
	}
}

// remove records that the node at path, which is as s says, is deleted.
func (o *outstanding) remove(path string, s *state) {
	digest := s.digest
	*s = state{digest: digest}
	o.put(path, s)
}

func (o *outstanding) take(path string) *record {
	var r *record
	if n := len(o.spare); n > 0 {
		r, o.spare = o.spare[n-1], o.spare[:n-1]
	} else {
		r = new(record)
	}
	r.key = append(r.key[:0], path...)
	r.zxid = -1
	o.records[r.path()] = r
	return r
}

func (o *outstanding) drop(r *record) {
	delete(o.records, r.path())
	if r.session != 0 {
		o.unlink(r)
	}
	r.state = state{}
	if len(o.spare) < maxSpare && cap(r.key) <= maxSpareKey {
		o.spare = append(o.spare, r)
	}
}

func (o *outstanding) link(r *record, session proto.SessionID) {
	r.session = session
	if r.older = o.created[session]; r.older != nil {
		r.older.newer = r
	}
	o.created[session] = r
}

func (o *outstanding) unlink(r *record) {
	switch {
	case r.newer != nil:
		r.newer.older = r.older
	case r.older != nil:
		o.created[r.session] = r.older
	default:
		delete(o.created, r.session)
	}
	if r.older != nil {
		r.older.newer = r.newer
	}
	r.session, r.older, r.newer = 0, nil, nil
}

// applied drops what the tree, at z, knows by itself.
func (o *outstanding) applied(z proto.Zxid) {
	for o.head < len(o.touches) && o.touches[o.head].zxid <= z {
		if t := o.touches[o.head]; t.rec.zxid == t.zxid {
			o.drop(t.rec)
		}
		o.touches[o.head] = touch{}
		o.head++
	}
	if o.head == len(o.touches) || o.head >= 1024 && o.head > len(o.touches)/2 {
		n := copy(o.touches, o.touches[o.head:])
		clear(o.touches[n:])
		o.touches, o.head = o.touches[:n], 0
	}
}

// mark is where a multi began.
type mark struct {
	touches int
	digest  uint64
}

func (o *outstanding) beginMulti() mark {
	o.multi = true
	return mark{len(o.touches), o.digest}
}

func (o *outstanding) endMulti() {
	o.multi = false
	if cap(o.undos) > maxUndos {
		o.undos = nil
	}
	clear(o.undos)
	o.undos = o.undos[:0]
}

// rollback takes back all that was recorded since m.
func (o *outstanding) rollback(m mark) {
	if mutant.On(mutant.MultiKeepsHalf) {
		o.endMulti()
		return
	}
	for i := len(o.undos) - 1; i >= 0; i-- {
		u := &o.undos[i]
		if u.rec.session != 0 {
			o.unlink(u.rec)
		}
		u.rec.state, u.rec.zxid = u.state, u.zxid
		if u.fresh {
			o.drop(u.rec)
		} else if u.session != 0 {
			o.link(u.rec, u.session)
		}
	}
	o.touches, o.digest = o.touches[:m.touches], m.digest
	o.endMulti()
}

// ephemerals calls yield with the path of every ephemeral node that session will have.
func (o *outstanding) ephemerals(session proto.SessionID, yield func(path string)) {
	for _, idx := range o.t.owned.sessions[session] {
		path := o.t.pathOf(idx)
		// A record in the session's list is yielded below; any other of an ephemeral of its is as good as none.
		if r := o.records[path]; r == nil || r.session == 0 && r.exists && r.owner == session {
			yield(path)
		}
	}
	for r := o.created[session]; r != nil; {
		older := r.older // yield deletes the node, and that unlinks r
		yield(r.path())
		r = older
	}
}
