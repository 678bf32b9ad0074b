// Package backend keeps the records of the etcd key space (package mvcc) in Badger.
//
// # What survives what
//
// Commit does not wait for the disk: the ZAB log has every record already, and what is lost here is applied again. When the
// process is killed nothing is lost. When the machine loses power, the newest batches may be, and Badger then may be without a
// batch in the middle: it writes one file (a memtable's log) after another, and the system writes pages in any order. So
// batches are numbered, each leaves a mark that leads to the one before, and Open refuses, with an error that wraps
// mvcc.ErrDamaged, a directory in which the numbers since the last [Backend.Sync] are not all there. Then it is
// to be filled again from a snapshot or another server ([Remove], [Backend.Import]); it is never served with a hole. What is
// read is checked against Badger's check sums.
//
// Before logs are purged, Sync must have returned a zxid that they are not needed after.
//
// # Records besides mvcc's
//
//	k main(8) '~' number(8)   the mark of a batch that reached a revision: the number of the last batch known to be synced (8),
//	                          the main(8) of the mark before, mvcc's record z
//
// Record z has no key of its own: all that is new lies together at the end of the keys, so that Badger's new tables do not
// overlap the old ones and need not be merged with them.
//
// A batch too large for one write of Badger is written in parts, of which the last has all but new changes: until it is
// there, the others are above the revision of the state and count as nothing.
//
// # Memory
//
// Badger's defaults are for servers of their own: 64 MiB memtables, five of them, a 256 MiB cache. Here memtables have
// 8 MiB, tables are not compressed and read through the system's page cache, and conflicts are not tracked, for there is one
// writer. Tables are mapped, and what is mapped and was touched counts as the process's memory; a goroutine gives it back
// ([Backend.Release]) when much was.
package backend
