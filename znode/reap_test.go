package znode

import (
	"testing"

	"zebu/proto"
)

// A TTL node may be written, and a container removed and made again, between the moment when it is found due and the
// transaction that removes it: then it is no longer due.
func TestReapSparesWhatIsBeingChanged(t *testing.T) {
	tree := New(Options{ExtendedTypes: true})
	p := NewPlanner(tree)
	var res Result
	z := proto.Zxid(0)
	acl := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
	plan := func(op proto.OpCode, now proto.Millis, body []byte) ([]byte, proto.OpCode) {
		z++
		txn := p.Plan(nil, &Request{Op: op, Body: body}, z, now)
		d := proto.NewDecoder(txn)
		var hdr proto.TxnHeader
		hdr.Decode(&d)
		return txn, hdr.Type
	}
	ttl := proto.CreateTTLRequest{Path: "/t", ACL: acl, Flags: proto.PersistentTTL, TTL: 10}
	box := proto.CreateRequest{Path: "/c", ACL: acl, Flags: proto.Container}
	child := proto.CreateRequest{Path: "/c/x", ACL: acl}
	txns := [][]byte{}
	add := func(txn []byte, _ proto.OpCode) { txns = append(txns, txn) }
	add(plan(proto.OpCreateTTL, 1, ttl.Append(nil)))
	add(plan(proto.OpCreateContainer, 1, box.Append(nil)))
	add(plan(proto.OpCreate, 1, child.Append(nil)))
	add(plan(proto.OpDelete, 1, (&proto.PathVersion{Path: "/c/x", Version: -1}).Append(nil)))
	for _, txn := range txns {
		applyPlanned(t, tree, p, txn, &res)
	}
	due := tree.Reapable(100, 0, 10, nil)
	if len(due) != 2 {
		t.Fatalf("%v are due", due)
	}
	reap := func(path string) ([]byte, proto.OpCode) {
		return plan(proto.OpDeleteContainer, 100, (&proto.PathRequest{Path: path}).Append(nil))
	}
	written, _ := plan(proto.OpSetData, 100, (&proto.SetDataRequest{Path: "/t", Version: -1}).Append(nil))
	spared, op := reap("/t")
	if op != proto.OpError {
		t.Errorf("a TTL node that is being written is removed: %v", op)
	}
	gone, op := reap("/c")
	if op != proto.OpDeleteContainer {
		t.Errorf("an empty container is not removed: %v", op)
	}
	again, _ := plan(proto.OpCreateContainer, 100, box.Append(nil))
	if _, op := reap("/c"); op != proto.OpError {
		t.Errorf("a container that has just been made is removed: %v", op)
	}
	for _, txn := range [][]byte{written, spared, gone, again} {
		d := proto.NewDecoder(txn)
		var hdr proto.TxnHeader
		hdr.Decode(&d)
		if err := tree.Apply(&hdr, d.Rest(), &res); err != nil {
			t.Fatal(err)
		}
		p.Applied(hdr.Zxid)
	}
	if due := tree.Reapable(100, 0, 10, nil); len(due) != 0 {
		t.Errorf("%v are due", due)
	}
}
