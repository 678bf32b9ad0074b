package storage

import (
	"testing"

	"zebu/internal/vfs"
	"zebu/proto"
)

// What a server reads of its epochs when it starts it acts upon, so that it must still be there after the power fails: also when the
// process before it had crashed, or failed, anywhere in the middle of writing them.
func TestEpochThatWasReadStays(t *testing.T) {
	opt := DefaultOptions("/data")
	for steps := range 10 {
		for _, how := range []int{0, 1} { // what a crash does with what is not synced: keeps it, or loses it
			lose := func(int) int { return how }
			disk := vfs.NewCrashing(lose)
			opt.FS = disk
			s, err := Open(opt)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SetAcceptedEpoch(4); err != nil {
				t.Fatal(err)
			}
			disk.CrashAfter(steps)
			_ = s.SetAcceptedEpoch(5)
			disk.Kill()
			read := func() proto.Epoch {
				t.Helper()
				s, err := Open(opt)
				if err != nil {
					t.Fatal(err)
				}
				e, err := s.AcceptedEpoch()
				if err != nil {
					t.Fatal(err)
				}
				return e
			}
			before := read()
			disk.Crash()
			if after := read(); after != before {
				t.Errorf("crashed after %d steps: epoch %d was read, then %d", steps, before, after)
			}
		}
	}
}

// The same without an epoch before: then the number in the temporary file counts.
func TestFirstEpochThatWasReadStays(t *testing.T) {
	opt := DefaultOptions("/data")
	disk := vfs.NewCrashing(func(int) int { return 1 }) // all that is not synced is lost
	opt.FS = disk
	for range 2 {
		s, err := Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := s.AcceptedEpoch(); err == nil {
			disk.Crash()
			if s, err = Open(opt); err != nil {
				t.Fatal(err)
			}
			if again, err := s.AcceptedEpoch(); again != e || err != nil {
				t.Errorf("epoch %d was read, then %d, %v", e, again, err)
			}
			return
		}
		disk.CrashAfter(2) // the file is made and written
		_ = s.SetAcceptedEpoch(5)
		disk.Kill()
	}
	t.Error("the temporary file was not read")
}
