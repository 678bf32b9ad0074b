// Package znode is the replicated state machine at the heart of a ZooKeeper server: the tree of znodes and the two
// things that happen to it. [Planner] turns a client's request into a transaction, checking it against the tree and
// against every transaction planned but not applied yet (ZooKeeper's PrepRequestProcessor). [Tree.Apply] carries a
// transaction out (ZooKeeper's DataTree). Every server that applies the same transactions holds the same tree and the
// same digest.
//
// The package is pure: it does no I/O, reads no clock, starts no goroutine, takes no lock and draws no random number.
// A Tree may be read from many goroutines as long as none mutates it; the caller's lock sees to that. A [View] is an
// immutable image and needs no lock.
//
// Decoded paths and data alias the transaction's buffer; whatever the tree keeps is cloned.
package znode
