package election

import (
	"math/rand/v2"
	"testing"

	"zebu/proto"
	"zebu/quorum"
)

// chaos runs an ensemble under faults, with just enough of ZAB to give elections their consequences: a leader that a
// quorum follows enters a new epoch with those that follow it; one that none follows, and a follower without its
// leader, go back to an election after a second.
type chaos struct {
	*network
	r      *rand.Rand
	config *quorum.Config
	rule   quorum.Verifier
	alone  map[proto.ServerID]proto.Millis // since when a role has not worked
	leads  map[proto.ServerID]proto.Epoch  // leaders with a quorum, and their epochs
	last   proto.Epoch
}

const (
	beat     proto.Millis = 100
	patience proto.Millis = 1000
)

// follows says whether f is in touch with the leader l.
func (c *chaos) follows(f, l *host) bool {
	return f.e != nil && l.e != nil && f.e.State() != proto.Looking && l.e.State() == proto.Leading && f.e.Vote().Leader == l.id &&
		!c.cut[[2]proto.ServerID{f.id, l.id}] && !c.cut[[2]proto.ServerID{l.id, f.id}]
}

// beatAll does what servers in their roles do in 100 ms.
func (c *chaos) beatAll() {
	for _, h := range c.hosts {
		if h.e == nil || h.e.State() == proto.Looking {
			delete(c.alone, h.id)
			delete(c.leads, h.id)
			continue
		}
		works := false
		if h.e.State() == proto.Leading {
			works = c.lead(h)
		} else {
			works = c.follows(h, c.host(h.e.Vote().Leader))
		}
		if works {
			delete(c.alone, h.id)
		} else if since, ok := c.alone[h.id]; !ok {
			c.alone[h.id] = c.now
		} else if c.now-since >= patience {
			delete(c.alone, h.id)
			delete(c.leads, h.id)
			c.look(h)
		}
	}
}

// lead lets a leader work, if a quorum follows it.
func (c *chaos) lead(l *host) bool {
	var acks quorum.Set
	for _, f := range c.hosts {
		if f == l || c.follows(f, l) {
			acks.Add(f.id)
		}
	}
	if !c.rule.HasQuorum(acks) {
		delete(c.leads, l.id)
		return false
	}
	if c.leads[l.id] == 0 {
		c.last++
		c.leads[l.id] = c.last
		l.epoch, l.zxid = c.last, proto.MakeZxid(c.last, 0)
	}
	l.zxid += proto.Zxid(c.r.IntN(2))
	for _, id := range acks.IDs() {
		f := c.host(id)
		f.zxid, f.epoch = l.zxid, c.leads[l.id]
		f.e.Synced(f.epoch)
	}
	return true
}

// fault does something bad, or good.
func (c *chaos) fault() {
	h := c.hosts[c.r.IntN(len(c.hosts))]
	o := c.hosts[c.r.IntN(len(c.hosts))]
	switch c.r.IntN(11) {
	case 0, 1:
		c.kill(h, c.r.IntN(2) == 0)
	case 2, 3:
		if h.e == nil {
			c.boot(h, Options{Committed: c.config})
		}
	case 4:
		c.cut[[2]proto.ServerID{h.id, o.id}] = h != o
	case 5:
		var groups [2][]proto.ServerID
		for _, x := range c.hosts {
			i := c.r.IntN(2)
			groups[i] = append(groups[i], x.id)
		}
		c.separate(groups[:]...)
	case 6, 7:
		c.heal()
	case 8:
		if h.e != nil && h.e.State() != proto.Looking {
			c.look(h)
		}
	case 9:
		rate := c.r.IntN(3) * 15
		c.lost = func(*host, *host) bool { return c.r.IntN(100) < rate }
	case 10:
		c.handOver(h, o)
	}
}

// handOver has a leader make room for another server, of which not all are told.
func (c *chaos) handOver(l, heir *host) {
	for _, h := range c.hosts {
		if l.e == nil || l.e.State() != proto.Leading || h != l && !c.follows(h, l) {
			continue
		}
		if c.r.IntN(4) != 0 {
			h.e.Favour(Vote{Leader: heir.id, Zxid: heir.zxid, Epoch: heir.epoch}, c.now+proto.Millis(c.r.IntN(1000)))
		}
		if h != l {
			c.look(h)
		}
	}
	if l.e != nil && l.e.State() == proto.Leading {
		c.look(l)
	}
}

func (c *chaos) pass(d proto.Millis) {
	for end := c.now + d; c.now < end; {
		for stop := c.now + beat; c.step(stop); {
		}
		c.beatAll()
	}
}

// settled says whether everybody follows one leader.
func (c *chaos) settled() bool {
	var leader *host
	for _, h := range c.hosts {
		if h.e != nil && h.e.State() == proto.Leading {
			if leader != nil {
				return false
			}
			leader = h
		}
	}
	if leader == nil {
		return false
	}
	for _, h := range c.hosts {
		if h.e != nil && h != leader && !c.follows(h, leader) {
			return false
		}
	}
	return true
}

// repair ends all faults. Any number of servers stays down for good, as long as the others are a quorum.
func (c *chaos) repair() {
	c.lost = func(*host, *host) bool { return false }
	c.heal()
	var up quorum.Set
	for _, h := range c.hosts {
		up.Add(h.id)
	}
	for _, i := range c.r.Perm(len(c.hosts)) {
		h := c.hosts[i]
		up.Remove(h.id)
		if c.r.IntN(3) == 0 && c.rule.HasQuorum(up) && c.electable(up) {
			c.kill(h, c.r.IntN(2) == 0)
			continue
		}
		up.Add(h.id)
		if h.e == nil {
			c.boot(h, Options{Committed: c.config})
		}
	}
}

// electable says whether there is anybody with weight.
func (c *chaos) electable(up quorum.Set) bool {
	for _, id := range up.IDs() {
		if c.rule.Voters().Has(id) && c.rule.Weight(id) > 0 {
			return true
		}
	}
	return false
}

// TestHeals lets everything go wrong for a minute, then nothing any more: those that are up are a quorum and can talk.
// Within the time it takes for the slowest notification to be repeated, one leader is elected, everybody follows it,
// and that stays so. Nor do servers keep the network busy.
func TestHeals(t *testing.T) {
	forSeeds(t, func(t *testing.T, seed uint64) {
		r := seeded(seed)
		c := &chaos{network: newNetwork(t), r: r, config: randomEnsemble(t, r), alone: map[proto.ServerID]proto.Millis{}, leads: map[proto.ServerID]proto.Epoch{}}
		c.rule = c.config.Verifier()
		c.latency = func() proto.Millis { return proto.Millis(r.IntN(20)) }
		for _, m := range c.config.Members {
			c.boot(c.host(m.ID), Options{Committed: c.config})
		}
		for range 60 {
			c.fault()
			c.pass(proto.Millis(100 * r.IntN(20)))
		}
		c.repair()
		healed := c.now
		for !c.settled() {
			c.pass(beat)
			if c.now-healed > DefaultMaxNotification+10*patience {
				for _, h := range c.hosts {
					if h.e != nil {
						t.Logf("%d is %v in round %d: %v, knows %v", h.id, h.e.State(), h.e.Round(), h.e.Vote(), h.e.received)
					}
				}
				t.Fatalf("no leader %d ms after the last fault\n%v", c.now-healed, c.config)
			}
		}
		took := c.now - healed
		before := c.sent
		for range 100 {
			c.pass(beat)
			if !c.settled() {
				t.Fatalf("not stable, %d ms after the last fault", c.now-healed)
			}
		}
		if c.sent > before+2*len(c.hosts)*len(c.hosts) {
			t.Errorf("%d messages after the election", c.sent-before)
		}
		if limit := 400 * len(c.hosts) * len(c.hosts); before > limit {
			t.Errorf("%d messages in all, expected no more than %d", before, limit)
		}
		t.Logf("%d servers: settled after %d ms, %d messages in %d ms", len(c.hosts), took, c.sent, c.now)
	})
}
