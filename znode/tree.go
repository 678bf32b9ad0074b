package znode

import (
	"iter"
	"strings"

	"zebu/internal/mutant"
	"zebu/proto"
)

const (
	chunkBits = 6 // 2 us to copy, where 8 bits take 9; a view of a million nodes still takes 25 us
	chunkLen  = 1 << chunkBits
	root      = 1 // the root's node number; 0 is none
)

// chunk is what a [View] shares with the tree.
type chunk [chunkLen]Node

// Tree is the tree of znodes.
type Tree struct {
	opts Options

	chunks []*chunk
	gens   []uint32 // the generation that each chunk was made or copied in
	gen    uint32   // counts views; a chunk of an older generation may belong to one
	top    uint32   // node numbers from here on were never used
	free   uint32   // first of the numbers to use again

	index  *index
	acls   aclTable
	owned  owned
	quotas map[string]struct{} // the paths that have a quota

	count    int
	dataSize int64
	digest   uint64
	last     proto.Zxid

	buf  [60]byte // for digests
	txns decoded
}

// newEmpty returns a tree without even a root.
func newEmpty(opts Options) *Tree {
	t := &Tree{opts: opts, top: root, index: newIndex(), acls: newACLTable(), owned: newOwned(),
		quotas: map[string]struct{}{}}
	t.dataSize = 1 // ZooKeeper counts the root's second name, "/"
	return t
}

// New returns a tree that holds the reserved nodes alone (spec 6).
func New(opts Options) *Tree {
	t := newEmpty(opts)
	t.addReserved()
	return t
}

// addReserved adds those reserved nodes that are missing.
func (t *Tree) addReserved() {
	for _, path := range []string{"", systemPath, quotaPath, configPath} {
		if t.resolve(path) != 0 {
			continue
		}
		var m meta
		list := openACL
		if path == configPath {
			m.aversion = -1
			list = readOnlyACL
		}
		parent, name := uint32(0), ""
		if path != "" {
			p, base := split(path)
			parent, name = t.resolve(p), base
		}
		t.insert(parent, name, path, []byte{}, t.acls.acquire(list), &m)
	}
}

func (t *Tree) node(idx uint32) *Node { return &t.chunks[idx>>chunkBits][idx&(chunkLen-1)] }

// mut returns a node for writing, copying its chunk if a view may hold it.
func (t *Tree) mut(idx uint32) *Node {
	c := idx >> chunkBits
	if t.gens[c] != t.gen {
		private := *t.chunks[c]
		t.chunks[c] = &private
		t.gens[c] = t.gen
	}
	return &t.chunks[c][idx&(chunkLen-1)]
}

// insert adds a node below parent, where there is none of that name; parent 0 makes the root. It takes over a reference
// to acl. m.prefix is filled in. name may be lent.
func (t *Tree) insert(parent uint32, name, path string, data []byte, acl uint32, m *meta) uint32 {
	idx := t.alloc()
	n := t.mut(idx)
	payload, flagsLen := makePayload(name, data)
	*n = Node{payload: payload, meta: *m, parent: parent, acl: acl, flagsLen: flagsLen}
	if hiddenPath(path) {
		n.flagsLen |= flagHidden
	}
	if parent != 0 {
		p := t.mut(parent)
		if n.next = p.firstChild; n.next != 0 {
			t.mut(n.next).prev = idx
		}
		p.firstChild = idx
		p.numChildren++
		t.indexAdd(idx)
		t.owned.add(t.opts.kind(n.owner), n.owner, idx)
	}
	t.count++
	t.dataSize += pathLen(path) + int64(len(data))
	if t.digests(n) {
		n.prefix = prefixCRC(path, data)
		t.redigest(n)
	}
	return idx
}

// remove takes out the node at path, which must not be the root and have no children.
func (t *Tree) remove(idx uint32, path string) {
	t.indexRemove(idx)
	n := t.mut(idx)
	if n.prev != 0 {
		t.mut(n.prev).next = n.next
	} else {
		t.mut(n.parent).firstChild = n.next
	}
	if n.next != 0 {
		t.mut(n.next).prev = n.prev
	}
	t.mut(n.parent).numChildren--
	t.count--
	t.dataSize -= pathLen(path) + int64(n.dataLen())
	t.owned.remove(t.opts.kind(n.owner), n.owner, idx)
	t.acls.release(n.acl)
	t.digest -= uint64(n.digest)
	*n = Node{next: t.free}
	t.free = idx
}

func (t *Tree) alloc() uint32 {
	if idx := t.free; idx != 0 {
		t.free = t.node(idx).next
		return idx
	}
	idx := t.top
	t.top++
	if int(idx>>chunkBits) == len(t.chunks) {
		t.chunks = append(t.chunks, new(chunk))
		t.gens = append(t.gens, t.gen)
	}
	return idx
}

func (t *Tree) digests(n *Node) bool { return !t.opts.NoDigest && !n.hidden() }

// redigest brings the tree's digest up to date with n's metadata.
func (t *Tree) redigest(n *Node) {
	if t.digests(n) {
		d := n.meta.digest(&t.buf)
		t.digest += uint64(d) - uint64(n.digest)
		n.digest = d
	}
}

// setPayload gives n new data, and nothing else.
func (t *Tree) setPayload(n *Node, path string, data []byte) {
	t.dataSize += int64(len(data) - n.dataLen())
	payload, flagsLen := makePayload(n.Name(), data)
	n.payload, n.flagsLen = payload, flagsLen|n.flagsLen&flagHidden
	if t.digests(n) {
		if path == "/" {
			path = ""
		}
		n.prefix = prefixCRC(path, data)
	}
}

// resolve returns the number of the node at path, 0 if there is none. Only a path in normal form names a node, but the
// root has two names.
func (t *Tree) resolve(path string) uint32 {
	if path == "" || path == "/" {
		if t.count == 0 {
			return 0
		}
		return root
	}
	if path[0] != '/' {
		return 0
	}
	idx := uint32(root)
	for path = path[1:]; ; {
		i := strings.IndexByte(path, '/')
		if i < 0 {
			return t.find(idx, path)
		}
		if idx = t.find(idx, path[:i]); idx == 0 {
			return 0
		}
		path = path[i+1:]
	}
}

// pathOf builds the path of a node, "" for the root.
func (t *Tree) pathOf(idx uint32) string {
	n := 0
	for i := idx; i != root; i = t.node(i).parent {
		n += 1 + len(t.node(i).Name())
	}
	b := make([]byte, n)
	for i := idx; i != root; i = t.node(i).parent {
		name := t.node(i).Name()
		n -= len(name)
		copy(b[n:], name)
		n--
		b[n] = '/'
	}
	return string(b)
}

// Lookup returns the node at path, nil if there is none. "" and "/" are the root.
func (t *Tree) Lookup(path string) *Node {
	if idx := t.resolve(path); idx != 0 {
		return t.node(idx)
	}
	return nil
}

// Stat fills st with n's metadata as clients see it.
func (t *Tree) Stat(n *Node, st *proto.Stat) {
	*st = proto.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Ctime: n.ctime, Mtime: n.mtime, Version: n.version, Aversion: n.aversion,
		// Every creation and every deletion counts, and each child still here was not deleted.
		Cversion:   2*n.cversion - int32(n.numChildren),
		DataLength: int32(n.dataLen()), NumChildren: int32(n.numChildren), Pzxid: n.pzxid,
	}
	if t.opts.kind(n.owner) == ownerSession {
		st.EphemeralOwner = n.owner
	}
}

// ACL returns n's access control list. It is shared: it must not be modified, and stays valid.
func (t *Tree) ACL(n *Node) []proto.ACL { return t.acls.entries[n.acl].list }

// AppendChildren appends the names of n's children to dst as a Jute vector of strings, in no particular order.
func (t *Tree) AppendChildren(dst []byte, n *Node) []byte {
	dst = proto.AppendInt32(dst, int32(n.numChildren))
	for i := n.firstChild; i != 0; {
		c := t.node(i)
		dst = proto.AppendStr(dst, c.Name())
		i = c.next
	}
	return dst
}

// Descendants counts the nodes below n as getAllChildrenNumber does (spec 2.5). It takes time in proportion, except for
// the root.
func (t *Tree) Descendants(n *Node) int {
	if n.parent == 0 {
		return t.count - 1
	}
	count, first := 0, n.firstChild
	for idx := first; idx != 0; {
		c := t.node(idx)
		count++
		switch {
		case c.firstChild != 0:
			idx = c.firstChild
		default:
			for c.next == 0 && t.node(c.parent) != n {
				c = t.node(c.parent)
			}
			idx = c.next
		}
	}
	return count
}

// Ephemerals returns the paths of a session's ephemeral nodes, in no particular order.
func (t *Tree) Ephemerals(s proto.SessionID) []string {
	l := t.owned.sessions[s]
	paths := make([]string, len(l))
	for i, idx := range l {
		paths[i] = t.pathOf(idx)
	}
	return paths
}

// EphemeralOwners yields every session that owns ephemeral nodes, in no particular order, with their number.
func (t *Tree) EphemeralOwners() iter.Seq2[proto.SessionID, int] {
	return func(yield func(proto.SessionID, int) bool) {
		for s, l := range t.owned.sessions {
			if !yield(s, len(l)) {
				return
			}
		}
	}
}

// NodeCount is the number of nodes as ZooKeeper reports it, the root counted under both of its names.
func (t *Tree) NodeCount() int { return t.count + 1 }

// EphemeralCount is the number of ephemeral nodes.
func (t *Tree) EphemeralCount() int { return t.owned.ephemerals }

// DataSize is ZooKeeper's approximate data size: the lengths of all paths and data, in bytes.
func (t *Tree) DataSize() int64 { return t.dataSize }

// Digest is the tree's digest after LastZxid (spec 9), and false if digests are off.
func (t *Tree) Digest() (uint64, bool) { return t.digest, !t.opts.NoDigest }

// LastZxid is the last transaction applied.
func (t *Tree) LastZxid() proto.Zxid { return t.last }

// Reapable appends to dst the paths of at most max nodes that are due for removal at now (spec 2.3): empty containers
// and empty TTL nodes that have outlived their TTL. maxNeverUsed is how long a container may wait for its first child,
// 0 for ever. It looks at containers and TTL nodes alone.
func (t *Tree) Reapable(now, maxNeverUsed proto.Millis, max int, dst []string) []string {
	limit := len(dst) + max
	for _, list := range [][]uint32{t.owned.containers, t.owned.ttls} {
		for _, idx := range list {
			if len(dst) >= limit {
				return dst
			}
			if n := t.node(idx); (n.numChildren == 0 || mutant.On(mutant.ContainerReapedInUse)) && t.opts.due(&n.meta, now, maxNeverUsed) {
				dst = append(dst, t.pathOf(idx))
			}
		}
	}
	return dst
}

// due says whether an empty container or TTL node is to be removed.
func (o *Options) due(m *meta, now, maxNeverUsed proto.Millis) bool {
	age := now - m.mtime
	if o.kind(m.owner) == ownerTTL && !mutant.On(mutant.TTLNodeReapedTooSoon) {
		return ttl(m.owner) != 0 && age > ttl(m.owner)
	}
	return m.cversion > 0 || mutant.On(mutant.TTLNodeReapedTooSoon) || maxNeverUsed != 0 && age > maxNeverUsed
}
