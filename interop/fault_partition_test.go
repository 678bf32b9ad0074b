package interop

import (
	"math/rand/v2"
	"testing"
)

// A partition is a set of directions that are cut, relative to the leader.
type partition struct {
	name     string
	deposes  bool // the leader cannot go on
	cut      func(n brokenNet, leader *faultMember, others []*faultMember)
	minority func(leader *faultMember, others []*faultMember) []*faultMember // that cannot serve
}

func both(n brokenNet, a, b *faultMember) {
	n.cut(a.id, b.id)
	n.cut(b.id, a.id)
}

func onlyLeader(leader *faultMember, _ []*faultMember) []*faultMember { return []*faultMember{leader} }

func firstOther(_ *faultMember, others []*faultMember) []*faultMember { return others[:1] }

var partitions = []partition{
	{
		name: "the leader alone", deposes: true, minority: onlyLeader,
		cut: func(n brokenNet, leader *faultMember, others []*faultMember) {
			for _, o := range others {
				both(n, leader, o)
			}
		},
	}, {
		name: "the leader is not heard", deposes: true, minority: onlyLeader,
		cut: func(n brokenNet, leader *faultMember, others []*faultMember) {
			for _, o := range others {
				n.cut(leader.id, o.id)
			}
		},
	}, {
		name: "the leader hears nobody", deposes: true, minority: onlyLeader,
		cut: func(n brokenNet, leader *faultMember, others []*faultMember) {
			for _, o := range others {
				n.cut(o.id, leader.id)
			}
		},
	}, {
		name: "a follower alone", minority: firstOther,
		cut: func(n brokenNet, leader *faultMember, others []*faultMember) {
			for _, o := range append(others[1:len(others):len(others)], leader) {
				both(n, others[0], o)
			}
		},
	}, {
		name: "a follower and the leader apart, and joined through the rest", minority: firstOther,
		cut: func(n brokenNet, leader *faultMember, others []*faultMember) { both(n, leader, others[0]) },
	}, {
		name: "a follower hears nobody", minority: firstOther,
		cut: func(n brokenNet, leader *faultMember, others []*faultMember) {
			for _, o := range append(others[1:len(others):len(others)], leader) {
				n.cut(o.id, others[0].id)
			}
		},
	},
}

// TestFaultPartition cuts an ensemble of three apart under load, in one direction and in both, and heals it. The
// majority goes on, who is cut off serves nobody, and who comes back has what the majority did.
func TestFaultPartition(t *testing.T) {
	if n := newLabNet(t, 3); n != nil {
		partitionTest(t, n)
	}
}

func partitionTest(t *testing.T, n brokenNet) {
	c := newFaultCluster(t, 3, n)
	l := startFaultLoad(t, c.addrs())
	for range faultRounds(1) {
		for _, p := range partitions {
			l.progress(200)
			leader := c.leader()
			others := c.others(leader)
			t.Logf("%s: member %d leads", p.name, leader.id)
			p.cut(n, leader, others)
			minority := p.minority(leader, others)
			for _, m := range minority {
				poll(t, recoveryLimit, "end of service of who is cut off", func() bool { return m.mode() == "" })
			}
			heir := c.leader(c.others(minority...)...)
			if !p.deposes && heir != leader {
				t.Errorf("%s: member %d has taken over from %d, which had its quorum", p.name, heir.id, leader.id)
			}
			l.progress(200)
			n.heal()
			c.awaitServing(c.members...)
		}
	}
	l.progress(200)
	l.verify(c)
}

// TestFaultPartitionRandom cuts one or two of five members off from the others at random, again and again, and heals them. They
// are cut off from all: where some of the others still hear a member that has logged more than they have, its candidacy spreads, and
// those who cannot reach it elect it again and again until the links heal, as with ZooKeeper.
func TestFaultPartitionRandom(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode")
	}
	n := newLabNet(t, 5)
	if n == nil {
		return
	}
	c := newFaultCluster(t, 5, n)
	l := startFaultLoad(t, c.addrs())
	for range faultRounds(4) {
		l.progress(200)
		off := 1 + rand.IntN(3) // the first, the second or both of the last two
		for i, m := range c.members[3:] {
			if off&(1<<i) == 0 {
				continue
			}
			for _, o := range c.members {
				if o != m && (!containsMember(c.members[3:], o) || rand.IntN(2) == 0 || off != 3) {
					n.cut(m.id, o.id)
					n.cut(o.id, m.id)
				}
			}
		}
		l.progress(200) // three are always connected
		n.heal()
		c.awaitServing(c.members...)
	}
	l.progress(200)
	l.verify(c)
}
