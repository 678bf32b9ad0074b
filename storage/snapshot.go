package storage

import (
	"errors"
	"io"

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
	// Nodes yields the nodes in pre-order, parents before children; the root's path is "".
	Nodes(yield func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool)
}

// Builder receives a snapshot: sessions, then ACLs, then nodes, then perhaps the digest, then Finish. Strings, slices
// and st are the decoder's own and are valid during the call only. An error stops the decoding and is returned.
type Builder interface {
	AddSession(id proto.SessionID, timeout int32) error
	AddACL(id int64, acl []proto.ACL) error
	AddNode(path string, data []byte, aclID int64, st *proto.StatPersisted) error
	// SetDigest tells the digest of the tree at z, at which a fuzzy snapshot becomes exact.
	SetDigest(z proto.Zxid, version int32, digest uint64)
	Finish(lastProcessed proto.Zxid) error
}

// EncodeSnapshot writes the body of a snapshot: sessions, ACLs and nodes.
func EncodeSnapshot(w io.Writer, img Image) error { return errors.ErrUnsupported }

// DecodeSnapshot reads what EncodeSnapshot wrote and not a byte more.
func DecodeSnapshot(r io.Reader, b Builder) error { return errors.ErrUnsupported }
