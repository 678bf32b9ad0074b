package storage

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"testing"

	"zebu/internal/vfs"
	"zebu/proto"
)

// workload is what a server does to its disk, and what it was told to be durable.
type workload struct {
	s      *Store
	rng    *rand.Rand
	acked  proto.Zxid // durable
	atMost proto.Zxid // what may be there
	least  proto.Zxid // what must be, while a truncation is under way
	epoch  proto.Epoch
	epochs [2]proto.Epoch // durable, and written last
}

func crashOptions(disk vfs.FS) Options {
	opt := options("/data")
	opt.FS, opt.PreallocBytes, opt.LogSizeLimit, opt.FsyncWarn = disk, 8<<10, 6<<10, 0
	return opt
}

// step does one thing of those that a server does.
func (w *workload) step() error {
	switch w.rng.IntN(12) {
	case 0:
		img := image(w.acked)
		if _, err := w.s.WriteSnapshot(img); err != nil {
			return err
		}
		w.s.Log().Roll()
	case 1:
		w.epoch++
		w.epochs[1] = w.epoch
		if err := w.s.SetAcceptedEpoch(w.epoch); err != nil {
			return err
		}
		w.epochs[0] = w.epoch
	case 2:
		to := max(1, w.acked-proto.Zxid(w.rng.IntN(6)))
		if w.acked == 0 {
			return nil
		}
		w.least = to
		if err := w.s.Truncate(to); err != nil && !errors.Is(err, ErrNoPoint) {
			return err
		} else if err == nil {
			w.acked, w.atMost = to, to
		}
		w.least = w.acked
	case 3:
		if w.acked == 0 {
			return nil
		}
		if err := w.s.Replacing(w.acked); err != nil {
			return err
		}
		if _, err := w.s.WriteSnapshot(image(w.acked)); err != nil {
			return err
		}
		return w.s.SetAside(w.acked)
	default:
		n := proto.Zxid(1 + w.rng.IntN(4))
		w.atMost = w.acked + n
		if err := w.s.Log().Append(batchOf(w.acked+1, w.acked+n, w.rng.IntN(900))); err != nil {
			return err
		}
		w.acked += n
		w.least = w.acked
	}
	return nil
}

// TestEveryCrashIsSurvived stops a server's work on its disk at every change in turn, loses what a disk may lose, and reads
// back: all that was durable is there, and nothing that was not written.
func TestEveryCrashIsSurvived(t *testing.T) {
	for seed := range uint64(6) {
		for stop := range 160 {
			crashOnce(t, seed, stop)
			if t.Failed() {
				t.Fatalf("seed %d, stopped after %d changes", seed, stop)
			}
		}
	}
}

func crashOnce(t *testing.T, seed uint64, stop int) {
	disk := vfs.NewCrashing(rand.New(rand.NewPCG(seed, uint64(stop))).IntN)
	w := workload{rng: rand.New(rand.NewPCG(seed, 1))}
	var err error
	if w.s, err = Open(crashOptions(disk)); err != nil {
		t.Fatal(err)
	}
	if _, err = w.s.Restore(&memImage{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err = w.s.WriteSnapshot(image(0)); err != nil {
		t.Fatal(err)
	}
	disk.CrashAfter(stop)
	for err == nil {
		err = w.step()
	}
	if !errors.Is(err, vfs.ErrCrashed) {
		t.Fatal(err)
	}
	disk.Crash()
	s, img, log, res, err := tryRestore(t, crashOptions(disk))
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	last := img.zxid
	for _, z := range log.zxids {
		if z != last+1 {
			t.Errorf("%v is replayed after %v", z, last)
		}
		last = z
	}
	if last != res.LastZxid || last < w.least || last > max(w.atMost, w.acked) {
		t.Errorf("restored %v; %v was durable, and %v written", last, w.least, w.atMost)
	}
	e, err := s.AcceptedEpoch()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if e != w.epochs[0] && e != w.epochs[1] {
		t.Errorf("the epoch is %d; %d was durable, and %d written", e, w.epochs[0], w.epochs[1])
	}
}
