package znode

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"zebu/proto"
)

// randomRequests makes requests over few paths and sessions, so that they meet.
type randomRequests struct {
	*rand.Rand
	cxid   int32
	closed map[proto.SessionID]bool
}

func newRandomRequests(seed uint64) *randomRequests {
	return &randomRequests{Rand: rand.New(rand.NewPCG(seed, 1)), closed: map[proto.SessionID]bool{}}
}

func pick[T any](g *randomRequests, of ...T) T { return of[g.IntN(len(of))] }

func (g *randomRequests) path() string {
	p := ""
	for range 1 + g.IntN(3) {
		p += "/" + pick(g, "a", "b", "c")
	}
	return pick(g, p, p, p, p, p, p, p, "/", p+"/", "/zookeeper/"+p[1:], "/zookeeper", "/zookeeper/quota"+p, "", "x")
}

func (g *randomRequests) data() []byte {
	return pick(g, nil, []byte{}, []byte("x"), []byte("some data"))
}

func (g *randomRequests) version() int32 { return pick(g, -1, -1, -1, int32(0), 1, 2) }

func (g *randomRequests) acl() []proto.ACL {
	world := proto.ID{Scheme: "world", ID: "anyone"}
	return pick(g, openACL, openACL, openACL, openACL, []proto.ACL{{Perms: pick[int32](g, 1, 5, 15, 27, 31), ID: world}},
		[]proto.ACL{{Perms: 31, ID: proto.ID{Scheme: "auth"}}}, []proto.ACL{{Perms: 31, ID: proto.ID{Scheme: "digest", ID: "u:x"}}, {Perms: 1, ID: world}},
		nil)
}

// sub makes an operation that a multi may hold.
func (g *randomRequests) sub() (proto.OpCode, []byte) {
	switch g.IntN(9) {
	case 0, 1, 2:
		r := proto.CreateRequest{Path: g.path(), Data: g.data(), ACL: g.acl(), Flags: pick[proto.CreateMode](g, 0, 0, 0, 1, 1, 2, 3, 4)}
		return pick(g, proto.OpCreate, proto.OpCreate2), r.Append(nil)
	case 3:
		if g.IntN(2) == 0 {
			r := proto.CreateRequest{Path: g.path(), Data: g.data(), ACL: g.acl(), Flags: proto.Container}
			return proto.OpCreateContainer, r.Append(nil)
		}
		r := proto.CreateTTLRequest{Path: g.path(), Data: g.data(), ACL: g.acl(), Flags: pick[proto.CreateMode](g, 5, 6), TTL: 1 + g.Int64N(5)}
		return proto.OpCreateTTL, r.Append(nil)
	case 4, 5:
		r := proto.PathVersion{Path: g.path(), Version: g.version()}
		return proto.OpDelete, r.Append(nil)
	case 6:
		r := proto.PathVersion{Path: g.path(), Version: g.version()}
		return proto.OpCheck, r.Append(nil)
	}
	r := proto.SetDataRequest{Path: g.path(), Data: g.data(), Version: g.version()}
	return proto.OpSetData, r.Append(nil)
}

func (g *randomRequests) next() Request {
	g.cxid++
	r := Request{Session: proto.SessionID(1 + g.IntN(3)), Cxid: g.cxid}
	r.IDs = []proto.ID{{Scheme: "ip", ID: "127.0.0.1"}}
	if r.Session == 1 {
		r.IDs = append(r.IDs, proto.ID{Scheme: "digest", ID: "u:x"})
	}
	switch n := g.IntN(40); {
	case n < 1:
		r.Op = proto.OpCloseSession
	case n < 2:
		r.Op, r.Body = proto.OpDeleteContainer, (&proto.PathRequest{Path: g.path()}).Append(nil)
	case n < 4:
		a := proto.SetACLRequest{Path: g.path(), ACL: g.acl(), Version: g.version()}
		r.Op, r.Body = proto.OpSetACL, a.Append(nil)
	case n < 8:
		r.Op = proto.OpMulti
		for range g.IntN(5) {
			op, body := g.sub()
			r.Body = append((&proto.MultiHeader{Op: op, Err: -1}).Append(r.Body), body...)
		}
		r.Body = (&proto.MultiHeader{Op: -1, Done: true, Err: -1}).Append(r.Body)
	default:
		if r.Op, r.Body = g.sub(); r.Op == proto.OpCheck {
			r.Op, r.Body = proto.OpCreateSession, []byte{0, 0, 0, 1}
		}
	}
	return r
}

// dumped is all there is to know of a node.
type dumped struct {
	st   proto.StatPersisted
	data []byte
	acl  []proto.ACL
}

func dump(v *View) map[string]dumped {
	acls := map[int64][]proto.ACL{-1: openACL}
	v.ACLs(func(id int64, acl []proto.ACL) bool {
		acls[id] = acl
		return true
	})
	all := map[string]dumped{}
	v.Nodes(func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool {
		all[strings.Clone(path)] = dumped{*st, bytes.Clone(data), acls[aclID]}
		return true
	})
	return all
}

func sameDump(a, b map[string]dumped) error {
	for _, p := range slices.Sorted(maps.Keys(a)) {
		x, ok := b[p]
		if !ok {
			return fmt.Errorf("only one has %q", p)
		}
		y := a[p]
		if x.st != y.st || !bytes.Equal(x.data, y.data) || (x.data == nil) != (y.data == nil) || !slices.Equal(x.acl, y.acl) {
			return fmt.Errorf("%q differs:\n%+v\n%+v", p, y, x)
		}
	}
	if len(a) != len(b) {
		return fmt.Errorf("%d nodes, %d nodes", len(a), len(b))
	}
	return nil
}

// check recomputes everything that the tree keeps on the side.
func check(t *testing.T, tr *Tree) {
	t.Helper()
	all := dump(tr.View())
	var digest uint64
	size, eph, special, children := int64(1), 0, 0, map[string]int{}
	refs := map[uint32]int{}
	for p, d := range all {
		n := tr.Lookup(p)
		if n == nil || tr.pathOf(tr.resolve(p)) != p {
			t.Fatalf("%q is not found", p)
		}
		refs[n.acl]++
		size += int64(utf8.RuneCountInString(p) + len(d.data))
		owner := d.st.EphemeralOwner
		if p == "" {
			owner = 0 // the root is nobody's, whatever a snapshot says
		}
		switch tr.opts.kind(owner) {
		case ownerSession:
			eph++
			if !slices.Contains(tr.Ephemerals(owner), p) {
				t.Errorf("%q is not among its session's", p)
			}
		case ownerContainer, ownerTTL:
			special++
		}
		if p != "" {
			parent, _ := split(p)
			children[parent]++
		}
		if strings.HasPrefix(p, "/zookeeper/") {
			continue
		}
		st := d.st
		b := append([]byte(p), d.data...)
		for _, v := range []int64{int64(st.Czxid), int64(st.Mzxid), int64(st.Pzxid), int64(st.Ctime), int64(st.Mtime)} {
			b = proto.AppendInt64(b, v)
		}
		b = proto.AppendInt32(proto.AppendInt32(proto.AppendInt32(b, st.Version), st.Cversion), st.Aversion)
		digest += uint64(crc32.ChecksumIEEE(proto.AppendInt64(b, int64(st.EphemeralOwner))))
	}
	for p := range all {
		if n := tr.Lookup(p).NumChildren(); n != children[p] {
			t.Errorf("%q has %d children and says %d", p, children[p], n)
		}
	}
	if d, _ := tr.Digest(); d != digest {
		t.Errorf("digest %d, recomputed %d", d, digest)
	}
	if tr.DataSize() != size || tr.EphemeralCount() != eph || tr.NodeCount() != len(all)+1 {
		t.Errorf("size %d, ephemerals %d, nodes %d; recomputed %d, %d, %d",
			tr.DataSize(), tr.EphemeralCount(), tr.NodeCount(), size, eph, len(all)+1)
	}
	if n := len(tr.owned.containers) + len(tr.owned.ttls); n != special || len(tr.owned.pos) != special+eph {
		t.Errorf("%d containers and TTL nodes, %d positions; recomputed %d, %d", n, len(tr.owned.pos), special, special+eph)
	}
	if n := tr.Descendants(tr.Lookup("/")); n != len(all)-1 {
		t.Errorf("%d descendants of %d", n, len(all))
	}
	for i, e := range tr.acls.entries {
		want := refs[uint32(i)]
		if uint32(i) <= aclNobody {
			want++
		}
		if e.refs != want {
			t.Errorf("ACL %d has %d references, recomputed %d", i, e.refs, want)
		}
	}
}

func apply(t *testing.T, tr *Tree, txn []byte, res *Result) {
	t.Helper()
	d := proto.NewDecoder(txn)
	var h proto.TxnHeader
	h.Decode(&d)
	if err := tr.Apply(&h, d.Rest(), res); err != nil {
		t.Fatalf("%v: %x", err, txn)
	}
	if got, _ := tr.Digest(); res.HasDigest && got != res.Digest.TreeDigest {
		t.Fatalf("%+v %q: digest %d, planned %d", h, d.Rest(), got, res.Digest.TreeDigest)
	}
	if tr.LastZxid() != h.Zxid {
		t.Fatalf("LastZxid %v after %v", tr.LastZxid(), h.Zxid)
	}
}

// Planning ahead must give the transactions that planning one by one gives, and their digests must hold. A tree that
// was loaded from a view in the middle must go on like the one it came from.
func TestPlanAhead(t *testing.T) {
	for seed := range uint64(60) {
		g := newRandomRequests(seed)
		opts := Options{ExtendedTypes: true, EmptyCloseSession: seed%5 == 4}
		slow, fast := New(opts), New(opts)
		ps, pf := NewPlanner(slow), NewPlanner(fast)
		var res Result
		var waiting [][]byte
		lag := 1 << (seed % 7)
		applyOne := func() {
			apply(t, fast, waiting[0], &res)
			pf.Applied(fast.LastZxid())
			waiting = waiting[1:]
		}
		for z := proto.Zxid(1); z <= 600; z++ {
			r := g.next()
			a := ps.Plan(nil, &r, z, proto.Millis(z))
			b := pf.Plan(nil, &r, z, proto.Millis(z))
			if ca, cb := bytes.Clone(a), bytes.Clone(b); r.Op == proto.OpCloseSession && !opts.EmptyCloseSession {
				sortPaths(ca)
				sortPaths(cb)
				if !bytes.Equal(ca, cb) {
					t.Fatalf("seed %d, %v closeSession:\n%q\n%q", seed, z, ca, cb)
				}
			} else if !bytes.Equal(a, b) {
				t.Fatalf("seed %d, %v %v %q:\n%q\n%q", seed, z, r.Op, r.Body, a, b)
			}
			apply(t, slow, a, &res)
			ps.Applied(z)
			waiting = append(waiting, b)
			for len(waiting) > 0 && (len(waiting) > lag || g.IntN(lag) == 0) {
				applyOne()
			}
			if z%200 == 0 && len(waiting) == 0 {
				check(t, fast)
				before := dump(fast.View())
				fast = reload(t, fast, opts)
				if err := sameDump(before, dump(fast.View())); err != nil {
					t.Fatal(err)
				}
				pf = NewPlanner(fast)
			}
		}
		for len(waiting) > 0 {
			applyOne()
		}
		check(t, fast)
		check(t, slow)
		if err := sameDump(dump(slow.View()), dump(fast.View())); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(pf.o.records) != 0 || len(pf.o.created) != 0 || len(pf.o.touches) != 0 {
			t.Errorf("seed %d: %d records, %d sessions, %d touches are left", seed, len(pf.o.records), len(pf.o.created), len(pf.o.touches))
		}
	}
}

// reload takes a tree through a snapshot.
func reload(t *testing.T, tr *Tree, opts Options) *Tree {
	t.Helper()
	v := tr.View()
	l := NewLoader(opts)
	v.ACLs(func(id int64, acl []proto.ACL) bool { return l.AddACL(id, acl) == nil })
	v.Nodes(func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool {
		if err := l.AddNode(path, data, aclID, st); err != nil {
			t.Fatal(err)
		}
		return true
	})
	loaded, err := l.Finish(v.Zxid())
	if err != nil {
		t.Fatal(err)
	}
	if tr.digest != loaded.digest {
		t.Fatal("the digest of the loaded tree differs")
	}
	return loaded
}

// A view must stay as it was whatever happens to the tree.
func TestViewStays(t *testing.T) {
	tr := New(Options{ExtendedTypes: true})
	p := NewPlanner(tr)
	g := newRandomRequests(99)
	var res Result
	type image struct {
		v    *View
		dump map[string]dumped
	}
	var images []image
	for z := proto.Zxid(1); z <= 3000; z++ {
		r := g.next()
		apply(t, tr, p.Plan(nil, &r, z, proto.Millis(z)), &res)
		p.Applied(z)
		if g.IntN(100) == 0 {
			v := tr.View()
			images = append(images, image{v, dump(v)})
		}
	}
	for _, i := range images {
		if err := sameDump(i.dump, dump(i.v)); err != nil {
			t.Errorf("%v: %v", i.v.Zxid(), err)
		}
		if len(i.dump) != i.v.NumNodes() {
			t.Errorf("%v: NumNodes %d of %d", i.v.Zxid(), i.v.NumNodes(), len(i.dump))
		}
	}
}

// A view is read without locks while the tree goes on; the race detector watches.
func TestViewAlongside(t *testing.T) {
	tr := New(Options{ExtendedTypes: true})
	p := NewPlanner(tr)
	g := newRandomRequests(5)
	var res Result
	done := make(chan error)
	for z, running := proto.Zxid(1), 0; z <= 2000 || running > 0; z++ {
		r := g.next()
		apply(t, tr, p.Plan(nil, &r, z, proto.Millis(z)), &res)
		p.Applied(z)
		if z%100 == 0 && z <= 2000 {
			v := tr.View()
			want := dump(v)
			running++
			go func() { done <- sameDump(want, dump(v)) }()
		}
		select {
		case err := <-done:
			running--
			if err != nil {
				t.Error(err)
			}
		default:
		}
	}
}

// Without digests nothing carries one.
func TestNoDigest(t *testing.T) {
	tr := New(Options{NoDigest: true})
	p := NewPlanner(tr)
	g := newRandomRequests(6)
	var res Result
	for z := proto.Zxid(1); z <= 300; z++ {
		r := g.next()
		apply(t, tr, p.Plan(nil, &r, z, proto.Millis(z)), &res)
		p.Applied(z)
		if res.HasDigest {
			t.Fatalf("%v of %v carries a digest", r.Op, z)
		}
	}
	if d, ok := tr.Digest(); ok || d != 0 {
		t.Errorf("digest %d %v", d, ok)
	}
}
