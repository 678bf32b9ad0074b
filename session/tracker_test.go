package session

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"zebu/proto"
)

// TestDeadline gives ZooKeeper's rounding: between timeout and timeout + tick, never at the timeout itself.
func TestDeadline(t *testing.T) {
	for _, tt := range []struct {
		tick     proto.Millis
		timeout  int32
		now      proto.Millis
		deadline proto.Millis
	}{
		{2000, 4000, 0, 6000},
		{2000, 4000, 1, 6000},
		{2000, 4000, 1999, 6000},
		{2000, 4000, 2000, 8000},
		{2000, 4001, 1999, 8000},
		{3000, 30000, 12345, 45000},
		{1, 10, 5, 16},
	} {
		tr := NewTracker(tt.tick)
		tr.Track(7, tt.timeout, tt.now)
		if got := tr.Buckets(); len(got) != 1 || got[0].Deadline != tt.deadline {
			t.Errorf("timeout %d at %d, tick %d: buckets %v, want deadline %d", tt.timeout, tt.now, tt.tick, got, tt.deadline)
		}
		if due := tr.Due(tt.deadline-1, nil); len(due) != 0 {
			t.Errorf("timeout %d at %d: due 1 ms early", tt.timeout, tt.now)
		}
		if due := tr.Due(tt.deadline, nil); len(due) != 1 {
			t.Errorf("timeout %d at %d: not due at %d", tt.timeout, tt.now, tt.deadline)
		}
	}
}

func TestTrackerLife(t *testing.T) {
	const tick = 1000
	tr := NewTracker(tick)
	if !tr.Track(1, 2000, 0) || tr.Track(1, 5000, 0) {
		t.Error("Track must say once that the session is new")
	}
	if timeout, ok := tr.Timeout(1); !ok || timeout != 5000 {
		t.Errorf("timeout %d, %v: a resumed session brings its own", timeout, ok)
	}
	tr.Track(2, 2000, 0)
	if due := tr.Due(3000, nil); !slices.Equal(due, []proto.SessionID{2}) {
		t.Errorf("due at 3000: %v", due)
	}
	if due := tr.Due(3500, nil); !slices.Equal(due, []proto.SessionID{2}) {
		t.Errorf("still due at 3500: %v", due)
	}
	if !tr.Touch(2, 3600) || len(tr.Due(3600, nil)) != 0 {
		t.Error("a touched session is not due")
	}
	if due := tr.Due(9000, nil); !slices.Equal(due, []proto.SessionID{1, 2}) {
		t.Errorf("due at 9000: %v", due)
	}
	if !tr.SetClosing(1) || tr.Touch(1, 9000) || tr.SetOwner(1, 3) {
		t.Error("a closing session is neither touched nor owned")
	}
	tr.Track(1, 8000, 9000)
	if timeout, _ := tr.Timeout(1); timeout != 5000 {
		t.Error("a closing session is not renewed")
	}
	if due := tr.Due(20000, nil); !slices.Equal(due, []proto.SessionID{2}) {
		t.Errorf("due at 20000: %v, want no closing session", due)
	}
	if !tr.Remove(1) || tr.Remove(1) || tr.SetClosing(1) || tr.Touch(1, 0) || tr.Len() != 1 {
		t.Error("a removed session is unknown")
	}
	if _, ok := tr.Timeout(1); ok {
		t.Error("a removed session has no timeout")
	}
}

func TestCheckOwner(t *testing.T) {
	tr := NewTracker(1000)
	tr.Track(1, 2000, 0)
	steps := []struct {
		name string
		got  proto.ErrCode
		want proto.ErrCode
	}{
		{"unknown", tr.Check(9, 1), proto.ErrSessionExpired},
		{"first owner", tr.Check(1, 5), proto.OK},
		{"same owner", tr.Check(1, 5), proto.OK},
		{"other owner", tr.Check(1, 6), proto.ErrSessionMoved},
	}
	if !tr.SetOwner(1, 6) || tr.Owner(1) != 6 || tr.Owner(9) != 0 || tr.SetOwner(9, 1) {
		t.Error("SetOwner moves a session that is tracked")
	}
	moved := tr.Check(1, 5)
	tr.SetClosing(1)
	closing := tr.Check(1, 6)
	for _, s := range append(steps, []struct {
		name string
		got  proto.ErrCode
		want proto.ErrCode
	}{{"moved away", moved, proto.ErrSessionMoved}, {"closing", closing, proto.ErrSessionExpired}}...) {
		if s.got != s.want {
			t.Errorf("%s: %v, want %v", s.name, s.got, s.want)
		}
	}
}

// TestTrackerAgainstModel drives a tracker and a map of deadlines with the same random calls.
func TestTrackerAgainstModel(t *testing.T) {
	type state struct {
		deadline proto.Millis
		timeout  int32
		closing  bool
	}
	const tick = 50
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	tr, m := NewTracker(tick), map[proto.SessionID]*state{}
	round := func(now proto.Millis, timeout int32) proto.Millis {
		return ((now+proto.Millis(timeout))/tick + 1) * tick
	}
	var now proto.Millis
	for range 50000 {
		now += proto.Millis(rng.IntN(20))
		id, timeout := proto.SessionID(rng.IntN(50)), int32(rng.IntN(2000))
		s := m[id]
		switch rng.IntN(6) {
		case 0, 1:
			if tr.Track(id, timeout, now) != (s == nil) {
				t.Fatal("Track")
			}
			if s == nil {
				m[id] = &state{round(now, timeout), timeout, false}
			} else if !s.closing {
				s.deadline, s.timeout = round(now, timeout), timeout
			}
		case 2:
			if tr.Touch(id, now) != (s != nil && !s.closing) {
				t.Fatal("Touch")
			}
			if s != nil && !s.closing {
				s.deadline = round(now, s.timeout)
			}
		case 3:
			if tr.SetClosing(id) != (s != nil) {
				t.Fatal("SetClosing")
			}
			if s != nil {
				s.closing = true
			}
		case 4:
			if tr.Remove(id) != (s != nil) {
				t.Fatal("Remove")
			}
			delete(m, id)
		case 5:
			var want []proto.SessionID
			for id, s := range m {
				if s.deadline <= now && !s.closing {
					want = append(want, id)
				}
			}
			got := tr.Due(now, nil)
			if !slices.IsSortedFunc(got, func(a, b proto.SessionID) int { return int(m[a].deadline - m[b].deadline) }) {
				t.Fatal("Due is not in order of deadlines")
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("Due = %v, want %v", got, want)
			}
		}
		if tr.Len() != len(m) {
			t.Fatalf("Len = %d, want %d", tr.Len(), len(m))
		}
	}
	byDeadline := map[proto.Millis][]proto.SessionID{}
	tr.Due(now, nil)
	for _, id := range slices.Sorted(maps.Keys(m)) {
		if s := m[id]; !s.closing || s.deadline > now {
			byDeadline[s.deadline] = append(byDeadline[s.deadline], id)
		}
	}
	for i, d := range slices.Sorted(maps.Keys(byDeadline)) {
		if got := tr.Buckets()[i]; got.Deadline != d || !slices.Equal(got.IDs, byDeadline[d]) {
			t.Errorf("bucket %v, want %d: %v", got, d, byDeadline[d])
		}
	}
	if len(tr.slots) > 200 {
		t.Errorf("%d slots for 50 sessions: vacant ones are not used again", len(tr.slots))
	}
}

func BenchmarkTouch(b *testing.B) {
	tr := NewTracker(2000)
	for i := range proto.SessionID(100000) {
		tr.Track(i, 30000, 0)
	}
	b.ReportAllocs()
	var now proto.Millis
	for b.Loop() {
		now++
		tr.Touch(proto.SessionID(now%100000), now)
	}
}

// BenchmarkIdleTick asks every millisecond for due sessions when none is, with 100,000 tracked.
func BenchmarkIdleTick(b *testing.B) {
	tr := NewTracker(2000)
	for i := range proto.SessionID(100000) {
		tr.Track(i, 1<<30, proto.Millis(i))
	}
	var now proto.Millis
	for b.Loop() {
		now++
		tr.Due(now, nil)
	}
}
