package storage

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/golang/snappy"
)

// Compressions of snapshots (snapshot.compression.method); also the extensions of their files.
const (
	CompressNone   = ""
	CompressGzip   = "gz"
	CompressSnappy = "snappy"
)

func validCompression(c string) bool {
	return c == CompressNone || c == CompressGzip || c == CompressSnappy
}

// compressor wraps w. Closing the result ends the compressed stream and leaves w open.
func compressor(w io.Writer, compression string) (io.WriteCloser, error) {
	switch compression {
	case CompressNone:
		return nopCloser{w}, nil
	case CompressGzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case CompressSnappy:
		return newXerialWriter(w)
	}
	return nil, fmt.Errorf("snapshot compression %q is not known", compression)
}

// decompressor undoes compressor.
func decompressor(r io.Reader, compression string) (io.Reader, error) {
	switch compression {
	case CompressNone:
		return r, nil
	case CompressGzip:
		return gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
	case CompressSnappy:
		return newXerialReader(bufio.NewReaderSize(r, 256<<10))
	}
	return nil, fmt.Errorf("snapshot compression %q is not known", compression)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// The stream of snappy-java (xerial): a header, then blocks of raw snappy, each with its length before it.
var xerialHeader = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}

const (
	xerialMagic    = 8        // bytes of the header that are always the same; two version numbers follow
	xerialBlock    = 32 << 10 // what is compressed at a time
	xerialMaxBlock = 64 << 20 // what a reader takes
)

type xerialWriter struct {
	w   io.Writer
	in  []byte
	out []byte
}

func newXerialWriter(w io.Writer) (*xerialWriter, error) {
	_, err := w.Write(xerialHeader)
	return &xerialWriter{w: w, in: make([]byte, 0, xerialBlock)}, err
}

func (x *xerialWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m := min(len(p)-n, xerialBlock-len(x.in))
		x.in = append(x.in, p[n:n+m]...)
		n += m
		if len(x.in) == xerialBlock {
			if err := x.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (x *xerialWriter) flush() error {
	if len(x.in) == 0 {
		return nil
	}
	if x.out == nil {
		x.out = make([]byte, 4+snappy.MaxEncodedLen(xerialBlock))
	}
	block := snappy.Encode(x.out[4:], x.in)
	binary.BigEndian.PutUint32(x.out, uint32(len(block)))
	x.in = x.in[:0]
	_, err := x.w.Write(x.out[:4+len(block)])
	return err
}

func (x *xerialWriter) Close() error { return x.flush() }

type xerialReader struct {
	r     io.Reader
	block []byte // compressed
	out   []byte // decompressed; out[at:] is still to be read
	at    int
}

func newXerialReader(r io.Reader) (*xerialReader, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || !bytes.Equal(head[:xerialMagic], xerialHeader[:xerialMagic]) {
		return nil, errors.New("snappy: no stream header")
	}
	return &xerialReader{r: r}, nil
}

func (x *xerialReader) Read(p []byte) (int, error) {
	for x.at == len(x.out) {
		if err := x.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, x.out[x.at:])
	x.at += n
	return n, nil
}

func (x *xerialReader) next() error {
	var head [4]byte
	if _, err := io.ReadFull(x.r, head[:]); err != nil {
		return err // io.EOF between blocks is the end
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > xerialMaxBlock {
		return fmt.Errorf("snappy: block of %d bytes", n)
	}
	var err error
	if x.block, err = readFull(x.r, x.block[:0], int(n)); err != nil {
		return err
	}
	if size, err := snappy.DecodedLen(x.block); err != nil || size > xerialMaxBlock {
		return fmt.Errorf("snappy: block decompresses to %d bytes: %w", size, snappy.ErrCorrupt)
	}
	x.at = 0
	if x.out, err = snappy.Decode(x.out[:cap(x.out)], x.block); err != nil {
		x.out = nil
	}
	return err
}

// readFull appends n bytes of r to b. It takes memory as the bytes come, so that a wrong n costs little.
func readFull(r io.Reader, b []byte, n int) ([]byte, error) {
	for n > 0 {
		m := min(n, max(len(b), 64<<10))
		at := len(b)
		b = append(b, make([]byte, m)...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return b[:at], err
		}
		n -= m
	}
	return b, nil
}
