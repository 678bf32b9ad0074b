package watch

import (
	"hash/maphash"
	"slices"
	"strings"

	"zebu/internal/mutant"
	"zebu/proto"
)

// ConnID is a connection's slot: a small number, below 1<<28, that the caller gives out, and may give out again after
// [Registry.RemoveConn]. The registry keeps arrays indexed by it.
type ConnID uint32

// Mode is a set of ways in which a connection watches one path in one table. They are independent: taking one away
// leaves the others (spec 4.2, as ZooKeeper does since 3.9).
type Mode uint8

// Modes. Standard ends with its first event; Recursive covers the subtree and exists in the data table alone.
const (
	Standard Mode = 1 << iota
	Persistent
	Recursive
)

// Registry holds the data and child watches of all connections. Make one with [New].
type Registry struct {
	data, child table
	// seed keeps clients from choosing paths whose hashes collide. Nothing that the registry returns depends on it.
	seed maphash.Seed
	// fired holds, for each connection, the number of the last Fire that it was part of.
	fired []uint32
	round uint32
}

// New returns an empty registry.
func New() *Registry {
	r := &Registry{seed: maphash.MakeSeed()}
	r.data.reset(nil)
	r.child.reset(nil)
	return r
}

func (r *Registry) hash(path string) uint32 { return uint32(maphash.String(r.seed, path)) }

// AddData adds mode at path in the data table: what exists and getData do with Standard. The path is copied.
func (r *Registry) AddData(path string, c ConnID, mode Mode) {
	r.data.add(path, r.hash(path), c, mode)
}

// AddChild adds mode at path in the child table: what getChildren does with Standard. The path is copied. Recursive is
// ignored.
func (r *Registry) AddChild(path string, c ConnID, mode Mode) {
	r.child.add(path, r.hash(path), c, mode&^Recursive)
}

// Add is addWatch: a Persistent watch goes to both tables, a Recursive one to the data table alone.
func (r *Registry) Add(path string, c ConnID, mode Mode) {
	r.AddData(path, c, mode)
	r.AddChild(path, c, mode)
}

// Fire appends to dst the connections that must be sent the event (ev, path), each once, and consumes the Standard
// watches on the path. NodeCreated and NodeDataChanged concern the data table, NodeChildrenChanged the child table,
// NodeDeleted both. Recursive watches on ancestors of the path see every change but NodeChildrenChanged. Those who
// watch the path come first, then the ancestors' watchers from the parent up, then those of the child table, each in
// order of registration. A deletion also is a NodeChildrenChanged of the parent, for which the caller calls again.
func (r *Registry) Fire(dst []ConnID, ev proto.EventType, path string) []ConnID {
	data := ev != proto.EventNodeChildrenChanged && r.data.watchCount > 0
	child := (ev == proto.EventNodeChildrenChanged || ev == proto.EventNodeDeleted) && r.child.watchCount > 0
	if !data && !child {
		return dst
	}
	r.nextRound()
	hash := r.hash(path)
	if data {
		dst = r.fireAt(dst, &r.data, path, hash)
		if r.data.recursiveCount > 0 {
			dst = r.fireAncestors(dst, path)
		}
		r.data.shrink()
	}
	if child {
		if mutant.On(mutant.RecursiveSeesParent) {
			dst = r.fireAncestors(dst, path)
		}
		dst = r.fireAt(dst, &r.child, path, hash)
		r.child.shrink()
	}
	return dst
}

// nextRound starts a new Fire, in which no connection has been notified yet.
func (r *Registry) nextRound() {
	if r.round++; r.round == 0 {
		clear(r.fired)
		r.round = 1
	}
}

// notify appends c to dst unless this round has notified it already.
func (r *Registry) notify(dst []ConnID, c ConnID) []ConnID {
	for int(c) >= len(r.fired) {
		r.fired = append(r.fired, 0)
	}
	if r.fired[c] == r.round {
		return dst
	}
	r.fired[c] = r.round
	return append(dst, c)
}

// fireAt notifies all that watch the path itself.
func (r *Registry) fireAt(dst []ConnID, t *table, path string, hash uint32) []ConnID {
	e := t.find(path, hash)
	if e == 0 {
		return dst
	}
	for i := t.entries.at(e).head; i != 0; {
		w := t.cells.at(i)
		next := w.pathNext
		dst = r.notify(dst, w.who.conn())
		if !mutant.On(mutant.WatchFiresAgain) {
			t.clear(i, Standard)
		}
		i = next
	}
	return dst
}

// fireAncestors notifies those who watch an ancestor of the path recursively.
func (r *Registry) fireAncestors(dst []ConnID, path string) []ConnID {
	for len(path) > 1 {
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			break
		}
		path = path[:max(slash, 1)]
		e := r.data.find(path, r.hash(path))
		if e == 0 {
			continue
		}
		for i := r.data.entries.at(e).head; i != 0; {
			w := r.data.cells.at(i)
			if w.who.mode()&Recursive != 0 {
				dst = r.notify(dst, w.who.conn())
			}
			i = w.pathNext
		}
	}
	return dst
}

// Contains says whether the connection holds a watch of the type at path: checkWatches. An unknown type matches
// nothing.
func (r *Registry) Contains(c ConnID, path string, t proto.WatcherType) bool {
	hash := r.hash(path)
	switch t {
	case proto.WatcherChildren:
		return r.child.get(path, hash, c)&Standard != 0
	case proto.WatcherData:
		return r.data.get(path, hash, c)&Standard != 0
	case proto.WatcherPersistent:
		return r.data.get(path, hash, c)&Persistent != 0
	case proto.WatcherPersistentRecursive:
		return r.data.get(path, hash, c)&Recursive != 0
	case proto.WatcherAny:
		return r.data.get(path, hash, c)|r.child.get(path, hash, c) != 0
	}
	return false
}

// Remove takes away the connection's watches of the type at path and reports whether there were any: removeWatches. An
// unknown type matches nothing.
func (r *Registry) Remove(c ConnID, path string, t proto.WatcherType) bool {
	var data, child Mode
	switch t {
	case proto.WatcherChildren:
		child = Standard
	case proto.WatcherData:
		data = Standard
	case proto.WatcherPersistent:
		data, child = Persistent, Persistent
	case proto.WatcherPersistentRecursive:
		data = Recursive
	case proto.WatcherAny:
		data, child = allModes, allModes
	}
	hash := r.hash(path)
	inData := r.data.remove(path, hash, c, data)
	inChild := r.child.remove(path, hash, c, child)
	return inData || inChild
}

// RemoveConn takes away every watch of a connection, in time proportional to their number.
func (r *Registry) RemoveConn(c ConnID) {
	if mutant.On(mutant.WatchesOutliveConn) {
		return
	}
	r.data.removeConn(c)
	r.child.removeConn(c)
}

// TableStats counts one table: (connection, path) pairs, distinct paths, and connections with at least one watch.
type TableStats struct{ Watches, Paths, Connections int }

// Stats are counts of what the registry holds.
type Stats struct {
	Data, Child TableStats
	Recursive   int // pairs in the data table whose mode includes Recursive
}

// Stats returns the counts, in constant time.
func (r *Registry) Stats() Stats {
	return Stats{Data: r.data.stats(), Child: r.child.stats(), Recursive: r.data.recursiveCount}
}

func (t *table) stats() TableStats {
	return TableStats{Watches: t.watchCount, Paths: t.pathCount, Connections: t.connCount}
}

// Data calls yield for every pair in the data table, ordered by path, then registration, until it returns false: what
// the words wchp and wchc print. The registry must not change meanwhile, and a path is valid no longer than that.
func (r *Registry) Data(yield func(path string, c ConnID) bool) {
	t := &r.data
	order := make([]uint32, 0, t.pathCount)
	for i := uint32(1); i <= t.entries.used; i++ {
		if t.entries.at(i).place != nowhere {
			order = append(order, i)
		}
	}
	path := func(i uint32) string { return t.arena.path(t.entries.at(i).place) }
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(path(a), path(b)) })
	for _, e := range order {
		for i := t.entries.at(e).head; i != 0; i = t.cells.at(i).pathNext {
			if !yield(path(e), t.cells.at(i).who.conn()) {
				return
			}
		}
	}
}
