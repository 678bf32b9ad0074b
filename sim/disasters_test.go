package sim

import (
	"fmt"
	"testing"

	"zebu/internal/mutant"
	"zebu/proto"
	"zebu/storage"
)

// The tests in this file are disasters that ZooKeeper had, by the number of its issue, as far as they show from outside a
// server. What they must not lead to the checkers know; most of them only have to bring it about.

// patient keeps sessions alive through an election.
func patient(o *Options) { o.SessionTimeout = 30_000 }

// lag makes a follower miss a few transactions, after some that it has in its log: it is down.
func lag(s *script) *Host {
	h := s.others(s.theLeader())[0]
	s.move(s.clients[0], s.theLeader())
	s.write(s.clients[0], 0)
	s.await("its log", func() bool { return h.logged == h.rep.Applied() && h.logged == s.theLeader().rep.Applied() })
	h.Crash(false)
	for range 3 {
		s.write(s.clients[0], 0)
	}
	return h
}

// fallBehind makes a follower miss what the others do not remember one by one either.
func fallBehind(s *script) *Host {
	s.t.Helper()
	h := lag(s)
	for _, o := range s.others(h) {
		if _, err := o.store.WriteSnapshot(o.rep.Image()); err != nil {
			s.t.Fatal(err)
		}
		o.store.Log().Roll()
	}
	for _, o := range s.others(h) {
		o.Crash(false)
		o.boot()
	}
	s.await("service", s.served)
	return h
}

// fallBehindAndRise makes everybody crash besides, so that the one who fell behind is needed for the next epoch: of the others only
// one comes back, the leader to be.
func fallBehindAndRise(s *script) *Host {
	h := fallBehind(s)
	others := s.others(h)
	for _, o := range others {
		o.Crash(true)
	}
	others[1].boot()
	return h
}

// forget makes a follower lose its disk.
func forget(s *script) *Host {
	h := lag(s)
	h.LoseDisk()
	return h
}

// overreach makes a leader log what nobody else has, and go down. The others go on without it, and have not proposed anything.
func overreach(s *script) *Host {
	s.t.Helper()
	h, c := s.theLeader(), s.clients[0]
	s.move(c, h)
	s.write(c, 0)
	s.Isolate(h, true, true)
	at := h.rep.Applied()
	for range 3 {
		c.set(0, -1)
	}
	s.await("what nobody else has", func() bool { return h.store.Log().Last() >= at+3 })
	h.Crash(true)
	s.HealAll()
	s.await("another leader", s.served)
	return h
}

// rise makes everybody crash, so that a leader must be found anew, which will be the one of greatest id.
func rise(s *script) *Host {
	s.write(s.clients[0], 0)
	for _, h := range s.hosts {
		h.Crash(true)
	}
	for _, h := range s.hosts[:2] {
		h.boot()
	}
	return s.hosts[2]
}

// crashAtEveryChange switches a server off at each change of its disk in turn, from its start until it serves (ZOOKEEPER-3911,
// 4646, 4643, 4785, 5094, 3642, 1154, 2307); and again with the leader crashing at the same moment,
// and with logs in a directory of their own and snapshots that are compressed.
func crashAtEveryChange(prepare func(*script) *Host) func(testing.TB) {
	return func(t testing.TB) {
		for round := range 5 {
			points := 0
			for crashed := true; crashed; points++ {
				if crashed = crashAt(t, prepare, points, round); t.Failed() {
					t.Fatalf("after %d changes, round %d", points, round)
				}
			}
			if points < 5 {
				t.Errorf("there were only %d changes", points)
			}
			t.Logf("%d changes", points)
		}
	}
}

// crashAt switches a server off after a number of changes, and reports whether it came so far.
func crashAt(t testing.TB, prepare func(*script) *Host, changes, round int) bool {
	both := round == 1
	s := play(t, uint64(1000*round+changes+1), func(o *Options) {
		o.LogSync, o.SessionTimeout, o.OwnLogDir = false, 30_000, round > 1
		o.Compression = []string{"", "", "", storage.CompressGzip, storage.CompressSnappy}[round]
	})
	h := prepare(s)
	h.disk.CrashAfter(changes)
	h.boot()
	life := h.life
	if h.up {
		s.await("service or a crash", func() bool { return h.life != life || h.m.Serving() })
	}
	crashed := h.life != life || !h.up
	if crashed && both {
		for _, o := range s.hosts {
			if o.up && o.role == proto.Leading {
				o.Crash(true)
			} else {
				o.boot()
			}
		}
		h.boot()
		if !h.lost { // else it does not vote
			s.await("service without the leader", s.served)
		}
	}
	s.finish()
	return crashed
}

// ZOOKEEPER-2832: a leader's transactions that nobody else has are cut off when it comes back.
func uncommittedTailIsCutOff(t testing.TB) {
	s := play(t, 1, patient)
	h := overreach(s)
	h.boot()
	s.await("service", s.served)
	if s.check.counts["truncations"] != 1 {
		t.Error("nothing was cut off")
	}
	s.finish()
}

// ZOOKEEPER-4837: the newest snapshot holds what is to be cut off, as Apache's servers write them when they start.
func truncationBelowTheSnapshot(t testing.TB) {
	s := play(t, 1, patient)
	h := overreach(s)
	s.Isolate(h, true, true)
	h.boot()
	if _, err := h.store.WriteSnapshot(h.rep.Image()); err != nil {
		t.Fatal(err)
	}
	h.Crash(true)
	s.HealAll()
	h.boot()
	s.await("service", s.served)
	if s.check.counts["truncations"] == 0 {
		t.Error("nothing was to be cut off")
	}
	s.finish()
}

// The same where nothing older is left: the server cannot be cut back, and asks for a snapshot.
func nothingIsLeftToCutBackTo(t testing.TB) {
	s := play(t, 1, patient)
	h := overreach(s)
	s.Isolate(h, true, true)
	h.boot()
	if _, err := h.store.WriteSnapshot(h.rep.Image()); err != nil {
		t.Fatal(err)
	}
	snapshots := h.files("snapshot.")
	h.Crash(true)
	for _, name := range append(snapshots[:len(snapshots)-1], h.files("log.")...) {
		if err := h.disk.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s.HealAll()
	h.boot()
	s.await("service", s.served)
	if s.check.counts["impossible truncations"] == 0 || s.check.counts["snapshots installed"] == 0 {
		t.Error("it was cut back")
	}
	s.finish()
}

// ZOOKEEPER-3642, 2872: the leader dies when its snapshot has come in and NEWLEADER has not.
func leaderLostAfterSnap(t testing.TB) {
	s := play(t, 1, patient)
	h := forget(s)
	leader := s.theLeader()
	s.hooks.packet = func(to *Host, p *proto.QuorumPacket) {
		if to == h && p.Type == proto.PacketNewLeader && leader.up {
			leader.Crash(true)
		}
	}
	h.boot()
	s.await("the leader's end", func() bool { return !leader.up })
	leader.boot()
	s.await("service", s.served)
	for range 2 {
		h.Crash(true)
		h.boot()
		s.await("service", s.served)
	}
	s.finish()
}

// ZOOKEEPER-3911: what one server has logged becomes the history of the next epoch, as soon as another one has acknowledged it. The power
// fails everywhere in that moment, and the first server does not come back at once.
func powerFailsAfterTheAcknowledgement(t testing.TB) {
	for seed := range uint64(20) {
		s := play(t, seed, patient)
		first, c := s.theLeader(), s.clients[0]
		second, third := s.others(first)[0], s.others(first)[1]
		s.move(c, first)
		s.write(c, 0)
		s.Isolate(first, true, true)
		at := first.rep.Applied()
		for range 3 {
			c.set(0, -1)
		}
		s.await("what nobody else has", func() bool { return first.store.Log().Last() >= at+3 })
		for _, h := range s.hosts {
			h.Crash(true)
		}
		s.HealAll()
		done := false
		s.hooks.sending = func(from *Host, p *proto.QuorumPacket) {
			if p.Type == proto.PacketAck && from == second && !done {
				done = true
				s.after(2*s.o.Latency+Time(s.intn(int(3*Millisecond))), func() {
					first.Crash(true)
					second.Crash(true)
				})
			}
		}
		first.boot()
		second.boot()
		s.await("an acknowledgement", func() bool { return done })
		s.RunUntil(s.now + 10*Millisecond)
		second.boot()
		third.boot()
		s.await("service", s.served)
		first.boot()
		s.finish()
	}
}

// A leader that has stood still does not know that others have taken over: what it answers must not be what it remembers (etcd
// 20418, and etcd's and Consul's stale reads).
func pausedLeaderServesNothingStale(t testing.TB) {
	for _, stop := range []func(*Host){(*Host).Pause, (*Host).Suspend} {
		for seed := range uint64(40) {
			pausedLeader(t, seed, stop)
		}
	}
}

func pausedLeader(t testing.TB, seed uint64, stop func(*Host)) {
	s := play(t, seed, func(o *Options) { o.Clients, o.SessionTimeout = 2, 30_000 })
	old := s.theLeader()
	a, b := s.clients[0], s.clients[1]
	s.write(a, 0)
	s.move(a, old)
	s.move(b, s.others(old)[0])
	stop(old)
	a.sync(0) // arrives, and is not read yet
	s.awaitAnotherLeader(old)
	s.await("the client", func() bool { return b.ready })
	b.set(0, -1)
	s.await("a write", func() bool { return b.ready && len(b.under) == 0 })
	if a.e != nil {
		a.sync(0)
	}
	s.RunUntil(s.now + 50*Millisecond)
	old.Resume()
	s.finish()
}

// A leader that has stood still knows no session that was opened under its successor, and must not call it expired: its client would give up
// what is its own still. The client has seen no zxid yet that would tell.
func deposedLeaderExpiresNobody(t testing.TB) {
	for seed := range uint64(10) {
		s := play(t, seed, func(o *Options) { o.SessionTimeout = 30_000 })
		old, c := s.theLeader(), s.clients[0]
		old.Pause()
		s.awaitAnotherLeader(old)
		s.begin(c, s.others(old)[0])
		c.home = old.index
		c.lost("is sent elsewhere")
		s.await("a connection", func() bool {
			if c.ready {
				c.lost("is sent elsewhere")
			}
			return c.e != nil && c.e.peer.node == old.node
		})
		s.RunUntil(s.now + 50*Millisecond)
		old.Resume()
		s.finish()
	}
}

// ZOOKEEPER-5094: the link is lost in the midst of a synchronisation. What a server votes with must be on its disk.
func linkLostDuringDiff(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.LogSync, o.SessionTimeout = false, 30_000 })
	h := lag(s)
	lost := false
	s.hooks.packet = func(to *Host, p *proto.QuorumPacket) {
		if to == h && p.Type == proto.PacketCommit && !lost {
			lost = true
			s.breakLink(h)
		}
	}
	h.boot()
	s.await("service", func() bool { return lost && s.served() })
	s.finish()
}

// ZOOKEEPER-3471: a session of a follower that may be a local one has ended, and the follower has yet to hear of it. It makes nothing that would
// outlive it.
func endedSessionMakesNothing(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.LocalSessions, o.SyncLimit, o.SessionTimeout = true, 1000, 30_000 })
	c, leader := s.clients[0], s.theLeader()
	h := s.others(leader)[0]
	own := s.o.Keys
	s.move(c, h)
	c.create(own, proto.Ephemeral) // makes the session one of the ensemble
	s.await("the node", s.ready)
	s.slow[leader.node][h.node] = 1000
	c.send(request{op: proto.OpCloseSession}, nil)
	s.await("the end", func() bool { return leader.rep.Tree().Lookup(s.path(own)) == nil })
	c.create(own, proto.Ephemeral)
	s.RunUntil(s.now + 5*Second)
	s.finish()
}

// One of two servers goes on alone by the oracle's word. It does not any more when the other one is back.
func oraclesWordEnds(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.Voters, o.Oracle, o.SessionTimeout = 2, true, 30_000 })
	c, alone := s.clients[0], s.theLeader()
	other := s.others(alone)[0]
	other.Crash(true)
	s.await("the oracle's word", func() bool { return s.solo == alone.id && alone.m.Serving() })
	s.move(c, alone)
	s.write(c, 0)
	other.boot()
	s.await("the other server", func() bool { return s.solo == 0 })
	s.slow[alone.node][other.node] = 300
	c.set(0, -1)
	s.await("an answer", s.ready)
	s.finish()
}

// A client has seen what a server has yet to hear of, and needs no word of the leader to be served there.
func serverIsBehindItsClient(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.LocalSessions, o.SyncLimit, o.SessionTimeout = true, 1000, 30_000 })
	c, leader := s.clients[0], s.theLeader()
	behind := s.others(leader)[0]
	s.move(c, leader)
	s.slow[leader.node][behind.node] = 3000
	s.write(c, 0)
	seen := c.last
	c.lost("moves")
	c.over()
	c.last = seen
	s.move(c, behind)
	c.get(0, false, false)
	s.await("an answer", s.ready)
	s.finish()
}

// ClickHouse 116690: a session that nobody knows has expired; a new one in its place would hide that.
func unknownSessionHasExpired(t testing.TB) {
	s := play(t, 1, nil)
	for _, h := range s.hosts {
		c := s.clients[0]
		c.lost("forgets")
		before := c.expired
		c.session ^= 1 << 20
		c.passwd = password(c.session)
		s.await("an answer", func() bool { return c.expired == before+1 })
		s.move(c, h)
	}
	s.finish()
}

// ZOOKEEPER-4537: one client with one request at a time is enough to keep everything moving.
func oneClient(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.Voters, o.Latency = 2, 100*Microsecond })
	c := s.clients[0]
	for _, h := range s.hosts {
		s.move(c, h)
		s.write(c, 0)
		for range 300 {
			from := s.now
			c.set(0, -1)
			s.await("an answer", s.ready)
			if took := s.now - from; took > 200*Millisecond {
				t.Fatalf("a write took %v", took)
			}
		}
	}
	s.finish()
}

// ZOOKEEPER-2355, 5010: ephemerals end with their session on every server, whatever happens to leaders meanwhile.
func ephemeralsEndWithTheirSession(t testing.TB) {
	for seed := range uint64(30) {
		s := play(t, seed, func(o *Options) { o.Clients = 2 })
		a, b := s.clients[0], s.clients[1]
		s.await("the clients", s.ready)
		own := s.o.Keys + a.index
		a.create(own, proto.Ephemeral)
		s.await("the node", func() bool { return a.ready && len(a.under) == 0 })
		id := a.session
		a.stopped = true
		a.lost("is gone for good")
		// The leader goes at about the time when the session does.
		s.RunUntil(s.now + Time(s.o.SessionTimeout)*Millisecond - 200*Millisecond + Time(s.intn(int(600*Millisecond))))
		s.theLeader().Crash(s.chance(2))
		s.RunUntil(s.now + 20*Millisecond)
		for _, h := range s.hosts {
			h.boot()
		}
		s.await("the end of the session", func() bool {
			for _, h := range s.hosts {
				if !h.up || !h.m.Serving() || h.rep.Tree().Lookup(s.path(own)) != nil {
					return false
				}
				if _, alive := h.rep.Sessions().Timeout(id); alive {
					return false
				}
			}
			return true
		})
		_ = b
		a.stopped = false
		a.over()
		a.connect()
		s.finish()
	}
}

// A reconfiguration is committed after a learner has been sent NEWLEADER with the configuration before, and before it is up to
// date: that one must not come into force again.
func reconfigurationDuringSynchronisation(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.Voters, o.Reconfigure, o.SessionTimeout = 4, Second, 30_000 })
	leader, c := s.theLeader(), s.clients[0]
	s.move(c, leader)
	h := s.others(leader)[0]
	h.Crash(false)
	asked := false
	s.hooks.packet = func(to *Host, p *proto.QuorumPacket) {
		if to == h && p.Type == proto.PacketNewLeader && !asked {
			asked = true
			s.slow[h.node][leader.node] = 200
			leave := proto.ReconfigRequest{CurConfigID: -1, LeavingServers: fmt.Append(nil, s.others(leader)[1].id)}
			c.send(request{op: proto.OpReconfig}, leave.Append(nil))
		}
	}
	h.boot()
	s.await("the reconfiguration", func() bool { return s.check.counts["reconfig OK"] > 0 })
	s.slow[h.node][leader.node] = 0
	s.await("service", func() bool { return h.m.Serving() })
	if got, want := h.m.Config().Version, leader.m.Config().Version; got != want {
		t.Errorf("configuration %s, the leader has %s", zx(got), zx(want))
	}
	s.finish()
}

// A follower that has lost its leader for a moment comes back in the midst of writes, and was made an observer: its role ends with UPTODATE,
// with what was committed just before, and what was not.
func demotedWhileAway(t testing.TB) {
	for seed := range uint64(20) {
		s := play(t, seed, func(o *Options) {
			o.Voters, o.Reconfigure, o.SessionTimeout, o.Pipeline, o.Turn = 4, Second, 30_000, 100, 2*Millisecond
		})
		leader, c := s.theLeader(), s.clients[0]
		s.write(c, 0)
		s.move(c, leader)
		h := s.others(leader)[0]
		asked := false
		s.hooks.packet = func(to *Host, p *proto.QuorumPacket) {
			if to == h && p.Type == proto.PacketProposal && !asked {
				asked = true
				s.breakLink(h)
			}
		}
		demote := proto.ReconfigRequest{CurConfigID: -1, JoiningServers: fmt.Appendf(nil, "server.%d=h%d:2888:3888:observer;2181", h.id, h.id)}
		c.send(request{op: proto.OpReconfig}, demote.Append(nil))
		s.await("service", func() bool {
			if c.ready && len(c.under) < 20 {
				c.set(0, -1)
			}
			return h.m.Serving() && h.m.State() == proto.Observing
		})
		s.finish()
	}
}

// A reconfiguration that makes the leader an observer is on all disks and not committed when everything crashes. Whoever leads then commits
// it with the history, and may be the one that must not lead any more; its followers do not know.
func demotedLeaderMakesWay(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.Reconfigure, o.SessionTimeout = Second, 30_000 })
	leader, c := s.theLeader(), s.clients[0]
	s.move(c, leader)
	crashed := false
	s.hooks.sending = func(_ *Host, p *proto.QuorumPacket) {
		if p.Type == proto.PacketCommitAndActivate && !crashed {
			crashed = true
			for _, h := range s.hosts {
				h.Crash(false)
			}
		}
	}
	demote := proto.ReconfigRequest{CurConfigID: -1, JoiningServers: fmt.Appendf(nil, "server.%d=h%d:2888:3888:observer;2181", leader.id, leader.id)}
	c.send(request{op: proto.OpReconfig}, demote.Append(nil))
	s.await("the reconfiguration", func() bool { return crashed })
	for _, h := range s.hosts {
		h.boot()
	}
	s.finish()
}

// ZOOKEEPER-2325, 3056: a server that has lost its disk does not know what it has acknowledged. Without another that does, there must be
// no leader.
func lostDiskHasNoVoice(t testing.TB) {
	s := play(t, 1, patient)
	c, leader := s.clients[0], s.theLeader()
	behind, forgetful := s.others(leader)[0], s.others(leader)[1]
	s.move(c, leader)
	behind.Crash(true)
	s.write(c, 0) // on the other two
	leader.Crash(true)
	forgetful.Crash(true)
	forgetful.LoseDisk()
	forgetful.boot()
	behind.boot()
	s.RunUntil(s.now + 30*Second)
	if s.Err() != nil || behind.m.Serving() || forgetful.m.Serving() {
		t.Fatalf("%v: %s", s.Err(), s.describe())
	}
	leader.boot()
	s.await("service", s.served)
	s.finish()
}

// ZOOKEEPER-2355: a sync is asked over a link that is lost before the answer, and the answer must not be taken for that to a sync over the
// next link, which has seen more.
func lostSyncIsForgotten(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.Clients, o.LocalSessions, o.SyncLimit, o.SessionTimeout = 2, true, 1000, 30_000 })
	leader := s.theLeader()
	h, third := s.others(leader)[0], s.others(leader)[1]
	a, b := s.clients[0], s.clients[1]
	s.write(a, 0)
	s.move(a, leader)
	s.move(b, h)
	s.slow[third.node][leader.node] = 2000 // nothing is committed soon without h
	asked, slowed := false, false
	s.hooks.packet = func(to *Host, p *proto.QuorumPacket) {
		if to == leader && p.Type == proto.PacketRequest && !asked {
			asked = true
			s.Cut(h.node, leader.node)
			s.after(20*Millisecond, func() {
				l := leader.links[h.index]
				l.e.close(true)
				l.gone()
				s.Heal(h.node, leader.node)
			})
		}
	}
	s.hooks.sending = func(from *Host, p *proto.QuorumPacket) {
		if asked && !slowed && from == leader && p.Type == proto.PacketCommit {
			slowed = true // what comes now takes its time
			s.slow[leader.node][h.node] = 20_000
		}
	}
	b.sync(0)
	s.await("service over another link", func() bool { return slowed && h.m.Serving() })
	s.slow[third.node][leader.node] = 0
	s.begin(b, h) // a session that needs no answer of the leader
	s.write(a, 0)
	b.sync(0)
	s.await("an answer", func() bool { return len(b.under) == 0 })
	s.finish()
}

// A server has accepted epochs that came to nothing: it had no time to tell anybody. The others begin one before those, and must make way
// for that server, because it would never follow them.
func epochsThatCameToNothing(t testing.TB) {
	s := play(t, 1, patient)
	s.write(s.clients[0], 0)
	last := s.hosts[2] // whose vote wins
	for _, h := range s.hosts {
		h.Crash(false)
	}
	s.hosts[0].boot()
	for range 2 {
		s.hooks.sending = func(from *Host, p *proto.QuorumPacket) {
			if from == last && p.Type == proto.PacketLeaderInfo {
				last.Crash(true)
			}
		}
		last.boot()
		s.await("an epoch that comes to nothing", func() bool { return !last.up })
	}
	s.hooks.sending = nil
	s.hosts[1].boot()
	s.await("service", s.served)
	last.boot()
	s.await("service from all", s.served)
	s.finish()
}

// An observer comes to a master that knows less than it does itself. What it has was committed, and stays.
func observerIsAheadOfItsMaster(t testing.TB) {
	s := play(t, 1, func(o *Options) {
		o.Observers, o.ObserverMasters, o.SyncLimit, o.SessionTimeout = 1, true, 1000, 30_000
	})
	leader, observer, c := s.theLeader(), s.hosts[3], s.clients[0]
	slow := s.others(leader)[0]
	s.move(c, leader)
	for observer.upward == nil || slow.links[observer.index] != nil {
		s.moveObservers()
		s.await("another master", func() bool { return observer.upward != nil && observer.m.Serving() })
	}
	s.Cut(leader.node, slow.node)
	s.write(c, 0)
	s.await("an observer that is ahead", func() bool {
		return observer.rep.Applied() > slow.rep.Applied() && observer.logged == observer.rep.Applied()
	})
	last := observer.logged
	for slow.links[observer.index] == nil {
		s.moveObservers()
		s.await("a master", func() bool {
			return observer.upward != nil && (slow.links[observer.index] != nil || observer.m.Serving())
		})
	}
	s.RunUntil(s.now + Second)
	s.HealAll()
	s.await("service", s.served)
	if observer.logged < last {
		t.Errorf("the observer had %s and has %s", zx(last), zx(observer.logged))
	}
	s.finish()
}

// A session moves from a server whose words reach the leader late: what it wrote there is not carried out any more (ZOOKEEPER-417).
func movedSessionWritesNothing(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.SyncLimit, o.SessionTimeout = 1000, 30_000 })
	c, leader := s.clients[0], s.theLeader()
	slow, next := s.others(leader)[0], s.others(leader)[1]
	s.write(c, 0)
	s.move(c, slow)
	s.slow[slow.node][leader.node] = 2000
	c.set(0, -1)
	s.RunUntil(s.now + 10*s.o.Latency)
	s.move(c, next)
	s.write(c, 0)
	s.RunUntil(s.now + 10*Second)
	s.finish()
}

// The same from an observer to the follower that it learns from, and back: to the leader, both are one.
func movedSessionWritesNothingThroughItsMaster(t testing.TB) {
	for seed := range uint64(2) {
		s := play(t, 1, func(o *Options) {
			o.Observers, o.ObserverMasters, o.SyncLimit, o.SessionTimeout = 1, true, 1000, 30_000
		})
		observer, c := s.hosts[3], s.clients[0]
		master := s.others(s.theLeader())[0]
		for master.links[observer.index] == nil || !observer.m.Serving() {
			s.moveObservers()
			s.await("a master", func() bool { return observer.upward != nil && observer.m.Serving() })
		}
		from, to := observer, master
		if seed == 1 {
			from, to = master, observer
		}
		s.move(c, from)
		s.write(c, 0)
		if seed == 0 {
			s.Cut(observer.node, master.node)
		} else {
			s.slow[c.node][master.node] = 1000
		}
		c.set(0, -1)
		s.RunUntil(s.now + 5*s.o.Latency)
		s.move(c, to)
		s.write(c, 0)
		s.HealAll()
		s.RunUntil(s.now + 5*Second)
		s.finish()
	}
}

// A server asks late for a session that it has been left by meanwhile, and gets it. Where the session is, its next request ends the
// connection, a multi too.
func multiOfAMovedSession(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.SyncLimit, o.SessionTimeout = 1000, 30_000 })
	c, leader := s.clients[0], s.theLeader()
	slow, next := s.others(leader)[0], s.others(leader)[1]
	s.move(c, leader)
	s.write(c, 0)
	s.slow[slow.node][leader.node] = 2000
	c.home = slow.index
	c.lost("moves")
	s.await("an attempt", func() bool { return c.e != nil && c.e.peer.node == slow.node })
	s.RunUntil(s.now + 10*s.o.Latency)
	s.move(c, next)
	s.write(c, 0)
	s.RunUntil(s.now + 5*Second)
	c.multi(0, 0)
	s.await("the end of the connection", func() bool { return c.e == nil })
	s.finish()
}

// disasters are what is told above, with the bugs that each must see when they are put back.
var disasters = []struct {
	id   string // of ZooKeeper's issues, or of others'
	play func(testing.TB)
	bugs []mutant.Bug
}{
	{"a crash at every change: diff (ZOOKEEPER-3911, 4643, 4646, 4785)", crashAtEveryChange(lag), []mutant.Bug{mutant.LogNotSynced, mutant.CommittedLeftOut}},
	{"a crash at every change: snapshot (ZOOKEEPER-3642, 5094)", crashAtEveryChange(fallBehind), []mutant.Bug{mutant.SnapshotNotSynced, mutant.SnapshotDirNotSynced}},
	{"a crash at every change: snapshot in a new epoch (ZOOKEEPER-2872)", crashAtEveryChange(fallBehindAndRise), []mutant.Bug{mutant.SnapshotNotSynced, mutant.AckBeforeHistory}},
	{"a crash at every change: snapshot to an empty disk", crashAtEveryChange(forget), []mutant.Bug{mutant.SnapshotNotSynced}},
	{"a crash at every change: truncation (ZOOKEEPER-1154, 1156, 1489)", crashAtEveryChange(overreach), []mutant.Bug{mutant.TruncNotDone}},
	{"a crash at every change: leader (ZOOKEEPER-2307)", crashAtEveryChange(rise), []mutant.Bug{mutant.EpochNotSynced, mutant.AcceptedEpochNotWritten}},
	{"ZOOKEEPER-2832", uncommittedTailIsCutOff, []mutant.Bug{mutant.TruncIgnored, mutant.TruncNotDone}},
	{"ZOOKEEPER-4837", truncationBelowTheSnapshot, []mutant.Bug{mutant.SnapshotBeyondCut}},
	{"nothing to cut back to", nothingIsLeftToCutBackTo, nil},
	{"ZOOKEEPER-3642", leaderLostAfterSnap, []mutant.Bug{mutant.SnapshotNotInstalled}},
	{"ZOOKEEPER-3911", powerFailsAfterTheAcknowledgement, []mutant.Bug{mutant.AckBeforeHistory}},
	{"etcd 20418", pausedLeaderServesNothingStale, []mutant.Bug{mutant.SyncWithoutQuorum}},
	{"a leader with one of four followers", twoOfFiveReadNothing, []mutant.Bug{mutant.AnyoneConfirms}},
	{"a deposed leader", deposedLeaderExpiresNobody, []mutant.Bug{mutant.DeposedLeaderExpires}},
	{"ZOOKEEPER-5094", linkLostDuringDiff, []mutant.Bug{mutant.MemoryAheadOfLog}},
	{"ZOOKEEPER-3471", endedSessionMakesNothing, []mutant.Bug{mutant.LocalMakesEphemeral}},
	{"the oracle's word", oraclesWordEnds, []mutant.Bug{mutant.OracleWordKept}},
	{"a server behind its client", serverIsBehindItsClient, []mutant.Bug{mutant.StaleServerServes}},
	{"ClickHouse 116690", unknownSessionHasExpired, []mutant.Bug{mutant.UnknownSessionResumes}},
	{"ZOOKEEPER-4537", oneClient, []mutant.Bug{mutant.CommitMissesOwnSync}},
	{"ZOOKEEPER-2355, 5010", ephemeralsEndWithTheirSession, []mutant.Bug{mutant.EphemeralsForgotten, mutant.EphemeralsLeft, mutant.SessionsStay}},
	{"a reconfiguration during a synchronisation", reconfigurationDuringSynchronisation, []mutant.Bug{mutant.ConfigGoesBack}},
	{"a follower that is an observer", demotedWhileAway, nil},
	{"a leader that is to be an observer", demotedLeaderMakesWay, nil},
	{"ZOOKEEPER-2325, 3056", lostDiskHasNoVoice, []mutant.Bug{mutant.LostDiskVotes}},
	{"ZOOKEEPER-2355: a lost sync", lostSyncIsForgotten, []mutant.Bug{mutant.LostSyncAnswered}},
	{"epochs that came to nothing", epochsThatCameToNothing, []mutant.Bug{mutant.LaterEpochOverlooked}},
	{"an observer ahead of its master", observerIsAheadOfItsMaster, []mutant.Bug{mutant.MasterCutsObserver}},
	{"ZOOKEEPER-417", movedSessionWritesNothing, []mutant.Bug{mutant.MovedSessionWrites}},
	{"ZOOKEEPER-417: an observer", movedSessionWritesNothingThroughItsMaster, nil},
	{"a multi of a moved session", multiOfAMovedSession, []mutant.Bug{mutant.MovedMultiAnswered}},
	{"an error at every operation: truncation (ZOOKEEPER-3701)", errorAtEveryOperation(overreach), []mutant.Bug{mutant.TruncErrorIgnored}},
	{"an error at every operation: snapshot", errorAtEveryOperation(fallBehind), nil},
	{"ZOOKEEPER-3231", purgedLogsAreNotNeeded, []mutant.Bug{mutant.PurgeTakesTooMuch}},
	{"a damaged snapshot", newestSnapshotIsDamaged, []mutant.Bug{mutant.CorruptSnapshotLoaded}},
	{"ZOOKEEPER-3642: a damaged snapshot of the leader", replacedHistoryStaysAway, []mutant.Bug{mutant.OldHistoryKept}},
	{"many watches", manyWatches, []mutant.Bug{mutant.WatchFiresAgain}},
	{"a sync in an epoch without transactions", syncInAnEpochWithoutTransactions, nil},
}

// TestDisasters plays all of them.
func TestDisasters(t *testing.T) {
	for _, d := range disasters {
		t.Run(d.id, func(t *testing.T) { d.play(t) })
	}
}
