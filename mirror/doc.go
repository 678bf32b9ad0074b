// Package mirror copies a tree from one cluster to another while both are in use, compares the two, and keeps copying what
// changes: `zebu copy`. An end is a path of any ZooKeeper cluster, through package client, or a prefix of etcd keys.
//
// A copy is a walk over the source. Nodes are read in waves at both ends, what differs is written in batches, and the
// children of a wave are the next one; so it keeps no state, and a copy that was interrupted is resumed by another one,
// which finds most nodes equal. It is no snapshot: every node is as it was when it was read, and the destination is
// what the source is when the source has been quiet for the time of one pass, or of the changes that [Mirror.Follow] has still to copy.
package mirror
