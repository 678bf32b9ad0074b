package zab

import (
	"errors"
	"math"
	"slices"
	"testing"

	"zebu/proto"
	"zebu/quorum"
)

func TestCommitLog(t *testing.T) {
	c := NewCommitLog(0)
	if c.Min() != 0 || c.Max() != 0 || c.Len() != 0 {
		t.Error("an empty log has no ends")
	}
	z := func(n uint32) proto.Zxid { return proto.MakeZxid(1, n) }
	for n := uint32(1); n <= 2345; n++ {
		if err := c.Append(Txn{Zxid: z(n)}); err != nil {
			t.Fatal(err)
		}
		if want := min(int(n), DefaultCommitLogSize); c.Len() != want || c.Max() != z(n) || c.Min() != z(n)-proto.Zxid(want-1) {
			t.Fatalf("after %d: %d from %v to %v", n, c.Len(), c.Min(), c.Max())
		}
	}
	for _, next := range []proto.Zxid{z(2345), z(2347), z(1), proto.MakeZxid(2, 0)} {
		if err := c.Append(Txn{Zxid: next}); err == nil {
			t.Errorf("%v after %v", next, c.Max())
		}
	}
	for _, k := range []struct {
		after proto.Zxid
		want  int
	}{{z(2345), 0}, {z(2344), 1}, {z(1846), 499}, {z(1845), 500}, {z(3), 500}, {proto.MakeZxid(1, 0), 500}, {proto.MakeZxid(2, 0), 0}} {
		if got := c.after(k.after); len(got) != k.want {
			t.Errorf("%d after %v, want %d", len(got), k.after, k.want)
		}
	}
	c.truncate(z(2000))
	if c.Max() != z(2000) {
		t.Errorf("truncated to %v", c.Max())
	}
	if err := c.Append(Txn{Zxid: proto.MakeZxid(3, 1)}); err != nil {
		t.Error(err)
	}
	c.truncate(z(1)) // before everything that counts: nothing that was forgotten may come back
	if c.Len() != 0 && c.Max() > z(1) {
		t.Errorf("%d from %v to %v after z(1)", c.Len(), c.Min(), c.Max())
	}
	c.reset()
	if c.Len() != 0 || c.Append(Txn{Zxid: z(77)}) != nil {
		t.Error("an empty log begins anywhere")
	}
}

func TestFollows(t *testing.T) {
	for _, c := range []struct {
		last, next proto.Zxid
		want       bool
	}{
		{proto.MakeZxid(1, 1), proto.MakeZxid(1, 2), true},
		{proto.MakeZxid(1, 0), proto.MakeZxid(1, 1), true},
		{proto.MakeZxid(1, 1), proto.MakeZxid(1, 1), false},
		{proto.MakeZxid(1, 1), proto.MakeZxid(1, 3), false},
		{proto.MakeZxid(1, 7), proto.MakeZxid(3, 1), true},
		{proto.MakeZxid(1, 7), proto.MakeZxid(3, 0), false},
		{proto.MakeZxid(3, 7), proto.MakeZxid(1, 8), false},
		{proto.MakeZxid(1, math.MaxUint32), proto.MakeZxid(2, 0), false},
		{0, proto.MakeZxid(1, 1), true},
	} {
		if got := follows(c.last, c.next); got != c.want {
			t.Errorf("%v after %v: %t", c.next, c.last, got)
		}
	}
}

// TestSyncLimits drops observers beyond the limits; participants always may synchronise.
func TestSyncLimits(t *testing.T) {
	w := newWorld([]proto.ServerID{1, 2, 3}, []proto.ServerID{4, 5, 6})
	h := w.host(3)
	h.disk.log = []Txn{{Zxid: proto.MakeZxid(1, 1)}}
	w.boot(h)
	l := NewLeader(LeaderOptions{
		ID: 3, Last: last(h.memory), Log: h.log, Committed: w.config, Timing: w.timing, MaxSnapSyncs: 1, MaxDiffSyncs: 1,
	}, 0)
	join := func(id proto.ServerID, observer bool, z proto.Zxid) {
		info := proto.LearnerInfo{ServerID: id, ProtocolVersion: proto.QuorumProtocolVersion}
		p := proto.QuorumPacket{Type: proto.PacketFollowerInfo, Data: info.Append(nil)}
		if observer {
			p.Type = proto.PacketObserverInfo
		}
		l.LinkUp(id)
		l.Recv(id, p)
		l.Wrote(AcceptEpoch)
		l.Recv(id, proto.QuorumPacket{Type: proto.PacketAckEpoch, Zxid: z, Data: proto.AppendInt32(nil, 0)})
	}
	old, current := proto.Zxid(0), proto.MakeZxid(1, 1)
	join(2, false, old)
	join(1, false, old)
	join(4, true, current)
	join(5, true, old)
	join(6, true, current)
	var dropped []proto.ServerID
	for _, d := range l.Ready().Drop {
		if !errors.Is(d.Err, errTooManySyncs) {
			t.Errorf("%d: %v", d.ID, d.Err)
		}
		dropped = append(dropped, d.ID)
	}
	if !slices.Equal(dropped, []proto.ServerID{5, 6}) {
		t.Errorf("dropped %v", dropped)
	}
}

// TestProposeErrors refuses what would leave a hole.
func TestProposeErrors(t *testing.T) {
	w := newWorld([]proto.ServerID{1}, nil)
	h := w.host(1)
	w.lead(h)
	if err := h.leader.Propose(Proposal{Txn: Txn{Zxid: proto.MakeZxid(1, 1)}}); err == nil {
		t.Error("proposed before the epoch is established")
	}
	for len(h.writes) > 0 {
		w.persist(h, 1)
	}
	if err := w.propose(h, "a"); err != nil {
		t.Fatal(err)
	}
	for _, z := range []proto.Zxid{proto.MakeZxid(1, 1), proto.MakeZxid(1, 3), proto.MakeZxid(2, 1)} {
		if err := h.leader.Propose(Proposal{Txn: Txn{Zxid: z}}); err == nil {
			t.Errorf("proposed %v after %v", z, h.leader.lastProposed)
		}
	}
	w.persist(h, 1)
	if len(h.memory) != 1 || w.failure != "" {
		t.Errorf("%s %s", hist(h.memory), w.failure)
	}
}

// FuzzRecv feeds hostile packets to roles in every phase: they may end or drop the sender, nothing else.
func FuzzRecv(f *testing.F) {
	f.Add([]byte{11, 0, 18, 0, 3, 1, 5, 0})
	f.Add([]byte{17, 1, 13, 0, 2, 1, 4, 1, 10, 16, 12, 0})
	f.Add([]byte{17, 1, 15, 3, 2, 3, 4, 3, 2, 4, 9, 4, 10, 16, 8, 5, 19, 6, 12, 0, 5, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld([]proto.ServerID{1, 2, 3}, []proto.ServerID{4})
		w.fake[2], w.fake[3] = true, true
		leader, follower, observer := w.host(1), w.host(2), w.host(4)
		w.lead(leader)
		w.follow(follower, w.host(3))
		w.follow(observer, w.host(3))
		leader.leader.LinkUp(2)
		for ; len(b) > 1; b = b[2:] {
			p := proto.QuorumPacket{Type: proto.PacketType(b[0] & 31), Zxid: proto.Zxid(b[1]&15) | proto.Zxid(b[1]>>4)<<32}
			if b[0]&32 != 0 {
				p.Data = b
			}
			info := proto.LearnerInfo{ServerID: 2, ProtocolVersion: proto.QuorumProtocolVersion}
			if b[0]&64 != 0 {
				p.Data = info.Append(nil)
			}
			if leader.leader != nil {
				leader.leader.Recv(2, p)
				w.flush(leader)
			}
			for _, h := range []*host{follower, observer} {
				if h.learner != nil {
					h.learner.Recv(p)
					if p.Type == proto.PacketSnap && !h.ended {
						h.staged = []Txn{}
						h.learner.SnapshotLoaded()
					}
					w.flush(h)
				}
			}
			if b[0]&128 != 0 {
				for _, h := range w.hosts {
					w.persist(h, 2)
				}
			}
		}
	})
}

func TestWalk(t *testing.T) {
	z := proto.MakeZxid
	end := z(9, 9)
	for _, c := range []struct {
		last, prev, next proto.Zxid
		want             syncPlan
	}{
		{z(2, 3), z(2, 3), z(2, 4), syncPlan{proto.PacketDiff, end}},
		{z(2, 3), z(2, 3), 0, syncPlan{proto.PacketDiff, end}},
		{z(2, 0), z(1, 7), z(2, 1), syncPlan{proto.PacketDiff, end}},
		{z(2, 0), z(1, 7), z(3, 1), syncPlan{proto.PacketDiff, end}},
		{z(2, 3), z(1, 7), z(2, 5), syncPlan{proto.PacketTrunc, z(1, 7)}},
		{z(2, 3), z(2, 1), z(3, 1), snapshot},
		{z(2, 3), z(2, 1), 0, snapshot},
	} {
		if got := walk(c.last, c.prev, c.next, end); got != c.want {
			t.Errorf("%v between %v and %v: %+v, want %+v", c.last, c.prev, c.next, got, c.want)
		}
	}
}

// TestLogAnswer sends a snapshot unless the log on disk reaches from the learner's last transaction to the committed log.
func TestLogAnswer(t *testing.T) {
	z := func(n uint32) proto.Zxid { return proto.MakeZxid(1, n) }
	for _, c := range []struct {
		answer LogAnswer
		want   proto.PacketType
	}{
		{LogAnswer{}, proto.PacketSnap},
		{LogAnswer{Prev: z(2), Next: z(3), Through: z(8)}, proto.PacketDiff},
		{LogAnswer{Prev: z(2), Next: z(3), Through: z(7)}, proto.PacketSnap}, // a gap, or older than the committed log meanwhile
		{LogAnswer{Prev: z(2)}, proto.PacketSnap},
		{LogAnswer{Prev: z(1), Next: z(3), Through: z(8)}, proto.PacketTrunc},
	} {
		w := newWorld([]proto.ServerID{1, 2}, nil)
		w.fake[2] = true
		h := w.host(1)
		for n := uint32(1); n <= 10; n++ {
			h.disk.log = append(h.disk.log, Txn{Zxid: z(n)})
		}
		w.boot(h)
		l := NewLeader(LeaderOptions{
			ID: 1, AcceptedEpoch: 1, CurrentEpoch: 1, Last: z(10), Log: h.log, Committed: w.config, LogSync: true, Timing: w.timing,
		}, 0)
		info := proto.LearnerInfo{ServerID: 2, ProtocolVersion: proto.QuorumProtocolVersion}
		l.LinkUp(2)
		l.Recv(2, proto.QuorumPacket{Type: proto.PacketFollowerInfo, Data: info.Append(nil)})
		l.Wrote(AcceptEpoch)
		l.Recv(2, proto.QuorumPacket{Type: proto.PacketAckEpoch, Zxid: z(2), Data: proto.AppendInt32(nil, 1)})
		query := LogQuery{2, z(2), z(8)}
		if got := l.Ready().Queries; !slices.Equal(got, []LogQuery{query}) {
			t.Fatalf("asks %+v, want %+v", got, query)
		}
		l.LogAnswer(LogQuery{ID: 2, Last: z(1)}, c.answer) // of an older link
		if m := l.Ready().Messages; len(m) > 0 {
			t.Errorf("took another's answer: %+v", m)
		}
		l.LogAnswer(query, c.answer)
		if got := l.Ready().Messages[0].Packet.Type; got != c.want {
			t.Errorf("%+v: %v, want %v", c.answer, got, c.want)
		}
		l.LogAnswer(query, c.answer)
		if m := l.Ready().Messages; len(m) > 0 {
			t.Errorf("answered twice: %+v", m)
		}
	}
}

// TestLinkReplaced makes sure that nothing meant for a link reaches the next one to the same learner.
func TestLinkReplaced(t *testing.T) {
	w := newWorld([]proto.ServerID{1, 2}, nil)
	w.fake[2] = true
	l := NewLeader(LeaderOptions{ID: 1, Log: w.host(1).log, Committed: w.config, LogSync: true, Timing: w.timing}, 0)
	info := proto.LearnerInfo{ServerID: 2, ProtocolVersion: proto.QuorumProtocolVersion}
	hello := proto.QuorumPacket{Type: proto.PacketFollowerInfo, Data: info.Append(nil)}
	join := func(last proto.Zxid) {
		l.LinkUp(2)
		l.Recv(2, hello)
		l.Wrote(AcceptEpoch)
		l.Recv(2, proto.QuorumPacket{Type: proto.PacketAckEpoch, Zxid: last, Data: proto.AppendInt32(nil, -1)})
	}
	join(0)
	l.elected.Add(2)
	l.elect()
	join(proto.MakeZxid(7, 0)) // by a snapshot
	if r := l.Ready(); len(r.Deliver) != 1 || r.Deliver[0].Kind != View {
		t.Fatalf("%+v", r)
	}
	join(proto.MakeZxid(7, 0))
	l.phase, l.peer(2).synced = broadcasting, true
	l.Recv(2, proto.QuorumPacket{Type: proto.PacketRequest}) // its answer would be taken for that of another request
	l.Recv(2, hello)                                         // out of turn: dropped
	l.LinkUp(2)
	if r := l.Ready(); len(r.Messages)+len(r.Deliver)+len(r.Drop)+len(r.Queries) > 0 {
		t.Errorf("for the new link: %+v", r)
	}
}

// TestObserverCache keeps the newest transactions within a number of bytes.
func TestObserverCache(t *testing.T) {
	z := func(n uint32) proto.Zxid { return proto.MakeZxid(1, n) }
	from := NewCommitLog(0)
	for n := uint32(1); n <= 10; n++ {
		if err := from.Append(Txn{z(n), make([]byte, 100-txnOverhead)}); err != nil {
			t.Fatal(err)
		}
	}
	c := newCache(500, from, z(9))
	if c.Min() != z(5) || c.Max() != z(9) {
		t.Errorf("from %v to %v", c.Min(), c.Max())
	}
	for i, k := range []struct {
		size int
		min  proto.Zxid
	}{{100, z(6)}, {400, z(10)}, {500, z(12)}, {501, 0}, {100, z(14)}} {
		if err := c.Append(Txn{z(10 + uint32(i)), make([]byte, k.size-txnOverhead)}); err != nil {
			t.Fatal(err)
		}
		if c.Min() != k.min {
			t.Errorf("after %d bytes: from %v, want %v", k.size, c.Min(), k.min)
		}
	}
}

// TestSnapshotsOnly sends a snapshot to a learner that lacks nothing.
func TestSnapshotsOnly(t *testing.T) {
	o := origin{log: NewCommitLog(0), applied: 7, snap: true}
	if plan, _, ask := o.plan(7); plan != snapshot || ask != 0 {
		t.Errorf("%v, ask %v", plan, ask)
	}
}

// TestVoterChangesItsMind has a leader give up sooner than after initLimit.
func TestVoterChangesItsMind(t *testing.T) {
	w := newWorld([]proto.ServerID{1, 2, 3}, []proto.ServerID{4})
	for _, c := range []struct {
		wait proto.Millis
		at   proto.Millis
		who  proto.ServerID
		ends bool
	}{{0, 5000, 2, false}, {1000, 1000, 2, false}, {1000, 1001, 4, false}, {1000, 1001, 2, true}} {
		l := NewLeader(LeaderOptions{ID: 3, Log: NewCommitLog(0), Committed: w.config, Timing: w.timing, EpochWait: c.wait}, 0)
		l.Tick(c.at)
		l.Looking(c.who)
		if ended := l.Ready().Ended != nil; ended != c.ends {
			t.Errorf("%+v: %t", c, ended)
		}
	}
}

// The only voter stays the leader when its address changes: there is nobody to take over.
func TestOnlyVoterMoves(t *testing.T) {
	config := func(version proto.Zxid, host string) *quorum.Config {
		return &quorum.Config{Version: version, Members: []quorum.Member{
			{ID: 1, Addrs: []quorum.PeerAddr{{Host: host, Quorum: 2, Election: 3}}},
		}}
	}
	l := NewLeader(LeaderOptions{
		ID: 1, Log: NewCommitLog(0), Committed: config(1, "a"), Reconfig: true, Timing: Timing{Tick: 100, InitLimit: 5, SyncLimit: 5},
	}, 0)
	l.Wrote(AcceptEpoch)
	l.Wrote(EnterEpoch)
	l.Ready()
	z := l.NextZxid()
	for i, c := range []*quorum.Config{config(z, "b"), nil} {
		if err := l.Propose(Proposal{Txn: Txn{Zxid: z + proto.Zxid(i)}, Config: c}); err != nil {
			t.Fatal(err)
		}
		l.Synced(z + proto.Zxid(i))
		r := l.Ready()
		if len(r.Deliver) != 1 || c != nil && r.Deliver[0].Leader != 1 {
			t.Errorf("transaction %d: %+v is delivered", i, r.Deliver)
		}
	}
}
