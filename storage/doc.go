// Package storage keeps a server's state on disk in ZooKeeper's own formats: the transaction log, snapshots and the epoch
// files (spec 8.7, 9, 10). A directory that it wrote serves Apache ZooKeeper 3.8 and 3.9, and the reverse.
//
// # Files
//
// In <LogDir>/version-2: log.<hex zxid of the first transaction>. In <DataDir>/version-2: snapshot.<hex zxid>, with .gz
// or .snappy if compressed, acceptedEpoch and currentEpoch. In both zebu.lock, which keeps a second zebu out (ZooKeeper
// passes over names that it does not know). What is being written has a name that begins with "tmp." until it is whole
// and synced.
//
// # What is promised
//
// A transaction that [Log.Append] returned nil for is read back by [Store.Restore] after any crash. After an error
// nothing is known about what it was to write, and the log takes nothing more: the server has to stop, and the next
// Restore finds out. A log may end in a torn record, the remains of a batch that was being written; Restore cuts them
// off. Anything else that cannot be read (a record that is damaged although whole ones follow it, a missing zxid, logs
// without the snapshot that they continue) makes Restore refuse with a [CorruptError] that names file and offset,
// because a server with a hole in its history spreads it.
//
// All access to the disk goes through internal/vfs.
package storage
