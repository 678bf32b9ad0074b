package recipes

// NodeCache keeps a copy of one node, which need not exist.
//
// Guaranteed: what the node becomes is known soon after, and the last state always; states that are replaced at once may be left out.
// It is as old as news from the server is. It outlives connections, sessions and servers: while none can be reached
// the copy stays.
type NodeCache struct{ *cache }

// NewNodeCache starts to keep a node. The functions are called with every change, one after the other in one goroutine; they
// must not close the cache.
func NewNodeCache(c *Client, path string, onChange ...func(Change)) *NodeCache {
	return &NodeCache{newCache(c, path, 0, onChange)}
}

// Node returns the node, if it exists as far as is known.
func (k *NodeCache) Node() (Node, bool) { return k.get(k.root) }
