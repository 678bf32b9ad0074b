package backend

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"zebu/internal/vfs"
	"zebu/mvcc"
)

// prepare makes a directory that is not open such that Badger finds in it a whole prefix of the writes that there were, and all that
// is known to be on disk. If that cannot be, the error wraps mvcc.ErrDamaged, and nothing has been changed. It may be
// cut off anywhere and done again.
//
// Each write of Badger has a version, one more than the write before. Tables are synced before they count, and are made of memtables in
// their order. So the tables have the first writes, up to their highest version, and the memtables' logs go on from there; in
// these, what the disk has not got may lie anywhere.
func prepare(dir string, log *zap.Logger) (state, error) {
	s, found, err := readState(dir)
	if err != nil {
		return s, err
	}
	if s.clearing {
		if err := removeFiles(dir, "*.sst", "*.mem", "*.vlog", badger.ManifestFilename, "DISCARD"); err != nil {
			return s, err
		}
		s, found = state{}, false
	}
	tables, whole, size, err := readManifest(dir)
	fresh := errors.Is(err, os.ErrNotExist)
	if err != nil && !fresh {
		return s, err
	}
	if fresh {
		left, err := list(dir, "*.sst", "*.mem")
		if err != nil {
			return s, err
		}
		if len(left) > 0 || s.version > 0 {
			return s, fmt.Errorf("%w: no file %s", mvcc.ErrDamaged, badger.ManifestFilename)
		}
	}
	version, err := checkTables(dir, tables)
	if err != nil {
		return s, err
	}
	w := walk{last: max(version, s.base), known: found || version > 0}
	if err := w.all(dir); err != nil {
		return s, err
	}
	if w.last < s.version {
		return s, fmt.Errorf("%w: write %d is the last, %d was synced", mvcc.ErrDamaged, w.last, s.version)
	}
	if err := w.repair(dir, log); err != nil {
		return s, err
	}
	if whole < size {
		log.Info("etcd storage: dropping a change of tables that was cut off", zap.String("dir", dir))
		if err := truncate(filepath.Join(dir, badger.ManifestFilename), whole); err != nil {
			return s, err
		}
	}
	if !found {
		err = s.write(dir)
		// The directory may be new, and the one that it is in.
		err = errors.Join(err, vfs.OS.SyncDir(filepath.Join(dir, "..")), vfs.OS.SyncDir(filepath.Join(dir, "../..")))
	}
	return s, err
}

// list lists files, those with lower numbers first.
func list(dir string, patterns ...string) ([]string, error) {
	var all []string
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		all = append(all, paths...)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return all, nil
}

// removeFiles removes files for good.
func removeFiles(dir string, patterns ...string) error {
	paths, err := list(dir, patterns...)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return vfs.OS.SyncDir(dir)
}

// truncate cuts a file off for good.
func truncate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// walk goes through the memtables' logs.
type walk struct {
	last  uint64 // the version of the last write that follows all before it
	known bool   // false: the first write is taken for granted

	superfluous []string         // files that have nothing that counts
	cut         map[string]int64 // up to where others are of use, if Badger would not find that by itself
}

func (w *walk) all(dir string) error {
	paths, err := list(dir, "*.mem")
	if err != nil {
		return err
	}
	w.cut = map[string]int64{}
	for _, path := range paths {
		before := w.last
		end, ended, err := w.log(path)
		switch {
		case err != nil:
			return err
		case w.last == before: // torn, behind a hole, or its table is in place
			w.superfluous = append(w.superfluous, path)
		case !ended:
			w.cut[path] = end
		}
	}
	// Badger makes files of values that stay empty, and does not open them if they are torn.
	paths, err = list(dir, "*.vlog")
	if err != nil {
		return err
	}
	for _, path := range paths {
		empty, err := isEmpty(path)
		if err != nil {
			return err
		}
		if empty {
			w.superfluous = append(w.superfluous, path)
		}
	}
	return nil
}

// isEmpty tells of a log that it has nothing but its head.
func isEmpty(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err := f.Seek(logHead, io.SeekStart); err != nil {
		return false, err
	}
	for buf := make([]byte, 64<<10); ; {
		n, err := f.Read(buf)
		if len(bytes.Trim(buf[:n], "\x00")) > 0 {
			return false, nil
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// repair takes away what does not count.
func (w *walk) repair(dir string, log *zap.Logger) error {
	for path, end := range w.cut {
		log.Info("etcd storage: the end of a log is torn", zap.String("file", path), zap.Int64("from", end), zap.Uint64("write", w.last))
		if err := truncate(path, end); err != nil {
			return err
		}
	}
	if len(w.superfluous) == 0 {
		return nil
	}
	// The last ones first: if this is cut off, what is left looks no better than it did.
	for _, path := range slices.Backward(w.superfluous) {
		log.Debug("etcd storage: a log has nothing that counts", zap.String("file", path), zap.Uint64("write", w.last))
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	// Its writes must not come back, and be taken for those that follow now.
	return vfs.OS.SyncDir(dir)
}

// A memtable's log, NNNNN.mem: 20 bytes, then entries, then zeros. An entry: meta (1), user's meta (1), length of the key, length of
// the value, expiry (uvarints), key, value, CRC-32C of all that (4). A write is entries with txnEntry in their meta and, behind the key,
// 2^64-1 minus the version (8); then one with txnEnd, whose value is the version in decimal.
const (
	logHead    = 20
	txnEntry   = 1 << 6
	txnEnd     = 1 << 7
	maxLogKey  = 1 << 16
	maxEntryAt = 32 // an entry's bytes before its key, and more
)

// log reads a log as Badger does, as far as its writes follow. It returns where they end, and whether Badger
// would find the same end.
func (w *walk) log(path string) (end int64, ended bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	var head [logHead]byte
	if _, err := io.ReadFull(f, head[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, false, nil
	} else if err != nil {
		return 0, false, err
	}
	if binary.BigEndian.Uint64(head[:]) != 0 { // the key it is encrypted with
		return 0, false, nil
	}
	r := logReader{in: bufio.NewReaderSize(f, 64<<10), at: logHead, size: info.Size(), sum: crc32.New(castagnoli)}
	end = r.at
	open := uint64(0) // the version of the write whose end is to come
	for {
		meta, key, value, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return end, open == 0, nil
		case errors.Is(err, errTorn):
			return end, false, nil
		case err != nil:
			return 0, false, err
		}
		switch {
		case meta&txnEntry != 0:
			v := versionOf(key)
			if open == 0 {
				open = v
			}
			if v != open {
				return end, false, nil
			}
		case meta&txnEnd != 0:
			if v, err := strconv.ParseUint(string(value), 10, 64); err != nil || v != open || !w.follows(v) {
				return end, false, nil
			}
			open, end = 0, r.at
		default:
			return end, false, nil // nothing here writes such entries
		}
	}
}

// follows takes a write in.
func (w *walk) follows(version uint64) bool {
	if w.known && version > w.last+1 {
		return false
	}
	w.last, w.known = max(w.last, version), true
	return true
}

func versionOf(key []byte) uint64 {
	if len(key) < 8 {
		return 0
	}
	return math.MaxUint64 - binary.BigEndian.Uint64(key[len(key)-8:])
}

// errTorn says that an entry is not whole.
var errTorn = errors.New("torn entry")

// logReader reads the entries of a log.
type logReader struct {
	in   *bufio.Reader
	at   int64 // of the next entry
	size int64
	sum  hash.Hash32
	buf  []byte
}

// next reads an entry; io.EOF is where there are zeros, or nothing.
func (r *logReader) next() (meta byte, key, value []byte, err error) {
	head, err := r.in.Peek(maxEntryAt)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, nil, err
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return 0, nil, nil, io.EOF
	}
	n := 2
	var fields [3]uint64
	for i := range fields {
		v, size := binary.Uvarint(head[min(n, len(head)):])
		if size <= 0 {
			return 0, nil, nil, errTorn
		}
		fields[i] = v
		n += size
	}
	if fields[0] > maxLogKey || fields[1] > uint64(r.size) || r.at+int64(n)+int64(fields[0]+fields[1])+4 > r.size {
		return 0, nil, nil, errTorn
	}
	all := n + int(fields[0]+fields[1]) + 4
	r.buf = slices.Grow(r.buf[:0], all)[:all]
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return 0, nil, nil, err
	}
	r.sum.Reset()
	_, _ = r.sum.Write(r.buf[:all-4])
	if r.sum.Sum32() != binary.BigEndian.Uint32(r.buf[all-4:]) {
		return 0, nil, nil, errTorn
	}
	r.at += int64(all)
	return r.buf[0], r.buf[n : n+int(fields[0])], r.buf[n+int(fields[0]) : all-4], nil
}
