// Package storage keeps a server's state on disk in ZooKeeper's own formats: the transaction log, snapshots and the epoch
// files (spec 8.7, 9, 10). A directory that it wrote serves Apache ZooKeeper 3.8 and 3.9, and the reverse.
package storage
