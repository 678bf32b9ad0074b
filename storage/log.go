package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"zebu/internal/mutant"
	"zebu/internal/vfs"
	"zebu/proto"
)

// padMargin is how near to the end of what is preallocated a write may come before the log is extended: ZooKeeper's value.
const padMargin = 4096

// zeroAhead is how much is filled with zeros at a time, beyond the batch that reaches the end of what was filled before.
// A file system marks preallocated blocks as unwritten, and has to note in its journal when they are first written: that
// made a sync two to three times as long. Now one batch in many pays for it, and for the rest a sync writes the data
// alone, nor does it wait for what the journal holds of other files, such as a snapshot being written.
const zeroAhead = 256 << 10

var zeroBlock [zeroAhead]byte

// Log appends to the transaction log. Its methods are for one goroutine, but for Size and Last.
type Log struct {
	opt *Options
	dir string

	f         vfs.File // nil: the next Append makes a new file
	name      string
	pos       int64 // where the next record goes
	allocated int64 // the length of f, unless the disk was too full to preallocate
	zeroed    int64 // f is written, with transactions or zeros, up to here
	ready     bool  // a position in the history is known: Restore or Truncate ran
	err       error // the first failure; final

	last atomic.Int64 // zxid
	size atomic.Int64
}

// Append writes a batch to the log and syncs it: one write (now and then another, of zeros) and one sync, however many
// transactions. When it returns nil all of them are durable. The first one must follow what the log ends with, and each
// the one before.
//
// After any error the log takes nothing more and returns that error again: it is not known what reached the disk, and a
// sync that failed once may succeed the next time without having written anything.
func (l *Log) Append(b *Batch) error {
	if l.err != nil || b.Len() == 0 {
		return l.err
	}
	if l.err = l.append(b); l.err != nil {
		return l.err
	}
	if l.opt.LogSizeLimit > 0 && l.pos > l.opt.LogSizeLimit {
		l.err = l.finish()
	}
	return l.err
}

func (l *Log) append(b *Batch) error {
	if err := l.check(b); err != nil {
		return err
	}
	fresh := l.f == nil
	if fresh {
		if err := l.create(b.txns[0].zxid); err != nil {
			return err
		}
	}
	buf := b.seal()
	if err := l.extend(int64(len(buf))); err != nil {
		return err
	}
	if _, err := l.f.WriteAt(buf, l.pos); err != nil {
		return fmt.Errorf("append %v to %s: %w", b.Last(), l.name, err)
	}
	if err := l.fill(int64(len(buf))); err != nil {
		return fmt.Errorf("append %v to %s: %w", b.Last(), l.name, err)
	}
	if err := l.sync(); err != nil && !mutant.On(mutant.SyncErrorIgnored) {
		return fmt.Errorf("append %v to %s: %w", b.Last(), l.name, err)
	}
	if fresh && !l.opt.NoSync && !mutant.On(mutant.LogDirNotSynced) {
		if err := l.opt.FS.SyncDir(l.dir); err != nil {
			return fmt.Errorf("append %v to %s: %w", b.Last(), l.name, err)
		}
	}
	l.pos += int64(len(buf))
	l.size.Add(int64(len(buf)))
	l.last.Store(int64(b.Last()))
	return nil
}

// check refuses a batch that would leave a gap.
func (l *Log) check(b *Batch) error {
	if !l.ready {
		return errors.New("append to a log before the store was restored")
	}
	prev := proto.Zxid(l.last.Load())
	for _, t := range b.txns {
		if !Follows(prev, t.zxid) {
			return fmt.Errorf("append %v to the log: it does not follow %v", t.zxid, prev)
		}
		prev = t.zxid
	}
	return nil
}

// create makes the file for transactions from z on.
func (l *Log) create(z proto.Zxid) error {
	name := filepath.Join(l.dir, logName(z))
	if err := l.refuseOverwrite(name); err != nil {
		return err
	}
	f, err := l.opt.FS.Create(name)
	if err != nil {
		return fmt.Errorf("create a log: %w", err)
	}
	l.f, l.name = f, name
	l.pos, l.allocated, l.zeroed = fileHeaderSize, fileHeaderSize, fileHeaderSize
	h := proto.FileHeader{Magic: proto.TxnLogMagic, Version: logVersion}
	if _, err := f.WriteAt(h.Append(nil), 0); err != nil {
		return fmt.Errorf("create a log: write %s: %w", name, err)
	}
	// Before the first batch: of that the disk may take later sectors first, and a log without a header, in which something was
	// written, is refused.
	if !l.opt.NoSync {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("create a log: sync %s: %w", name, err)
		}
	}
	l.size.Add(fileHeaderSize)
	l.opt.Log.Info("new transaction log", zap.String("file", name))
	return nil
}

// refuseOverwrite fails if a log of that name holds transactions. One without any is what a crash leaves.
func (l *Log) refuseOverwrite(name string) error {
	if _, err := l.opt.FS.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	rep, err := VerifyLog(l.opt.FS, name, l.opt.MaxRecord)
	if err == nil && rep.Txns > 0 {
		err = fmt.Errorf("%s already holds transactions up to %v", name, rep.Last)
	}
	return err
}

// extend preallocates if n more bytes would come too near to the end. If the disk has no room for that much it leaves it
// to the write to find out whether there is room for the batch.
func (l *Log) extend(n int64) error {
	size := l.allocated
	for l.opt.PreallocBytes > 0 && l.pos+n+padMargin >= size {
		size += l.opt.PreallocBytes
	}
	if size == l.allocated {
		return nil
	}
	err := l.f.Preallocate(size)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return nil
	case err != nil:
		return fmt.Errorf("extend %s to %d bytes: %w", l.name, size, err)
	}
	l.allocated = size
	return nil
}

// fill writes zeros behind a batch of n bytes at the current position, if it went beyond what was written before. A large
// batch is worth its own entry in the journal, and so will the next one be.
func (l *Log) fill(n int64) error {
	end := l.pos + n
	if end <= l.zeroed {
		return nil
	}
	l.zeroed = end
	if n >= zeroAhead || end >= l.allocated {
		return nil
	}
	l.zeroed = min(end+zeroAhead, l.allocated)
	_, err := l.f.WriteAt(zeroBlock[:l.zeroed-end], end)
	return err
}

func (l *Log) sync() error {
	if l.opt.NoSync || mutant.On(mutant.LogNotSynced) {
		return nil
	}
	start := time.Now()
	if err := l.f.Sync(); err != nil {
		return err
	}
	took := time.Since(start)
	if l.opt.FsyncWarn > 0 && took > l.opt.FsyncWarn {
		l.opt.Log.Warn("syncing the transaction log was slow; writes wait for it",
			zap.Duration("took", took), zap.String("file", l.name))
	}
	if l.opt.OnFsync != nil {
		l.opt.OnFsync(took)
	}
	return nil
}

// Roll makes the next Append start a new file, and Size count from 0.
func (l *Log) Roll() {
	if l.err == nil {
		l.err = l.finish()
	}
	l.size.Store(0)
}

// finish closes the current file, if there is one. Everything in it is synced. What was preallocated and not used is given
// back: where ZooKeeper leaves a hole in a sparse file, it would take up the disk. After a failure the file is left as it
// is, for Restore to judge.
func (l *Log) finish() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	var err error
	if l.err == nil {
		err = f.Truncate(l.pos)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("close %s: %w", l.name, err)
	}
	return nil
}

// reset makes the log go on after z, in a new file.
func (l *Log) reset(z proto.Zxid) error {
	l.Roll()
	l.last.Store(int64(z))
	l.ready = true
	return l.err
}

// Size returns the bytes appended since the last [Log.Roll], or since the store was opened.
func (l *Log) Size() int64 { return l.size.Load() }

// Last returns the zxid of the last durable transaction.
func (l *Log) Last() proto.Zxid { return proto.Zxid(l.last.Load()) }

// Close closes the file. The log takes nothing more.
func (l *Log) Close() error {
	err := l.finish()
	if l.err == nil {
		l.err = ErrClosed
	}
	return err
}
