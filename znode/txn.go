package znode

import (
	"errors"

	"zebu/proto"
)

// Encoded sizes.
const (
	digestLen = 12 // of a proto.TxnDigest
	minACL    = 12 // of the smallest proto.ACL
)

// txn is a decoded transaction, of whatever type. Fields alias its bytes.
type txn struct {
	op      proto.OpCode
	path    string
	data    []byte
	acl     []proto.ACL
	owner   proto.SessionID
	version int32 // new version; of a create, the parent's count of creations or -1
	err     proto.ErrCode
	timeout int32
	paths   []string
}

// decoded is space to decode transactions into.
type decoded struct {
	txn       txn
	multi     proto.MultiTxn
	create    proto.CreateTxn
	container proto.CreateContainerTxn
	ttl       proto.CreateTTLTxn
	setACL    proto.SetACLTxn
	close     proto.CloseSessionTxn
}

// decode reads a transaction's body into x.txn, or for a multi into x.multi.
func (x *decoded) decode(h *proto.TxnHeader, op proto.OpCode, d *proto.Decoder) error {
	switch op {
	case proto.OpMulti:
		x.multi.Decode(d)
		return d.Err()
	case proto.OpCreateSession:
		x.txn = txn{op: op, timeout: d.Int32()}
		return d.Err()
	case proto.OpCloseSession:
		x.decodeClose(d)
		return nil
	case proto.OpCreate:
		return x.decodeCreate(h, op, d, true)
	case proto.OpReconfig, proto.OpSetACL:
		return x.decodeBody(h, op, d)
	case proto.OpEtcd:
		x.txn = txn{op: op, data: d.Buf()}
		return d.Err()
	}
	return x.decodeSub(h, op, d)
}

// decodeSub reads those types that may be part of a multi. A check outside is the mark of a client's mischief with
// releases before 3.8.5 and 3.9.3, which then could not restart (scenario 47); it changes nothing.
func (x *decoded) decodeSub(h *proto.TxnHeader, op proto.OpCode, d *proto.Decoder) error {
	switch op {
	case proto.OpCreate, proto.OpCreate2:
		return x.decodeCreate(h, op, d, false)
	case proto.OpCreateContainer, proto.OpCreateTTL, proto.OpDelete, proto.OpDeleteContainer, proto.OpSetData,
		proto.OpCheck, proto.OpError:
		return x.decodeBody(h, op, d)
	}
	return errTxnType
}

func (x *decoded) decodeBody(h *proto.TxnHeader, op proto.OpCode, d *proto.Decoder) error {
	t := &x.txn
	*t = txn{op: op}
	switch op {
	case proto.OpCreateContainer:
		r := &x.container
		r.Decode(d)
		t.path, t.data, t.acl, t.version, t.owner = r.Path, r.Data, r.ACL, r.ParentCVersion, proto.ContainerOwner
		return creatable(t.path, d)
	case proto.OpCreateTTL:
		r := &x.ttl
		r.Decode(d)
		t.path, t.data, t.acl, t.version, t.owner = r.Path, r.Data, r.ACL, r.ParentCVersion, ttlOwner(r.TTL)
		return creatable(t.path, d)
	case proto.OpDelete, proto.OpDeleteContainer:
		t.path = d.Str()
	case proto.OpSetData, proto.OpReconfig:
		t.path, t.data, t.version = d.Str(), d.Buf(), d.Int32()
	case proto.OpSetACL:
		r := &x.setACL
		r.Decode(d)
		t.path, t.acl, t.version = r.Path, r.ACL, r.Version
	case proto.OpCheck:
		t.path, t.version = d.Str(), d.Int32()
	case proto.OpError:
		t.err = proto.ErrCode(d.Int32())
	}
	return d.Err()
}

// decodeCreate reads a create or create2 transaction; v0 allows for the form without parentCVersion (spec 9).
func (x *decoded) decodeCreate(h *proto.TxnHeader, op proto.OpCode, d *proto.Decoder, v0 bool) error {
	start := *d
	r := &x.create
	r.Decode(d)
	if v0 && errors.Is(d.Err(), proto.ErrShort) {
		*d = start
		r.Path, r.Data = d.Str(), d.Buf()
		r.ACL = nil
		if n := d.VectorLen(minACL); n >= 0 {
			r.ACL = make([]proto.ACL, n)
		}
		for i := range r.ACL {
			r.ACL[i].Decode(d)
		}
		r.Ephemeral, r.ParentCVersion = d.Bool(), -1
	}
	x.txn = txn{op: op, path: r.Path, data: r.Data, acl: r.ACL, version: r.ParentCVersion}
	if r.Ephemeral {
		x.txn.owner = h.ClientID
	}
	return creatable(r.Path, d)
}

// creatable reports a record that did not decode, or a path that cannot be taken apart.
func creatable(path string, d *proto.Decoder) error {
	if d.Err() != nil {
		return d.Err()
	}
	if !splittable(path) {
		return errTxnPath
	}
	return nil
}

// decodeClose reads a closeSession transaction. Older ones have no body, and so have those of a server that was told to
// write none, but these may carry a digest, which reads like a list of two paths that do not fit.
func (x *decoded) decodeClose(d *proto.Decoder) {
	x.txn = txn{op: proto.OpCloseSession}
	start := *d
	if n := d.Remaining(); n == 0 || n == digestLen && d.Int32() == proto.DigestVersion {
		*d = start
		return
	}
	*d = start
	x.close.Decode(d)
	if d.Err() != nil {
		*d = proto.NewDecoder(nil)
		return
	}
	x.txn.paths = x.close.Paths
}
