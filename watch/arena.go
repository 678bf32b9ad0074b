package watch

import (
	"encoding/binary"
	"unsafe"
)

const (
	arenaChunk = 64 << 10
	// arenaLarge is the record size from which a path gets a chunk to itself, so that the tail of a chunk left unused
	// is a quarter of it at most.
	arenaLarge = arenaChunk / 4
)

// place says where a path lies in an [arena].
type place struct{ chunk, off uint32 }

// arena keeps the bytes of all paths in a few large chunks. A record is the number of the path that owns it, the
// length, and the bytes. Paths only go to the end of the current chunk; when less than half of another chunk is alive,
// what is alive moves to the current one and the chunk is freed. So the arena stays below three times what it holds, plus two
// chunks, whatever comes and goes, and no single step moves more than a chunk.
type arena struct {
	chunks  []arenaPart
	vacant  []uint32 // positions in chunks that hold none
	current uint32
	spare   []byte // a freed chunk kept for the next use
	owners  *slab[entry]
}

type arenaPart struct {
	buf  []byte
	live int // bytes of records not removed
}

// put stores a path and returns its place.
func (a *arena) put(owner uint32, path string) place {
	size := 4 + uvarintLen(len(path)) + len(path)
	at := place{chunk: a.room(size)}
	c := &a.chunks[at.chunk]
	at.off = uint32(len(c.buf))
	c.buf = binary.BigEndian.AppendUint32(c.buf, owner)
	c.buf = binary.AppendUvarint(c.buf, uint64(len(path)))
	c.buf = append(c.buf, path...)
	c.live += size
	return at
}

// room returns a chunk that holds size bytes more.
func (a *arena) room(size int) uint32 {
	if size > arenaLarge {
		return a.newChunk(make([]byte, 0, size))
	}
	if len(a.chunks) > 0 {
		if c := &a.chunks[a.current]; cap(c.buf)-len(c.buf) >= size {
			return a.current
		}
	}
	buf := a.spare
	if a.spare = nil; buf == nil {
		buf = make([]byte, 0, arenaChunk)
	}
	full := a.current
	a.current = a.newChunk(buf)
	if full != a.current {
		a.reclaim(full)
	}
	return a.current
}

func (a *arena) newChunk(buf []byte) uint32 {
	if n := len(a.vacant); n > 0 {
		i := a.vacant[n-1]
		a.vacant = a.vacant[:n-1]
		a.chunks[i] = arenaPart{buf: buf}
		return i
	}
	a.chunks = append(a.chunks, arenaPart{buf: buf})
	return uint32(len(a.chunks) - 1)
}

// path returns what is stored at p. It aliases the arena: valid until the next put or remove.
func (a *arena) path(p place) string {
	s, _ := record(a.chunks[p.chunk].buf, p.off)
	return s
}

// record reads the record at off and returns its path and its end.
func record(buf []byte, off uint32) (string, uint32) {
	n, w := binary.Uvarint(buf[off+4:])
	start := off + 4 + uint32(w)
	end := start + uint32(n)
	return unsafe.String(unsafe.SliceData(buf[start:end]), int(n)), end
}

// remove gives up what is stored at p.
func (a *arena) remove(p place) {
	c := &a.chunks[p.chunk]
	_, end := record(c.buf, p.off)
	c.live -= int(end - p.off)
	switch {
	case p.chunk != a.current:
		a.reclaim(p.chunk)
	case c.live == 0:
		c.buf = c.buf[:0]
	}
}

// nowhere is the place of a path that has none, so that no record left in a chunk is taken for it.
var nowhere = place{chunk: ^uint32(0)}

func uvarintLen(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// reclaim frees chunk i, which is not the current one, if less than half of it is alive.
func (a *arena) reclaim(i uint32) {
	buf := a.chunks[i].buf
	if a.chunks[i].live*2 >= len(buf) {
		return
	}
	for off := uint32(0); int(off) < len(buf) && a.chunks[i].live > 0; {
		path, end := record(buf, off)
		owner := binary.BigEndian.Uint32(buf[off:])
		if e := a.owners.at(owner); e.place == (place{i, off}) {
			a.chunks[i].live -= int(end - off)
			e.place = a.put(owner, path)
		}
		off = end
	}
	a.chunks[i] = arenaPart{}
	a.vacant = append(a.vacant, i)
	if cap(buf) == arenaChunk {
		a.spare = buf[:0]
	}
}
