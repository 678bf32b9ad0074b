// Package backend keeps the records of the etcd key space (package mvcc) in Badger.
//
// # What survives what
//
// Commit does not wait for the disk: the ZAB log has every record already, and what is lost here is applied again. When the
// process is killed nothing is lost. When the machine loses power, the disk has what [Backend.Sync] has waited for, and of what was written
// since, any pages: it may be without a batch in the middle. Open brings a directory back to a state that there was, that of the
// last Sync or a later one, and changes nothing and refuses, with an error that wraps mvcc.ErrDamaged, if what was synced is not there.
// Then it is to be filled again from a snapshot or another server ([Remove], [Backend.Import]); it is never served with a hole.
// Before logs are purged, Sync must have returned a zxid that they are not needed after.
//
// What Badger does and does not do, and what is made of it before Badger opens the directory:
//
//   - Each of its writes has a version, one more than the write before. It writes them to the log of a memtable (*.mem), which is
//     never synced, and makes tables (*.sst) of whole memtables, in their order. A table is synced before the list of tables (MANIFEST) has
//     it, and that is synced before files that it makes superfluous go. So the tables have all writes up to their highest version. The
//     logs are read as far as each write follows the one before; torn ends, and logs behind a hole, are removed. So are logs whose
//     tables are there, and those that Badger had emptied and not yet removed, with which it would not open.
//   - A change in MANIFEST that was cut off is removed: Badger would not open. All that it was to make superfluous is still there.
//   - Badger leaves out a table whose index is damaged, and takes a damaged block for the end of a table. So all tables
//     are read once, and their check sums compared, whenever a directory is opened; mvcc is to read most of them anyhow.
//   - It keeps large values in files (*.vlog) that it does not sync before the tables that refer to them. So there are none: values above a
//     twentieth of a memtable are kept in parts.
//   - To remove all records takes several steps. STATE says that it is under way; then it is done again.
//
// All this can be cut off itself and done again. It relies on a file system that, when it has kept that a file is removed, has kept
// the names of files that were made before, as ext4, XFS and Btrfs do.
//
// File STATE says how far the directory is known to be on disk: sign and version (8), whether all is being removed (8), the last batch
// (8), the version of Badger's last write (8), the version that the first write follows after all was removed (8), CRC-32C of that (4).
// Sync and Close replace it. GUARD is locked while the directory is open.
//
// Batches are numbered, and each leaves a mark that leads to the one before: Open also refuses a directory in which the numbers since
// the last Sync are not all there.
//
// # Records besides mvcc's
//
//	k main(8) '~' number(8)   the mark of a batch that reached a revision: the number of the last batch known to be synced (8),
//	                          the main(8) of the mark before, mvcc's record z
//	k main(8) '^' number(8) no(4) part(4)   part of a large value, which was the no-th of a batch
//	k ff…ff(8) '^' key        says that the value of a key is large. It is the same as the value of that key, whose user meta in Badger is 1:
//	                          main(8), number(8), no(4) of the parts, size of the value (8), of each part but the last (8)
//
// Record z has no key of its own: all that is new lies together at the end of the keys, so that Badger's new tables do not
// overlap the old ones and need not be merged with them.
//
// A batch too large for one write of Badger is written in parts, of which the last has all but new changes and parts of large values: until
// it is there, the others count as nothing, and the next Open removes them.
//
// # Memory
//
// Badger's defaults are for servers of their own: 64 MiB memtables, five of them, a 256 MiB cache. Here memtables have
// 8 MiB, tables are not compressed and read through the system's page cache, and conflicts are not tracked, for there is one
// writer. Tables are mapped, and what is mapped and was touched counts as the process's memory; a goroutine gives it back
// ([Backend.Release]) when much was.
package backend
