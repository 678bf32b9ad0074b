package storage

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"zebu/internal/vfs"
	"zebu/proto"
)

// Options says where a [Store] keeps its files and how. FS, DataDir, PreallocBytes and MaxRecord have no useful zero
// value; [DefaultOptions] fills in ZooKeeper's defaults.
type Options struct {
	DataDir string // snapshots and epoch files go to its version-2
	LogDir  string // logs go to its version-2; "" means DataDir
	FS      vfs.FS
	Log     *zap.Logger // nil is silent

	PreallocBytes int64         // how much a log grows at a time (preAllocSize)
	LogSizeLimit  int64         // a log longer than this is rolled (txnLogSizeLimitInKb); 0 is no limit
	MaxRecord     int           // the longest transaction that a log may hold, in bytes: a bound for the reader, no promise
	NoSync        bool          // forceSync=no: appended is good enough
	FsyncWarn     time.Duration // log a warning for a longer sync; 0 never
	OnFsync       func(time.Duration)

	Compression   string // of new snapshots: "", "gz" or "snappy"
	WriteDigest   bool   // close snapshots with the tree's digest (digest.enabled)
	WriteLastZxid bool   // and with the zxid, as 3.9 does (serializeLastProcessedZxid.enabled)

	TrustEmpty    bool // logs without a snapshot are a whole history (snapshot.trust.empty)
	AutoCreateDir bool // make missing directories (datadir.autocreate)
	AutoCreateDB  bool // an empty directory is an empty database, and not a lost one (db.autocreate)
}

// DefaultOptions returns ZooKeeper's defaults (spec 12.1) for a data directory.
func DefaultOptions(dataDir string) Options {
	return Options{
		DataDir: dataDir, FS: vfs.OS, PreallocBytes: 64 << 20, MaxRecord: 256 << 20, FsyncWarn: time.Second,
		WriteDigest: true, WriteLastZxid: true, AutoCreateDir: true, AutoCreateDB: true,
	}
}

// Store is an open data directory.
type Store struct {
	opt Options
	log Log
}

// Restored says what [Store.Restore] found.
type Restored struct {
	Empty        bool       // neither snapshots nor logs: a new server; LastZxid is 0, or -1 without AutoCreateDB
	SnapshotZxid proto.Zxid // the snapshot loaded; 0 if none
	LastZxid     proto.Zxid // the last transaction replayed, or SnapshotZxid
	Txns         int        // transactions replayed
	// FuzzyUntil is the zxid at which the snapshot's digest holds: the snapshot may hold effects of transactions up to
	// it, so digests are worth comparing only from there on. SnapshotZxid if the snapshot is exact or carries no digest.
	FuzzyUntil proto.Zxid
}

// SnapshotInfo describes a snapshot file.
type SnapshotInfo struct {
	Zxid    proto.Zxid
	Name    string // whole path
	Size    int64  // bytes on disk
	ModTime time.Time
}

// ErrClosed is returned by a [Log] or [Store] that was closed.
var ErrClosed = errors.New("storage: closed")

// Open checks the directories, makes them if it may, and takes the lock.
func Open(opt Options) (*Store, error) { return nil, errors.ErrUnsupported }

// Restore loads the newest valid snapshot into b and passes every later transaction in the logs to apply.
func (s *Store) Restore(b Builder, apply func(hdr *proto.TxnHeader, txn, body []byte) error) (Restored, error) {
	return Restored{}, errors.ErrUnsupported
}

// Log returns the store's transaction log, usable after [Store.Restore].
func (s *Store) Log() *Log { return &s.log }

// Truncate forgets every transaction after z.
func (s *Store) Truncate(z proto.Zxid) error { return errors.ErrUnsupported }

// Purge removes old snapshots and logs.
func (s *Store) Purge(keep int) error { return errors.ErrUnsupported }

// Sizes returns the bytes that snapshots and logs take on disk.
func (s *Store) Sizes() (data, log int64) { return 0, 0 }

// LastSnapshot describes the last snapshot written or loaded; false if there was none.
func (s *Store) LastSnapshot() (SnapshotInfo, bool) { return SnapshotInfo{}, false }

// Close closes the log and releases the lock.
func (s *Store) Close() error { return nil }

// WriteSnapshot writes img as a snapshot file.
func (s *Store) WriteSnapshot(img Image) (SnapshotInfo, error) {
	return SnapshotInfo{}, errors.ErrUnsupported
}

// AcceptedEpoch reads acceptedEpoch; fs.ErrNotExist if there is none.
func (s *Store) AcceptedEpoch() (proto.Epoch, error) { return 0, errors.ErrUnsupported }

// SetAcceptedEpoch writes acceptedEpoch.
func (s *Store) SetAcceptedEpoch(e proto.Epoch) error { return errors.ErrUnsupported }

// CurrentEpoch reads currentEpoch; fs.ErrNotExist if there is none.
func (s *Store) CurrentEpoch() (proto.Epoch, error) { return 0, errors.ErrUnsupported }

// SetCurrentEpoch writes currentEpoch.
func (s *Store) SetCurrentEpoch(e proto.Epoch) error { return errors.ErrUnsupported }
