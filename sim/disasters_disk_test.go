package sim

import "testing"

// The scenarios in this file are about disks that fail, or damage what is on them.

// errorAtEveryOperation makes each operation of a server's disk fail in turn, from its start until it serves (ZOOKEEPER-3701).
func errorAtEveryOperation(prepare func(*script) *Host) func(testing.TB) {
	return func(t testing.TB) {
		n := 1
		for errorAt(t, prepare, n) {
			if n++; t.Failed() {
				t.Fatalf("after %d operations", n)
			}
		}
		if n < 10 {
			t.Errorf("there were only %d operations", n)
		}
	}
}

// errorAt makes the n-th operation of a server's disk fail, and reports whether there was one.
func errorAt(t testing.TB, prepare func(*script) *Host, n int) bool {
	s := play(t, uint64(n), func(o *Options) { o.LogSync, o.SessionTimeout = false, 30_000 })
	h := prepare(s)
	before := s.check.counts["disk errors"]
	h.fault = n
	h.boot()
	life := h.life
	s.await("service or an end", func() bool { return !h.up || h.life != life || h.m.Serving() })
	s.RunUntil(s.now + 10*s.o.Fsync)
	failed := s.check.counts["disk errors"] > before
	s.finish()
	return failed
}

// snapshots makes a follower write snapshots in the midst of its log, and removes what it does not need any more.
func snapshots(s *script) *Host {
	s.t.Helper()
	c, leader := s.clients[0], s.theLeader()
	h := s.others(leader)[0]
	s.move(c, leader)
	for i := range 6 {
		s.write(c, 0)
		s.RunUntil(s.now + 10*s.o.Fsync)
		if i == 1 {
			h.store.Log().Roll()
		}
		if _, err := h.store.WriteSnapshot(h.rep.Image()); err != nil {
			s.t.Fatal(err)
		}
		s.write(c, 0)
		s.RunUntil(s.now + 10*s.o.Fsync)
	}
	if err := h.store.Purge(3); err != nil {
		s.t.Fatal(err)
	}
	return h
}

// ZOOKEEPER-3231: what is purged is not needed to start.
func purgedLogsAreNotNeeded(t testing.TB) {
	s := play(t, 1, patient)
	h := snapshots(s)
	h.Crash(true)
	h.boot()
	s.await("service", s.served)
	s.finish()
}

// A bit flips in the newest snapshot, anywhere: the one before that and the logs make up for it.
func newestSnapshotIsDamaged(t testing.TB) {
	for i := range 40 {
		s := play(t, uint64(i), patient)
		h := snapshots(s)
		h.Crash(true)
		files := h.files("snapshot.")
		newest := files[len(files)-1]
		h.flip(newest, h.disk.Length(newest)*i/40)
		h.boot()
		if s.check.counts["damage noticed"] != 0 {
			t.Fatalf("with a bit in %s flipped the server has lost everything", newest)
		}
		s.await("service", s.served)
		s.finish()
	}
}

// ZOOKEEPER-3642: a snapshot of the leader takes the place of a history whose end was never committed, and is damaged then. What it has
// replaced does not come back.
func replacedHistoryStaysAway(t testing.TB) {
	s := play(t, 1, func(o *Options) { o.SnapSync, o.SessionTimeout = true, 30_000 })
	h := overreach(s)
	h.boot()
	s.await("service", s.served)
	s.write(s.clients[0], 0)
	s.RunUntil(s.now + 10*s.o.Fsync)
	h.Crash(true)
	files := h.files("snapshot.")
	newest := files[len(files)-1]
	h.flip(newest, h.disk.Length(newest)/2)
	h.boot()
	s.await("another disk", func() bool { return s.check.counts["damage noticed"] == 1 })
	s.finish()
}
