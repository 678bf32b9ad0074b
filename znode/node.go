package znode

import (
	"encoding/binary"
	"hash/crc32"
	"unsafe"

	"zebu/proto"
)

// meta is what the tree's digest says of a node, as snapshots hold it (spec 3): cversion counts creations of children
// alone, owner is raw.
type meta struct {
	czxid, mzxid, pzxid         proto.Zxid
	ctime, mtime                proto.Millis
	owner                       proto.SessionID
	version, cversion, aversion int32
	prefix                      uint32 // CRC-32 of path and data, from which digest goes on
}

// digest is the node's share of the tree digest (spec 9). buf is scratch space: crc32 would let it escape.
func (m *meta) digest(buf *[60]byte) uint32 {
	binary.BigEndian.PutUint64(buf[0:], uint64(m.czxid))
	binary.BigEndian.PutUint64(buf[8:], uint64(m.mzxid))
	binary.BigEndian.PutUint64(buf[16:], uint64(m.pzxid))
	binary.BigEndian.PutUint64(buf[24:], uint64(m.ctime))
	binary.BigEndian.PutUint64(buf[32:], uint64(m.mtime))
	binary.BigEndian.PutUint32(buf[40:], uint32(m.version))
	binary.BigEndian.PutUint32(buf[44:], uint32(m.cversion))
	binary.BigEndian.PutUint32(buf[48:], uint32(m.aversion))
	binary.BigEndian.PutUint64(buf[52:], uint64(m.owner))
	return crc32.Update(m.prefix, crc32.IEEETable, buf[:])
}

// childCreated accounts for a child created by z. What a replay finds already done stays (spec 3): pcv is the count of
// creations that the transaction brings, -1 if it is too old to say.
func (m *meta) childCreated(pcv int32, z proto.Zxid) {
	if pcv == -1 {
		pcv = m.cversion + 1
	}
	if pcv > m.cversion {
		m.cversion = pcv
		m.pzxid = z
	}
}

// childDeleted accounts for a child deleted by z.
func (m *meta) childDeleted(z proto.Zxid) { m.pzxid = max(m.pzxid, z) }

// created fills in a new node's metadata.
func (m *meta) created(z proto.Zxid, now proto.Millis, owner proto.SessionID) {
	*m = meta{czxid: z, mzxid: z, pzxid: z, ctime: now, mtime: now, owner: owner}
}

// dataSet accounts for new data.
func (m *meta) dataSet(z proto.Zxid, now proto.Millis, version int32) {
	m.mzxid, m.mtime, m.version = z, now, version
}

// prefixCRC is meta.prefix for a node's path ("" for the root) and data.
func prefixCRC(path string, data []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(stringBytes(path)), crc32.IEEETable, data)
}

// Flags in Node.flagsLen; below them is the length of the name.
const (
	flagNull   = 1 << 31 // the data is null, not empty
	flagHidden = 1 << 30 // below /zookeeper: not in the digest
	lenMask    = flagHidden - 1
)

// Node is one znode. A pointer to it is valid until the tree's next mutation. Children are a doubly linked list.
type Node struct {
	payload string // name and data in one allocation
	meta
	parent, firstChild, next, prev uint32 // node numbers, 0 for none; a free node's next is the next free one
	numChildren                    uint32
	acl                            uint32 // in Tree.acls
	flagsLen                       uint32
	digest                         uint32 // 0 if hidden
}

func stringBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// makePayload puts name and data together, and returns the length with the null flag.
func makePayload(name string, data []byte) (string, uint32) {
	b := make([]byte, len(name)+len(data))
	copy(b[copy(b, name):], data)
	l := uint32(len(name))
	if data == nil {
		l |= flagNull
	}
	return unsafe.String(unsafe.SliceData(b), len(b)), l
}

// Name returns the last component of the node's path, "" for the root.
func (n *Node) Name() string { return n.payload[:n.flagsLen&lenMask] }

// Data returns the node's data, nil if it is null. It must not be modified.
func (n *Node) Data() []byte {
	if n.flagsLen&flagNull != 0 {
		return nil
	}
	if d := n.payload[n.flagsLen&lenMask:]; d != "" {
		return stringBytes(d)
	}
	return []byte{}
}

func (n *Node) dataLen() int { return len(n.payload) - int(n.flagsLen&lenMask) }

func (n *Node) hidden() bool { return n.flagsLen&flagHidden != 0 }

// Czxid is the transaction that created the node.
func (n *Node) Czxid() proto.Zxid { return n.czxid }

// Mzxid is the transaction that last changed the node's data.
func (n *Node) Mzxid() proto.Zxid { return n.mzxid }

// Pzxid is the transaction that last created or deleted a child.
func (n *Node) Pzxid() proto.Zxid { return n.pzxid }

// Version counts changes of the data.
func (n *Node) Version() int32 { return n.version }

// Owner is the raw ephemeral owner (spec 2.3).
func (n *Node) Owner() proto.SessionID { return n.owner }

// NumChildren counts the node's children.
func (n *Node) NumChildren() int { return int(n.numChildren) }

func (n *Node) persisted(st *proto.StatPersisted) {
	*st = proto.StatPersisted{
		Czxid: n.czxid, Mzxid: n.mzxid, Ctime: n.ctime, Mtime: n.mtime, Version: n.version, Cversion: n.cversion,
		Aversion: n.aversion, EphemeralOwner: n.owner, Pzxid: n.pzxid,
	}
}
