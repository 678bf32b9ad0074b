package mirror

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"zebu/internal/client"
)

// index is the tree that a flat list of keys spells out: paths, and how many keys keep each of them there.
type index struct {
	mu    sync.Mutex
	root  *entry
	keys  int
	alien map[string]bool // keys below the prefix that are no paths
}

// entry is a path of which there is a key, or keys below.
type entry struct {
	key   bool
	below map[string]*entry
}

func newIndex() *index { return &index{root: &entry{}, alien: map[string]bool{}} }

// add notes a key, seen from the prefix. It returns the paths that there are now, or that have a key now: the key's own and
// what it implies; none if it cannot be the name of a znode.
func (x *index) add(key string) (fresh []string) {
	path := key
	if path == "" {
		path = "/"
	} else if path == "/" || client.CheckPath(path) != nil {
		x.mu.Lock()
		x.alien[key] = true
		x.mu.Unlock()
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.root
	list := names(path)
	for i, name := range list {
		next := e.below[name]
		if next == nil {
			if i < len(list)-1 {
				fresh = append(fresh, "/"+strings.Join(list[:i+1], "/"))
			}
			if e.below == nil {
				e.below = map[string]*entry{}
			}
			next = &entry{}
			e.below[strings.Clone(name)] = next
		}
		e = next
	}
	if !e.key {
		e.key = true
		x.keys++
	}
	return append(fresh, path)
}

// drop forgets a key, and returns the paths that are gone with it: its own first, then those above that only it had implied.
func (x *index) drop(path string) []string {
	gone := []string{path}
	x.mu.Lock()
	defer x.mu.Unlock()
	list := names(path)
	chain := []*entry{x.root}
	for _, name := range list {
		next := chain[len(chain)-1].below[name]
		if next == nil {
			return gone
		}
		chain = append(chain, next)
	}
	last := chain[len(chain)-1]
	if last.key {
		last.key = false
		x.keys--
	}
	for i := len(chain) - 1; i > 0 && !chain[i].key && len(chain[i].below) == 0; i-- {
		delete(chain[i-1].below, list[i-1])
		if i > 1 && !chain[i-1].key && len(chain[i-1].below) == 0 {
			gone = append(gone, "/"+strings.Join(list[:i-1], "/"))
		}
	}
	return gone
}

// look returns whether there is a key for a path, and the names of what is below it.
func (x *index) look(path string) (key bool, children []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.root
	for _, name := range names(path) {
		if e = e.below[name]; e == nil {
			return false, nil
		}
	}
	return e.key, slices.Sorted(maps.Keys(e.below))
}

func (x *index) counts() (keys, alien int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.keys, len(x.alien)
}
