package main

import (
	"math/rand/v2"
	"sync/atomic"

	"zebu/proto"
)

// The generator's nodes: root/dNNNNN/nNNNNNNNN, perDir nodes to a directory, numbered through.
const (
	root        = "/bench"
	perDir      = 1000
	dirDigits   = 5
	nodeDigits  = 8
	dirPathLen  = len(root) + 2 + dirDigits
	nodePathLen = dirPathLen + 2 + nodeDigits
)

var (
	openACL      = []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
	openACLBytes = appendACL(nil, openACL)
)

func appendACL(b []byte, acl []proto.ACL) []byte {
	b = proto.AppendInt32(b, int32(len(acl)))
	for i := range acl {
		b = acl[i].Append(b)
	}
	return b
}

func appendDigits(b []byte, v, digits int) []byte {
	for range digits {
		b = append(b, '0')
	}
	for i := len(b) - 1; v > 0 && digits > 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
		digits--
	}
	return b
}

// appendDirPath appends directory dir's path as a Jute string without its length.
func appendDirPath(b []byte, dir int) []byte {
	return appendDigits(append(append(b, root...), "/d"...), dir, dirDigits)
}

func appendNodePath(b []byte, key int) []byte {
	return appendDigits(append(appendDirPath(b, key/perDir), "/n"...), key, nodeDigits)
}

func appendDir(b []byte, dir int) []byte {
	return appendDirPath(proto.AppendInt32(b, int32(dirPathLen)), dir)
}

func appendNode(b []byte, key int) []byte {
	return appendNodePath(proto.AppendInt32(b, int32(nodePathLen)), key)
}

// space hands out directories of the one tree that all connections to a server share.
type space struct{ dirs atomic.Int64 }

func (s *space) takeDir() int { return int(s.dirs.Add(1) - 1) }

// ownership is what a connection has created: only it deletes those nodes again, so that no request fails because of
// another connection's timing.
type ownership struct {
	made []int // keys, the newest last
	next int   // key of the next node; meaningful if left > 0
	left int   // nodes that still go into the current directory
}

// source makes requests. next appends one to c.out, or reports that there are no more.
type source interface {
	next(c *conn) bool
}

// mixed draws operations from a mix, on keys drawn evenly from those that were filled in.
type mixed struct {
	mix  Mix
	keys int // nodes 0 to keys-1 exist
	data []byte
	tree *space
	rng  *rand.PCG
}

func (m *mixed) next(c *conn) bool {
	switch m.mix.pick(m.rng) {
	case opGet:
		m.path(c, proto.OpGetData)
	case opExists:
		m.path(c, proto.OpExists)
	case opChildren:
		mark := c.begin(proto.OpGetChildren)
		c.out = appendDir(c.out, m.key()/perDir)
		c.out = proto.AppendBool(c.out, false)
		c.end(mark)
	case opSet:
		mark := c.begin(proto.OpSetData)
		c.out = appendNode(c.out, m.key())
		c.out = proto.AppendBuf(c.out, m.data)
		c.out = proto.AppendInt32(c.out, -1)
		c.end(mark)
	case opCreate:
		m.create(c)
	case opDelete:
		return m.remove(c)
	}
	return true
}

func (m *mixed) key() int { return int(m.rng.Uint64() % uint64(m.keys)) }

func (m *mixed) path(c *conn, op proto.OpCode) {
	mark := c.begin(op)
	c.out = appendNode(c.out, m.key())
	c.out = proto.AppendBool(c.out, false)
	c.end(mark)
}

// create makes the connection's next node, or first the directory for it.
func (m *mixed) create(c *conn) {
	own := &c.ownership
	if own.left == 0 {
		dir := m.tree.takeDir()
		own.next, own.left = dir*perDir, perDir
		createDir(c, dir)
		return
	}
	createNode(c, own.next, m.data)
	own.made = append(own.made, own.next)
	own.next++
	own.left--
}

// remove deletes the newest of the connection's nodes. Without any it creates one, if the mix has creates.
func (m *mixed) remove(c *conn) bool {
	own := &c.ownership
	if len(own.made) == 0 {
		if m.mix.weight[opCreate] == 0 {
			return false
		}
		m.create(c)
		return true
	}
	mark := c.begin(proto.OpDelete)
	c.out = appendNode(c.out, own.made[len(own.made)-1])
	c.out = proto.AppendInt32(c.out, -1)
	c.end(mark)
	own.made = own.made[:len(own.made)-1]
	return true
}

func createDir(c *conn, dir int) {
	mark := c.begin(proto.OpCreate)
	c.out = appendDir(c.out, dir)
	endCreate(c, mark, nil)
}

func createNode(c *conn, key int, data []byte) {
	mark := c.begin(proto.OpCreate)
	c.out = appendNode(c.out, key)
	endCreate(c, mark, data)
}

func endCreate(c *conn, mark int, data []byte) {
	c.out = proto.AppendBuf(c.out, data)
	c.out = append(c.out, openACLBytes...)
	c.out = proto.AppendInt32(c.out, int32(proto.Persistent))
	c.end(mark)
}

// filler creates nodes 0 to keys-1, each connection one directory after the other.
type filler struct {
	keys      int
	data      []byte
	tree      *space
	key, stop int // what is left of the current directory
}

func (f *filler) next(c *conn) bool {
	if f.key < f.stop {
		createNode(c, f.key, f.data)
		f.key++
		return true
	}
	dir := f.tree.takeDir()
	if dir*perDir >= f.keys {
		return false
	}
	f.key, f.stop = dir*perDir, min((dir+1)*perDir, f.keys)
	createDir(c, dir)
	return true
}

// watcher leaves exists watches on nodes that are not there, first to stop-1: what the server then holds is the watches
// and nothing else.
type watcher struct{ key, stop int }

func (w *watcher) next(c *conn) bool {
	if w.key == w.stop {
		return false
	}
	mark := c.begin(proto.OpExists)
	c.out = appendNode(c.out, w.key)
	c.out = proto.AppendBool(c.out, true)
	c.end(mark)
	w.key++
	return true
}
