package znode

import (
	"testing"

	"zebu/proto"
)

// fuzzySnapshot loads what Apache ZooKeeper's snapshot thread would write while transactions go on: the ACLs at the
// start, then node by node, each with the children it has at that moment. step may apply transactions.
func fuzzySnapshot(t *testing.T, tr *Tree, step func()) *Tree {
	t.Helper()
	l := NewLoader(tr.opts)
	z := tr.LastZxid()
	tr.View().ACLs(func(id int64, acl []proto.ACL) bool { return l.AddACL(id, acl) == nil })
	var write func(path string)
	write = func(path string) {
		step()
		n := tr.Lookup(path)
		if n == nil {
			return // deleted since its parent was written
		}
		var st proto.StatPersisted
		n.persisted(&st)
		acl := int64(n.acl)
		if n.acl == aclOpen {
			acl = -1
		}
		if err := l.AddNode(path, n.Data(), acl, &st); err != nil {
			t.Fatal(err)
		}
		var children []string
		for i := n.firstChild; i != 0; i = tr.node(i).next {
			children = append(children, tr.node(i).Name())
		}
		for _, c := range children {
			write(path + "/" + c)
		}
	}
	write("")
	loaded, err := l.Finish(z)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// Replaying from the zxid in a fuzzy snapshot's name must arrive where the tree is (scenarios 27 to 30).
func TestFuzzySnapshot(t *testing.T) {
	for seed := range uint64(300) {
		g := newRandomRequests(1000 + seed)
		tr := New(Options{ExtendedTypes: true})
		p := NewPlanner(tr)
		var res Result
		var txns [][]byte
		write := func(n int) {
			for range n {
				z := proto.Zxid(len(txns) + 1)
				r := g.next()
				txns = append(txns, p.Plan(nil, &r, z, proto.Millis(z)))
				apply(t, tr, txns[z-1], &res)
				p.Applied(z)
			}
		}
		write(100)
		loaded := fuzzySnapshot(t, tr, func() { write(g.IntN(6)) })
		for _, txn := range txns[loaded.LastZxid():] {
			d := proto.NewDecoder(txn)
			var h proto.TxnHeader
			h.Decode(&d)
			if err := loaded.Apply(&h, d.Rest(), &res); err != nil {
				t.Fatal(err)
			}
		}
		if err := sameDump(dump(tr.View()), dump(loaded.View())); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		check(t, loaded)
		if a, b := tr.digest, loaded.digest; a != b {
			t.Fatalf("seed %d: digest %d, want %d", seed, b, a)
		}
	}
}
