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
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"

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

// opSize is what an operation takes of a write of Badger beside its key and value, in bytes: the write may have no more than
// 15 % of a memtable, and no more operations than that divided by about 100. The first two thirds are for new changes.
const opSize = 120

// valueThreshold is from which size on Badger keeps values in files of their own: a smaller one must fit into a write
// beside others.
const valueThreshold = 512 << 10

// Backend is an open directory. Commit, Import and Close are for one goroutine; View, Sync, Collect and Size may be called
// by others meanwhile.
type Backend struct {
	dir string
	abs string // dir as the system names it
	db  *badger.DB
	log *zap.Logger

	touched atomic.Int64  // about how many bytes of tables were read and written since the last release
	release chan struct{} // it is time for one
	closing chan struct{}
	tasks   sync.WaitGroup

	mu      sync.Mutex // guards the rest
	seq     uint64     // of the last batch
	marks   []mark     // of batches, those that are in the directory; the oldest first
	synced  uint64     // of the last batch known to be on disk
	applied proto.Zxid // of the last batch that has a meta record
}

// Open opens a directory, making it if it is not there. log may be nil.
func Open(dir string, log *zap.Logger) (*Backend, error) {
	return open(dir, log, memTableSize)
}

// open with smaller memtables is for tests.
func open(dir string, log *zap.Logger, memTable int64) (*Backend, error) {
	if log == nil {
		log = zap.NewNop()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open etcd storage: %w", err)
	}
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("open etcd storage: %w", err)
	}
	db, err := badger.Open(tuned(dir, log, memTable))
	if err != nil {
		return nil, fmt.Errorf("open etcd storage %s: %w", dir, err)
	}
	b := &Backend{dir: dir, abs: abs, db: db, log: log, release: make(chan struct{}, 1), closing: make(chan struct{})}
	b.tasks.Go(b.releaseLoop)
	if err := b.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("open etcd storage %s: %w", dir, err), b.Close())
	}
	return b, nil
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
		WithValueThreshold(min(valueThreshold, memTable/10)).
		WithValueLogFileSize(64 << 20).
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
	last, value, found, err := lastMark(v.txn)
	if err != nil || !found {
		return err
	}
	if err := b.follow(v, last, value); err != nil {
		return err
	}
	meta, err := mvcc.ReadMeta(v)
	if err != nil {
		return err
	}
	b.applied = meta.Applied
	whole, err := v.Get(mvcc.MetaKey(), func([]byte) error { return nil })
	switch {
	case err != nil:
		return err
	case whole:
		return b.dropLeftovers(v, meta)
	}
	b.log.Info("etcd storage: dropping what is left of an import that was cut off", zap.String("dir", b.dir))
	return b.clear()
}

// clear removes all records. Batches are numbered on.
func (b *Backend) clear() error {
	if err := b.db.DropAll(); err != nil {
		return fmt.Errorf("clear etcd storage: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.synced, b.applied, b.marks = b.seq, 0, nil
	return nil
}

// dropLeftovers removes what was written of a batch that was cut off.
func (b *Backend) dropLeftovers(v mvcc.View, meta mvcc.Meta) error {
	w := &writeSplitter{db: b.db, limit: int(b.db.Opts().MemTableSize / 10)}
	defer w.discard()
	from, to := mvcc.Leftovers(meta)
	err := v.Scan(from, to, func(key, _ []byte) error {
		w.add(mvcc.Op{Key: bytes.Clone(key), Delete: true}, true)
		return w.err
	})
	if err != nil {
		return err
	}
	return w.commit()
}

// Commit makes a batch part of what views see. After an error the Backend is of no use.
func (b *Backend) Commit(batch *mvcc.Batch) error {
	b.mu.Lock()
	seq, synced := b.seq+1, b.synced
	b.mu.Unlock()
	if seq-synced > maxUnsynced {
		if _, err := b.Sync(); err != nil {
			return err
		}
	}
	w := &writeSplitter{db: b.db, limit: int(b.db.Opts().MemTableSize / 10)}
	defer w.discard()
	// New changes first: they may be as many as there are keys.
	for _, changes := range []bool{true, false} {
		for _, op := range batch.Ops {
			if (mvcc.IsChange(op.Key) && !op.Delete) == changes && !bytes.Equal(op.Key, mvcc.MetaKey()) {
				w.add(op, changes)
			}
		}
	}
	this := b.mark(w, seq, batch)
	if err := w.commit(); err != nil {
		return fmt.Errorf("commit batch %d up to %v to etcd storage: %w", seq, batch.Meta.Applied, err)
	}
	b.touch(w.total)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq = seq
	b.marks = append(b.marks, this)
	if batch.Meta != (mvcc.Meta{}) {
		b.applied = batch.Meta.Applied
	}
	return nil
}

// writeSplitter puts operations into one write of Badger, or several if it must.
type writeSplitter struct {
	db    *badger.DB
	limit int // in bytes
	txn   *badger.Txn
	bytes int
	total int // bytes of all writes
	err   error
}

// add adds an operation; before one that may follow in another write, what is there may be committed.
func (w *writeSplitter) add(op mvcc.Op, maySplit bool) {
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
	}
	w.bytes += size
	w.total += size
	if op.Delete {
		w.err = w.txn.Delete(op.Key)
	} else {
		w.err = w.txn.Set(op.Key, op.Value)
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
	b.mu.Lock()
	seq, applied := b.seq, b.applied
	b.mu.Unlock()
	// Badger's own Sync leaves out the memtables that wait to be written as tables.
	if err := syncFiles(b.dir, "*.mem", "*.vlog"); err != nil {
		return 0, fmt.Errorf("sync etcd storage: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.synced = max(b.synced, seq)
	return applied, nil
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

// Collect frees the space of large values that are deleted; the rest is freed as Badger merges its tables. It does not
// stand in the way of Commit.
func (b *Backend) Collect() error {
	for {
		switch err := b.db.RunValueLogGC(0.5); {
		case errors.Is(err, badger.ErrNoRewrite):
			return nil
		case err != nil:
			return fmt.Errorf("collect garbage of etcd storage: %w", err)
		}
	}
}

// Size is how many bytes the files take.
func (b *Backend) Size() int64 {
	tables, values := b.db.Size()
	return tables + values
}

// Close closes the directory; no view may be open.
func (b *Backend) Close() error {
	close(b.closing)
	b.tasks.Wait()
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close etcd storage: %w", err)
	}
	return nil
}

// Remove deletes a directory that is not open, so that it can be filled again.
func Remove(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove etcd storage: %w", err)
	}
	return nil
}
