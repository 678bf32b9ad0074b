package watch

import "zebu/proto"

// ConnID is a connection's slot: a small number that the caller gives out, and may give out again after
// [Registry.RemoveConn]. The registry keeps an array indexed by it.
type ConnID uint32

// Mode is a set of ways in which a connection watches one path in one table. They are independent: taking one away
// leaves the others.
type Mode uint8

// Modes. Standard ends with its first event; Recursive covers the subtree and exists in the data table alone.
const (
	Standard Mode = 1 << iota
	Persistent
	Recursive
)

// Registry holds the data and child watches of all connections.
type Registry struct{}

// New returns an empty registry.
func New() *Registry { return &Registry{} }

// AddData adds mode at path in the data table: what exists and getData do with Standard. The path is copied.
func (r *Registry) AddData(path string, c ConnID, mode Mode) {}

// AddChild adds mode at path in the child table: what getChildren does with Standard. The path is copied.
func (r *Registry) AddChild(path string, c ConnID, mode Mode) {}

// Add is addWatch: a Persistent watch goes to both tables, a Recursive one to the data table alone.
func (r *Registry) Add(path string, c ConnID, mode Mode) {}

// Fire appends to dst the connections that must be sent the event (ev, path), each once, in order of registration, and
// consumes the Standard watches among theirs. NodeCreated and NodeDataChanged concern the data table,
// NodeChildrenChanged the child table, NodeDeleted both; recursive watches of the ancestors see all but
// NodeChildrenChanged. A deletion needs a second call for the parent's NodeChildrenChanged.
func (r *Registry) Fire(dst []ConnID, ev proto.EventType, path string) []ConnID { return dst }

// Contains says whether the connection holds a watch of the type at path: checkWatches. An unknown type matches
// nothing.
func (r *Registry) Contains(c ConnID, path string, t proto.WatcherType) bool { return false }

// Remove takes away the connection's watches of the type at path and reports whether there were any: removeWatches.
func (r *Registry) Remove(c ConnID, path string, t proto.WatcherType) bool { return false }

// RemoveConn takes away every watch of a connection, in time proportional to their number.
func (r *Registry) RemoveConn(c ConnID) {}

// TableStats counts one table: (connection, path) pairs, distinct paths, and connections with at least one watch.
type TableStats struct{ Watches, Paths, Connections int }

// Stats are counts of what the registry holds.
type Stats struct {
	Data, Child TableStats
	Recursive   int // pairs in the data table whose mode includes Recursive
}

// Stats returns the counts, in constant time.
func (r *Registry) Stats() Stats { return Stats{} }

// Data calls yield for every pair in the data table, ordered by path, then registration, until it returns false: what
// the words wchp and wchc print. The path is valid until the registry changes.
func (r *Registry) Data(yield func(path string, c ConnID) bool) {}
