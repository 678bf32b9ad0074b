package recipes

import "path"

// TreeCache keeps a copy of a node and all below it. What is guaranteed is what [NodeCache] says, for each node: the copy of a tree is not of
// one moment. A node costs two watches at the server and two round trips when it is first read: go-zookeeper does not have the persistent recursive
// watches of ZooKeeper 3.6.
type TreeCache struct{ *cache }

// NewTreeCache starts to keep a tree, whose root need not exist. The functions are called with every change, one after
// the other in one goroutine: parents are added before and removed after their children. They must not close the cache.
func NewTreeCache(c *Client, root string, onChange ...func(Change)) *TreeCache {
	return &TreeCache{newCache(c, root, -1, onChange)}
}

// Node returns the node at a path, which is absolute.
func (k *TreeCache) Node(p string) (Node, bool) { return k.get(path.Clean(p)) }

// Nodes returns all nodes in the order of their paths.
func (k *TreeCache) Nodes() []Node { return k.all() }
