package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"zebu/internal/vfs"
	"zebu/proto"
)

// Options says where a [Store] keeps its files and how. Start from [DefaultOptions].
type Options struct {
	DataDir string // snapshots and epoch files go to its version-2
	LogDir  string // logs go to its version-2; "" means DataDir
	FS      vfs.FS
	Log     *zap.Logger // nil is silent

	PreallocBytes int64               // how much a log grows at a time (preAllocSize); 0 is not ahead of need
	LogSizeLimit  int64               // a log longer than this is rolled (txnLogSizeLimitInKb); 0 is no limit
	MaxRecord     int                 // the longest transaction that is believed, in bytes; not tied to jute.maxbuffer, which may have been larger once
	NoSync        bool                // forceSync=no: written is good enough
	FsyncWarn     time.Duration       // log a warning for a longer sync (fsync.warningthresholdms); 0 never
	OnFsync       func(time.Duration) // called on the appending goroutine after every sync of the log

	Compression   string // of new snapshots: CompressNone, CompressGzip, CompressSnappy
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

// ErrClosed is returned by a [Log] that was closed.
var ErrClosed = errors.New("storage: closed")

// Store is an open data directory. Restore, Truncate and Close are for the goroutine that appends to the log, while it
// does not; the other methods may be called at any time, from any goroutine.
type Store struct {
	opt     Options
	snapDir string
	logDir  string
	locks   []io.Closer
	log     Log

	snapMu sync.Mutex // one snapshot or purge at a time

	mu       sync.Mutex // guards what follows
	lastSnap SnapshotInfo
	hasSnap  bool
}

// Open checks the directories, makes them if it may, and takes the locks. It refuses if the directory for logs holds
// snapshots or the reverse, which is how a mistaken dataLogDir shows (spec 10).
func Open(opt Options) (*Store, error) {
	if opt.Log == nil {
		opt.Log = zap.NewNop()
	}
	if opt.LogDir == "" {
		opt.LogDir = opt.DataDir
	}
	if !validCompression(opt.Compression) {
		return nil, fmt.Errorf("snapshot compression %q is not known; use gz, snappy or nothing", opt.Compression)
	}
	s := &Store{
		opt:     opt,
		snapDir: filepath.Join(opt.DataDir, versionDir),
		logDir:  filepath.Join(opt.LogDir, versionDir),
	}
	s.log = Log{opt: &s.opt, dir: s.logDir}
	for _, dir := range []string{s.logDir, s.snapDir} {
		if err := s.prepareDir(dir); err != nil {
			return nil, err
		}
	}
	if s.logDir != s.snapDir {
		if err := s.refuse(s.logDir, snapshotPrefix, "the log directory holds a snapshot"); err != nil {
			return nil, err
		}
		if err := s.refuse(s.snapDir, logPrefix, "the snapshot directory holds a transaction log"); err != nil {
			return nil, err
		}
	}
	if err := s.takeLocks(); err != nil {
		return nil, errors.Join(err, s.releaseLocks())
	}
	if err := s.removeTemporary(); err != nil {
		return nil, errors.Join(err, s.releaseLocks())
	}
	return s, nil
}

// takeLocks keeps other zebu servers out of the directories.
func (s *Store) takeLocks() error {
	dirs := []string{s.snapDir}
	if s.logDir != s.snapDir {
		dirs = append(dirs, s.logDir)
	}
	for _, dir := range dirs {
		lock, err := s.opt.FS.Lock(filepath.Join(dir, lockName))
		if err != nil {
			return fmt.Errorf("data directory %s: %w", dir, err)
		}
		s.locks = append(s.locks, lock)
	}
	return nil
}

func (s *Store) releaseLocks() error {
	var err error
	for _, l := range s.locks {
		err = errors.Join(err, l.Close())
	}
	s.locks = nil
	return err
}

func (s *Store) prepareDir(dir string) error {
	st, err := s.opt.FS.Stat(dir)
	switch {
	case err == nil && !st.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("data directory: %w", err)
	case !s.opt.AutoCreateDir:
		return fmt.Errorf("%s is missing and datadir.autocreate is false: create it by hand, or check dataDir and dataLogDir", dir)
	}
	if err := s.opt.FS.MkdirAll(dir); err != nil {
		return fmt.Errorf("create the data directory: %w", err)
	}
	// The entry of version-2 and that of the directory above it.
	parent := filepath.Dir(dir)
	for _, d := range []string{parent, filepath.Dir(parent)} {
		if err := s.opt.FS.SyncDir(d); err != nil {
			return fmt.Errorf("create the data directory: %w", err)
		}
	}
	return nil
}

// refuse fails if a file in dir has a name that begins with prefix.
func (s *Store) refuse(dir, prefix, what string) error {
	names, err := s.opt.FS.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			return fmt.Errorf("%s (%s): check dataDir and dataLogDir", what, filepath.Join(dir, n))
		}
	}
	return nil
}

// removeTemporary removes what an earlier process left half written.
func (s *Store) removeTemporary() error {
	names, err := s.opt.FS.ReadDir(s.snapDir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, tmpPrefix+snapshotPrefix) {
			if err := s.opt.FS.Remove(filepath.Join(s.snapDir, n)); err != nil {
				return fmt.Errorf("remove an unfinished snapshot: %w", err)
			}
		}
	}
	return nil
}

// Log returns the store's transaction log, which takes appends after [Store.Restore].
func (s *Store) Log() *Log { return &s.log }

// Close closes the log and releases the locks.
func (s *Store) Close() error { return errors.Join(s.log.Close(), s.releaseLocks()) }

// Sizes returns the bytes in the directory of snapshots and in that of logs, which may be the same: by the length of all
// the files there and in directories below, preallocated zeros included, as ZooKeeper counts them. What cannot be read counts 0.
func (s *Store) Sizes() (data, log int64) {
	data = s.size(s.snapDir)
	if s.logDir == s.snapDir {
		return data, data
	}
	return data, s.size(s.logDir)
}

func (s *Store) size(dir string) (total int64) {
	names, err := s.opt.FS.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, n := range names {
		path := filepath.Join(dir, n)
		st, err := s.opt.FS.Stat(path)
		switch {
		case err != nil:
		case st.IsDir(): // the etcd key space's
			total += s.size(path)
		default:
			total += st.Size()
		}
	}
	return total
}

// SnapshotInfo describes a snapshot file.
type SnapshotInfo struct {
	Zxid    proto.Zxid
	Name    string // with its directory
	Size    int64  // bytes on disk
	ModTime time.Time
}

// LastSnapshot describes the last snapshot written or loaded; false if there was none.
func (s *Store) LastSnapshot() (SnapshotInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastSnap, s.hasSnap
}

func (s *Store) noteSnapshot(z proto.Zxid, path string) (SnapshotInfo, error) {
	st, err := s.opt.FS.Stat(path)
	if err != nil {
		return SnapshotInfo{}, fmt.Errorf("snapshot: %w", err)
	}
	info := SnapshotInfo{Zxid: z, Name: path, Size: st.Size(), ModTime: st.ModTime()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSnap, s.hasSnap = info, true
	return info, nil
}

// syncDir makes the entries of a directory durable, unless syncing is off.
func (s *Store) syncDir(dir string) error {
	if s.opt.NoSync {
		return nil
	}
	return s.opt.FS.SyncDir(dir)
}
