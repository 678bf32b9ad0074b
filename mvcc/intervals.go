package mvcc

import (
	"cmp"
	"hash/fnv"
)

// intervals finds those of a set of ranges that a key lies in: a treap by the start of the ranges, each node knowing the
// furthest end below it. Priorities are hashes, so that the same ranges make the same tree.
type intervals struct {
	root *intervalNode
}

type intervalNode struct {
	on          *interest
	priority    uint32
	last        bound // the furthest end in this subtree
	left, right *intervalNode
}

// bound is the end of a range; open is behind all keys.
type bound struct {
	key  string
	open bool
}

func (b bound) behind(key string) bool { return b.open || key < b.key }

func (b bound) compare(o bound) int {
	switch {
	case b.open && o.open:
		return 0
	case b.open:
		return 1
	case o.open:
		return -1
	}
	return cmp.Compare(b.key, o.key)
}

func (r interval) bound() bound { return bound{r.end, r.open} }

func (r interval) compare(o interval) int {
	return cmp.Or(cmp.Compare(r.key, o.key), r.bound().compare(o.bound()))
}

func (n *intervalNode) update() {
	n.last = n.on.keys.bound()
	for _, child := range []*intervalNode{n.left, n.right} {
		if child != nil && child.last.compare(n.last) > 0 {
			n.last = child.last
		}
	}
}

// find returns the interest in exactly these keys, nil if there is none.
func (t *intervals) find(r interval) *interest {
	for n := t.root; n != nil; {
		switch c := r.compare(n.on.keys); {
		case c == 0:
			return n.on
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil
}

// insert puts an interest in, whose keys are not there yet.
func (t *intervals) insert(on *interest) {
	h := fnv.New32a()
	for _, s := range []string{on.keys.key, "\x00", on.keys.end} {
		h.Write([]byte(s)) // cannot fail
	}
	t.root = t.root.insert(&intervalNode{on: on, priority: h.Sum32()})
}

func (n *intervalNode) insert(x *intervalNode) *intervalNode {
	switch {
	case n == nil:
		x.update()
		return x
	case x.priority > n.priority:
		x.left, x.right = n.split(x.on.keys)
		x.update()
		return x
	case x.on.keys.compare(n.on.keys) < 0:
		n.left = n.left.insert(x)
	default:
		n.right = n.right.insert(x)
	}
	n.update()
	return n
}

// split parts a subtree into what is before and behind some keys.
func (n *intervalNode) split(at interval) (before, behind *intervalNode) {
	if n == nil {
		return nil, nil
	}
	if n.on.keys.compare(at) < 0 {
		n.right, behind = n.right.split(at)
		n.update()
		return n, behind
	}
	before, n.left = n.left.split(at)
	n.update()
	return before, n
}

// remove takes the interest in exactly these keys out.
func (t *intervals) remove(r interval) { t.root = t.root.remove(r) }

func (n *intervalNode) remove(r interval) *intervalNode {
	if n == nil {
		return nil
	}
	switch c := r.compare(n.on.keys); {
	case c == 0:
		return merge(n.left, n.right)
	case c < 0:
		n.left = n.left.remove(r)
	default:
		n.right = n.right.remove(r)
	}
	n.update()
	return n
}

func merge(a, b *intervalNode) *intervalNode {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		a.right = merge(a.right, b)
		a.update()
		return a
	}
	b.left = merge(a, b.left)
	b.update()
	return b
}

// stab calls f with the interests that a key lies in, by the start of their ranges.
func (t *intervals) stab(key string, f func(*interest)) { t.root.stab(key, f) }

func (n *intervalNode) stab(key string, f func(*interest)) {
	if n == nil || !n.last.behind(key) {
		return
	}
	n.left.stab(key, f)
	if n.on.keys.key > key {
		return
	}
	if n.on.keys.bound().behind(key) {
		f(n.on)
	}
	n.right.stab(key, f)
}
