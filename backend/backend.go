package backend

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"

	"zebu/internal/vfs"
	"zebu/mvcc"
	"zebu/proto"
)

const (
	// releaseEvery is after how many bytes read or written the memory of tables is given back at once, releaseTick how often
	// otherwise, and releasePause the time from one time to the next at least.
	releaseEvery = 32 << 20
	releaseTick  = time.Second
	releasePause = time.Second / 4
	memTableSize = 8 << 20
	// maxUnsynced is after how many batches Commit syncs by itself: so many are looked for when a directory is opened.
	maxUnsynced = 1 << 15
)

// needed is how many bytes must be free for a batch: Badger maps its files, and a write to a page that the disk has no room for ends the
// process there and then. It merges tables at any time.
const needed = 64 << 20

// opSize is what an operation takes of a write of Badger beside its key and value, in bytes: the write may have no more than
// 15 % of a memtable, and no more operations than that divided by about 100. The first two thirds are for new changes.
const opSize = 120

// A write may be a tenth of a memtable, a value half of that: a larger one is kept in parts. From badgerLarge on Badger would keep values in
// files of their own.
const (
	writePart   = 10
	valuePart   = 2 * writePart
	badgerLarge = 1 << 20
)

// Backend is an open directory. Commit, Import and Close are for one goroutine; View, Sync, Collect and Size may be called
// by others meanwhile.
type Backend struct {
	dir   string
	abs   string // dir as the system names it
	db    *badger.DB
	log   *zap.Logger
	guard io.Closer              // of the lock
	free  func(dir string) int64 // bytes; -1 if that is not known

	large map[string]large // the large values; Commit's

	touched atomic.Int64  // about how many bytes of tables were read and written since the last release
	release chan struct{} // it is time for one
	closing chan struct{}
	tasks   sync.WaitGroup

	merging sync.Mutex // held while tables are merged on demand, or all removed
	disk    sync.Mutex // held while files are synced, or all removed
	state   state      // what STATE says; guarded by disk
	started bool       // it is known where the directory stands

	mu      sync.Mutex // guards the rest
	seq     uint64     // of the last batch
	version uint64     // of Badger's last write
	marks   []mark     // of batches, those that are in the directory; the oldest first
	synced  uint64     // of the last batch known to be on disk
	applied proto.Zxid // of the last batch that has a meta record
}

// Open opens a directory, making it if it is not there. If the process or the machine went down while it was open, a state comes back
// that there was, which is that of the last Sync or a later one. If there is none, the error wraps mvcc.ErrDamaged. log may be nil.
func Open(dir string, log *zap.Logger) (*Backend, error) {
	return open(dir, log, memTableSize)
}

// open with smaller memtables is for tests.
func open(dir string, log *zap.Logger, memTable int64) (*Backend, error) {
	if log == nil {
		log = zap.NewNop()
	}
	b := &Backend{dir: dir, log: log, free: free, release: make(chan struct{}, 1), closing: make(chan struct{})}
	if err := b.open(memTable); err != nil {
		return nil, fmt.Errorf("open etcd storage %s: %w", dir, err)
	}
	return b, nil
}

func (b *Backend) open(memTable int64) (err error) {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if b.abs, err = filepath.Abs(b.dir); err == nil {
		b.abs, err = filepath.EvalSymlinks(b.abs)
	}
	if err != nil {
		return err
	}
	if b.guard, err = vfs.OS.Lock(filepath.Join(b.dir, guardName)); err != nil {
		return err
	}
	if b.state, err = prepare(b.abs, b.log); err != nil {
		return errors.Join(err, b.guard.Close())
	}
	if b.db, err = badger.Open(tuned(b.dir, b.log, memTable)); err != nil {
		if errors.Is(err, badger.ErrEncryptionKeyMismatch) {
			err = fmt.Errorf("%w: %w", mvcc.ErrDamaged, err)
		}
		return errors.Join(err, b.guard.Close())
	}
	b.tasks.Go(b.releaseLoop)
	if err := b.start(); err != nil {
		return errors.Join(err, b.stop())
	}
	b.started = true
	return nil
}

// touch notes that about n bytes of tables were read or written.
func (b *Backend) touch(n int) {
	if b.touched.Add(int64(n)) < releaseEvery {
		return
	}
	b.touched.Store(0)
	select {
	case b.release <- struct{}{}:
	default: // it will be done anyway
	}
}

// releaseLoop is the goroutine that gives the memory of tables back: soon if much was touched, and else now and then, once
// more after it has become quiet, for Badger merges tables a while longer.
func (b *Backend) releaseLoop() {
	tick := time.NewTicker(releaseTick)
	defer tick.Stop()
	busy := false
	for {
		select {
		case <-b.closing:
			return
		case <-tick.C:
			was := busy
			if busy = b.touched.Swap(0) > 0; !busy && !was {
				continue
			}
		case <-b.release:
			busy = true
		}
		if err := b.Release(); err != nil {
			b.log.Warn("memory of etcd storage stays in use", zap.Error(err))
		}
		select {
		case <-b.closing:
			return
		case <-time.After(releasePause):
		}
	}
}

func tuned(dir string, log *zap.Logger, memTable int64) badger.Options {
	o := badger.DefaultOptions(dir).
		WithLogger(logger{log.Sugar()}).
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithMemTableSize(memTable).
		WithNumMemtables(3).
		WithNumLevelZeroTables(4).
		WithNumLevelZeroTablesStall(16).
		WithBaseTableSize(4 << 20).
		WithBaseLevelSize(32 << 20).
		WithNumCompactors(2).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithValueThreshold(min(badgerLarge, memTable/writePart)).
		WithValueLogFileSize(1 << 20).
		WithVerifyValueChecksum(true).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithMetricsEnabled(false)
	o.TableSizeMultiplier = 1 // Badger pools buffers of twice the largest table
	return o
}

// start finds out where the directory stands, and that it is whole.
func (b *Backend) start() error {
	v := view{b, b.db.NewTransaction(false)}
	defer v.Close()
	b.version = b.lastVersion()
	if b.version < b.state.base { // nothing was written since all was removed, and Badger counts from the beginning
		b.state = state{}
		if err := b.state.write(b.dir); err != nil {
			return err
		}
	}
	if err := b.loadLarge(v.txn); err != nil {
		return err
	}
	last, value, found, err := lastMark(v.txn)
	if err != nil {
		return err
	}
	if !found && b.state.seq > 0 {
		return fmt.Errorf("%w: no batch, %d was synced", mvcc.ErrDamaged, b.state.seq)
	}
	whole := false
	var meta mvcc.Meta
	if found {
		if err := b.follow(v, last, value); err != nil {
			return err
		}
		if meta, err = mvcc.ReadMeta(v); err != nil {
			return err
		}
		b.applied = meta.Applied
		if whole, err = v.Get(mvcc.MetaKey(), func([]byte) error { return nil }); err != nil {
			return err
		}
	}
	switch {
	case whole:
		return b.dropLeftovers(v.txn, last, meta)
	case b.version == b.state.base:
		return nil // nothing was ever written
	}
	b.log.Info("etcd storage: dropping what is left of an import that was cut off", zap.String("dir", b.dir))
	return b.clear()
}

// clear removes all records.
func (b *Backend) clear() error {
	b.merging.Lock()
	defer b.merging.Unlock()
	b.disk.Lock()
	defer b.disk.Unlock()
	// Badger does not remove all at once.
	b.state.clearing = true
	if err := b.state.write(b.dir); err != nil {
		return fmt.Errorf("clear etcd storage: %w", err)
	}
	if err := b.db.DropAll(); err != nil {
		return fmt.Errorf("clear etcd storage: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq, b.synced, b.applied, b.marks = 0, 0, 0, nil
	b.version = b.lastVersion()
	b.large = map[string]large{}
	b.state = state{base: b.version}
	if err := b.state.write(b.dir); err != nil {
		return fmt.Errorf("clear etcd storage: %w", err)
	}
	return nil
}

// lastVersion is that of Badger's last write, which is complete.
func (b *Backend) lastVersion() uint64 {
	txn := b.db.NewTransaction(false)
	defer txn.Discard()
	return txn.ReadTs()
}

// dropLeftovers removes what was written of a batch that was cut off: changes above the revision of the state, parts of values.
func (b *Backend) dropLeftovers(txn *badger.Txn, last mark, meta mvcc.Meta) error {
	item, err := txn.Get(last.key())
	if err != nil {
		return err
	}
	value, err := item.ValueCopy(nil)
	if err != nil {
		return err
	}
	w := b.writes()
	defer w.discard()
	// Badger may forget that there were deletions, but the versions of all writes are to be found.
	w.first = &mvcc.Op{Key: last.key(), Value: value}
	from, to := mvcc.Leftovers(meta)
	it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false})
	defer it.Close()
	for it.Seek(mark{main: min(last.main, meta.Revision)}.key()[:9]); it.Valid() && w.err == nil; it.Next() {
		key := it.Item().Key()
		if bytes.Compare(key, to) >= 0 {
			break
		}
		seq, isPart := partSeq(key)
		if isPart && seq > last.seq || !ownKey(key) && bytes.Compare(key, from) >= 0 {
			w.add(mvcc.Op{Key: bytes.Clone(key), Delete: true}, 0, true)
		}
	}
	err = w.commit()
	b.version = b.lastVersion()
	return err
}

// Commit makes a batch part of what views see. After an error the Backend is of no use. It wraps syscall.ENOSPC if the disk is about to be full.
func (b *Backend) Commit(batch *mvcc.Batch) error {
	if n := b.free(b.dir); n >= 0 && n < needed {
		return fmt.Errorf("etcd storage %s: %w: %d MiB are free, and %d are needed (make room, then start again: all that was acknowledged is in the log)",
			b.dir, syscall.ENOSPC, n>>20, needed>>20)
	}
	b.mu.Lock()
	seq, synced := b.seq+1, b.synced
	b.mu.Unlock()
	if seq-synced > maxUnsynced {
		if _, err := b.Sync(); err != nil {
			return err
		}
	}
	w := b.writes()
	defer w.discard()
	this, value, old := b.mark(seq, batch)
	s := batchSplitter{b: b, w: w, now: map[string]*large{}, next: large{main: this.main, seq: seq, part: uint64(b.db.Opts().MemTableSize / valuePart)}}
	s.split(batch.Ops)
	for _, m := range old {
		w.add(mvcc.Op{Key: m.key(), Delete: true}, 0, false)
	}
	w.add(mvcc.Op{Key: this.key(), Value: value}, 0, false)
	if err := w.commit(); err != nil {
		return fmt.Errorf("commit batch %d up to %v to etcd storage: %w", seq, batch.Meta.Applied, err)
	}
	s.done()
	b.touch(w.total)
	version := b.lastVersion()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq, b.version = seq, version
	b.marks = append(b.marks[len(old):], this)
	if batch.Meta != (mvcc.Meta{}) {
		b.applied = batch.Meta.Applied
	}
	return nil
}

func (b *Backend) writes() *writeSplitter {
	return &writeSplitter{db: b.db, limit: int(b.db.Opts().MemTableSize / writePart)}
}

// writeSplitter puts operations into one write of Badger, or several if it must.
type writeSplitter struct {
	db    *badger.DB
	limit int      // in bytes
	first *mvcc.Op // what each write begins with, if anything
	txn   *badger.Txn
	bytes int
	total int // bytes of all writes
	err   error
}

// add adds an operation, with Badger's user meta; before one that may follow in another write, what is there may be committed.
func (w *writeSplitter) add(op mvcc.Op, meta byte, maySplit bool) {
	size := len(op.Key) + len(op.Value) + opSize
	if maySplit && w.txn != nil && w.bytes+size > w.limit {
		if err := w.commit(); err != nil {
			return
		}
	}
	if w.err != nil {
		return
	}
	if w.txn == nil {
		w.txn = w.db.NewTransaction(true)
		if w.first != nil {
			w.err = w.txn.Set(w.first.Key, w.first.Value)
		}
	}
	w.bytes += size
	w.total += size
	if op.Delete {
		w.err = errors.Join(w.err, w.txn.Delete(op.Key))
	} else {
		w.err = errors.Join(w.err, w.txn.SetEntry(badger.NewEntry(op.Key, op.Value).WithMeta(meta)))
	}
}

func (w *writeSplitter) commit() error {
	if w.err == nil && w.txn != nil {
		w.err = w.txn.Commit()
		w.txn, w.bytes = nil, 0
	}
	return w.err
}

func (w *writeSplitter) discard() {
	if w.txn != nil {
		w.txn.Discard()
	}
}

// Sync waits until all that is committed is on disk, and returns the zxid that this has reached: logs that end before it
// are not needed here any more.
func (b *Backend) Sync() (proto.Zxid, error) {
	b.disk.Lock()
	defer b.disk.Unlock()
	b.mu.Lock()
	seq, version, applied := b.seq, b.version, b.applied
	b.mu.Unlock()
	if seq == b.state.seq && version == b.state.version {
		return applied, nil
	}
	// Badger's own Sync leaves out the memtables that wait to be written as tables.
	if err := syncFiles(b.dir, "*.mem", "*.vlog"); err != nil {
		return 0, fmt.Errorf("sync etcd storage: %w", err)
	}
	if err := b.note(seq, version); err != nil {
		return 0, fmt.Errorf("sync etcd storage: %w", err)
	}
	return applied, nil
}

// note notes what is on disk. The caller holds disk.
func (b *Backend) note(seq, version uint64) error {
	s := b.state
	s.seq, s.version = seq, version
	if err := s.write(b.dir); err != nil {
		return err
	}
	b.state = s
	b.mu.Lock()
	defer b.mu.Unlock()
	b.synced = max(b.synced, seq)
	return nil
}

// syncFiles syncs the files of some names, which Badger has mapped into memory, and the directory. A file that
// disappears meanwhile has become a table, which Badger synced.
func syncFiles(dir string, patterns ...string) error {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range append(paths, dir) {
			f, err := os.Open(path)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Import replaces all there is by an image (mvcc.WriteImage). If it fails, nothing is there. No view may be open.
func (b *Backend) Import(r io.Reader) (mvcc.Meta, error) {
	if err := b.clear(); err != nil {
		return mvcc.Meta{}, err
	}
	meta, err := mvcc.ReadImage(r, b.Commit)
	if err != nil {
		return mvcc.Meta{}, errors.Join(err, b.clear())
	}
	_, err = b.Sync()
	return meta, err
}

// Collect frees the space of what is deleted, which Badger otherwise does as it merges its tables. It does not stand in the
// way of Commit.
func (b *Backend) Collect() error {
	b.merging.Lock()
	defer b.merging.Unlock()
	if err := b.db.Flatten(1); err != nil {
		return fmt.Errorf("collect garbage of etcd storage: %w", err)
	}
	return nil
}

// Size is how many bytes the files take.
func (b *Backend) Size() int64 {
	tables, values := b.db.Size()
	return tables + values
}

// Close closes the directory; no view may be open.
func (b *Backend) Close() error {
	if err := b.stop(); err != nil {
		return fmt.Errorf("close etcd storage: %w", err)
	}
	return nil
}

// stop stops what runs, and makes all that is committed durable.
func (b *Backend) stop() error {
	close(b.closing)
	b.tasks.Wait()
	err := b.db.Close()
	if err == nil && b.started {
		b.disk.Lock()
		defer b.disk.Unlock()
		err = b.note(b.seq, b.version)
	}
	return errors.Join(err, b.guard.Close())
}

// Remove deletes a directory that is not open, so that it can be filled again.
func Remove(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove etcd storage: %w", err)
	}
	return nil
}
