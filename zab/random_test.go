package zab

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"zebu/proto"
)

var (
	seeds = flag.Int("zab.seeds", 2000, "number of random runs")
	seed  = flag.Int64("zab.seed", -1, "one random run, with its trace")
)

// TestRandom drives ensembles through faults, then heals them and waits until all servers are equal. A failure names its
// seed: go test ./zab -run TestRandom -zab.seed N
func TestRandom(t *testing.T) {
	if *seed >= 0 {
		var trace strings.Builder
		failure := randomRun(uint64(*seed), bugs{}, &trace)
		t.Log("\n" + trace.String())
		if failure != "" {
			t.Error(failure)
		}
		return
	}
	runs := *seeds
	if testing.Short() {
		runs /= 10
	}
	for s := range runs {
		if failure := randomRun(uint64(s), bugs{}, nil); failure != "" {
			t.Fatalf("seed %d: %s", s, failure)
		}
	}
}

// TestRandomFindsBugs puts known mistakes into the world around the cores: a check that does not notice is no check.
func TestRandomFindsBugs(t *testing.T) {
	for name, b := range map[string]bugs{
		"writes reported before they are durable":  {unsynced: true},
		"memory without the log's tail":            {staleMemory: true},
		"writes of an old role":                    {lateWrites: true},
		"snapshot installed before NEWLEADER":      {earlySnap: true},
		"truncation that does nothing":             {keepTail: true},
		"truncation of too much":                   {cutTooMuch: true},
		"accepted epoch not written":               {forgetEpoch: true},
		"current epoch not written":                {forgetEnter: true},
		"NEWLEADER before the end of the history":  {swapCommits: true},
		"transaction left out of a link's packets": {skipProposal: true},
	} {
		t.Run(name, func(t *testing.T) {
			for s := range 5 * *seeds {
				if failure := randomRun(uint64(s), b, nil); failure != "" {
					t.Logf("seed %d: %s", s, failure)
					return
				}
			}
			t.Error("not noticed")
		})
	}
}

type chaos struct {
	*world
	*rand.Rand
	proposed int
}

func randomRun(seed uint64, b bugs, trace *strings.Builder) string {
	r := rand.New(rand.NewPCG(seed, 7))
	voters, observers := []proto.ServerID{1, 2, 3}, []proto.ServerID{}
	if r.IntN(3) == 0 {
		voters = append(voters, 4, 5)
	}
	if r.IntN(2) == 0 {
		observers = append(observers, 8, 9)
	}
	c := &chaos{world: newWorld(voters, observers), Rand: r}
	c.size = 1 + r.IntN(4)
	c.bugs = b
	if lazy := r.IntN(4); lazy > 0 {
		c.lazy = func() bool { return c.IntN(4) < lazy }
	}
	if trace != nil {
		c.trace = func(format string, args ...any) { fmt.Fprintf(trace, format+"\n", args...) }
	}
	for step := 0; step < 400 && c.failure == ""; step++ {
		c.step()
	}
	if c.failure == "" {
		c.converge()
	}
	return c.failure
}

func (c *chaos) any() *host { return c.hosts[c.IntN(len(c.hosts))] }

// step does one thing at random.
func (c *chaos) step() {
	h := c.any()
	c.handle(h)
	h = c.any()
	switch n := c.IntN(100); {
	case n < 50:
		if len(c.links) > 0 {
			l := c.links[c.IntN(len(c.links))]
			down := c.IntN(2) == 0
			for range 1 + c.IntN(4) {
				if slices.Contains(c.links, l) {
					c.carry(l, down)
				}
			}
		}
	case n < 72:
		c.persist(h, 1+c.IntN(3))
	case n < 84:
		c.proposeSomewhere()
	case n < 94:
		c.join(h)
	case n < 95:
		c.trace("--- time")
		c.pass(c.timing.Tick / 2 * proto.Millis(1+c.IntN(4)))
	case n < 96:
		if h.learner != nil && h.serving && !h.observer && h.master == nil {
			c.trace("--- %d serves observers", h.id)
			c.serveObservers(h)
		}
	case n < 97:
		if len(c.links) > 0 {
			l := c.links[c.IntN(len(c.links))]
			c.trace("--- cut %d>%d", l.leader.id, l.learner.id)
			c.close(l)
		}
	case n < 98 && c.IntN(3) == 0:
		if h.leader != nil && h.serving {
			to := c.any()
			c.trace("--- %d hands over to %d: %v", h.id, to.id, h.leader.HandOver(to.id))
		}
	case n < 99:
		if h.up {
			c.trace("--- crash %d", h.id)
			c.crash(h)
		} else {
			c.start(h)
		}
	default:
		c.snapshot(h)
	}
}

func (c *chaos) start(h *host) {
	c.boot(h)
	c.trace("--- start %d: accepted %d, current %d, %s", h.id, h.disk.accepted, h.disk.current, hist(h.memory))
}

func (c *chaos) proposeSomewhere() {
	for _, h := range c.hosts {
		if h.leader != nil && h.serving {
			c.proposed++
			if c.handle(h); !h.serving {
				continue
			}
			c.trace("--- %d proposes %d", h.id, c.proposed)
			if err := c.propose(h, fmt.Sprint(c.proposed)); err != nil {
				c.fail("%v", err)
			}
		}
	}
}

// join lets a server that is looking follow a leader or lead: often the best one, as elections do, and sometimes any.
func (c *chaos) join(h *host) {
	if !h.up {
		c.start(h)
	}
	if !h.looking() {
		return
	}
	var leaders []*host
	best := h
	for _, o := range c.hosts {
		if o.leader != nil && !o.ended || h.observer && o.master != nil {
			leaders = append(leaders, o)
		}
		if o.looking() && !o.observer && (best.observer || better(o, best)) {
			best = o
		}
	}
	switch {
	case len(leaders) > 0 && c.IntN(20) > 0:
		leader := leaders[c.IntN(len(leaders))]
		c.trace("--- %d follows %d", h.id, leader.id)
		c.follow(h, leader)
	case !h.observer && (best == h || c.IntN(4) == 0):
		c.trace("--- %d leads", h.id)
		c.lead(h)
	}
}

func better(a, b *host) bool {
	if a.disk.current != b.disk.current {
		return a.disk.current > b.disk.current
	}
	if x, y := a.disk.last(), b.disk.last(); x != y {
		return x > y
	}
	return a.id > b.id
}

// converge heals everything and expects all servers to serve the same state.
func (c *chaos) converge() {
	c.trace("--- heal")
	c.lazy = nil
	for _, h := range c.hosts {
		c.handle(h)
	}
	for _, h := range c.hosts {
		if !h.up {
			c.start(h)
		}
	}
	for round := 0; round < 200 && c.failure == ""; round++ {
		c.settle()
		if c.equal() {
			return
		}
		c.elect()
		if round%20 == 19 {
			c.pass(c.timing.Tick / 2)
		}
	}
	if c.failure == "" {
		var b strings.Builder
		for _, h := range c.hosts {
			fmt.Fprintf(&b, "\nserver %d: leader %t, learner %t, serving %t, %s", h.id, h.leader != nil, h.learner != nil, h.serving, hist(h.memory))
		}
		c.fail("no agreement after healing:%s", b.String())
	}
}

// elect ends all epochs that get nowhere and has everybody follow the best server.
func (c *chaos) elect() {
	var leader, best *host
	for _, h := range c.hosts {
		if h.leader != nil && h.serving {
			leader = h
		}
		if !h.observer && (best == nil || better(h, best)) {
			best = h
		}
	}
	// As with Apache ZooKeeper, who has accepted a newer epoch than the one that is led stays out until the next one.
	stuck := leader != nil && slices.ContainsFunc(c.hosts, func(h *host) bool { return h.disk.accepted > leader.leader.Epoch() })
	if leader == nil || stuck {
		for _, h := range c.hosts {
			c.crash(h)
			c.start(h)
		}
		c.lead(best)
		leader = best
	}
	for _, h := range c.hosts {
		if h != leader && h.leader != nil && !h.serving {
			c.crash(h)
			c.start(h)
		}
		if h != leader && h.looking() {
			c.follow(h, leader)
		}
	}
}

// settle carries everything until nothing is under way.
func (c *chaos) settle() {
	for moved := true; moved && c.failure == ""; {
		moved = false
		for _, h := range c.hosts {
			if len(h.writes) > 0 {
				c.persist(h, len(h.writes))
				moved = true
			}
		}
		for _, l := range slices.Clone(c.links) {
			for slices.Contains(c.links, l) && len(l.upward)+len(l.down) > 0 {
				c.carry(l, len(l.down) > 0)
				moved = true
			}
		}
	}
}

func (c *chaos) equal() bool {
	for _, h := range c.hosts {
		if !h.serving || !slices.EqualFunc(h.memory, c.committed, sameTxn) ||
			!slices.EqualFunc(h.disk.history(), c.committed, sameTxn) {
			return false
		}
	}
	return true
}
