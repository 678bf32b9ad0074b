package lab

import (
	"slices"
	"testing"
)

// seedsOf runs a scenario with some seeds and hands each run to a check.
func seedsOf(t *testing.T, scenario string, protocols []string, seeds uint64, check func(t *testing.T, r *Run)) {
	t.Helper()
	for _, p := range protocols {
		for seed := uint64(1); seed <= seeds; seed++ {
			check(t, execute(t, scenario, p, seed, true))
		}
	}
}

var (
	onlyZAB  = []string{ZAB}
	rafts    = []string{Raft, RaftPreVote}
	everyone = []string{ZAB, Raft, RaftPreVote}
)

func between[T int | int64 | float64 | Micros](t *testing.T, r *Run, what string, v, low, high T) {
	t.Helper()
	if v < low || v > high {
		t.Errorf("%s, %s, seed %d: %s is %v, expected %v to %v", r.Scenario, r.Protocol, r.Seed, what, v, low, high)
	}
}

// TestCosts: in ZAB a write is PROPOSAL, ACK and COMMIT for each follower; in etcd's Raft it is an append and its answer, twice,
// since the second one tells the followers of the commit. Both take a round trip, and a sync on every server.
func TestCosts(t *testing.T) {
	seedsOf(t, "steady", everyone, 3, func(t *testing.T, r *Run) {
		low := 12.0
		if r.Protocol != ZAB {
			low = 16
		}
		between(t, r, "messages a commit", r.Measures.MessagesPerCommit, low, low+2.5)
		between(t, r, "syncs a commit", r.Measures.FsyncsPerCommit, 4.8, 5.2)
		between(t, r, "round trips", r.Measures.RoundTrips, 0.85, 1.15)
		between(t, r, "elections", r.Measures.Elections, 0, 0)
	})
}

func TestSharedSyncs(t *testing.T) {
	seedsOf(t, "saturated", everyone, 1, func(t *testing.T, r *Run) {
		between(t, r, "syncs a commit", r.Measures.FsyncsPerCommit, 0.05, 1)
		between(t, r, "writes a second", r.Measures.Throughput, 5000, 50000)
	})
}

// TestOneByOne: the third server makes a quorum, has the greatest number, and stays the leader when the fourth and fifth come.
func TestOneByOne(t *testing.T) {
	seedsOf(t, "one-by-one", onlyZAB, 5, func(t *testing.T, r *Run) {
		var leaders []int
		for _, e := range r.Events {
			if e.Kind == Serve && e.Name == "leads" {
				leaders = append(leaders, e.Server)
			}
		}
		if !slices.Equal(leaders, []int{3}) {
			t.Errorf("seed %d: leaders %v", r.Seed, leaders)
		}
	})
	seedsOf(t, "one-by-one", rafts, 5, func(t *testing.T, r *Run) { between(t, r, "leaders", r.Measures.Leaders, 1, 1) })
}

// TestWhoNotices: ZAB's servers see a killed leader's connections close; nobody sees a machine without power.
func TestWhoNotices(t *testing.T) {
	seedsOf(t, "leader-crash", onlyZAB, 5, func(t *testing.T, r *Run) {
		between(t, r, "time to a leader", r.Measures.TimeToLeader, 5*Millisecond, 60*Millisecond)
	})
	seedsOf(t, "leader-crash", rafts, 5, func(t *testing.T, r *Run) {
		between(t, r, "time to a leader", r.Measures.TimeToLeader, 800*Millisecond, 4*Second)
	})
	seedsOf(t, "leader-power", everyone, 5, func(t *testing.T, r *Run) {
		between(t, r, "time to a leader", r.Measures.TimeToLeader, 800*Millisecond, 4*Second)
		between(t, r, "elections", r.Measures.Elections, 1, 3)
	})
}

// burstFates counts what became of the writes of the burst, which are not tried again.
func burstFates(r *Run) map[Fate]int {
	fates := map[Fate]int{}
	for _, c := range r.Commands {
		if c.Client == 1 {
			fates[c.Fate]++
		}
	}
	return fates
}

// TestInFlight: what a follower has is kept by ZAB's election, which looks for the longest history, and by Raft's if that follower wins or
// votes; what nobody else has is cut.
func TestInFlight(t *testing.T) {
	seedsOf(t, "in-flight-one", onlyZAB, 10, func(t *testing.T, r *Run) {
		if f := burstFates(r); f[Committed] != 3 {
			t.Errorf("seed %d: %v", r.Seed, f)
		}
	})
	for _, p := range rafts {
		kept, cut := 0, 0
		seedsOf(t, "in-flight-one", []string{p}, 20, func(t *testing.T, r *Run) {
			switch f := burstFates(r); {
			case f[Committed] == 3:
				kept++
			case f[CutOff] == 3:
				cut++
			default:
				t.Errorf("%s, seed %d: %v", p, r.Seed, f)
			}
		})
		if kept == 0 || cut == 0 {
			t.Errorf("%s: kept in %d runs, cut in %d: expected both to happen", p, kept, cut)
		}
	}
	seedsOf(t, "in-flight-none", everyone, 5, func(t *testing.T, r *Run) {
		if f := burstFates(r); f[CutOff] != 5 {
			t.Errorf("%s, seed %d: %v", r.Protocol, r.Seed, f)
		}
		between(t, r, "entries cut", r.Measures.Cut, 5, 5)
		if r.Protocol == ZAB {
			between(t, r, "TRUNCs", r.Measures.Truncs, 1, 1)
		}
	})
}

// TestKnownToOne: a write that only the dead leader and its client knew to be committed is in the next one's history.
func TestKnownToOne(t *testing.T) {
	seedsOf(t, "known-to-one", everyone, 5, func(t *testing.T, r *Run) {
		var last *Command
		for i := range r.Commands {
			if c := &r.Commands[i]; c.OK && c.Done < 600*Millisecond {
				last = c
			}
		}
		if last == nil || last.Done < 500*Millisecond || last.Fate != Committed {
			t.Fatalf("%s, seed %d: %+v", r.Protocol, r.Seed, last)
		}
		// Nobody but the old leader knew before there was another one.
		for _, e := range r.Events {
			if e.Kind == Commit && e.Index >= last.Index && e.At > last.Sent && e.At < Second && e.Server != last.Server {
				t.Errorf("%s, seed %d: server %d knew of %d at %d", r.Protocol, r.Seed, e.Server, e.Index, e.At)
			}
		}
	})
}

// TestCatchUp: few missing entries are sent, many are replaced by a snapshot.
func TestCatchUp(t *testing.T) {
	seedsOf(t, "lag-short", everyone, 3, func(t *testing.T, r *Run) {
		between(t, r, "snapshots", r.Measures.Snaps, 0, 0)
		if r.Protocol == ZAB {
			between(t, r, "DIFFs", r.Measures.Diffs, 1, 1)
		}
	})
	seedsOf(t, "lag-long", everyone, 2, func(t *testing.T, r *Run) { between(t, r, "snapshots", r.Measures.Snaps, 1, 1) })
	seedsOf(t, "divergence", everyone, 3, func(t *testing.T, r *Run) {
		between(t, r, "entries cut", r.Measures.Cut, 10, 1000)
		if r.Protocol == ZAB { // a log is cut within an epoch only
			between(t, r, "snapshots", r.Measures.Snaps, 1, 2)
		} else {
			between(t, r, "snapshots", r.Measures.Snaps, 0, 0)
			between(t, r, "rejected appends", r.Measures.Probes, 1, 5)
		}
	})
}

// TestStaleReads: who asks any server may read the past; with a quorum's word nobody does (the checkers see to that), and in the minority
// there is no answer.
func TestStaleReads(t *testing.T) {
	seedsOf(t, "reads-local", rafts, 3, func(t *testing.T, r *Run) { between(t, r, "stale reads", r.Measures.StaleReads, 20, 200) })
	seedsOf(t, "reads-leader", []string{Raft}, 3, func(t *testing.T, r *Run) { between(t, r, "stale reads", r.Measures.StaleReads, 20, 300) })
	seedsOf(t, "reads-lagging", everyone, 2, func(t *testing.T, r *Run) { between(t, r, "stale reads", r.Measures.StaleReads, 20, 60) })
	seedsOf(t, "clock-skew", everyone, 2, func(t *testing.T, r *Run) { between(t, r, "stale reads", r.Measures.StaleReads, 20, 400) })
	seedsOf(t, "reads-quorum", everyone, 5, func(t *testing.T, r *Run) {
		between(t, r, "stale reads", r.Measures.StaleReads, 0, 0)
		between(t, r, "reads", r.Measures.Reads, 100, 300)
	})
}

// TestDisruption: a server that was away, or hears nobody, deposes a leader in plain Raft; PreVote and ZAB's election keep it from that.
func TestDisruption(t *testing.T) {
	for _, scenario := range []string{"flapping", "deaf"} {
		seedsOf(t, scenario, []string{Raft}, 3, func(t *testing.T, r *Run) {
			between(t, r, "leaders", r.Measures.Leaders, 1, 5)
			between(t, r, "longest wait", r.Measures.Unavailable, 300*Millisecond, 6*Second)
		})
		seedsOf(t, scenario, []string{ZAB, RaftPreVote}, 3, func(t *testing.T, r *Run) {
			between(t, r, "leaders", r.Measures.Leaders, 0, 0)
			between(t, r, "longest wait", r.Measures.Unavailable, 0, 20*Millisecond)
		})
	}
	seedsOf(t, "partial", []string{ZAB, RaftPreVote}, 3, func(t *testing.T, r *Run) { between(t, r, "leaders", r.Measures.Leaders, 0, 0) })
}

// TestSlowDisks: a commit waits for a quorum of disks, whichever they are.
func TestSlowDisks(t *testing.T) {
	for _, scenario := range []string{"slow-disk-leader", "slow-disk-follower"} {
		seedsOf(t, scenario, everyone, 2, func(t *testing.T, r *Run) {
			between(t, r, "commit latency", r.Measures.CommitLatency.P99, Millisecond, 5*Millisecond)
		})
	}
	seedsOf(t, "slow-disk-leader", rafts, 2, func(t *testing.T, r *Run) {
		between(t, r, "write latency", r.Measures.AckLatency.P99, 15*Millisecond, 60*Millisecond)
	})
}

// TestMembership: a sixth server votes in the end, and neither the removed follower nor the old leader does. ZAB names the next leader.
func TestMembership(t *testing.T) {
	seedsOf(t, "membership", everyone, 5, func(t *testing.T, r *Run) {
		last := ""
		for _, e := range r.Events {
			if e.Kind == Member && e.Server == 6 {
				last = e.Note
			}
		}
		if n := len("voters [2 3 4 6]"); len(last) != n {
			t.Errorf("%s, seed %d: server 6 knows of %s", r.Protocol, r.Seed, last)
		}
		if r.Protocol == ZAB {
			between(t, r, "time to a leader", r.Measures.TimeToLeader, 1, 100*Millisecond)
		}
	})
}

// TestSplitVotes: with little room for chance, Raft needs more than one term now and then; ZAB's servers agree on one candidate.
func TestSplitVotes(t *testing.T) {
	split := 0
	seedsOf(t, "split-votes", []string{Raft}, 20, func(_ *testing.T, r *Run) {
		if r.Measures.Elections > 1 {
			split++
		}
	})
	if split == 0 {
		t.Error("no vote was split in 20 runs")
	}
	seedsOf(t, "split-votes", onlyZAB, 10, func(t *testing.T, r *Run) { between(t, r, "elections", r.Measures.Elections, 1, 1) })
}

func TestColdStart(t *testing.T) {
	seedsOf(t, "cold-start", everyone, 3, func(t *testing.T, r *Run) {
		between(t, r, "leaders", r.Measures.Leaders, 1, 2)
		between(t, r, "time to a leader", r.Measures.TimeToLeader, 1, 3*Second)
	})
}
