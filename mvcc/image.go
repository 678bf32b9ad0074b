package mvcc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// An image is the line below, then records, each the lengths of key and value as uvarints and their bytes, in key order; then two
// zero bytes where lengths would stand, and the CRC-32 (Castagnoli, big endian) of all before it.
const imageHead = "zebu etcd image 1\n"

// The bounds of what an image may hold: the longest keys have the name of a user or a role in them, values are at most what an
// operator may allow a request to be.
const (
	maxImageKey   = 64 << 10
	maxImageValue = 1 << 30
)

// imageBatch is how many bytes of records ReadImage puts into one batch.
const imageBatch = 1 << 20

// WriteImage writes all records of a view. What it writes is the state at the zxid of [ReadMeta], exactly.
func WriteImage(w io.Writer, view View) error {
	sum := crc32.New(castagnoli)
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	if _, err := out.WriteString(imageHead); err != nil {
		return fmt.Errorf("write etcd image: %w", err)
	}
	meta, err := ReadMeta(view)
	if err != nil {
		return fmt.Errorf("write etcd image: %w", err)
	}
	var head []byte
	chain := chainAfter(meta.Scheduled)
	for _, prefix := range []byte{prefixAlarm, prefixChange, prefixLease, prefixAuth, prefixMeta} {
		err := view.Scan([]byte{prefix}, []byte{prefix + 1}, func(key, value []byte) error {
			if r, _, ok := parseChangeKey(key); ok && r.Main > meta.Revision {
				return nil // of a batch that is being committed in parts
			} else if ok {
				if err := chain.add(r); err != nil {
					return err
				}
			}
			head = binary.AppendUvarint(head[:0], uint64(len(key)))
			head = binary.AppendUvarint(head, uint64(len(value)))
			for _, b := range [][]byte{head, key, value} {
				if _, err := out.Write(b); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write etcd image: %w", err)
		}
	}
	if err := chain.end(meta.Revision); err != nil {
		return fmt.Errorf("write etcd image: %w", err)
	}
	if _, err := out.Write([]byte{0, 0}); err != nil {
		return fmt.Errorf("write etcd image: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write etcd image: %w", err)
	}
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return fmt.Errorf("write etcd image: %w", err)
	}
	return nil
}

// ReadImage reads an image and hands its records to commit in batches, for a storage that was empty. The record that makes them
// a state comes last, after the image has turned out to be whole: a storage that was filled in part has none and is
// as good as empty. Errors wrap ErrDamaged if the bytes are no image.
func ReadImage(r io.Reader, commit func(*Batch) error) (Meta, error) {
	in := &imageReader{in: bufio.NewReaderSize(r, 64<<10), sum: crc32.New(castagnoli)}
	meta, err := in.read(commit)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: the image is cut off", ErrDamaged)
	}
	if err != nil {
		return Meta{}, fmt.Errorf("read etcd image: %w", err)
	}
	return meta, nil
}

type imageReader struct {
	in     *bufio.Reader
	sum    hash.Hash32
	failed error // what ReadByte met
}

func (in *imageReader) read(commit func(*Batch) error) (Meta, error) {
	head, err := in.bytes(uint64(len(imageHead)))
	if err != nil {
		return Meta{}, err
	}
	if string(head) != imageHead {
		return Meta{}, fmt.Errorf("%w: it begins with %q", ErrDamaged, head)
	}
	var last []byte
	var meta *Op
	filler := NewFiller(commit)
	for {
		key, value, err := in.record()
		if err != nil {
			return Meta{}, err
		}
		if key == nil {
			break
		}
		if string(key) <= string(last) || meta != nil {
			return Meta{}, fmt.Errorf("%w: key %x after %x", ErrDamaged, key, last)
		}
		last = key
		if string(key) == string(metaKey) {
			meta = &Op{Key: key, Value: value}
			continue
		}
		if err := filler.add(Op{Key: key, Value: value}); err != nil {
			return Meta{}, err
		}
	}
	want := in.sum.Sum32()
	tail, err := in.bytes(4)
	if err != nil {
		return Meta{}, err
	}
	if got := binary.BigEndian.Uint32(tail); got != want {
		return Meta{}, fmt.Errorf("%w: check sum %x, not %x", ErrDamaged, got, want)
	}
	at := Meta{Revision: 1, Scheduled: -1, Finished: -1}
	if meta != nil {
		if at, err = decodeMeta(meta.Value); err != nil {
			return Meta{}, err
		}
	}
	return at, filler.Finish(at)
}

// record reads one record; at the end of the image the key is nil.
func (in *imageReader) record() (key, value []byte, err error) {
	var lengths [2]uint64
	for i := range lengths {
		lengths[i], err = binary.ReadUvarint(in)
		switch {
		case in.failed != nil:
			return nil, nil, in.failed
		case err != nil:
			return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	switch {
	case lengths == [2]uint64{}:
		return nil, nil, nil
	case lengths[0] == 0 || lengths[0] > maxImageKey || lengths[1] > maxImageValue:
		return nil, nil, fmt.Errorf("%w: record of %d and %d bytes", ErrDamaged, lengths[0], lengths[1])
	}
	if key, err = in.bytes(lengths[0]); err != nil {
		return nil, nil, err
	}
	value, err = in.bytes(lengths[1])
	return key, value, err
}

// ReadByte is for binary.ReadUvarint.
func (in *imageReader) ReadByte() (byte, error) {
	b, err := in.in.ReadByte()
	if err != nil {
		in.failed = err
		return 0, err
	}
	in.sum.Write([]byte{b}) // cannot fail
	return b, nil
}

// bytes reads n bytes, without believing n before they are there.
func (in *imageReader) bytes(n uint64) ([]byte, error) {
	b := make([]byte, 0, min(n, 64<<10))
	for uint64(len(b)) < n {
		had := len(b)
		b = append(b, make([]byte, min(n-uint64(had), 64<<10))...)
		if _, err := io.ReadFull(in.in, b[had:]); err != nil {
			return nil, err
		}
	}
	in.sum.Write(b) // cannot fail
	return b, nil
}
