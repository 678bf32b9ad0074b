package sim

import (
	"slices"
	"testing"

	"zebu/proto"
	"zebu/session"
)

func password(id proto.SessionID) []byte {
	p := session.Password(id)
	return p[:]
}

// script is an ensemble in which nothing happens but what a test says, as far as that can be.
type script struct {
	*World
	t    testing.TB
	last Tail
}

// play starts an ensemble whose clients are connected and ask for nothing.
func play(t testing.TB, seed uint64, change func(o *Options)) *script {
	t.Helper()
	o := DefaultOptions()
	o.Clients, o.SnapshotEvery = 1, 1_000_000
	if change != nil {
		change(&o)
	}
	s := &script{World: NewWorld(seed, o), t: t}
	s.last.Size = *lastFlag
	s.trace = s.last.Add
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, line := range s.last.Lines() {
			t.Log(line)
		}
	})
	for _, c := range s.clients {
		c.idle = true
	}
	s.Start()
	s.await("service", s.served)
	return s
}

func (s *script) served() bool {
	for _, h := range s.hosts {
		if h.up && !h.paused && !h.m.Serving() {
			return false
		}
	}
	return s.ready()
}

func (s *script) ready() bool {
	for _, c := range s.clients {
		if !c.ready || len(c.under) > 0 {
			return false
		}
	}
	return true
}

func (s *script) await(what string, cond func() bool) {
	s.t.Helper()
	if !s.Await(s.bound(), cond) {
		s.t.Fatalf("%s: in vain: %v\n%s", what, s.Err(), s.describe())
	}
}

// theLeader is the server that serves as the leader.
func (s *script) theLeader() *Host {
	s.t.Helper()
	for _, h := range s.hosts {
		if h.up && h.m.Serving() && h.m.State() == proto.Leading {
			return h
		}
	}
	s.t.Fatal("there is no leader")
	return nil
}

// others are the servers but one, in order.
func (s *script) others(h *Host) (all []*Host) {
	for _, o := range s.hosts {
		if o != h {
			all = append(all, o)
		}
	}
	return all
}

// move makes a client go to a server.
func (s *script) move(c *client, h *Host) {
	s.t.Helper()
	c.home = h.index
	defer func() { c.home = -1 }()
	if c.e != nil {
		c.lost("is sent elsewhere")
	}
	s.await("the client's move", func() bool {
		if c.ready && c.e.peer.node != h.node {
			c.lost("is sent elsewhere")
		}
		return c.ready
	})
}

// begin gives a client a new session, at a server.
func (s *script) begin(c *client, h *Host) {
	s.t.Helper()
	c.home = h.index
	defer func() { c.home = -1 }()
	if c.e != nil {
		c.lost("begins anew")
	}
	c.over()
	s.await("a session", func() bool {
		if c.e != nil && c.e.peer.node != h.node {
			c.lost("is sent elsewhere")
			c.over()
		}
		return c.ready
	})
}

// breakLink has a learner lose its link to the leader, once what happens now has happened.
func (s *script) breakLink(h *Host) {
	s.after(0, func() {
		h.upward.e.close(true)
		h.upward.gone()
	})
}

// awaitAnotherLeader waits until another server serves as the leader.
func (s *script) awaitAnotherLeader(old *Host) {
	s.t.Helper()
	s.await("another leader", func() bool {
		return slices.ContainsFunc(s.others(old), func(h *Host) bool { return h.m.Serving() && h.m.State() == proto.Leading })
	})
}

// write makes or changes a node, and awaits the answers.
func (s *script) write(c *client, key int) {
	s.t.Helper()
	c.create(key, proto.Persistent)
	c.set(key, -1)
	s.await("a write", s.ready)
}

// sync reads behind a sync, on the connection that there is.
func (s *script) sync(c *client) {
	s.t.Helper()
	e := c.e
	c.sync(0)
	s.await("a sync", s.ready)
	if c.e != e {
		s.t.Fatal("a sync was not answered")
	}
}

// finish heals everything, and demands service and agreement.
func (s *script) finish() {
	s.t.Helper()
	for _, c := range s.clients {
		c.idle = false
		c.work()
	}
	s.settle(false)
	if s.Err() != nil {
		s.t.Fatal(s.Err())
	}
}

// A sync in an epoch in which nothing has been proposed yet has nothing to wait for.
func syncInAnEpochWithoutTransactions(t testing.TB) {
	for _, quorumSync := range []bool{false, true} {
		s := play(t, 1, func(o *Options) { o.QuorumSync = quorumSync })
		c := s.clients[0]
		s.write(c, 0)
		for range 3 { // from the leader and from a follower
			s.theLeader().Crash(false)
			s.await("another leader", s.served)
			s.hosts[2].boot()
			s.await("service", s.served)
			s.move(c, s.theLeader())
			s.sync(c)
			s.move(c, s.others(s.theLeader())[0])
			s.sync(c)
			for _, h := range s.hosts {
				h.boot()
			}
			s.await("service", s.served)
		}
		s.finish()
	}
}

// Many clients of one server watch many nodes, each in several ways, take some of their watches back, and are told of all the rest, once.
func manyWatches(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.Keys, o.Clients, o.SessionTimeout = 600, 12, 60_000 })
	h := s.others(s.theLeader())[0]
	for _, c := range s.clients {
		s.move(c, h)
	}
	for range 3 {
		for i, c := range s.clients {
			for k := range s.o.Keys {
				c.exists(k, true)
				if (i+k)%5 == 0 {
					c.followKey(k)
				}
			}
		}
		s.await("watches", s.ready)
		for i, c := range s.clients {
			for k := range s.o.Keys {
				c.unwatch(proto.OpCheckWatches, k, proto.WatcherData)
				if (i+k)%3 == 0 {
					c.unwatch(proto.OpRemoveWatches, k, proto.WatcherAny)
				}
			}
		}
		s.await("answers", s.ready)
		c := s.clients[0]
		for k := range s.o.Keys {
			c.create(k, proto.Persistent)
			c.remove(k)
		}
		s.await("changes", s.ready)
		s.RunUntil(s.now + Second)
		for _, c := range s.clients {
			for k := range s.o.Keys {
				if c.watches[k].set {
					t.Fatalf("client %d was not told of %s", c.index, s.path(k))
				}
				if c.follows[k].armed {
					c.unwatch(proto.OpRemoveWatches, k, proto.WatcherPersistent)
				}
			}
		}
		s.await("the last answers", s.ready)
	}
	s.finish()
}
