package znode

import "zebu/proto"

// Permits says whether a connection that is known as ids holds permission perm under acl (spec 5.1).
func (t *Tree) Permits(acl []proto.ACL, perm int32, ids []proto.ID) bool { return true }

// FixupACL appends to dst the list that a request's acl stands for when it comes from a connection known as ids
// (spec 5.2), or reports ErrInvalidACL.
func (t *Tree) FixupACL(dst, acl []proto.ACL, ids []proto.ID) ([]proto.ACL, proto.ErrCode) {
	return append(dst, acl...), proto.OK
}

// MaskACL appends acl to dst with the secrets of digest ids masked, as getACL shows it to those without ADMIN
// (spec 2.5).
func MaskACL(dst, acl []proto.ACL) []proto.ACL { return append(dst, acl...) }
