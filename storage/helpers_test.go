package storage

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"zebu/proto"
)

// memImage keeps a snapshot in the order in which it came: a Builder, and an Image of the same bytes.
type memImage struct {
	zxid     proto.Zxid
	digest   *uint64
	sessions []memSession
	acls     []memACL
	nodes    []memNode
	finished bool
}

type memSession struct {
	id      proto.SessionID
	timeout int32
}

type memACL struct {
	id  int64
	acl []proto.ACL
}

type memNode struct {
	path  string
	data  []byte
	aclID int64
	stat  proto.StatPersisted
}

func (m *memImage) AddSession(id proto.SessionID, timeout int32) error {
	m.sessions = append(m.sessions, memSession{id, timeout})
	return nil
}

func (m *memImage) AddACL(id int64, acl []proto.ACL) error {
	m.acls = append(m.acls, memACL{id, slices.Clone(acl)})
	return nil
}

func (m *memImage) AddNode(path string, data []byte, aclID int64, st *proto.StatPersisted) error {
	m.nodes = append(m.nodes, memNode{string([]byte(path)), bytes.Clone(data), aclID, *st})
	return nil
}

func (m *memImage) SetDigest(_ proto.Zxid, _ int32, digest uint64) { m.digest = &digest }

func (m *memImage) Finish(z proto.Zxid) error {
	m.zxid, m.finished = z, true
	return nil
}

func (m *memImage) Zxid() proto.Zxid { return m.zxid }

func (m *memImage) Digest() (uint64, bool) {
	if m.digest == nil {
		return 0, false
	}
	return *m.digest, true
}

func (m *memImage) NumSessions() int { return len(m.sessions) }
func (m *memImage) NumACLs() int     { return len(m.acls) }

func (m *memImage) Sessions(yield func(proto.SessionID, int32) bool) {
	for _, s := range m.sessions {
		if !yield(s.id, s.timeout) {
			return
		}
	}
}

func (m *memImage) ACLs(yield func(int64, []proto.ACL) bool) {
	for _, a := range m.acls {
		if !yield(a.id, a.acl) {
			return
		}
	}
}

func (m *memImage) Nodes(yield func(string, []byte, int64, *proto.StatPersisted) bool) {
	for i := range m.nodes {
		n := &m.nodes[i]
		if !yield(n.path, n.data, n.aclID, &n.stat) {
			return
		}
	}
}

// image returns a small snapshot at z.
func image(z proto.Zxid) *memImage {
	m := &memImage{zxid: z}
	for _, p := range []string{"", "/zookeeper", "/a", "/a/b"} {
		m.nodes = append(m.nodes, memNode{path: p, data: []byte(p), aclID: -1})
	}
	return m
}

// options are the defaults with logs that grow little.
func options(dir string) Options {
	opt := DefaultOptions(dir)
	opt.PreallocBytes = 64 << 10
	return opt
}

// replayed is what Restore passed to apply.
type replayed struct {
	zxids []proto.Zxid
	txns  [][]byte
}

// restore opens dir and restores it; the store is closed when the test ends.
func restore(t *testing.T, opt Options) (*Store, *memImage, *replayed, Restored) {
	t.Helper()
	s, img, log, res, err := tryRestore(t, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s, img, log, res
}

func tryRestore(t *testing.T, opt Options) (*Store, *memImage, *replayed, Restored, error) {
	t.Helper()
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	img, log := &memImage{}, &replayed{}
	res, err := s.Restore(img, func(h *proto.TxnHeader, txn, body []byte) error {
		if len(body) != len(txn)-minTxnSize {
			return fmt.Errorf("body of %d bytes in a transaction of %d", len(body), len(txn))
		}
		log.zxids = append(log.zxids, h.Zxid)
		log.txns = append(log.txns, bytes.Clone(txn))
		return nil
	})
	return s, img, log, res, err
}

// txn returns a setData transaction with size bytes of data, none of them 0.
func txn(z proto.Zxid, size int) []byte {
	h := proto.TxnHeader{ClientID: 0x100, Cxid: int32(z), Zxid: z, Time: 1_700_000_000_000, Type: proto.OpSetData}
	body := proto.SetDataTxn{Path: "/a", Data: bytes.Repeat([]byte{byte(z)%255 + 1}, size), Version: int32(z)}
	return body.Append(h.Append(nil))
}

// batchOf returns a batch of transactions from first to last.
func batchOf(first, last proto.Zxid, size int) *Batch {
	var b Batch
	for z := first; z <= last; z++ {
		b.Add(z, txn(z, size))
	}
	return &b
}

// seed writes a snapshot at 0 and transactions 1 to last, one batch each of step, and closes the store.
func seed(t *testing.T, opt Options, last, step proto.Zxid) {
	t.Helper()
	s, _, _, _ := restore(t, opt)
	if _, err := s.WriteSnapshot(image(0)); err != nil {
		t.Fatal(err)
	}
	for z := proto.Zxid(1); z <= last; z += step {
		if err := s.Log().Append(batchOf(z, min(z+step-1, last), 50)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
