package storage

import (
	"bufio"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"strconv"
	"unsafe"

	"zebu/proto"
)

// Builder receives a snapshot: sessions, then ACLs, then nodes in pre-order, then perhaps the digest, then Finish.
// Strings, slices and st are the decoder's own and change after the call: whoever keeps one must clone it. An error stops
// the decoding and is returned.
type Builder interface {
	AddSession(id proto.SessionID, timeout int32) error
	AddACL(id int64, acl []proto.ACL) error
	AddNode(path string, data []byte, aclID int64, st *proto.StatPersisted) error
	// SetDigest tells the digest that the tree has at z. If z is beyond the snapshot's own zxid the snapshot is fuzzy: it
	// holds some effects of the transactions between, and they are replayed on it.
	SetDigest(z proto.Zxid, version int32, digest uint64)
	// Finish ends the snapshot; its transactions go up to z.
	Finish(z proto.Zxid) error
}

// SnapshotTail is what a snapshot file holds after its body.
type SnapshotTail struct {
	HasDigest     bool
	DigestZxid    proto.Zxid // 0 if the writer had no digest to give
	DigestVersion int32
	Digest        uint64
	HasLastZxid   bool
	LastZxid      proto.Zxid
}

// DecodeSnapshot reads the body of a snapshot, what [EncodeSnapshot] wrote, into b. It calls neither SetDigest nor
// Finish. If r is a *bufio.Reader nothing beyond the body is consumed; from any other reader more may have been read.
func DecodeSnapshot(r io.Reader, b Builder) error {
	return newSnapReader(r, false).body(b)
}

// ReadSnapshotStream reads a whole, uncompressed snapshot file: header, body, and the seals, which are checked. It calls
// neither SetDigest nor Finish: b is not to be used if an error is returned, which may come after the last node.
func ReadSnapshotStream(r io.Reader, b Builder) (SnapshotTail, error) {
	return newSnapReader(r, true).file(b)
}

// snapReader decodes in place in a bufio.Reader's buffer.
type snapReader struct {
	r     *bufio.Reader
	big   []byte // for what is larger than the buffer
	used  int    // bytes of the last peek, to be discarded before the next
	sum   hash.Hash32
	acl   []proto.ACL
	stat  proto.StatPersisted
	nodes int
}

func newSnapReader(r io.Reader, check bool) *snapReader {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, readChunk)
	}
	s := &snapReader{r: br}
	if check {
		s.sum = adler32.New()
	}
	return s
}

// next returns the next n bytes, valid until the call after it, and consumes them.
func (s *snapReader) next(n int) ([]byte, error) {
	if s.used > 0 {
		_, _ = s.r.Discard(s.used) // was peeked
		s.used = 0
	}
	var b []byte
	var err error
	if n <= s.r.Size() {
		b, err = s.r.Peek(n)
		s.used = len(b)
	} else {
		s.big, err = readFull(s.r, s.big[:0], n)
		b = s.big
	}
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if s.sum != nil {
		_, _ = s.sum.Write(b) // never fails
	}
	return b, nil
}

// done consumes what next has returned for good, so that r stands right after it.
func (s *snapReader) done() {
	_, _ = s.r.Discard(s.used) // was peeked
	s.used = 0
}

func (s *snapReader) int32() (int32, error) {
	b, err := s.next(4)
	if err != nil {
		return 0, err
	}
	d := proto.NewDecoder(b)
	return d.Int32(), nil
}

func (s *snapReader) int64() (int64, error) {
	b, err := s.next(8)
	if err != nil {
		return 0, err
	}
	d := proto.NewDecoder(b)
	return d.Int64(), nil
}

// count reads the length of a list.
func (s *snapReader) count(what string) (int, error) {
	n, err := s.int32()
	if err == nil && n < 0 {
		err = fmt.Errorf("%d %s", n, what)
	}
	return int(n), err
}

func (s *snapReader) body(b Builder) error {
	n, err := s.count("sessions")
	for ; n > 0 && err == nil; n-- {
		err = s.session(b)
	}
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	n, err = s.count("ACLs")
	for ; n > 0 && err == nil; n-- {
		err = s.acls(b)
	}
	if err != nil {
		return fmt.Errorf("ACLs: %w", err)
	}
	for more := true; more; {
		if more, err = s.node(b); err != nil {
			return fmt.Errorf("node %d: %w", s.nodes, err)
		}
	}
	s.done()
	return nil
}

func (s *snapReader) session(b Builder) error {
	raw, err := s.next(12)
	if err != nil {
		return err
	}
	d := proto.NewDecoder(raw)
	return b.AddSession(proto.SessionID(d.Int64()), d.Int32())
}

// acls reads one entry of the map of ACLs. There are few, so their strings are copied.
func (s *snapReader) acls(b Builder) error {
	id, err := s.int64()
	if err != nil {
		return err
	}
	n, err := s.int32()
	if err != nil {
		return err
	}
	s.acl = s.acl[:0]
	for ; n > 0; n-- { // -1 is null, and as empty
		var a proto.ACL
		if a.Perms, err = s.int32(); err != nil {
			return err
		}
		if a.ID.Scheme, err = s.string(); err != nil {
			return err
		}
		if a.ID.ID, err = s.string(); err != nil {
			return err
		}
		s.acl = append(s.acl, a)
	}
	return b.AddACL(id, s.acl)
}

func (s *snapReader) string() (string, error) {
	n, err := s.int32()
	if err != nil || n == -1 {
		return "", err
	}
	if n < 0 {
		return "", proto.ErrLength
	}
	b, err := s.next(int(n))
	return string(b), err
}

// node reads one node, and returns false for the mark after the last. The node is peeked at before it is consumed, first
// as far as the data's length, then all of it, so that path and data can both alias the buffer.
func (s *snapReader) node(b Builder) (more bool, err error) {
	s.done()
	pathLen, err := s.lengthAt(0)
	if err != nil {
		return false, err
	}
	if pathLen < 0 {
		return false, proto.ErrLength
	}
	if pathLen == len(endOfNodes) { // no path has this length: the root's is written as ""
		raw, err := s.next(4 + pathLen)
		if err == nil && string(raw[4:]) != endOfNodes {
			err = fmt.Errorf("path %q", raw[4:])
		}
		return false, err
	}
	skip := 4 + pathLen
	var path string
	if skip+4 > s.r.Size() {
		if path, err = s.string(); err != nil {
			return false, err
		}
		s.done()
		skip = 0
	}
	dataLen, err := s.lengthAt(skip)
	if err != nil {
		return false, err
	}
	if dataLen < -1 {
		return false, proto.ErrLength
	}
	raw, err := s.next(skip + 4 + max(dataLen, 0) + nodeTailSize)
	if err != nil {
		return false, err
	}
	if skip > 4 {
		path = unsafe.String(&raw[4], pathLen)
	}
	d := proto.NewDecoder(raw[skip:])
	data := d.Buf()
	aclID := d.Int64()
	s.stat.Decode(&d)
	if err := d.Err(); err != nil {
		return false, err
	}
	s.nodes++
	return true, b.AddNode(path, data, aclID, &s.stat)
}

// lengthAt returns the integer at an offset from where the reader stands, without consuming anything.
func (s *snapReader) lengthAt(off int) (int, error) {
	b, err := s.r.Peek(off + 4)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	d := proto.NewDecoder(b[off:])
	return int(d.Int32()), nil
}

// file reads a whole snapshot.
func (s *snapReader) file(b Builder) (SnapshotTail, error) {
	var tail SnapshotTail
	raw, err := s.next(fileHeaderSize)
	if err != nil {
		return tail, err
	}
	var h proto.FileHeader
	d := proto.NewDecoder(raw)
	h.Decode(&d)
	if h.Magic != proto.SnapshotMagic {
		return tail, fmt.Errorf("magic number %#x is not that of a snapshot", uint32(h.Magic))
	}
	if h.Version != snapshotVersion {
		return tail, fmt.Errorf("version %d of the format is not known", h.Version)
	}
	if err := s.body(b); err != nil {
		return tail, err
	}
	if err := s.seal(); err != nil {
		return tail, err
	}
	return tail, s.tails(&tail)
}

// tails reads what may follow the first seal: a digest, a zxid, both or neither, each with a seal of its own. Nothing says
// which of the two comes if there is but one, so the number of bytes left decides.
func (s *snapReader) tails(t *SnapshotTail) error {
	left, err := s.r.Peek(8 + sealSize + 1)
	if err != nil && err != io.EOF {
		return err
	}
	if len(left) == 0 {
		return nil
	}
	if len(left) != 8+sealSize {
		t.HasDigest = true
		if err := s.digest(t); err != nil {
			return err
		}
		if _, err := s.r.Peek(1); err == io.EOF {
			return nil
		}
	}
	t.HasLastZxid = true
	z, err := s.int64()
	if err != nil {
		return err
	}
	t.LastZxid = proto.Zxid(z)
	return s.seal()
}

func (s *snapReader) digest(t *SnapshotTail) error {
	raw, err := s.next(12)
	if err != nil {
		return err
	}
	d := proto.NewDecoder(raw)
	t.DigestZxid, t.DigestVersion = proto.Zxid(d.Int64()), d.Int32()
	if t.DigestVersion < 2 { // as a string of hexadecimal digits
		str, err := s.string()
		if err != nil {
			return err
		}
		if t.Digest, err = strconv.ParseUint(str, 16, 64); str != "" && err != nil {
			return fmt.Errorf("digest %q", str)
		}
		return s.seal()
	}
	n, err := s.int64()
	if err != nil {
		return err
	}
	t.Digest = uint64(n)
	return s.seal()
}

// seal reads a checksum, and compares it unless the file was verified before.
func (s *snapReader) seal() error {
	var want uint32
	if s.sum != nil {
		want = s.sum.Sum32()
	}
	raw, err := s.next(sealSize)
	if err != nil {
		return err
	}
	d := proto.NewDecoder(raw)
	got, mark := d.Int64(), d.Str()
	if mark != endOfNodes || s.sum != nil && got != int64(want) {
		return errSeal
	}
	s.done()
	return nil
}

// NopBuilder takes a snapshot and keeps nothing.
type NopBuilder struct{}

// AddSession does nothing.
func (NopBuilder) AddSession(proto.SessionID, int32) error { return nil }

// AddACL does nothing.
func (NopBuilder) AddACL(int64, []proto.ACL) error { return nil }

// AddNode does nothing.
func (NopBuilder) AddNode(string, []byte, int64, *proto.StatPersisted) error { return nil }

// SetDigest does nothing.
func (NopBuilder) SetDigest(proto.Zxid, int32, uint64) {}

// Finish does nothing.
func (NopBuilder) Finish(proto.Zxid) error { return nil }

var _ Builder = NopBuilder{}
