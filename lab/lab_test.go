package lab

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"testing"
)

// execute runs one of the laboratory's scenarios.
func execute(t *testing.T, scenario, protocol string, seed uint64, record bool) *Run {
	t.Helper()
	sc := Lookup(scenario)
	if sc == nil {
		t.Fatalf("no scenario %q", scenario)
	}
	r, err := Execute(sc, protocol, seed, record)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Violations {
		t.Errorf("%s, %s, seed %d: %s", scenario, protocol, seed, v)
	}
	return r
}

// digest is a hash of all that is in a run.
func digest(t *testing.T, r *Run) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(r); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// TestSameSeedSameRun runs every scenario twice, the second time beside others.
func TestSameSeedSameRun(t *testing.T) {
	for _, sc := range Scenarios() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			for _, p := range Protocols() {
				first := digest(t, execute(t, sc.Name, p, 7, true))
				if second := digest(t, execute(t, sc.Name, p, 7, true)); first != second {
					t.Errorf("%s: two runs with one seed differ", p)
				}
				if other := digest(t, execute(t, sc.Name, p, 8, true)); first == other {
					t.Errorf("%s: the seed makes no difference", p)
				}
			}
		})
	}
}

// TestRecordingChangesNothing: what is measured must not depend on whether it is recorded.
func TestRecordingChangesNothing(t *testing.T) {
	for _, p := range Protocols() {
		a, b := execute(t, "divergence", p, 3, true).Measures, execute(t, "divergence", p, 3, false).Measures
		if a != b {
			t.Errorf("%s: %+v with events, %+v without", p, a, b)
		}
	}
}

// TestPromises holds every run to what protocols promise: the checkers are silent, and what was acknowledged is committed.
func TestPromises(t *testing.T) {
	for _, sc := range Scenarios() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			for _, p := range Protocols() {
				for seed := range uint64(2) {
					r := execute(t, sc.Name, p, 100+seed, true)
					checkRun(t, r)
				}
			}
		})
	}
}

func checkRun(t *testing.T, r *Run) {
	t.Helper()
	for _, c := range r.Commands {
		if c.Op == "write" && c.OK && c.Fate != Committed {
			t.Errorf("%s, %s, seed %d: command %d was acknowledged and is %s: %s", r.Scenario, r.Protocol, r.Seed, c.ID, c.Fate, c.Why)
		}
		if c.Op == "write" && (c.Fate == "" || c.Why == "") {
			t.Errorf("%s, %s, seed %d: command %d has no fate, or no reason", r.Scenario, r.Protocol, r.Seed, c.ID)
		}
	}
	sent := map[int64]bool{}
	at := Micros(0)
	for _, e := range r.Events {
		if e.At < at || e.At > r.Duration {
			t.Fatalf("%s, %s: event at %d after one at %d", r.Scenario, r.Protocol, e.At, at)
		}
		at = e.At
		switch e.Kind {
		case Send:
			sent[e.Msg] = true
		case Recv, Lost:
			if !sent[e.Msg] && e.At > 50*Millisecond && (e.At < r.SkipUntil || e.At > r.SkipUntil+50*Millisecond) {
				t.Errorf("%s, %s: message %d arrived at %d and was not sent", r.Scenario, r.Protocol, e.Msg, e.At)
			}
		}
	}
}

// TestSweepIsDeterministic: a series is the same whoever's run ended first.
func TestSweepIsDeterministic(t *testing.T) {
	_, a, err := Sweep(Lookup("leader-power"), RaftPreVote, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	_, b, _ := Sweep(Lookup("leader-power"), RaftPreVote, 1, 8)
	if !slices.Equal(a.Stats, b.Stats) {
		t.Errorf("%+v\n%+v", a.Stats, b.Stats)
	}
	if a.Seeds != 8 || a.Violations != 0 {
		t.Errorf("%+v", a)
	}
}

func TestAggregate(t *testing.T) {
	var runs []Run
	for i := range 100 {
		runs = append(runs, Run{Scenario: "s", Protocol: "p", Measures: Measures{TimeToLeader: Micros(100 - i), RoundTrips: -1}})
	}
	s := Aggregate(runs)
	at := slices.IndexFunc(s.Stats, func(st Stat) bool { return st.Name == "timeToLeader" })
	if at < 0 || s.Stats[at] != (Stat{"timeToLeader", "time to a leader", "us", 100, 50, 99, 1, 100}) {
		t.Errorf("%+v", s.Stats)
	}
	if slices.ContainsFunc(s.Stats, func(st Stat) bool { return st.Name == "roundTrips" }) {
		t.Error("what was not measured is in the series")
	}
}

// TestOtherSizes runs ensembles of other sizes than five.
func TestOtherSizes(t *testing.T) {
	for _, n := range []int{1, 3, 7} {
		sc, err := Lookup("leader-power").WithServers(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range Protocols() {
			r, err := Execute(sc, p, 1, true)
			if err != nil {
				t.Fatal(err)
			}
			checkRun(t, r)
			if r.Measures.Acked == 0 || len(r.Violations) > 0 {
				t.Errorf("%d servers, %s: %+v %v", n, p, r.Measures, r.Violations)
			}
		}
	}
	if _, err := Lookup("one-by-one").WithServers(3); err == nil {
		t.Error("a scenario with server 5 runs with three")
	}
}
