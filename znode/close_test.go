package znode

import (
	"fmt"
	"strings"
	"testing"

	"zebu/proto"
)

// A session may own more ephemerals than a transaction should list (ZOOKEEPER-4306).
func TestCloseOfASessionWithTooManyPathsToList(t *testing.T) {
	tree := New(Options{})
	p := NewPlanner(tree)
	var res Result
	z := proto.Zxid(0)
	run := func(r *Request, apply bool) []byte {
		z++
		txn := p.Plan(nil, r, z, 1)
		if apply {
			applyPlanned(t, tree, p, txn, &res)
		}
		return txn
	}
	name := strings.Repeat("n", 200)
	create := func(i int) *Request {
		body := proto.CreateRequest{Path: fmt.Sprintf("/%s-%d", name, i), Flags: proto.Ephemeral, ACL: []proto.ACL{{
			Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"},
		}}}
		return &Request{Session: 7, Op: proto.OpCreate, Body: body.Append(nil)}
	}
	for i := range 6000 {
		run(create(i), true)
	}
	outstanding := run(create(6000), false) // planned, not applied, when the close is planned
	closing := run(&Request{Session: 7, Op: proto.OpCloseSession}, false)
	if len(closing) > 100 {
		t.Errorf("the transaction has %d bytes", len(closing))
	}
	after := run(&Request{Op: proto.OpSetData, Body: (&proto.SetDataRequest{Path: "/", Version: -1}).Append(nil)}, false)
	for _, txn := range [][]byte{outstanding, closing} {
		applyPlanned(t, tree, p, txn, &res)
	}
	if got := len(res.Changes); got != 2*6001 {
		t.Errorf("%d changes, want two for each of 6001 nodes", got)
	}
	if tree.EphemeralCount() != 0 || tree.NodeCount() != 5 {
		t.Errorf("%d ephemerals and %d nodes are left", tree.EphemeralCount(), tree.NodeCount())
	}
	applyPlanned(t, tree, p, after, &res)
	if got, _ := tree.Digest(); !res.HasDigest || got != res.Digest.TreeDigest {
		t.Errorf("digest %#x after the next transaction, planned %#x", got, res.Digest.TreeDigest)
	}
}

func applyPlanned(t *testing.T, tree *Tree, p *Planner, txn []byte, res *Result) {
	t.Helper()
	d := proto.NewDecoder(txn)
	var hdr proto.TxnHeader
	hdr.Decode(&d)
	if err := tree.Apply(&hdr, d.Rest(), res); err != nil || res.Err != proto.OK {
		t.Fatal(hdr.Zxid, err, res.Err)
	}
	p.Applied(hdr.Zxid)
}
