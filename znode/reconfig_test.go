package znode

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"zebu/proto"
	"zebu/quorum"
)

var super = []proto.ID{{Scheme: "super", ID: ""}}

func parseConfig(t *testing.T, text string) *quorum.Config {
	t.Helper()
	c, err := quorum.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reconfigBody returns the body of a request; nil is null.
func reconfigBody(joining, leaving, members *string, from int64) []byte {
	null := func(s *string) []byte {
		if s == nil {
			return nil
		}
		return append([]byte{}, *s...)
	}
	r := proto.ReconfigRequest{JoiningServers: null(joining), LeavingServers: null(leaving), NewMembers: null(members), CurConfigID: from}
	return r.Append(nil)
}

// TestReconfigAsApache replays what a client asked of an ensemble of three Apache ZooKeeper 3.9.5 servers, all in sync,
// and what it was answered. The first line is the configuration that the ensemble started with. Two joining servers
// were changed because zebu refuses what they were: one without a host, which ZooKeeper takes for localhost, and one
// (other.invalid) with another server's name and ports, which it compares only if the name can be looked up.
func TestReconfigAsApache(t *testing.T) {
	text, err := os.ReadFile("testdata/apache-3.9.5.reconfig")
	if err != nil {
		t.Fatal(err)
	}
	tree := New(Options{Reconfig: true})
	p := NewPlanner(tree)
	e := Ensemble{Synced: quorum.NewSet(1, 2, 3), Standalone: true}
	var z proto.Zxid
	var res Result
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		c := struct {
			Joining, Leaving, Members *string
			From                      int64
			Anyone                    bool // the client has not proved to be super
			Code                      proto.ErrCode
			Config                    string // that the request brought about
		}{From: -1}
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if e.Config == nil {
			e.Config = parseConfig(t, c.Config)
			z = e.Config.Version
			p.SetEnsemble(e)
			continue
		}
		z++
		if c.Config != "" {
			z = parseConfig(t, c.Config).Version
		}
		r := Request{Op: proto.OpReconfig, Body: reconfigBody(c.Joining, c.Leaving, c.Members, c.From)}
		if !c.Anyone {
			r.IDs = super
		}
		txn := p.Plan(nil, &r, z, 7)
		apply(t, tree, txn, &res)
		p.Applied(z)
		next := p.Reconfigured()
		if res.Err != c.Code || (next == nil) != (c.Code != proto.OK) {
			t.Fatalf("%s: %v, configuration %v", sc.Text(), res.Err, next)
		}
		if next == nil {
			continue
		}
		if next.String() != c.Config || next.Version != z || string(res.Config) != c.Config {
			t.Errorf("%s: configuration %q", sc.Text(), next)
		}
		e.Config = next
		p.SetEnsemble(e)
		checkConfigNode(t, tree, c.Config, z, 7)
		if got := res.Changes[0]; len(res.Changes) != 1 || got.Type != proto.EventNodeDataChanged || got.Path != configPath {
			t.Errorf("changes %v", res.Changes)
		}
	}
}

// checkConfigNode compares /zookeeper/config with what Apache ZooKeeper's is at a zxid.
func checkConfigNode(t *testing.T, tree *Tree, text string, z proto.Zxid, mtime proto.Millis) {
	t.Helper()
	n := tree.Lookup(configPath)
	var st proto.Stat
	tree.Stat(n, &st)
	want := proto.Stat{Mzxid: z, Mtime: mtime, Version: -1, Aversion: -1, DataLength: int32(len(text))}
	if string(n.Data()) != text || st != want {
		t.Errorf("config node %q, %+v", n.Data(), st)
	}
}

// TestReconfigTxn compares with a transaction of an Apache ZooKeeper 3.9.5 leader's log.
func TestReconfigTxn(t *testing.T) {
	const before = "server.1=127.0.0.1:33551:47537:participant;0.0.0.0:52015\nserver.2=127.0.0.1:53935:54729:participant\n" +
		"server.3=127.0.0.1:50219:38979:participant;127.0.0.1:43861\nversion="
	h := proto.TxnHeader{ClientID: 0x10000afdb940000, Cxid: 14, Zxid: 0x100000007, Time: 0x1a1fca4d786, Type: proto.OpReconfig}
	body := proto.SetDataTxn{Path: configPath, Data: []byte(before + "100000007"), Version: -1}
	digest := proto.TxnDigest{Version: 2, TreeDigest: 0x51c6d660}
	want := digest.Append(body.Append(h.Append(nil)))

	p := NewPlanner(New(Options{Reconfig: true}))
	p.SetEnsemble(Ensemble{Config: parseConfig(t, before+"100000000"), Synced: quorum.NewSet(1, 3)})
	r := Request{Session: h.ClientID, Cxid: h.Cxid, Op: proto.OpReconfig, Body: reconfigBody(nil, nil, nil, 0x100000000), IDs: super}
	got := p.Plan(nil, &r, h.Zxid, h.Time)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	text, ok := ConfigOf(h.Type, got[len(h.Append(nil)):])
	if !ok || string(text) != p.Reconfigured().String() {
		t.Errorf("ConfigOf: %q, %v", text, ok)
	}
}

func TestConfigOf(t *testing.T) {
	set := (&proto.SetDataTxn{Path: configPath, Data: []byte("x"), Version: -1}).Append(nil)
	for _, c := range []struct {
		op   proto.OpCode
		body []byte
		want bool
	}{{proto.OpReconfig, set, true}, {proto.OpReconfig, set[:len(set)-5], false}, {proto.OpReconfig, nil, false}, {proto.OpSetData, set, false}} {
		if text, ok := ConfigOf(c.op, c.body); ok != c.want || ok && string(text) != "x" {
			t.Errorf("%v %q: %q, %v", c.op, c.body, text, ok)
		}
	}
}

const (
	threeServers = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=5"
	joiner       = "server.4=d:1:2;1"
)

// Each request has every fault from its line on; what is answered is the first that Apache ZooKeeper comes to.
func TestReconfigCheckOrder(t *testing.T) {
	config := parseConfig(t, threeServers)
	bad, more := "bad", joiner
	two := quorum.NewSet(1, 2)
	on := Options{Reconfig: true}
	badBody, body := reconfigBody(&bad, nil, nil, 4), reconfigBody(&more, nil, nil, -1)
	for i, c := range []struct {
		opts     Options
		ensemble Ensemble
		session  proto.ErrCode
		body     []byte
		ids      []proto.ID
		want     proto.ErrCode
	}{
		{Options{}, Ensemble{Config: config, Pending: true}, proto.ErrSessionMoved, nil, nil, proto.ErrMarshalling},
		{Options{}, Ensemble{Config: config, Pending: true}, proto.ErrSessionMoved, badBody, nil, proto.ErrReconfigDisabled},
		{on, Ensemble{Config: config, Pending: true}, proto.ErrSessionMoved, badBody, nil, proto.ErrSessionMoved},
		{on, Ensemble{}, proto.OK, badBody, nil, proto.ErrUnimplemented},
		{on, Ensemble{Config: config, Pending: true}, proto.OK, badBody, nil, proto.ErrReconfigInProgress},
		{on, Ensemble{Config: config}, proto.OK, badBody, nil, proto.ErrBadVersion},
		{on, Ensemble{Config: config}, proto.OK, reconfigBody(&bad, nil, nil, 5), nil, proto.ErrBadArguments},
		{on, Ensemble{Config: config, Synced: two}, proto.OK, body, nil, proto.ErrNewConfigNoQuorum},
		{on, Ensemble{Config: config, Synced: quorum.NewSet(1, 2, 3)}, proto.OK, body, nil, proto.ErrNoAuth},
		{on, Ensemble{Config: config, Synced: quorum.NewSet(1, 2, 4)}, proto.OK, body, super, proto.OK},
		{Options{Reconfig: true, SkipACL: true}, Ensemble{Config: config, Synced: quorum.NewSet(1, 2, 3)}, proto.OK, body, nil, proto.OK},
	} {
		tree := New(c.opts)
		p := NewPlanner(tree)
		p.SetEnsemble(c.ensemble)
		var res Result
		apply(t, tree, p.Plan(nil, &Request{Op: proto.OpReconfig, Body: c.body, SessionErr: c.session, IDs: c.ids}, 9, 1), &res)
		if res.Err != c.want {
			t.Errorf("%d: %v, want %v", i, res.Err, c.want)
		}
	}
}

func TestOneReconfigAtATime(t *testing.T) {
	config := parseConfig(t, threeServers)
	more := joiner
	tree := New(Options{Reconfig: true})
	p := NewPlanner(tree)
	p.SetEnsemble(Ensemble{Config: config, Synced: quorum.NewSet(1, 2, 3)})
	var res Result
	plan := func(r Request, z proto.Zxid) proto.ErrCode {
		apply(t, tree, p.Plan(nil, &r, z, 1), &res)
		return res.Err
	}
	reconfig := Request{Op: proto.OpReconfig, Body: reconfigBody(&more, nil, nil, 5), IDs: super}
	if err := plan(reconfig, 6); err != proto.OK || p.Reconfigured() == nil {
		t.Fatal(err)
	}
	if err := plan(reconfig, 7); err != proto.ErrReconfigInProgress || p.Reconfigured() != nil {
		t.Errorf("while one is pending: %v, %v", err, p.Reconfigured())
	}
	if config.String() != threeServers {
		t.Errorf("the old configuration became %q", config)
	}
	p.SetEnsemble(Ensemble{Config: parseConfig(t, threeServers+"6"), Synced: quorum.NewSet(1, 2, 3)})
	if err := plan(reconfig, 8); err != proto.ErrBadVersion {
		t.Errorf("of version 5 when 0x56 is in force: %v", err)
	}
	// A write to the node goes on from the version -1.
	set := (&proto.SetDataRequest{Path: configPath, Data: []byte("x"), Version: -1}).Append(nil)
	if err := plan(Request{Op: proto.OpSetData, Body: set, IDs: super}, 9); err != proto.OK || res.Stat.Version != 0 {
		t.Errorf("setData: %v, version %d", err, res.Stat.Version)
	}
}

func TestSetConfig(t *testing.T) {
	tree := New(Options{})
	digest, _ := tree.Digest()
	size := tree.DataSize()
	c := parseConfig(t, threeServers)
	var res Result
	tree.SetConfig(c, 77, &res)
	checkConfigNode(t, tree, threeServers, 5, 77)
	if res.Err != proto.OK || len(res.Changes) != 1 || res.Changes[0].Path != configPath || res.Changes[0].Type != proto.EventNodeDataChanged {
		t.Errorf("result %+v", res)
	}
	if d, _ := tree.Digest(); d != digest || tree.LastZxid() != 0 || tree.DataSize() != size+int64(len(threeServers)) {
		t.Errorf("digest %x, was %x; last zxid %v; size %d", d, digest, tree.LastZxid(), tree.DataSize())
	}
}
