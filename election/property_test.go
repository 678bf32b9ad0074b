package election

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"zebu/proto"
	"zebu/quorum"
)

var (
	firstSeed = flag.Uint64("seed", 1, "first seed of the random tests")
	seeds     = flag.Uint64("seeds", 150, "number of seeds of the random tests")
)

// forSeeds runs a test for every seed, each of which tells how to run it again.
func forSeeds(t *testing.T, test func(t *testing.T, seed uint64)) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { test(t, seed) })
		if !ok {
			t.Fatalf("again: go test ./election -run '^%s$' -seed %d -seeds 1", t.Name(), seed)
		}
	}
}

// randomEnsemble makes a configuration of 1 to 7 voters, with groups and weights at times, and up to 2 observers.
func randomEnsemble(t *testing.T, r *rand.Rand) *quorum.Config {
	var voters, observers []proto.ServerID
	n := 1 + r.IntN(7)
	for id := range n {
		voters = append(voters, proto.ServerID(id+1))
	}
	for id := range r.IntN(3) {
		observers = append(observers, proto.ServerID(n+id+1))
	}
	more := ""
	if r.IntN(3) == 0 && n >= 3 {
		more = "group.1=1:2:3\n"
		for id := 4; id <= n; id++ {
			more += fmt.Sprintf("group.%d=%d\n", id, id)
		}
		more += fmt.Sprintf("weight.1=%d\nweight.2=%d\n", 1+r.IntN(3), r.IntN(3))
	}
	return members(t, voters, observers, more)
}

// best returns the best candidate among hosts.
func best(c *quorum.Config, hosts []*host) Vote {
	rule := c.Verifier()
	b := Vote{Leader: proto.NoServer, Zxid: -1 << 63, Epoch: -1 << 63}
	for _, h := range hosts {
		v := Vote{Leader: h.id, Zxid: h.zxid, Epoch: h.epoch}
		if rule.Voters().Has(h.id) && rule.Weight(h.id) > 0 && b.before(v) {
			b = v
		}
	}
	return b
}

// TestBestCandidateLeads starts servers at about the same time, with messages that arrive soon: everybody ends up with
// the best of all candidates, and nobody gives it two thoughts.
func TestBestCandidateLeads(t *testing.T) {
	forSeeds(t, func(t *testing.T, seed uint64) {
		r := seeded(seed)
		c := randomEnsemble(t, r)
		n := newNetwork(t)
		n.latency = func() proto.Millis { return proto.Millis(r.IntN(15)) }
		decided := map[proto.ServerID]int{}
		n.onDecision = func(h *host, d Decision) { decided[h.id]++ }
		order := r.Perm(len(c.Members))
		for _, i := range order {
			h := n.host(c.Members[i].ID)
			h.epoch = proto.Epoch(r.IntN(3))
			h.zxid = proto.MakeZxid(h.epoch, uint32(r.IntN(3)))
			h.size = []int{0, 0, 28, 40}[r.IntN(4)]
			n.boot(h, Options{Committed: c})
			for end := n.now + proto.Millis(r.IntN(10)); n.step(end); {
			}
		}
		for end := n.now + 2000; n.step(end); {
		}
		want := best(c, n.hosts)
		for _, h := range n.hosts {
			if h.e.State() == proto.Looking || h.e.Vote().Leader != want.Leader || (h.e.State() == proto.Leading) != (h.id == want.Leader) {
				t.Errorf("%d is %v %v, want %v\n%v", h.id, h.e.State(), h.e.Vote(), want, c)
			}
			if decided[h.id] != 1 {
				t.Errorf("%d decided %d times", h.id, decided[h.id])
			}
		}
	})
}

// TestBackersHaveNothingBetter lets messages take longer than servers wait, and get lost. Servers may decide on different
// leaders then, but no leader is behind any of those who made it one, and there are never quorums for two in a round.
func TestBackersHaveNothingBetter(t *testing.T) {
	forSeeds(t, func(t *testing.T, seed uint64) {
		r := seeded(seed)
		c := randomEnsemble(t, r)
		rule := c.Verifier()
		n := newNetwork(t)
		n.latency = func() proto.Millis { return proto.Millis(r.IntN(400)) }
		n.lost = func(*host, *host) bool { return r.IntN(4) == 0 }
		type term struct {
			round  proto.Round
			leader proto.ServerID
		}
		deciders := map[term]*quorum.Set{}
		last := map[proto.ServerID]proto.Round{}
		n.onDecision = func(h *host, d Decision) {
			for _, b := range h.e.received {
				backer := n.host(b.from)
				init := Vote{Leader: backer.id, Zxid: backer.zxid, Epoch: backer.epoch}
				if b.Vote == d.Vote && b.state == proto.Looking && rule.Weight(backer.id) > 0 && d.Vote.before(init) {
					t.Errorf("%d decided on %v, which %d backs with %v", h.id, d.Vote, b.from, init)
				}
			}
			if d.Vote.Round <= last[h.id] {
				return // joined an older ensemble in between, and went on from its round: it decides in this one again
			}
			last[h.id] = d.Vote.Round
			k := term{d.Vote.Round, d.Vote.Leader}
			if deciders[k] == nil {
				deciders[k] = &quorum.Set{}
			}
			deciders[k].Add(h.id)
			for other, s := range deciders {
				if other.round == k.round && other != k && rule.HasQuorum(*s) && rule.HasQuorum(*deciders[k]) {
					t.Errorf("round %d: %v for %d and %v for %d", k.round, s, other.leader, deciders[k], k.leader)
				}
			}
		}
		for _, m := range c.Members {
			h := n.host(m.ID)
			h.epoch = proto.Epoch(r.IntN(3))
			h.zxid = proto.MakeZxid(h.epoch, uint32(r.IntN(3)))
			n.boot(h, Options{Committed: c})
		}
		// Nothing follows an election here: servers just return to the next one after a while.
		for range 20 {
			for end := n.now + 1000; n.step(end); {
			}
			if h := n.hosts[r.IntN(len(n.hosts))]; h.e.State() != proto.Looking {
				n.look(h)
			}
		}
	})
}
