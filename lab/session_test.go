package lab

import (
	"errors"
	"reflect"
	"testing"
)

func session(t *testing.T, protocol string, servers int, cold bool) *Session {
	t.Helper()
	sc, err := Playground(servers, cold)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(sc, protocol, 5)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// play does the same things in a new session and returns what came of them.
func play(t *testing.T, protocol string) (*Run, []State) {
	t.Helper()
	s := session(t, protocol, 5, false)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	leader := s.w.leading()
	for range 3 {
		_, err := s.ClientWrite(0)
		do(err)
	}
	do(s.RunUntil(100 * Millisecond))
	do(s.Crash(leader, true))
	do(s.RunUntil(3 * Second))
	_, err := s.ClientWrite(0)
	do(err)
	do(s.Cut(1, 2))
	do(s.Cut(1, 2))
	do(s.Restart(leader))
	do(s.RunUntil(4 * Second))
	do(s.Heal(0, 0))
	do(s.RunUntil(8 * Second))
	return s.Run(), s.State()
}

func TestSession(t *testing.T) {
	for _, p := range Protocols() {
		run, states := play(t, p)
		again, statesAgain := play(t, p)
		if digest(t, run) != digest(t, again) || !reflect.DeepEqual(states, statesAgain) {
			t.Errorf("%s: the same calls lead to different runs", p)
		}
		checkRun(t, run)
		if run.Measures.Acked != 4 || len(run.Violations) > 0 {
			t.Errorf("%s: %+v %v", p, run.Measures, run.Violations)
		}
		leaders := 0
		for _, st := range states {
			if st.Serving && st.Leader == st.ID {
				leaders++
			}
			if !st.Up || len(st.Log) < 4 || st.Log[len(st.Log)-1].Epoch < st.Log[0].Epoch || !st.Log[0].Committed || len(st.Voters) != 5 {
				t.Errorf("%s: %+v", p, st)
			}
		}
		if leaders != 1 {
			t.Errorf("%s: %d leaders: %+v", p, leaders, states)
		}
	}
}

func TestSessionSteps(t *testing.T) {
	s := session(t, ZAB, 3, true)
	if n, err := s.Step(5); n != 0 || err != nil || s.Now() != Second {
		t.Errorf("nothing runs, and %d events happened until %d (%v)", n, s.Now(), err)
	}
	for id := 1; id <= 3; id++ {
		if err := s.Restart(id); err != nil {
			t.Fatal(err)
		}
	}
	_, since := s.Events(0)
	if n, err := s.Step(10); n < 10 || err != nil {
		t.Errorf("%d events (%v)", n, err)
	}
	if events, next := s.Events(since); len(events) < 10 || next != since+len(events) {
		t.Errorf("%d events after %d, then %d", len(events), since, next)
	}
}

func TestSessionRefuses(t *testing.T) {
	s := session(t, Raft, 3, false)
	_, readErr := s.ClientRead(1, "wildly")
	_, writeErr := s.ClientWrite(-1)
	for i, err := range []error{
		s.Crash(0, false), s.Restart(4), s.Cut(1, 1), s.Cut(1, 9), s.Heal(9, 1), s.SlowDisk(1, -1), s.SlowDisk(7, 1), readErr, writeErr,
	} {
		if err == nil {
			t.Errorf("%d: no error", i)
		}
	}
	if _, err := NewSession(s.w.sc, "paxos", 1); err == nil {
		t.Error("there is a protocol paxos")
	}
	if _, err := Playground(99, false); err == nil {
		t.Error("99 servers")
	}
	if err := s.RunUntil(600 * Second); err != nil && !errors.Is(err, ErrSessionOver) {
		t.Error(err)
	}
}

func TestSessionReads(t *testing.T) {
	for _, p := range Protocols() {
		s := session(t, p, 3, false)
		if _, err := s.ClientWrite(0); err != nil {
			t.Fatal(err)
		}
		if err := s.RunUntil(50 * Millisecond); err != nil {
			t.Fatal(err)
		}
		for _, how := range []Strategy{ReadLocal, ReadLeader, ReadQuorum} {
			if _, err := s.ClientRead(s.w.leading(), how); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.RunUntil(200 * Millisecond); err != nil {
			t.Fatal(err)
		}
		if m := s.Run().Measures; m.Reads != 3 || m.StaleReads != 0 {
			t.Errorf("%s: %+v", p, m)
		}
	}
}
