package replica

import (
	"testing"

	"zebu/proto"
	"zebu/session"
)

// newLearner is a bench whose replica forwards writes, with n sessions that a leader has committed.
func newLearner(t *testing.T, names ...string) (b *bench, leader *bench, conns []*Conn) {
	t.Helper()
	leader = newBench(t)
	b = &bench{t: t, r: New(leader.r.opt), now: leader.now}
	b.advance(0)
	if err := b.r.learn(0); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		c := &Conn{Handle: name}
		b.r.LendBuffer(nil)
		b.r.Connect(c, &proto.ConnectRequest{Timeout: 4000, Passwd: make([]byte, session.PasswordLen)}, 0)
		conns = append(conns, c)
	}
	b.pass(leader)
	b.commitFrom(leader)
	return b, leader, conns
}

// pass hands what the learner has forwarded to the leader, but for the requests with the given cxids.
func (b *bench) pass(leader *bench, but ...int32) {
	b.t.Helper()
	for _, p := range b.r.upstream.packets {
		f, err := proto.DecodeForwardedRequest(p.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		skip := f.Op == proto.OpSync
		for _, cxid := range but {
			skip = skip || f.Cxid == cxid && cxid != 0
		}
		if skip {
			continue
		}
		if err := leader.r.forwarded(-1, &f, p.AuthInfo); err != nil {
			b.t.Fatal(err)
		}
	}
	b.r.upstream.packets = b.r.upstream.packets[:0]
}

// commitFrom applies what the leader has planned to both, and returns what the learner's clients were sent.
func (b *bench) commitFrom(leader *bench) []string {
	b.t.Helper()
	b.r.LendBuffer(nil)
	for _, txn := range leader.log.txns {
		if err := b.r.Apply(txn); err != nil {
			b.t.Fatal(err)
		}
	}
	leader.commit()
	return b.sent()
}

func TestLearnerKnowsItsOwn(t *testing.T) {
	b, leader, c := newLearner(t, "a", "b")
	b.submit(c[0], 1, proto.OpCreate, create("/x", 0))
	b.submit(c[1], 1, proto.OpCreate, create("/x", 0))
	b.submit(c[0], 2, proto.OpExists, &proto.PathWatchRequest{Path: "/x"})
	b.pass(leader)
	b.want(b.commitFrom(leader), "a: reply 1 OK 0x3", "a: reply 2 OK 0x3", "b: reply 1 NODEEXISTS 0x4")
}

// A leader may leave a request without an answer. Who asked is told so, and nobody else waits for it.
func TestLeaderPassesOverARequest(t *testing.T) {
	b, leader, c := newLearner(t, "a", "b")
	b.submit(c[0], 7, proto.OpCreate, create("/lost", 0))
	b.submit(c[1], 1, proto.OpCreate, create("/x", 0))
	b.pass(leader, 7)
	b.want(b.commitFrom(leader), "a: close", "b: reply 1 OK 0x3")
	if b.r.Outstanding() != 0 {
		t.Errorf("%d requests still wait", b.r.Outstanding())
	}
}

func TestSyncPassesOverARequest(t *testing.T) {
	b, _, c := newLearner(t, "a", "b")
	b.submit(c[0], 7, proto.OpCreate, create("/lost", 0))
	b.submit(c[1], 1, proto.OpSync, &proto.PathRequest{Path: "/"})
	b.r.LendBuffer(nil)
	b.r.synced()
	b.want(b.sent(), "a: close", "b: reply 1 OK 0x2")
	b.r.LendBuffer(nil)
	b.r.synced() // one too many
	b.want(b.sent())
}

// Apache's followers pass on what zebu's answer themselves.
func TestForwardedOperationThatIsNone(t *testing.T) {
	b, leader, c := newLearner(t, "a")
	for _, op := range []proto.OpCode{proto.OpCheck, proto.OpDeleteContainer, proto.OpCode(12345)} {
		f := proto.ForwardedRequest{Session: c[0].Session, Cxid: 1, Op: op}
		if err := leader.r.forwarded(-1, &f, nil); err != nil {
			t.Fatalf("%v: %v", op, err)
		}
	}
	before := leader.r.Counts().FailedTxns
	b.commitFrom(leader)
	if got := leader.r.Counts().FailedTxns - before; got != 3 {
		t.Errorf("%d failed, want 3", got)
	}
}

// A snapshot of ZooKeeper's may hold a little more than its digest speaks of.
func TestSnapshotIsProvenByWhatFollows(t *testing.T) {
	b := newBench(t)
	c := b.connect("a")
	b.submit(c, 1, proto.OpCreate, create("/x", 0))
	b.commit()
	img := b.r.Image()
	digest, _ := img.Digest()
	b.submit(c, 2, proto.OpSetData, &proto.SetDataRequest{Path: "/x", Data: []byte("y"), Version: -1})
	next := b.log.txns[0]

	load := func(whole bool) (*Replica, error) {
		r := New(Options{})
		l := r.Loader()
		l.Whole = whole
		fill(t, l, img)
		l.SetDigest(img.Zxid(), proto.DigestVersion, digest+1)
		return r, l.Finish(img.Zxid())
	}
	if _, err := load(true); err == nil {
		t.Error("a whole snapshot with a wrong digest is taken")
	}
	r, err := load(false)
	if err != nil || r.Unproven() == nil {
		t.Fatalf("%v, unproven: %v", err, r.Unproven())
	}
	if err := r.replay(next); err != nil || r.Unproven() != nil {
		t.Errorf("%v, unproven: %v", err, r.Unproven())
	}
}

// fill loads an image.
func fill(t *testing.T, l *Loader, img *Image) {
	t.Helper()
	for id, timeout := range img.Sessions {
		if err := l.AddSession(id, timeout); err != nil {
			t.Fatal(err)
		}
	}
	for id, acl := range img.ACLs {
		if err := l.AddACL(id, acl); err != nil {
			t.Fatal(err)
		}
	}
	img.Nodes(func(path string, data []byte, aclID int64, st *proto.StatPersisted) bool {
		if err := l.AddNode(path, data, aclID, st); err != nil {
			t.Fatal(err)
		}
		return true
	})
}
