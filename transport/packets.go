package transport

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"zebu/proto"
)

const (
	// readChunk is how much is read at once, at least.
	readChunk = 64 << 10
	// minRoom is the room left in a chunk below which a new one is begun.
	minRoom = 4 << 10
	// maxIDs bounds the identities in a packet.
	maxIDs = 4096
	// maxUsual bounds the room for packets that is made before they come.
	maxUsual = 1024
	// packetHead is the size of a packet up to the length of its data.
	packetHead = 16
)

// packetReader cuts a stream into packets, which follow each other without lengths (spec 8.1). Packets alias the
// chunks that they were read into; no byte of a chunk is written twice.
type packetReader struct {
	r     io.Reader
	max   int    // bytes of a packet
	snaps bool   // a snapshot follows each SNAP
	chunk []byte // read and not cut yet, with room behind it
	usual int    // packets that came together last time
}

// next returns the packets that have come, waiting for the first one. If snaps is set, a SNAP is the last of them, and what
// comes behind it is no packet: the caller calls stream and resume before next.
func (p *packetReader) next() ([]proto.QuorumPacket, error) {
	batch := make([]proto.QuorumPacket, 0, p.usual)
	defer func() { p.usual = min(len(batch), maxUsual) }()
	for {
		size, need, err := measurePacket(p.chunk, p.max)
		switch {
		case err != nil && len(batch) == 0:
			return nil, err
		case size > 0:
			var q proto.QuorumPacket
			d := proto.NewDecoder(p.chunk[:size])
			q.Decode(&d)
			if d.Err() != nil {
				return nil, fmt.Errorf("%v: %w", q.Type, d.Err())
			}
			p.chunk = p.chunk[size:]
			batch = append(batch, q)
			if p.snaps && q.Type == proto.PacketSnap {
				return batch, nil
			}
		case len(batch) > 0:
			return batch, nil
		default:
			if err := p.fill(need); err != nil {
				return nil, err
			}
		}
	}
}

// fill reads at least once, with room for a packet of so many bytes.
func (p *packetReader) fill(need int) error {
	if room := cap(p.chunk) - len(p.chunk); room < minRoom || cap(p.chunk) < need {
		p.chunk = append(make([]byte, 0, max(readChunk, need)), p.chunk...)
	}
	n, err := p.r.Read(p.chunk[len(p.chunk):cap(p.chunk)])
	p.chunk = p.chunk[:len(p.chunk)+n]
	if n > 0 {
		return nil
	}
	if err == io.EOF && len(p.chunk) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// stream returns the bytes behind a SNAP, to be read as far as they belong to the snapshot.
func (p *packetReader) stream() *streamReader {
	s := &streamReader{packets: p}
	s.br = bufio.NewReaderSize(s, readChunk)
	return s
}

// streamReader reads what a packetReader has read ahead, and then what it would read.
type streamReader struct {
	packets *packetReader
	br      *bufio.Reader
}

// Read is for br.
func (s *streamReader) Read(b []byte) (int, error) {
	p := s.packets
	if len(p.chunk) == 0 {
		return p.r.Read(b)
	}
	n := copy(b, p.chunk)
	p.chunk = p.chunk[n:]
	return n, nil
}

// resume makes packets of what br has not been asked for.
func (s *streamReader) resume() {
	p := s.packets
	ahead, _ := s.br.Peek(s.br.Buffered()) // there are as many
	p.chunk = append(append(make([]byte, 0, max(readChunk, len(ahead)+len(p.chunk))), ahead...), p.chunk...)
}

// measurePacket returns the size of the packet at the beginning of b, or, if that is 0, how many bytes are needed to know
// more. A packet of more than limit bytes is an error, and so is a type that ZAB does not have.
func measurePacket(b []byte, limit int) (size, need int, err error) {
	if len(b) < packetHead {
		return 0, packetHead, nil
	}
	kind := proto.PacketType(binary.BigEndian.Uint32(b))
	if !kind.Known() {
		return 0, 0, fmt.Errorf("no quorum packet: %v", kind)
	}
	c := cursor{b: b, at: packetHead - 4, limit: limit}
	data := c.length()
	c.at += data
	ids := c.length()
	if ids > maxIDs {
		c.fail(ids)
	}
	for i := 0; i < 2*ids && c.more(); i++ { // a scheme and a name each
		n := c.length()
		c.at += n
	}
	switch {
	case c.err != nil:
		return 0, 0, fmt.Errorf("%v: %w", kind, c.err)
	case c.need > 0:
		return 0, c.need, nil
	case c.at > len(b):
		return 0, c.at, nil
	}
	return c.at, 0, nil
}

// cursor walks over lengths and what they measure.
type cursor struct {
	b         []byte
	at, limit int
	need      int // bytes, if b ends before what was to be read
	err       error
}

func (c *cursor) more() bool { return c.need == 0 && c.err == nil }

func (c *cursor) fail(n int) {
	c.err = fmt.Errorf("length %d at byte %d: %w", n, c.at, proto.ErrLength)
}

// length reads a length; null counts as 0.
func (c *cursor) length() int {
	if !c.more() {
		return 0
	}
	if c.at+4 > len(c.b) {
		c.need = c.at + 4
		return 0
	}
	n := int(int32(binary.BigEndian.Uint32(c.b[c.at:])))
	if n < -1 || n > c.limit-c.at-4 {
		c.fail(n)
		return 0
	}
	c.at += 4
	return max(n, 0)
}
