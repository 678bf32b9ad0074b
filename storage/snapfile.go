package storage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"go.uber.org/zap"

	"zebu/internal/mutant"
	"zebu/internal/vfs"
	"zebu/proto"
)

// writebackChunk is how much of a snapshot is written between requests to the kernel to start bringing it to the disk.
// Left alone it would gather all of a snapshot and write it at once, and syncs of the log would wait behind that.
const (
	writebackChunk = 1 << 20
	yieldChunk     = 64 << 10 // what is written before others may run: the scheduler alone lets them wait for 10 ms
)

// WriteSnapshot writes img to its file, and syncs it; when it returns nil the snapshot is in force. It is written under
// another name and renamed at the end, so that a failure half way leaves the snapshot before it in force. It works
// beside the log and other readers, one snapshot at a time.
func (s *Store) WriteSnapshot(img Image) (SnapshotInfo, error) {
	if mutant.On(mutant.SnapshotNotInstalled) && img.Zxid().Counter() != 0 {
		return SnapshotInfo{}, nil
	}
	s.snapMu.Lock()
	defer s.snapMu.Unlock()
	z := img.Zxid()
	name := snapshotName(z, s.opt.Compression)
	path, tmp := filepath.Join(s.snapDir, name), filepath.Join(s.snapDir, tmpPrefix+name)
	if err := s.writeSnapshotFile(tmp, img); err != nil {
		_ = s.opt.FS.Remove(tmp) // or the next Open does
		return SnapshotInfo{}, fmt.Errorf("write %s: %w", path, err)
	}
	if err := s.opt.FS.Rename(tmp, path); err != nil {
		return SnapshotInfo{}, fmt.Errorf("write %s: %w", path, err)
	}
	if mutant.On(mutant.SnapshotDirNotSynced) {
		return s.noteSnapshot(z, path)
	}
	if err := s.syncDir(s.snapDir); err != nil {
		return SnapshotInfo{}, fmt.Errorf("write %s: %w", path, err)
	}
	return s.noteSnapshot(z, path)
}

func (s *Store) writeSnapshotFile(path string, img Image) error {
	f, err := s.opt.FS.Create(path)
	if err != nil {
		return err
	}
	err = s.compressTo(&pacedWriter{f: f}, img)
	if err == nil && !s.opt.NoSync && !mutant.On(mutant.SnapshotNotSynced) {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (s *Store) compressTo(w io.Writer, img Image) error {
	c, err := compressor(w, s.opt.Compression)
	if err != nil {
		return err
	}
	if err := WriteSnapshotStream(c, img, SnapshotTails{Digest: s.opt.WriteDigest, LastZxid: s.opt.WriteLastZxid}); err != nil {
		return err
	}
	return c.Close()
}

// pacedWriter writes to a file no faster than the disk takes it, and lets others have the processor in between.
type pacedWriter struct {
	f       vfs.File
	written int64
	started int64 // writeback was asked for up to here
	awaited int64 // and is over up to here
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	total := 0
	for len(b) > 0 {
		n, err := p.f.Write(b[:min(len(b), yieldChunk)])
		total += n
		p.written += int64(n)
		if err != nil {
			return total, err
		}
		b = b[n:]
		p.pace()
		runtime.Gosched()
	}
	return total, nil
}

// pace keeps at most two chunks on their way to the disk: a sync of the log waits behind no more.
func (p *pacedWriter) pace() {
	if p.written-p.started < writebackChunk {
		return
	}
	p.f.StartWriteback(p.started, p.written-p.started)
	p.f.AwaitWriteback(p.awaited, p.started-p.awaited)
	p.awaited, p.started = p.started, p.written
}

// OpenSnapshot opens a snapshot file and undoes its compression, which its name tells.
func OpenSnapshot(fsys vfs.FS, name string) (io.ReadCloser, error) {
	df, ok := parseName(name, snapshotPrefix)
	if !ok {
		return nil, fmt.Errorf("%s: the name of a snapshot is snapshot.<zxid in hexadecimal>, with .gz or .snappy if compressed", name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := decompressor(f, df.compression)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return &snapshotFile{Reader: r, f: f}, nil
}

type snapshotFile struct {
	io.Reader
	f vfs.File
}

func (s *snapshotFile) Close() error { return s.f.Close() }

// VerifySnapshot checks that a snapshot file is whole and unchanged, by the checksum over all of it.
func VerifySnapshot(fsys vfs.FS, name string) error {
	r, err := OpenSnapshot(fsys, name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read only
	if err := VerifySnapshotStream(r); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// newestValid returns the newest snapshot at or before z that is whole; ok is false if there is none among the newest
// hundred (ZooKeeper's limit, too). invalid are those that it passed over.
func (s *Store) newestValid(z proto.Zxid) (snap dataFile, ok bool, invalid []dataFile, err error) {
	files, err := list(s.opt.FS, s.snapDir, snapshotPrefix)
	if err != nil {
		return dataFile{}, false, nil, err
	}
	const tries = 100
	for i := len(files) - 1; i >= 0 && len(invalid) < tries; i-- {
		if files[i].zxid > z {
			continue
		}
		err := VerifySnapshot(s.opt.FS, files[i].path)
		if err == nil || mutant.On(mutant.CorruptSnapshotLoaded) {
			return files[i], true, invalid, nil
		}
		s.opt.Log.Warn("passing over a snapshot that is not valid", zap.String("file", files[i].path), zap.Error(err))
		invalid = append(invalid, files[i])
	}
	return dataFile{}, false, invalid, nil
}

// loadSnapshot passes a verified snapshot to b. fuzzyUntil is the zxid of the digest in it, if it is later than the
// snapshot's.
func (s *Store) loadSnapshot(df dataFile, b Builder) (fuzzyUntil proto.Zxid, err error) {
	r, err := OpenSnapshot(s.opt.FS, df.path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }() // read only
	tail, err := newSnapReader(r, false).file(b)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", df.path, err)
	}
	fuzzyUntil = df.zxid
	// A leader that has just begun its epoch takes a snapshot at <epoch, 0> with the digest of the transaction before:
	// that digest tells nothing (spec 10.3).
	if tail.HasDigest && tail.DigestZxid > 0 && tail.DigestZxid >= df.zxid {
		b.SetDigest(tail.DigestZxid, tail.DigestVersion, tail.Digest)
		fuzzyUntil = tail.DigestZxid
	}
	return fuzzyUntil, b.Finish(df.zxid)
}
