package proto

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// Decoding errors. They carry no detail because they are made on the hot path, from hostile input as well; the caller
// wraps them with what it was reading.
var (
	ErrShort      = errors.New("jute: record ends early")
	ErrLength     = errors.New("jute: length out of range")
	errVectorSize = errors.New("jute: vector larger than its record")
)

// Decoder reads Jute values from a byte slice. The first failure sticks: every later read returns a zero value and
// [Decoder.Err] reports it, so a record is decoded whole and checked once. Strings and buffers alias the input.
type Decoder struct {
	buf []byte
	off int
	err error
}

// NewDecoder returns a decoder over b.
func NewDecoder(b []byte) Decoder { return Decoder{buf: b} }

// Reset makes d read b from its beginning.
func (d *Decoder) Reset(b []byte) { *d = Decoder{buf: b} }

// Err returns the first failure, or nil.
func (d *Decoder) Err() error { return d.err }

// Remaining returns the number of bytes not read yet, 0 after a failure.
func (d *Decoder) Remaining() int {
	if d.err != nil {
		return 0
	}
	return len(d.buf) - d.off
}

// Offset returns the number of bytes read.
func (d *Decoder) Offset() int { return d.off }

// Rest returns what has not been read, without consuming it.
func (d *Decoder) Rest() []byte {
	if d.err != nil {
		return nil
	}
	return d.buf[d.off:]
}

func (d *Decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// take consumes n bytes; nil after a failure.
func (d *Decoder) take(n int) []byte {
	if d.err != nil || len(d.buf)-d.off < n {
		d.fail(ErrShort)
		return nil
	}
	b := d.buf[d.off : d.off+n : d.off+n]
	d.off += n
	return b
}

// Bool reads one byte; anything but 0 is true.
func (d *Decoder) Bool() bool {
	b := d.take(1)
	return b != nil && b[0] != 0
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	b := d.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// Int32 reads a 32-bit integer.
func (d *Decoder) Int32() int32 {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b))
}

// Int64 reads a 64-bit integer.
func (d *Decoder) Int64() int64 {
	b := d.take(8)
	if b == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

// Buf reads a buffer. Null is nil; an empty buffer is empty and not nil.
func (d *Decoder) Buf() []byte {
	n := d.Int32()
	if n < 0 {
		if n != -1 {
			d.fail(ErrLength)
		}
		return nil
	}
	return d.take(int(n))
}

// Str reads a string. Null reads as "".
func (d *Decoder) Str() string {
	b := d.Buf()
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

// VectorLen reads the length of a vector whose elements take at least minSize bytes each, and returns -1 for null.
// A length that the rest of the input cannot hold fails before anything is allocated for it.
func (d *Decoder) VectorLen(minSize int) int {
	n := d.Int32()
	if d.err != nil || n == -1 {
		return -1
	}
	if n < 0 {
		d.fail(ErrLength)
		return -1
	}
	if int64(n)*int64(minSize) > int64(len(d.buf)-d.off) {
		d.fail(errVectorSize)
		return -1
	}
	return int(n)
}

// AppendBool appends a bool.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendInt32 appends a 32-bit integer.
func AppendInt32(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// AppendInt64 appends a 64-bit integer.
func AppendInt64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// AppendBuf appends a buffer; nil is written as null.
func AppendBuf(b, v []byte) []byte {
	if v == nil {
		return AppendInt32(b, -1)
	}
	return append(AppendInt32(b, int32(len(v))), v...)
}

// AppendStr appends a string.
func AppendStr(b []byte, v string) []byte { return append(AppendInt32(b, int32(len(v))), v...) }

// PutInt32 overwrites the 32-bit integer at the start of b: for lengths known only after what they measure.
func PutInt32(b []byte, v int32) { binary.BigEndian.PutUint32(b, uint32(v)) }
