package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"runtime"
	"sync"

	"zebu/proto"
)

// Image is a consistent view of the tree and the sessions at one zxid: what a snapshot holds.
type Image interface {
	Zxid() proto.Zxid
	// Digest returns the tree's digest; false if digests are off.
	Digest() (uint64, bool)
	NumSessions() int
	Sessions(yield func(proto.SessionID, int32) bool)
	NumACLs() int
	ACLs(yield func(int64, []proto.ACL) bool)
	// Nodes yields the nodes in pre-order, parents before children; the root's path is "". What it yields need not
	// outlive the call.
	Nodes(yield func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool)
}

const (
	snapshotVersion = 2
	snapshotDBID    = -1
	endOfNodes      = "/"
	sealSize        = 8 + 4 + 1     // checksum, then the string "/"
	statSize        = 5*8 + 3*4 + 8 // StatPersisted
	writeChunk      = 1 << 20       // what goes to the file at a time
	nodeTailSize    = 8 + statSize  // after a node's path and data
	minACLSize      = 4 + 4 + 4     // perms and two empty strings
)

// chunk is the space for what is read or written at a time, with room for one more node.
type chunk [writeChunk + 64<<10]byte

// chunks are those not in use: many small snapshots would be nothing but the making of these.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

// snapWriter gathers a snapshot's bytes into chunks and keeps the checksum of all of them.
type snapWriter struct {
	w    io.Writer
	buf  []byte
	hash hash.Hash32
	err  error
}

func newSnapWriter(w io.Writer) *snapWriter {
	return &snapWriter{w: w, buf: chunks.Get().(*chunk)[:0], hash: adler32.New()}
}

// release gives the buffer back.
func (s *snapWriter) release() {
	if b := s.buf[:cap(s.buf)]; len(b) == len(chunk{}) { // not outgrown
		chunks.Put((*chunk)(b))
	}
	s.buf = nil
}

// flush passes the buffer on. Others get their turn in between: a snapshot is written while the server serves.
func (s *snapWriter) flush() {
	if s.err == nil && len(s.buf) > 0 {
		_, _ = s.hash.Write(s.buf) // never fails
		_, s.err = s.w.Write(s.buf)
		runtime.Gosched()
	}
	s.buf = s.buf[:0]
}

// room flushes if the buffer is full, and says whether to go on.
func (s *snapWriter) room() bool {
	if len(s.buf) >= writeChunk {
		s.flush()
	}
	return s.err == nil
}

// seal writes the checksum of everything so far.
func (s *snapWriter) seal() {
	s.flush()
	s.buf = proto.AppendInt64(s.buf, int64(s.hash.Sum32()))
	s.buf = proto.AppendStr(s.buf, endOfNodes)
}

// EncodeSnapshot writes the body of a snapshot: sessions, ACLs and nodes up to the end mark (spec 10.3). That is what
// goes over a quorum link in a SNAP; a file has a header before and seals after it.
func EncodeSnapshot(w io.Writer, img Image) error {
	s := newSnapWriter(w)
	defer s.release()
	s.body(img)
	s.flush()
	return s.err
}

func (s *snapWriter) body(img Image) {
	n := 0
	s.buf = proto.AppendInt32(s.buf, int32(img.NumSessions()))
	img.Sessions(func(id proto.SessionID, timeout int32) bool {
		s.buf = proto.AppendInt64(s.buf, int64(id))
		s.buf = proto.AppendInt32(s.buf, timeout)
		n++
		return s.room()
	})
	s.counted("sessions", img.NumSessions(), n)
	n = 0
	s.buf = proto.AppendInt32(s.buf, int32(img.NumACLs()))
	img.ACLs(func(id int64, acl []proto.ACL) bool {
		s.buf = proto.AppendInt64(s.buf, id)
		s.buf = proto.AppendInt32(s.buf, int32(len(acl)))
		for i := range acl {
			s.buf = acl[i].Append(s.buf)
		}
		n++
		return s.room()
	})
	s.counted("ACLs", img.NumACLs(), n)
	img.Nodes(func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool {
		s.buf = proto.AppendStr(s.buf, path)
		s.buf = proto.AppendBuf(s.buf, data)
		s.buf = proto.AppendInt64(s.buf, aclID)
		s.buf = st.Append(s.buf)
		return s.room()
	})
	s.buf = proto.AppendStr(s.buf, endOfNodes)
}

// counted makes an image that does not yield what it announced an error: the snapshot could not be read back.
func (s *snapWriter) counted(what string, want, got int) {
	if s.err == nil && want != got {
		s.err = fmt.Errorf("the image announced %d %s and has %d", want, what, got)
	}
}

// SnapshotTails says what a snapshot ends with after its body. ZooKeeper 3.9 reads no snapshot whose Digest differs from
// its own digest.enabled if LastZxid is there: it takes the one for the other. Zebu reads them all.
type SnapshotTails struct {
	Digest   bool // the tree's digest; an empty one if the image has none
	LastZxid bool // the zxid, which readers before 3.9 pass over
}

// WriteSnapshotStream writes img as a whole, uncompressed snapshot file: header, body and seals (spec 10.3).
func WriteSnapshotStream(w io.Writer, img Image, tails SnapshotTails) error {
	s := newSnapWriter(w)
	defer s.release()
	h := proto.FileHeader{Magic: proto.SnapshotMagic, Version: snapshotVersion, DBID: snapshotDBID}
	s.buf = h.Append(s.buf)
	s.body(img)
	s.seal()
	if tails.Digest {
		z := img.Zxid()
		digest, ok := img.Digest()
		if !ok { // ZooKeeper's way to say that there is none; it must be there if the reader expects one
			z, digest = 0, 0
		}
		d := proto.TxnDigest{Version: proto.DigestVersion, TreeDigest: digest}
		s.buf = d.Append(proto.AppendInt64(s.buf, int64(z)))
		s.seal()
	}
	if tails.LastZxid {
		s.buf = proto.AppendInt64(s.buf, int64(img.Zxid()))
		s.seal()
	}
	s.flush()
	return s.err
}

// errSeal says that a snapshot's checksum is missing or wrong.
var errSeal = errors.New("the checksum at the end of the snapshot does not match")

// VerifySnapshotStream reads a whole, uncompressed snapshot file to its end and checks that it begins as one and that
// its last seal matches all that comes before. It does not look into the body.
func VerifySnapshotStream(r io.Reader) error {
	sum := adler32.New()
	c := chunks.Get().(*chunk)
	defer chunks.Put(c)
	buf := c[:writeChunk]
	held := 0 // bytes at the start of buf: the last ones read, which may be the seal
	total := 0
	for {
		n, err := io.ReadAtLeast(r, buf[held:], 1)
		if total == 0 && n >= 4 && int32(binary.BigEndian.Uint32(buf)) != proto.SnapshotMagic {
			return errors.New("the file does not begin as a snapshot")
		}
		total += n
		n += held
		if held = min(n, sealSize); n > held {
			_, _ = sum.Write(buf[:n-held]) // never fails
			copy(buf, buf[n-held:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if total < fileHeaderSize+sealSize {
		return io.ErrUnexpectedEOF
	}
	if string(buf[8:sealSize]) != "\x00\x00\x00\x01/" || binary.BigEndian.Uint64(buf) != uint64(sum.Sum32()) {
		return errSeal
	}
	return nil
}
