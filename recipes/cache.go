package recipes

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-zookeeper/zk"
)

// Node is a node as a cache knows it. Its data is not to be changed.
type Node struct {
	Path string
	Data []byte
	Stat zk.Stat
}

// ChangeType says what a [Change] is.
type ChangeType int

// The types of changes.
const (
	Added ChangeType = iota
	Updated
	Removed // Node is what was there last
)

// Change is a difference that a cache has noticed. Changes of a node that follow each other quickly may be told as one.
type Change struct {
	Type ChangeType
	Node Node
}

// cache keeps a copy of a node, its children, or its whole tree, by watches of the classic kind: go-zookeeper has no
// persistent ones. Every node that is kept has a watch, which is set again with each look, so no last state is missed.
//
// While no server can be reached the copy stays as it is, for as long as that takes. After the loss of a session every node is looked at
// again.
type cache struct {
	c         *Client
	root      string
	depth     int // of the nodes that are kept; -1: all
	onChange  []func(Change)
	ready     chan struct{} // closed when all has been read once
	readyOnce sync.Once
	stop      context.CancelFunc
	ended     chan struct{}

	mu    sync.Mutex
	nodes map[string]*cached
	err   error // of the last look that the server refused

	dirtyMu sync.Mutex // taken in go-zookeeper's goroutines: held for moments only
	dirty   map[string]aspect
	order   []string
	wake    chan struct{}
}

// cached is a node, with the names of the children that are kept too.
type cached struct {
	node     Node
	children map[string]bool
}

// aspect is what of a node has to be looked at.
type aspect int

const (
	data aspect = 1 << iota
	offspring
)

// newCache starts a cache. f is called with every change, in order, by one goroutine; it must not close the cache.
func newCache(c *Client, root string, depth int, onChange []func(Change)) *cache {
	k := &cache{
		c: c, root: path.Clean(root), depth: depth, onChange: onChange, ready: make(chan struct{}), ended: make(chan struct{}),
		nodes: map[string]*cached{}, dirty: map[string]aspect{}, wake: make(chan struct{}, 1),
	}
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	unhook := c.hook(k.event)
	k.mark(k.root, data|offspring)
	if !c.spawn(func() {
		defer close(k.ended)
		defer unhook()
		k.run(ctx)
	}) {
		unhook()
		close(k.ended)
	}
	return k
}

// event notes what a watch has told.
func (k *cache) event(e zk.Event) {
	if e.Path != k.root && !strings.HasPrefix(e.Path, k.below(k.root)) {
		return
	}
	switch e.Type {
	case zk.EventNodeDataChanged:
		k.mark(e.Path, data)
	case zk.EventNodeChildrenChanged:
		k.mark(e.Path, offspring)
	case zk.EventNodeCreated, zk.EventNodeDeleted, zk.EventNotWatching:
		k.mark(e.Path, data|offspring)
	}
}

// below is what paths of nodes under another begin with.
func (k *cache) below(p string) string {
	if p == "/" {
		return p
	}
	return p + "/"
}

// level is how far under the root a path is.
func (k *cache) level(p string) int {
	if p == k.root {
		return 0
	}
	return strings.Count(p[len(k.below(k.root)):], "/") + 1
}

func (k *cache) mark(p string, a aspect) {
	k.dirtyMu.Lock()
	defer k.dirtyMu.Unlock()
	if k.dirty[p] == 0 {
		k.order = append(k.order, p)
	}
	k.dirty[p] |= a
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *cache) next() (string, aspect) {
	k.dirtyMu.Lock()
	defer k.dirtyMu.Unlock()
	if len(k.order) == 0 {
		return "", 0
	}
	p := k.order[0]
	k.order = k.order[1:]
	a := k.dirty[p]
	delete(k.dirty, p)
	return p, a
}

func (k *cache) run(ctx context.Context) {
	for {
		for p, a := k.next(); a != 0; p, a = k.next() {
			if err := k.look(ctx, p, a); err != nil {
				if ctx.Err() != nil || errors.Is(err, ErrClosed) {
					return
				}
				k.mu.Lock()
				k.err = err
				k.mu.Unlock()
			}
		}
		k.readyOnce.Do(func() { close(k.ready) })
		select {
		case <-k.wake:
		case <-ctx.Done():
			return
		case <-k.c.done:
			return
		}
	}
}

// look reads what has changed of a node and sets its watches again.
func (k *cache) look(ctx context.Context, p string, a aspect) error {
	if p != k.root && !k.has(path.Dir(p), path.Base(p)) {
		k.remove(p)
		return nil // not wanted any more
	}
	if a&data != 0 {
		n, err := unshared(ctx, k.c, readNodeW(p))
		if errors.Is(err, zk.ErrNoNode) {
			k.remove(p)
			if p != k.root {
				return nil // its parent's watch tells when it is there again
			}
			stat, err := unshared(ctx, k.c, readStatW(p))
			if err == nil && stat != nil {
				k.mark(p, data|offspring)
			}
			return err
		}
		if err != nil {
			return err
		}
		k.put(Node{p, n.data, *n.stat})
	}
	if a&offspring == 0 || k.level(p) == k.depth {
		return nil
	}
	names, err := unshared(ctx, k.c, readChildrenW(p))
	if errors.Is(err, zk.ErrNoNode) {
		k.mark(p, data|offspring)
		return nil
	}
	if err != nil {
		return err
	}
	k.family(p, names)
	return nil
}

func (k *cache) has(parent, name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.nodes[parent]
	return n != nil && n.children[name]
}

// put keeps a node's state.
func (k *cache) put(n Node) {
	k.mu.Lock()
	old := k.nodes[n.Path]
	kind := Added
	switch {
	case old == nil:
		k.nodes[n.Path] = &cached{node: n, children: map[string]bool{}}
	case old.node.Stat.Czxid == n.Stat.Czxid && old.node.Stat.Mzxid == n.Stat.Mzxid:
		old.node.Stat = n.Stat
		k.mu.Unlock()
		return
	default:
		kind = Updated
		old.node = n
	}
	k.mu.Unlock()
	k.tell(Change{kind, n})
}

// family compares the children of a node with those kept.
func (k *cache) family(p string, names []string) {
	k.mu.Lock()
	n := k.nodes[p]
	if n == nil {
		k.mu.Unlock()
		return
	}
	now := map[string]bool{}
	var gone, born []string
	for _, name := range names {
		now[name] = true
		if !n.children[name] {
			born = append(born, name)
		}
	}
	for name := range n.children {
		if !now[name] {
			gone = append(gone, name)
		}
	}
	n.children = now
	k.mu.Unlock()
	for _, name := range slices.Sorted(slices.Values(gone)) {
		k.remove(path.Join(p, name))
	}
	for _, name := range slices.Sorted(slices.Values(born)) {
		k.mark(path.Join(p, name), data|offspring)
	}
}

// remove drops a node and all below it, the deepest first.
func (k *cache) remove(p string) {
	k.mu.Lock()
	n := k.nodes[p]
	k.mu.Unlock()
	if n == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		k.remove(path.Join(p, name))
	}
	k.mu.Lock()
	delete(k.nodes, p)
	if parent := k.nodes[path.Dir(p)]; parent != nil && p != k.root {
		delete(parent.children, path.Base(p)) // so that one made anew is noticed
	}
	k.mu.Unlock()
	k.tell(Change{Removed, n.node})
}

func (k *cache) tell(c Change) {
	for _, f := range k.onChange {
		f(c)
	}
}

// Ready waits until everything has been read once.
func (k *cache) Ready(ctx context.Context) error {
	if err := k.c.await(ctx, k.ready); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Close ends the watching and waits until no function is called any more. What is kept can still be read.
func (k *cache) Close() {
	k.stop()
	<-k.ended
}

// get returns a node that is kept.
func (k *cache) get(p string) (Node, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.nodes[p]; n != nil {
		return n.node, true
	}
	return Node{}, false
}

// all returns the nodes that are kept, in the order of their paths.
func (k *cache) all() []Node {
	k.mu.Lock()
	defer k.mu.Unlock()
	nodes := make([]Node, 0, len(k.nodes))
	for _, n := range k.nodes {
		nodes = append(nodes, n.node)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Path, b.Path) })
	return nodes
}
