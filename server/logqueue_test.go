package server

import "testing"

// What a role has had written behind a cut that could not be made must not reach the disk, whose history goes on elsewhere.
func TestNothingIsWrittenBehindACutThatFailed(t *testing.T) {
	l := &loop{log: newLogQueue(), fromLog: make(chan logJob, batches)} // without a store: a write would panic
	done := func() error { return nil }
	l.log.do(func() error { l.log.skip = true; return nil }, done)
	l.log.planned.Add(1, []byte("transaction"))
	l.log.do(func() error { l.log.skip = false; return nil }, done)
	go l.runLog()
	for i, batch := range []bool{false, true, false} {
		job := <-l.fromLog
		if job.err != nil || (job.batch != nil) != batch || job.skipped != batch {
			t.Fatalf("job %d: %+v", i, job)
		}
	}
	l.log.close()
	if _, ok := <-l.fromLog; ok || l.log.skip {
		t.Error("still skipping, or more jobs than there were")
	}
}
