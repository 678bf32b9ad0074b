package watch

import "zebu/internal/mutant"

// entry is one watched path of a table, the head of the list of those who watch it in order of registration.
type entry struct {
	place
	head, tail uint32 // cells; a vacant entry's head is the next vacant entry
}

// cell is one watch: a connection on a path. It is a link in two lists, its path's and its connection's.
type cell struct {
	path               uint32 // entry
	who                who
	pathPrev, pathNext uint32 // a vacant cell's pathNext is the next vacant cell
	connPrev, connNext uint32
}

// who packs a connection with the modes of its watch and whether the cell is in the pair index.
type who uint32

const (
	connBits         = 28
	connMask     who = 1<<connBits - 1
	modeShift        = connBits
	pairIndexed  who = 1 << 31
	allModes         = Standard | Persistent | Recursive
	shortListLen     = 8
)

func (w who) conn() ConnID { return ConnID(w & connMask) }
func (w who) mode() Mode   { return Mode(w>>modeShift) & allModes }

// table holds the watches of one kind. The watch of a given connection on a given path is among the first
// shortListLen of the path's list or in the pair index: most paths have few watchers and need no index.
type table struct {
	entries     slab[entry]
	cells       slab[cell]
	paths       index // entries by hash of the path
	pairs       index // cells by hash of path and connection
	arena       arena
	conns       []uint32 // first cell of each connection
	vacantEntry uint32
	vacantCell  uint32

	pathCount, watchCount, connCount, recursiveCount int
}

// reset makes t empty, with room for connections that have no watches.
func (t *table) reset(conns []uint32) {
	*t = table{conns: conns}
	t.arena.owners = &t.entries
}

// find returns the entry of a path, 0 if nobody watches it.
func (t *table) find(path string, hash uint32) uint32 {
	i := t.paths.first(hash)
	for i != 0 && t.arena.path(t.entries.at(i).place) != path {
		i = t.paths.next(i)
	}
	return i
}

func pairHash(path uint32, c ConnID) uint32 {
	return uint32((uint64(path)<<32 | uint64(c)) * 0x9E3779B97F4A7C15 >> 32)
}

// findCell returns the cell of a connection on a path, 0 if there is none, and whether the path's list is so long
// that a cell put at its end needs the pair index.
func (t *table) findCell(path uint32, c ConnID) (cell uint32, long bool) {
	i := t.entries.at(path).head
	for range shortListLen {
		if i == 0 {
			return 0, false
		}
		w := t.cells.at(i)
		if w.who.conn() == c {
			return i, false
		}
		i = w.pathNext
	}
	i = t.pairs.first(pairHash(path, c))
	for i != 0 {
		if w := t.cells.at(i); w.path == path && w.who.conn() == c {
			break
		}
		i = t.pairs.next(i)
	}
	return i, true
}

// get returns the modes in which a connection watches a path.
func (t *table) get(path string, hash uint32, c ConnID) Mode {
	e := t.find(path, hash)
	if e == 0 {
		return 0
	}
	i, _ := t.findCell(e, c)
	if i == 0 {
		return 0
	}
	return t.cells.at(i).who.mode()
}

// add adds modes to a connection's watch on a path.
func (t *table) add(path string, hash uint32, c ConnID, mode Mode) {
	if mode == 0 {
		return
	}
	e := t.find(path, hash)
	if e == 0 {
		e = t.newEntry(path, hash)
	}
	i, long := t.findCell(e, c)
	if i == 0 {
		i = t.newCell(e, c, long)
	}
	w := t.cells.at(i)
	if mutant.On(mutant.WatchModesExclude) {
		w.who &^= who(w.who.mode()&^Recursive) << modeShift
	}
	if mode&^w.who.mode()&Recursive != 0 {
		t.recursiveCount++
	}
	w.who |= who(mode) << modeShift
}

func (t *table) newEntry(path string, hash uint32) uint32 {
	i := t.vacantEntry
	if i == 0 {
		i = t.entries.extend()
	} else {
		t.vacantEntry = t.entries.at(i).head
	}
	e := t.entries.at(i)
	*e = entry{place: nowhere}
	e.place = t.arena.put(i, path)
	t.paths.insert(i, hash)
	t.pathCount++
	return i
}

func (t *table) newCell(path uint32, c ConnID, indexed bool) uint32 {
	i := t.vacantCell
	if i == 0 {
		i = t.cells.extend()
	} else {
		t.vacantCell = t.cells.at(i).pathNext
	}
	for int(c) >= len(t.conns) {
		t.conns = append(t.conns, 0)
	}
	e := t.entries.at(path)
	w := t.cells.at(i)
	*w = cell{path: path, who: who(c), pathPrev: e.tail, connNext: t.conns[c]}
	if e.tail == 0 {
		e.head = i
	} else {
		t.cells.at(e.tail).pathNext = i
	}
	e.tail = i
	if w.connNext == 0 {
		t.connCount++
	} else {
		t.cells.at(w.connNext).connPrev = i
	}
	t.conns[c] = i
	if indexed {
		w.who |= pairIndexed
		t.pairs.insert(i, pairHash(path, c))
	}
	t.watchCount++
	return i
}

// clear takes modes away from a cell and frees the cell if none is left, and its entry with the last cell.
func (t *table) clear(i uint32, mode Mode) {
	w := t.cells.at(i)
	if mode&w.who.mode()&Recursive != 0 {
		t.recursiveCount--
	}
	w.who &^= who(mode) << modeShift
	if w.who.mode() != 0 {
		return
	}
	t.unlink(i, w)
	if w.who&pairIndexed != 0 {
		t.pairs.remove(i)
	}
	t.watchCount--
	if e := w.path; t.entries.at(e).head == 0 {
		t.freeEntry(e)
	}
	*w = cell{pathNext: t.vacantCell}
	t.vacantCell = i
}

// unlink takes a cell out of its two lists.
func (t *table) unlink(i uint32, w *cell) {
	e := t.entries.at(w.path)
	if w.pathPrev == 0 {
		e.head = w.pathNext
	} else {
		t.cells.at(w.pathPrev).pathNext = w.pathNext
	}
	if w.pathNext == 0 {
		e.tail = w.pathPrev
	} else {
		t.cells.at(w.pathNext).pathPrev = w.pathPrev
	}
	if w.connNext != 0 {
		t.cells.at(w.connNext).connPrev = w.connPrev
	}
	if w.connPrev != 0 {
		t.cells.at(w.connPrev).connNext = w.connNext
		return
	}
	t.conns[w.who.conn()] = w.connNext
	if w.connNext == 0 {
		t.connCount--
	}
}

func (t *table) freeEntry(i uint32) {
	e := t.entries.at(i)
	t.paths.remove(i)
	p := e.place
	*e = entry{place: nowhere, head: t.vacantEntry}
	t.vacantEntry = i
	t.pathCount--
	t.arena.remove(p)
}

// shrink gives the memory of an empty table back, once it has had more than a chunk's worth of watches. It must not be
// called while cells are being walked.
func (t *table) shrink() {
	if t.watchCount == 0 && (t.cells.used >= slabSize || t.entries.used >= slabSize) {
		t.reset(t.conns)
	}
}

// removeConn takes away all watches of a connection.
func (t *table) removeConn(c ConnID) {
	if int(c) >= len(t.conns) {
		return
	}
	for i := t.conns[c]; i != 0; i = t.conns[c] {
		t.clear(i, allModes)
	}
	t.shrink()
}

// remove takes modes away from a connection's watch on a path and reports whether it had any of them.
func (t *table) remove(path string, hash uint32, c ConnID, mode Mode) bool {
	e := t.find(path, hash)
	if e == 0 {
		return false
	}
	i, _ := t.findCell(e, c)
	if i == 0 || t.cells.at(i).who.mode()&mode == 0 {
		return false
	}
	t.clear(i, mode)
	t.shrink()
	return true
}
