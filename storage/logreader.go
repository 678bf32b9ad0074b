package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"math"

	"zebu/internal/vfs"
	"zebu/proto"
)

const (
	fileHeaderSize = 16 // magic, version, dbid
	frameSize      = 12 // checksum and length, before every transaction
	eorSize        = 1  // the byte after it
	minTxnSize     = 32 // TxnHeader
	logVersion     = 2
	readChunk      = 1 << 20
)

// CorruptError says that a file cannot be what was written to it.
type CorruptError struct {
	File   string
	Offset int64
	Reason string
}

// Error names the file, the place and what is wrong there.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: corrupt at offset %d: %s", e.File, e.Offset, e.Reason)
}

// Record is one transaction in a log. Txn and Body are valid until the next call of the reader.
type Record struct {
	Offset int64 // of the record's frame in the file
	Header proto.TxnHeader
	Txn    []byte // header, body and, mostly, digest
	Body   []byte // Txn after the header
}

// Tail says how a log ends.
type Tail struct {
	Offset int64 // just after the last whole record (or the file header): where the file may be cut
	// Torn is what is wrong with the remains of an unfinished write that begin there; "" if nothing or only zeros follow.
	Torn string
}

// LogReader reads the records of one log file in order.
type LogReader struct {
	f         vfs.File
	name      string
	size      int64
	maxRecord int

	buf  []byte // buf[at:] is what was read and not returned yet
	at   int
	off  int64 // offset in the file of buf[at]
	last proto.Zxid
	tail Tail
	err  error
}

// OpenLog opens a log file. maxRecord bounds the length of a transaction in bytes; a longer one is corruption. A file too
// short for its header, or with one of zeros, reads as empty and torn: a server that crashed while it made the file
// leaves that.
func OpenLog(fsys vfs.FS, name string, maxRecord int) (*LogReader, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r := &LogReader{f: f, name: name, size: size, maxRecord: maxRecord}
	if err := r.readHeader(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *LogReader) readHeader() error {
	head, err := r.peek(fileHeaderSize)
	if err != nil {
		return err
	}
	if len(head) < fileHeaderSize || zeros(head) {
		if end, err := r.onlyZerosFrom(int64(len(head))); err != nil || !end {
			return errors.Join(err, &CorruptError{r.name, 0, "no file header"})
		}
		r.tail = Tail{Torn: "no file header"}
		r.err = io.EOF
		return nil
	}
	d := proto.NewDecoder(head)
	var h proto.FileHeader
	h.Decode(&d)
	if h.Magic != proto.TxnLogMagic {
		return &CorruptError{r.name, 0, fmt.Sprintf("magic number %#x is not that of a transaction log", uint32(h.Magic))}
	}
	if h.Version != logVersion {
		return &CorruptError{r.name, 4, fmt.Sprintf("version %d of the format is not known", h.Version)}
	}
	r.skip(fileHeaderSize)
	// What a first record that is damaged is measured against.
	if df, ok := parseName(r.name, logPrefix); ok {
		r.last = df.zxid - 1
	}
	return nil
}

// Next returns the next record, io.EOF after the last one, or a [CorruptError].
func (r *LogReader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	rec, n, bad, err := r.record()
	if err == nil && bad != "" {
		err = r.end(bad, n)
	}
	if err != nil {
		r.err = err
		return Record{}, err
	}
	rec.Offset = r.off
	r.last = rec.Header.Zxid
	r.skip(n)
	return rec, nil
}

// Tail says how the log ends; it is known when [LogReader.Next] has returned io.EOF.
func (r *LogReader) Tail() Tail { return r.tail }

// Size returns the length of the file when it was opened.
func (r *LogReader) Size() int64 { return r.size }

// Close closes the file.
func (r *LogReader) Close() error { return r.f.Close() }

// record decodes the record at the current offset and returns its length in the file. bad is why there is none; n is then
// 0, unless only the checksum is wrong.
func (r *LogReader) record() (rec Record, n int, bad string, err error) {
	frame, err := r.peek(frameSize)
	if err != nil {
		return rec, 0, "", err
	}
	if len(frame) < frameSize {
		return rec, 0, "the file ends in the middle of a record", nil
	}
	sum := binary.BigEndian.Uint64(frame)
	length := int32(binary.BigEndian.Uint32(frame[8:]))
	if length < minTxnSize || int64(length) > int64(r.maxRecord) {
		return rec, 0, fmt.Sprintf("no transaction has a length of %d", length), nil
	}
	n = frameSize + int(length) + eorSize
	if int64(n) > r.size-r.off {
		return rec, 0, "the file ends in the middle of a record", nil
	}
	b, err := r.peek(n)
	if err != nil {
		return rec, 0, "", err
	}
	if len(b) < n { // cut since it was opened
		return rec, 0, "the file ends in the middle of a record", nil
	}
	if b[n-1] != proto.TxnEOR {
		return rec, 0, fmt.Sprintf("the record ends in %#x", b[n-1]), nil
	}
	rec.Txn = b[frameSize : n-1 : n-1]
	if got := adler32.Checksum(rec.Txn); uint64(got) != sum {
		return rec, n, fmt.Sprintf("the transaction has the checksum %#x and not %#x", got, sum), nil
	}
	d := proto.NewDecoder(rec.Txn)
	rec.Header.Decode(&d)
	rec.Body = d.Rest()
	return rec, n, "", nil
}

// peek returns the next n bytes, fewer at the end of the file. They are valid until the next peek.
func (r *LogReader) peek(n int) ([]byte, error) {
	if have := len(r.buf) - r.at; have < n {
		left := int(min(r.size-r.off, math.MaxInt32))
		if cap(r.buf) < n || cap(r.buf) < min(readChunk, left) {
			grown := make([]byte, have, max(n, min(left, max(n+readChunk/2, readChunk))))
			copy(grown, r.buf[r.at:])
			r.buf = grown
		} else {
			r.buf = r.buf[:copy(r.buf[:cap(r.buf)], r.buf[r.at:])]
		}
		r.at = 0
		m, err := r.f.ReadAt(r.buf[have:cap(r.buf)], r.off+int64(have))
		r.buf = r.buf[:have+m]
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read %s at offset %d: %w", r.name, r.off+int64(have), err)
		}
	}
	return r.buf[r.at:min(r.at+n, len(r.buf))], nil
}

func (r *LogReader) skip(n int) {
	r.at += n
	r.off += int64(n)
}

// LogReport is what [VerifyLog] found in a log.
type LogReport struct {
	Txns        int
	First, Last proto.Zxid // 0 if there is no transaction
	Size        int64      // of the file in bytes
	Tail        Tail
}

// VerifyLog reads a log to its end and checks every record, and that each transaction follows the one before. It returns a
// [CorruptError] for a log that [Store.Restore] would refuse, with what was found up to there.
func VerifyLog(fsys vfs.FS, name string, maxRecord int) (LogReport, error) {
	var rep LogReport
	if st, err := fsys.Stat(name); err == nil {
		rep.Size = st.Size()
	}
	err := eachRecord(fsys, name, maxRecord, func(rec *Record) error {
		z := rec.Header.Zxid
		if rep.Txns > 0 && !Follows(rep.Last, z) {
			return gapError(name, rec.Offset, rep.Last, z)
		}
		if rep.Txns++; rep.Txns == 1 {
			rep.First = z
		}
		rep.Last = z
		return nil
	}, &rep.Tail)
	return rep, err
}

func gapError(name string, off int64, prev, next proto.Zxid) error {
	return &CorruptError{name, off, fmt.Sprintf("transaction %v does not follow %v", next, prev)}
}

// errStop ends eachRecord early without being an error.
var errStop = errors.New("stop")

// eachRecord calls f for every record of a log. tail, unless nil, is set at the end.
func eachRecord(fsys vfs.FS, name string, maxRecord int, f func(rec *Record) error, tail *Tail) error {
	r, err := OpenLog(fsys, name, maxRecord)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read only
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = f(&rec)
		}
		if err == errStop {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if tail != nil {
		*tail = r.Tail()
	}
	return nil
}
