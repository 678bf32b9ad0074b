package znode

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"zebu/proto"
)

// Captured from Apache ZooKeeper 3.8 and 3.9: the digest of an empty server (spec 9).
const emptyDigest = 1371985504

func TestNewTree(t *testing.T) {
	tr := New(Options{})
	if d, ok := tr.Digest(); d != emptyDigest || !ok {
		t.Errorf("digest %d %v, want %d", d, ok, emptyDigest)
	}
	if n := tr.NodeCount(); n != 5 {
		t.Errorf("NodeCount %d, want 5", n)
	}
	if n := tr.DataSize(); n != 44 {
		t.Errorf("DataSize %d, want 44", n)
	}
	if n := tr.Descendants(tr.Lookup("/")); n != 3 {
		t.Errorf("Descendants(/) = %d, want 3", n)
	}
	if n := tr.Descendants(tr.Lookup("/zookeeper")); n != 2 {
		t.Errorf("Descendants(/zookeeper) = %d, want 2", n)
	}
	var st proto.Stat
	config := tr.Lookup("/zookeeper/config")
	tr.Stat(config, &st)
	if want := (proto.Stat{Aversion: -1}); st != want {
		t.Errorf("config's stat %+v, want %+v", st, want)
	}
	if acl := tr.ACL(config); len(acl) != 1 || acl[0].Perms != proto.PermRead {
		t.Errorf("config's ACL %v", acl)
	}
	if d := config.Data(); d == nil || len(d) != 0 {
		t.Errorf("config's data %v, want empty and not null", d)
	}
	for _, path := range []string{"x", "/x", "//", "/zookeeper/", "zookeeper", "/zookeeper//quota", "/zookeeper/quota/"} {
		if tr.Lookup(path) != nil {
			t.Errorf("Lookup(%q) finds something", path)
		}
	}
	if tr.Lookup("") == nil || tr.Lookup("") != tr.Lookup("/") {
		t.Error(`"" and "/" are not the same node`)
	}
}

// Replaying an older part of the log must not take a node's pzxid back (scenario 29).
func TestReplayKeepsPzxid(t *testing.T) {
	tr := New(Options{})
	var res Result
	run := func(op proto.OpCode, z proto.Zxid, body []byte) {
		t.Helper()
		if err := tr.Apply(&proto.TxnHeader{Zxid: z, Type: op, Time: 1}, body, &res); err != nil {
			t.Fatal(err)
		}
	}
	create := func(path string, pcv int32) []byte {
		r := proto.CreateTxn{Path: path, ACL: openACL, ParentCVersion: pcv}
		return r.Append(nil)
	}
	del := (&proto.DeleteTxn{Path: "/a/x"}).Append(nil)
	run(proto.OpCreate, 10, create("/a", 1))
	run(proto.OpCreate, 20, create("/a/b", 3))
	run(proto.OpCreate, 11, create("/a/x", 1))
	run(proto.OpDelete, 12, del)
	run(proto.OpCreate2, 13, create("/a/b", 2))
	if n := tr.Lookup("/a"); n.Pzxid() != 20 || n.cversion != 3 {
		t.Errorf("pzxid %v, creations %d; want 0x14, 3", n.Pzxid(), n.cversion)
	}
	if tr.LastZxid() != 20 {
		t.Errorf("LastZxid went back to %v", tr.LastZxid())
	}
	run(proto.OpDelete, 21, del)
	if n := tr.Lookup("/a"); n.Pzxid() != 21 || res.Err != proto.ErrNoNode {
		t.Errorf("pzxid %v, %v; want 0x15, NONODE", n.Pzxid(), res.Err)
	}
}

// Null and empty data are different, in the tree and in a snapshot (spec 1.1).
func TestNullData(t *testing.T) {
	tr := New(Options{})
	var res Result
	for i, data := range [][]byte{nil, {}, []byte("x")} {
		c := proto.CreateTxn{Path: "/" + string(rune('a'+i)), Data: data, ACL: openACL, ParentCVersion: -1}
		if err := tr.Apply(&proto.TxnHeader{Zxid: proto.Zxid(i + 1), Type: proto.OpCreate}, c.Append(nil), &res); err != nil {
			t.Fatal(err)
		}
		tr = reload(t, tr, tr.opts)
		if got := tr.Lookup(c.Path).Data(); (got == nil) != (data == nil) || string(got) != string(data) {
			t.Errorf("%q became %q", data, got)
		}
	}
}

// Forms of transactions that older servers, or other settings, leave in a log (spec 9).
func TestOldTransactions(t *testing.T) {
	trailer := (&proto.TxnDigest{Version: 2, TreeDigest: 7}).Append(nil)
	check := (&proto.PathVersion{Path: "/x", Version: 2}).Append(nil)
	tests := []struct {
		name    string
		op      proto.OpCode
		body    []byte
		digest  bool
		wantErr bool
	}{
		{"closeSession without list", proto.OpCloseSession, nil, false, false},
		{"closeSession without list, with digest", proto.OpCloseSession, trailer, true, false},
		{"closeSession, empty list, digest", proto.OpCloseSession, append([]byte{0, 0, 0, 0}, trailer...), true, false},
		{"closeSession, cut off", proto.OpCloseSession, []byte{0, 0, 0, 3}, false, false},
		{"error", proto.OpError, []byte{0xff, 0xff, 0xff, 0x9b}, false, false},
		{"error with digest", proto.OpError, append([]byte{0xff, 0xff, 0xff, 0x9b}, trailer...), true, false},
		{"check outside a multi", proto.OpCheck, check, false, false},
		{"createSession", proto.OpCreateSession, append([]byte{0, 0, 0x75, 0x30}, trailer...), true, false},
		{"unknown type", 99, nil, false, true},
		{"setData, cut off", proto.OpSetData, []byte{0, 0, 0, 9}, false, true},
		{"multi in a multi", proto.OpMulti, []byte{0, 0, 0, 1, 0, 0, 0, 14, 0, 0, 0, 0}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := New(Options{})
			var res Result
			err := tr.Apply(&proto.TxnHeader{Zxid: 5, Type: tt.op}, tt.body, &res)
			if (err != nil) != tt.wantErr || res.HasDigest != tt.digest {
				t.Errorf("error %v, digest %v", err, res.HasDigest)
			}
			if tt.op == proto.OpCreateSession && res.Timeout != 30000 {
				t.Errorf("timeout %d", res.Timeout)
			}
			if tt.op == proto.OpError && res.Err != proto.ErrNoNode {
				t.Errorf("Err %v", res.Err)
			}
			if want := proto.Zxid(5); !tt.wantErr && tr.LastZxid() != want {
				t.Errorf("LastZxid %v", tr.LastZxid())
			}
		})
	}
}

// An ACL id that a snapshot does not explain must not open the node (scenario 30).
func TestUnknownACL(t *testing.T) {
	l := NewLoader(Options{})
	for _, p := range []string{"", "/a"} {
		if err := l.AddNode(p, nil, 77, &proto.StatPersisted{}); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := l.Finish(3)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		acl := tr.ACL(tr.Lookup("/a"))
		if tr.Permits(acl, proto.PermAll, []proto.ID{{Scheme: "ip", ID: "::1"}}) {
			t.Errorf("%v lets everybody in", acl)
		}
		if !tr.Permits(acl, proto.PermRead, []proto.ID{{Scheme: "super"}}) {
			t.Error("super is shut out")
		}
		check(t, tr)
		tr = reload(t, tr, tr.opts)
	}
	if tr.Lookup("/zookeeper/config") == nil {
		t.Error("reserved nodes are missing")
	}
}

func TestLoaderErrors(t *testing.T) {
	var st proto.StatPersisted
	if _, err := NewLoader(Options{}).Finish(1); err == nil {
		t.Error("a snapshot without nodes is fine")
	}
	l := NewLoader(Options{})
	if err := l.AddACL(1, nil); err == nil {
		t.Error("a null ACL is fine")
	}
	if err := l.AddNode("", nil, -1, &st); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"", "/", "a", "/a/b", "/a/", "//", "//a"} {
		if err := l.AddNode(p, nil, -1, &st); err == nil {
			t.Errorf("%q is fine", p)
		}
	}
}

// The index must find what is there and nothing else while it grows and shrinks.
func TestManyNodes(t *testing.T) {
	tr := New(Options{})
	g := rand.New(rand.NewPCG(1, 2))
	var res Result
	there := map[string]bool{}
	for z := proto.Zxid(1); z <= 60_000; z++ {
		path := fmt.Sprintf("/%d", g.IntN(20_000))
		h := proto.TxnHeader{Zxid: z, Type: proto.OpCreate}
		c := proto.CreateTxn{Path: path, ACL: openACL, ParentCVersion: -1}
		body := c.Append(nil)
		if z > 30_000 && g.IntN(3) > 0 {
			h.Type, body = proto.OpDelete, (&proto.DeleteTxn{Path: path}).Append(nil)
		}
		if err := tr.Apply(&h, body, &res); err != nil {
			t.Fatal(err)
		}
		want := proto.OK
		switch {
		case h.Type == proto.OpCreate && there[path]:
			want = proto.ErrNodeExists
		case h.Type == proto.OpDelete && !there[path]:
			want = proto.ErrNoNode
		}
		if res.Err != want {
			t.Fatalf("%v %s: %v, want %v", h.Type, path, res.Err, want)
		}
		there[path] = h.Type == proto.OpCreate
	}
	for i := range 20_000 {
		if path := fmt.Sprintf("/%d", i); (tr.Lookup(path) != nil) != there[path] {
			t.Errorf("%s is there: %v", path, !there[path])
		}
	}
	check(t, tr)
}

// Lists come and go with the nodes that have them, and their numbers are used again.
func TestACLTable(t *testing.T) {
	tr := New(Options{})
	fixed := len(tr.acls.entries)
	list := func(i int) []proto.ACL { return []proto.ACL{{Perms: int32(i), ID: id("digest", "u:x")}} }
	var res Result
	z := proto.Zxid(0)
	run := func(op proto.OpCode, body []byte) {
		t.Helper()
		z++
		if err := tr.Apply(&proto.TxnHeader{Zxid: z, Type: op}, body, &res); err != nil || res.Err != proto.OK {
			t.Fatal(err, res.Err)
		}
	}
	for round := range 3 {
		for i := range 50 {
			c := proto.CreateTxn{Path: fmt.Sprintf("/%d", i), ACL: list(i % 10), ParentCVersion: -1}
			run(proto.OpCreate, c.Append(nil))
		}
		v := tr.View()
		if n := v.NumACLs(); n != 11 { // and that of the configuration node
			t.Errorf("round %d: %d lists, want 11", round, n)
		}
		for i := range 50 {
			s := proto.SetACLTxn{Path: fmt.Sprintf("/%d", i), ACL: list(20 + i), Version: 1}
			run(proto.OpSetACL, s.Append(nil))
		}
		check(t, tr)
		for i := range 50 {
			run(proto.OpDelete, (&proto.DeleteTxn{Path: fmt.Sprintf("/%d", i)}).Append(nil))
		}
		if n := v.NumACLs(); n != 11 {
			t.Errorf("round %d: the view's lists went from 11 to %d", round, n)
		}
		if n := tr.View().NumACLs(); n != 1 {
			t.Errorf("round %d: %d lists are left", round, n)
		}
	}
	if n := len(tr.acls.entries); n > fixed+60 {
		t.Errorf("%d entries for 60 lists", n-fixed)
	}
}
