// Package server is the shell around a [replica.Replica]: client connections, the loop that plans and applies writes, the
// log's goroutine, snapshots, authentication and limits.
//
// Goroutines: one loop, which alone plans writes and changes the state; one that appends to the log, a batch at a time; a
// reader for each connection, which also serves its reads; a writer for a connection while its socket is full; a snapshotter
// while a snapshot is written. Locks, in the order in which they are taken: Server.snapshotting over who may write snapshots
// (before any call into the loop, which only tries it), the log queue's over the batch being planned, Server.state over the
// replica's state, Server.connMu over the list
// of connections, a connection's own lock over its outbox, then Server.watching over watch registration by readers (inside
// state's read lock) and Server.roomMu over readers that wait for room. None but snapshotting is held over I/O.
package server
