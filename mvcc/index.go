package mvcc

import (
	"sort"

	"github.com/tidwall/btree"
)

// version is one change of a key: its revision and how many bytes its record takes in storage. Two to a cache line's
// quarter: there is one for every change that is not compacted.
type version struct {
	main int64
	sub  uint32
	size uint32
}

func (v version) revision() Revision { return Revision{v.main, int64(v.sub)} }

// generation is the life of a key from its creation to its deletion, the change that deletes it included.
type generation struct {
	created  int64     // the revision that created the key
	count    int64     // the version of the last change, the deletion included
	versions []version // oldest first; compaction takes from the front
}

// entry is what the index knows of a key.
type entry struct {
	past  []generation // ended lives, oldest first; the last version of each is a deletion
	live  generation   // without versions if the key does not exist now
	lease LeaseID      // that the key is attached to
}

// find returns the last version at or before a revision, and the key's create revision and version number there.
func (e *entry) find(rev int64) (v version, created, number int64, ok bool) {
	g := e.generationAt(rev)
	if g == nil {
		return version{}, 0, 0, false
	}
	i := g.last(rev)
	return g.versions[i], g.created, g.count - int64(len(g.versions)-1-i), true
}

// generationAt returns the life that the key was in at a revision, nil if it did not exist.
func (e *entry) generationAt(rev int64) *generation {
	if g := &e.live; len(g.versions) > 0 && g.versions[0].main <= rev {
		return g
	}
	for i := len(e.past) - 1; i >= 0; i-- {
		g := &e.past[i]
		if g.versions[len(g.versions)-1].main <= rev {
			return nil
		}
		if g.versions[0].main <= rev {
			return g
		}
	}
	return nil
}

// last is the place of the last version at or before a revision, -1 if there is none.
func (g *generation) last(rev int64) int {
	n := len(g.versions)
	if n > 0 && g.versions[n-1].main <= rev {
		return n - 1 // most ask for now
	}
	return sort.Search(n, func(i int) bool { return g.versions[i].main > rev }) - 1
}

// put notes a change, which creates the key if it does not exist.
func (e *entry) put(v version) {
	if len(e.live.versions) == 0 {
		e.live.created = v.main
	}
	e.live.versions = append(e.live.versions, v)
	e.live.count++
}

// end notes the deletion of a key that exists.
func (e *entry) end(v version) {
	e.put(v)
	e.past = append(e.past, e.live)
	e.live = generation{}
}

// compact forgets what nobody can ask for once rev is compacted, and calls drop with each version it forgets, the oldest first and
// limit of them at most. It returns what is left of the limit, and whether it has done all.
//
// The newest version at or before rev stays, and so does a deletion exactly at rev, so that a watch that starts at rev sees
// it: as etcd from 3.5.16 on.
func (e *entry) compact(rev int64, limit int, drop func(v version, tombstone bool)) (left int, whole bool) {
	for len(e.past) > 0 && e.past[0].versions[len(e.past[0].versions)-1].main < rev {
		g := &e.past[0]
		n := min(limit, len(g.versions))
		for i, v := range g.versions[:n] {
			drop(v, i == len(g.versions)-1)
		}
		limit -= n
		if g.versions = g.versions[n:]; len(g.versions) > 0 {
			return 0, false
		}
		e.past = e.past[1:]
	}
	g := &e.live
	if len(e.past) > 0 {
		g = &e.past[0]
	} else {
		e.past = nil
	}
	superseded := max(0, g.last(rev))
	n := min(limit, superseded)
	for _, v := range g.versions[:n] {
		drop(v, false)
	}
	g.versions = g.versions[n:]
	if n < superseded {
		return 0, false
	}
	if n > 0 {
		g.versions = append([]version(nil), g.versions...) // so that the rest can be freed
	}
	return limit - n, true
}

// empty tells whether nothing is left of the key.
func (e *entry) empty() bool { return len(e.past) == 0 && len(e.live.versions) == 0 }

// index is all keys with the versions that are not compacted.
type index struct {
	keys btree.Map[string, *entry]
}

// interval is a range of keys as etcd writes it: a key alone, or all from it to an end, or all from it on.
type interval struct {
	key, end string
	single   bool
	open     bool // no end
}

func makeInterval(key, end []byte) interval {
	switch {
	case len(end) == 0:
		return interval{key: string(key), single: true}
	case len(end) == 1 && end[0] == 0:
		return interval{key: string(key), open: true}
	}
	return interval{key: string(key), end: string(end)}
}

func (r interval) contains(key string) bool {
	if r.single {
		return key == r.key
	}
	return key >= r.key && (r.open || key < r.end)
}

// visit calls f with the keys of an interval in order, until f returns false.
func (x *index) visit(r interval, f func(key string, e *entry) bool) {
	if r.single {
		if e, ok := x.keys.Get(r.key); ok {
			f(r.key, e)
		}
		return
	}
	x.keys.Ascend(r.key, func(key string, e *entry) bool {
		return (r.open || key < r.end) && f(key, e)
	})
}

// entry returns what is known of a key, making room for it if it is new.
func (x *index) entry(key string) *entry {
	e, ok := x.keys.Get(key)
	if !ok {
		e = &entry{}
		x.keys.Set(key, e)
	}
	return e
}
