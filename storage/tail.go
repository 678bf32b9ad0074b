package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"

	"zebu/internal/mutant"
	"zebu/proto"
)

// A log is extended with zeros ahead of what is written to it, a batch is written by one write and synced before the
// next. So when a server crashes all that can be amiss is the last batch, and of that each sector may have reached the
// disk or not: a sector that did not is still zeros. The end of the log is the first record that is not whole, if
//
//   - nothing but zeros follows, or
//   - it breaks off: no whole record follows, nor does it end as a record does, or
//   - in it or between it and the next whole record lies a sector of zeros: the batch reached the disk in another order.
//
// Otherwise something has changed since it was written, and the log must not be used. (ZooKeeper is stricter with a wrong
// checksum, which it never accepts, and laxer with all else, which it always takes for the end.)

// sectorSize is the least that disks write at once.
const sectorSize = 512

// zxidReach bounds how far beyond the last zxid a record is still taken for one that follows a damaged one.
const zxidReach = 1 << 20

// end decides what a record that is bad at the current offset means: io.EOF with r.tail set, or a CorruptError. n is the
// record's length in the file if only its checksum is wrong, else 0.
func (r *LogReader) end(bad string, n int) error {
	r.tail.Offset = r.off
	empty, err := r.onlyZerosFrom(r.off)
	if err != nil {
		return err
	}
	if empty {
		return io.EOF
	}
	later, err := r.findRecord(r.off + 1)
	if err != nil {
		return err
	}
	until, why := r.off+int64(n), bad
	if later >= 0 {
		until, why = later, fmt.Sprintf("%s, and a whole record follows at offset %d", bad, later)
	}
	if until > r.off {
		unwritten, err := r.zeroSector(r.off, until)
		if err != nil {
			return err
		}
		if !unwritten && !mutant.On(mutant.CorruptLogCut) {
			return &CorruptError{r.name, r.off, why}
		}
	}
	r.tail.Torn = bad
	return io.EOF
}

// window calls f with consecutive pieces of the file from off on, each overlapping the one before by overlap bytes,
// until f returns false.
func (r *LogReader) window(off int64, overlap int, f func(at int64, b []byte) bool) error {
	buf := make([]byte, min(256<<10, max(0, r.size-off)))
	for off < r.size {
		n, err := r.f.ReadAt(buf[:min(int64(len(buf)), r.size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s at offset %d: %w", r.name, off, err)
		}
		if n == 0 || !f(off, buf[:n]) || off+int64(n) >= r.size {
			return nil
		}
		off += int64(max(n-overlap, 1))
	}
	return nil
}

// onlyZerosFrom says whether the file holds nothing but zeros from off on.
func (r *LogReader) onlyZerosFrom(off int64) (bool, error) {
	empty := true
	err := r.window(off, 0, func(_ int64, b []byte) bool {
		empty = zeros(b)
		return empty
	})
	return empty, err
}

// findRecord returns the offset of the first whole record at or after off whose zxid may come after the last good one,
// or -1.
func (r *LogReader) findRecord(off int64) (int64, error) {
	const head = frameSize + 20 // up to the end of the zxid in the transaction's header
	found := int64(-1)
	var readErr error
	err := r.window(off, head-1, func(at int64, b []byte) bool {
		for i := 0; i+head <= len(b); i++ {
			// The upper half of the checksum is zeros; mostly that alone decides.
			if binary.BigEndian.Uint32(b[i:]) != 0 || !r.plausible(b[i:i+head]) {
				continue
			}
			whole, err := r.wholeAt(at+int64(i), int(binary.BigEndian.Uint32(b[i+8:])))
			if whole || err != nil {
				found, readErr = at+int64(i), err
				return false
			}
		}
		return true
	})
	if err := errors.Join(err, readErr); err != nil {
		return 0, err
	}
	return found, nil
}

// plausible says whether b may be the beginning of a record that comes after the last good one.
func (r *LogReader) plausible(b []byte) bool {
	length := int32(binary.BigEndian.Uint32(b[8:]))
	if length < minTxnSize || int64(length) > int64(r.maxRecord) {
		return false
	}
	z := proto.Zxid(binary.BigEndian.Uint64(b[frameSize+12:]))
	if z <= r.last {
		return false
	}
	if z.Epoch() == r.last.Epoch() {
		return z-r.last <= zxidReach
	}
	return z.Counter() <= zxidReach
}

// wholeAt says whether a record with a transaction of length bytes is at off.
func (r *LogReader) wholeAt(off int64, length int) (bool, error) {
	n := frameSize + length + eorSize
	if int64(n) > r.size-off {
		return false, nil
	}
	var eor [1]byte
	if _, err := r.f.ReadAt(eor[:], off+int64(n)-1); err != nil {
		return false, fmt.Errorf("read %s at offset %d: %w", r.name, off, err)
	}
	if eor[0] != proto.TxnEOR {
		return false, nil
	}
	b := make([]byte, n)
	if _, err := r.f.ReadAt(b, off); err != nil {
		return false, fmt.Errorf("read %s at offset %d: %w", r.name, off, err)
	}
	return uint64(adler32.Checksum(b[frameSize:n-1])) == binary.BigEndian.Uint64(b), nil
}

// zeroSector says whether a sector between a bad record at from and a whole one at to was never written. In the sector in
// which the bad record begins only its part counts, and only if it is more than the upper half of the checksum, which is
// zeros anyway.
func (r *LogReader) zeroSector(from, to int64) (bool, error) {
	b := make([]byte, sectorSize)
	for at := from; at < to; {
		end := at - at%sectorSize + sectorSize
		part := b[:end-at]
		n, err := r.f.ReadAt(part, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("read %s at offset %d: %w", r.name, at, err)
		}
		if n == len(part) && n > 4 && zeros(part) {
			return true, nil
		}
		at = end
	}
	return false, nil
}

// zeros says whether b holds nothing else.
func zeros(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
