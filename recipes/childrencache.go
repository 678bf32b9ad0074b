package recipes

import "path"

// ChildrenCache keeps a copy of the children of a node, with their data. What is guaranteed is what [NodeCache] says, for each of them:
// two children may be known as of different moments.
type ChildrenCache struct{ *cache }

// NewChildrenCache starts to keep the children of a node, which need not exist. The functions are called with every change of a child, one
// after the other in one goroutine; they must not close the cache.
func NewChildrenCache(c *Client, dir string, onChange ...func(Change)) *ChildrenCache {
	dir = path.Clean(dir)
	filtered := make([]func(Change), len(onChange))
	for i, f := range onChange {
		filtered[i] = func(ch Change) {
			if ch.Node.Path != dir {
				f(ch)
			}
		}
	}
	return &ChildrenCache{newCache(c, dir, 1, filtered)}
}

// Children returns the children in the order of their names.
func (k *ChildrenCache) Children() []Node {
	nodes := k.all()
	if len(nodes) > 0 && nodes[0].Path == k.root {
		nodes = nodes[1:]
	}
	return nodes
}

// Child returns the child of a name.
func (k *ChildrenCache) Child(name string) (Node, bool) { return k.get(path.Join(k.root, name)) }
