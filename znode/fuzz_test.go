package znode

import (
	"testing"

	"zebu/proto"
)

// fuzzTree has a bit of everything.
func fuzzTree(t testing.TB) *Tree {
	tr := New(Options{ExtendedTypes: true, EnforceQuota: true})
	p := NewPlanner(tr)
	g := newRandomRequests(7)
	var res Result
	for z := proto.Zxid(1); z < 150; z++ {
		r := g.next()
		txn := p.Plan(nil, &r, z, proto.Millis(z))
		d := proto.NewDecoder(txn)
		var h proto.TxnHeader
		h.Decode(&d)
		if err := tr.Apply(&h, d.Rest(), &res); err != nil {
			t.Fatal(err)
		}
		p.Applied(z)
	}
	return tr
}

// No transaction, however broken or hostile, may make Apply panic, spin or lose count. One that it rejects must leave
// no trace.
func FuzzApply(f *testing.F) {
	for _, c := range readCapture(f) {
		f.Add(int32(c.hdr.Type), int64(c.hdr.ClientID), c.body)
	}
	g := newRandomRequests(3)
	tr := fuzzTree(f)
	p := NewPlanner(tr)
	for range 200 {
		r := g.next()
		txn := p.Plan(nil, &r, tr.LastZxid()+1, 5)
		f.Add(int32(txn[31]), int64(r.Session), txn[32:])
	}
	f.Fuzz(func(t *testing.T, op int32, session int64, body []byte) {
		tr := fuzzTree(t)
		before := tr.digest
		h := proto.TxnHeader{ClientID: proto.SessionID(session), Zxid: tr.LastZxid() + 1, Time: 1, Type: proto.OpCode(op)}
		var res Result
		if err := tr.Apply(&h, body, &res); err != nil && (tr.digest != before || tr.LastZxid() == h.Zxid) {
			t.Errorf("%v, but it did something", err)
		}
		check(t, tr)
	})
}

// Whatever a client sends, what the planner makes of it can be applied, and leads to the digest that it says.
func FuzzPlan(f *testing.F) {
	for _, c := range readCapture(f) {
		f.Add(int32(c.req.Op), c.req.Body)
	}
	g := newRandomRequests(4)
	for range 200 {
		r := g.next()
		f.Add(int32(r.Op), r.Body)
	}
	f.Fuzz(func(t *testing.T, op int32, body []byte) {
		tr := fuzzTree(t)
		p := NewPlanner(tr)
		var txns [][]byte
		for i := range proto.Zxid(3) {
			r := Request{Session: 2, Op: proto.OpCode(op), Body: body, IDs: []proto.ID{{Scheme: "ip", ID: "::1"}}}
			txns = append(txns, p.Plan(nil, &r, 1000+i, 5))
		}
		var res Result
		for _, txn := range txns {
			apply(t, tr, txn, &res)
			p.Applied(tr.LastZxid())
		}
		check(t, tr)
	})
}

// FuzzLoad loads nodes with names, owners and ACL ids that no tree of ours would have.
func FuzzLoad(f *testing.F) {
	f.Add("/a", "/a/b", []byte("x"), int64(1), int64(5))
	f.Add("", "/", []byte(nil), int64(-1), int64(-1)<<63)
	f.Add("/zookeeper/quota/a/zookeeper_limits", "/a//", []byte("count=1"), int64(7), int64(0))
	f.Fuzz(func(t *testing.T, p1, p2 string, data []byte, acl, owner int64) {
		l := NewLoader(Options{ExtendedTypes: true})
		st := proto.StatPersisted{EphemeralOwner: proto.SessionID(owner)}
		if err := l.AddACL(1, readOnlyACL); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"", "/zookeeper", "/zookeeper/quota", "/zookeeper/quota/a", p1, p2} {
			_ = l.AddNode(p, data, acl, &st)
		}
		tr, err := l.Finish(1)
		if err != nil {
			t.Fatal(err)
		}
		tr.KillSession(proto.SessionID(owner), 2)
		check(t, tr)
	})
}
