package storage

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zebu/internal/vfs"
	"zebu/proto"
)

func zxids(first, last proto.Zxid) []proto.Zxid {
	var z []proto.Zxid
	for ; first <= last; first++ {
		z = append(z, first)
	}
	return z
}

func TestAppendedTransactionsAreRestored(t *testing.T) {
	opt := options(t.TempDir())
	seed(t, opt, 100, 7)
	s, _, log, res := restore(t, opt)
	if !slices.Equal(log.zxids, zxids(1, 100)) || res.LastZxid != 100 || res.Txns != 100 || !res.HasSnapshot || res.Empty {
		t.Fatalf("restored %v, %+v", log.zxids, res)
	}
	for i, got := range log.txns {
		if !bytes.Equal(got, txn(proto.Zxid(i+1), 50)) {
			t.Fatalf("transaction %d differs", i+1)
		}
	}
	// It goes on in a new file, as ZooKeeper does after a restart.
	if err := s.Log().Append(batchOf(101, 103, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(opt.DataDir, versionDir, "log.65")); err != nil {
		t.Error(err)
	}
	_ = s.Close()
	if _, _, log, _ := restore(t, opt); !slices.Equal(log.zxids, zxids(1, 103)) {
		t.Errorf("restored %v", log.zxids)
	}
}

func TestLogHasZooKeepersSizeAndGivesBackWhatItDoesNotUse(t *testing.T) {
	opt := DefaultOptions(t.TempDir())
	s, _, _, _ := restore(t, opt)
	if err := s.Log().Append(batchOf(1, 1, 10)); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		st, err := os.Stat(filepath.Join(opt.DataDir, versionDir, "log.1"))
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	if want := int64(16 + 64<<20); size() != want {
		t.Errorf("size %d, want %d", size(), want)
	}
	s.Log().Roll()
	if want := s.Log().pos; size() != want {
		t.Errorf("size %d after Roll, want %d", size(), want)
	}
}

func TestBatchLargerThanThePreallocation(t *testing.T) {
	opt := options(t.TempDir())
	s, _, _, _ := restore(t, opt)
	if err := s.Log().Append(batchOf(1, 3, 200_000)); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().Append(batchOf(4, 400, 1000)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	opt.TrustEmpty = true
	if _, _, log, _ := restore(t, opt); !slices.Equal(log.zxids, zxids(1, 400)) {
		t.Errorf("restored %v", log.zxids)
	}
}

func TestRollAndSizeLimit(t *testing.T) {
	opt := options(t.TempDir())
	opt.LogSizeLimit = 1000
	s, _, _, _ := restore(t, opt)
	for z := proto.Zxid(1); z <= 30; z++ {
		if err := s.Log().Append(batchOf(z, z, 50)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Log().Size(); got < 30*(50+minTxnSize) {
		t.Errorf("size %d counts too little", got)
	}
	s.Log().Roll()
	if s.Log().Size() != 0 || s.Log().Last() != 30 {
		t.Errorf("after Roll: size %d, last %v", s.Log().Size(), s.Log().Last())
	}
	if err := s.Log().Append(batchOf(31, 31, 50)); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	logs, _ := list(vfs.OS, s.logDir, logPrefix)
	if len(logs) < 4 || logs[len(logs)-1].zxid != 31 {
		t.Errorf("logs %v", logs)
	}
	opt.TrustEmpty = true
	if _, _, log, _ := restore(t, opt); !slices.Equal(log.zxids, zxids(1, 31)) {
		t.Errorf("restored %v", log.zxids)
	}
}

func TestAppendRefusesGaps(t *testing.T) {
	const e1, e2 = proto.Zxid(1) << 32, proto.Zxid(2) << 32
	for _, c := range []struct {
		last, next proto.Zxid
		ok         bool
	}{
		{5, 6, true}, {5, 7, false}, {5, 5, false}, {5, 4, false},
		{5, e1 + 1, true}, {5, e1, true}, {5, e1 + 2, false}, {e1 + 7, e2 + 1, true}, {e2, e2 + 1, true},
		{e2 + 1, e1 + 2, false}, {e1 + 0xffffffff, e2, true},
	} {
		if got := Follows(c.last, c.next); got != c.ok {
			t.Errorf("Follows(%v, %v) = %v", c.last, c.next, got)
		}
	}
	s, _, _, _ := restore(t, options(t.TempDir()))
	var b Batch
	b.Add(1, txn(1, 1))
	b.Add(3, txn(3, 1))
	if err := s.Log().Append(&b); err == nil {
		t.Fatal("a batch with a gap was appended")
	}
	if err := s.Log().Append(batchOf(1, 1, 1)); err == nil {
		t.Error("the log took a batch after an error")
	}
	if logs, _ := list(vfs.OS, s.logDir, logPrefix); len(logs) != 0 {
		t.Errorf("logs %v", logs)
	}
}

func TestBatch(t *testing.T) {
	var b Batch
	if b.Len() != 0 || b.Bytes() != 0 || b.Last() != 0 {
		t.Error("the zero batch is not empty")
	}
	b.Add(1, txn(1, 3))
	_ = append(b.Begin(), "abandoned"...)
	b.End(append(b.Begin(), txn(2, 4)...), 2)
	var got []proto.Zxid
	for z, x := range b.Txns {
		got = append(got, z)
		if !bytes.Equal(x, txn(z, int(z)+2)) {
			t.Errorf("transaction %v is %x", z, x)
		}
	}
	if !slices.Equal(got, zxids(1, 2)) || b.Len() != 2 || b.Last() != 2 || b.Bytes() != len(b.seal()) {
		t.Errorf("batch of %v, %d bytes", got, b.Bytes())
	}
	b.Reset()
	if b.Len() != 0 || b.Bytes() != 0 || len(b.seal()) != 0 {
		t.Error("Reset left something")
	}
}

// TestAppendFailures makes one operation fail in the middle of a run, and checks that every append from there on fails
// and that a restart finds every acknowledged transaction, perhaps more, and no hole.
func TestAppendFailures(t *testing.T) {
	for _, c := range []struct {
		op    vfs.Op
		nth   int // the how manieth operation of that kind on a log, from 1
		fault vfs.Fault
	}{
		{vfs.OpWrite, 1, vfs.Fault{Err: syscall.ENOSPC}},
		{vfs.OpWrite, 1, vfs.Fault{Err: syscall.ENOSPC, Short: 7}},
		{vfs.OpWrite, 2, vfs.Fault{Err: syscall.ENOSPC, Short: 0}},
		{vfs.OpWrite, 2, vfs.Fault{Err: syscall.EIO, Short: 5}},
		{vfs.OpWrite, 5, vfs.Fault{Err: syscall.ENOSPC, Short: 0}},
		{vfs.OpWrite, 5, vfs.Fault{Err: syscall.ENOSPC, Short: 1}},
		{vfs.OpWrite, 5, vfs.Fault{Err: syscall.ENOSPC, Short: 11}},
		{vfs.OpWrite, 5, vfs.Fault{Err: syscall.ENOSPC, Short: 60}},
		{vfs.OpWrite, 5, vfs.Fault{Err: syscall.ENOSPC, Short: 200}},
		{vfs.OpWrite, 5, vfs.Fault{Err: syscall.ENOSPC, Short: 1 << 20}},
		{vfs.OpSync, 1, vfs.Fault{Err: syscall.EIO}},
		{vfs.OpSync, 6, vfs.Fault{Err: syscall.EIO}},
		{vfs.OpSyncDir, 1, vfs.Fault{Err: syscall.EIO}},
		{vfs.OpCreate, 1, vfs.Fault{Err: syscall.EMFILE}},
		{vfs.OpPreallocate, 1, vfs.Fault{Err: syscall.EIO}},
	} {
		opt := options(t.TempDir())
		seed(t, opt, 10, 10)
		count, armed := 0, false
		opt.FS = vfs.NewFaulty(vfs.OS, func(op vfs.Op, name string) *vfs.Fault {
			if armed && op == c.op {
				if count++; count == c.nth {
					return &c.fault
				}
			}
			return nil
		})
		s, _, _, _ := restore(t, opt)
		armed = true
		acked, failed := proto.Zxid(10), false
		for z := proto.Zxid(11); z < 41; z += 3 {
			err := s.Log().Append(batchOf(z, z+2, 40))
			if err == nil && failed {
				t.Fatalf("%+v: append succeeded after a failure", c)
			}
			if err == nil {
				acked = z + 2
				continue
			}
			failed = true
			if !errors.Is(err, c.fault.Err) {
				t.Errorf("%+v: error %v", c, err)
			}
		}
		if !failed {
			t.Fatalf("%+v: nothing failed", c)
		}
		armed = false
		_ = s.Close()
		s, _, log, res := restore(t, opt)
		if res.LastZxid < acked || !slices.Equal(log.zxids, zxids(1, res.LastZxid)) {
			t.Errorf("%+v: acknowledged %v, restored %v", c, acked, log.zxids)
		}
		if err := s.Log().Append(batchOf(res.LastZxid+1, res.LastZxid+1, 40)); err != nil {
			t.Errorf("%+v: after the restart: %v", c, err)
		}
		_ = s.Close()
		if _, _, _, again := restore(t, opt); again.LastZxid != res.LastZxid+1 {
			t.Errorf("%+v: second restart ends at %v, want %v", c, again.LastZxid, res.LastZxid+1)
		}
	}
}

func TestNoRoomToPreallocateIsNoFailure(t *testing.T) {
	opt := options(t.TempDir())
	opt.FS = vfs.NewFaulty(vfs.OS, func(op vfs.Op, _ string) *vfs.Fault {
		if op == vfs.OpPreallocate {
			return &vfs.Fault{Err: syscall.ENOSPC}
		}
		return nil
	})
	seed(t, opt, 10, 3)
	if _, _, log, _ := restore(t, opt); !slices.Equal(log.zxids, zxids(1, 10)) {
		t.Errorf("restored %v", log.zxids)
	}
}

// TestTornBatch loses random sectors of the last batch, which was never acknowledged, in any order.
func TestTornBatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		opt := options(t.TempDir())
		opt.NoSync = true
		size := rng.IntN(700)
		s, _, _, _ := restore(t, opt)
		if _, err := s.WriteSnapshot(image(0)); err != nil {
			t.Fatal(err)
		}
		if err := s.Log().Append(batchOf(1, 10, size)); err != nil {
			t.Fatal(err)
		}
		from := s.log.pos
		if err := s.Log().Append(batchOf(11, 30, size)); err != nil {
			t.Fatal(err)
		}
		to := s.log.pos
		_ = s.Close()
		name := filepath.Join(s.logDir, "log.1")
		b := padded(t, name)
		for at := from / sectorSize * sectorSize; at < to; at += sectorSize {
			if rng.IntN(3) == 0 {
				clear(b[max(at, from):min(at+sectorSize, to)])
			}
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		s, _, log, res, err := tryRestore(t, opt)
		if err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
		if res.LastZxid < 10 || !slices.Equal(log.zxids, zxids(1, res.LastZxid)) {
			t.Fatalf("run %d: restored %v", i, log.zxids)
		}
		_ = s.Close()
		if rep, err := VerifyLog(vfs.OS, name, 1<<20); err != nil || rep.Last != res.LastZxid || rep.Tail.Torn != "" {
			t.Fatalf("run %d: after the restore: %+v %v", i, rep, err)
		}
	}
}

// padded reads a log that was closed and adds the zeros that a crash would have left.
func padded(t *testing.T, name string) []byte {
	t.Helper()
	return append(readFile(t, name), make([]byte, 64<<10)...)
}

func TestDamagedLogs(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 0x10; return b }
	}
	const rec = frameSize + minTxnSize + 4 + 2 + 4 + 50 + 4 + eorSize // of the seeded transactions
	at := func(i, off int) int { return fileHeaderSize + (i-1)*rec + off }
	for _, c := range []struct {
		name string
		do   func([]byte) []byte
		last proto.Zxid // 0: refused
		want string     // in the error
	}{
		{"checksum in the middle", flip(at(5, 7)), 0, "checksum"},
		{"data in the middle", flip(at(5, 60)), 0, "whole record follows"},
		{"length in the middle, too long", flip(at(5, 8)), 0, "length"},
		{"length in the middle, still inside", flip(at(5, 10)), 0, "whole record follows"},
		{"end mark in the middle", flip(at(5, rec-1)), 0, "whole record follows"},
		{"record in the middle zeroed, less than a sector", func(b []byte) []byte { clear(b[at(6, 0):at(7, 0)]); return b }, 0, "length of 0"},
		{"data of the last record", flip(at(10, 60)), 0, "checksum"},
		{"end mark of the last record", flip(at(10, rec-1)), 9, ""},
		{"length of the last record", flip(at(10, 9)), 9, ""},
		{"cut in the last record", func(b []byte) []byte { return b[:at(10, 30)] }, 9, ""},
		{"cut in the last frame", func(b []byte) []byte { return b[:at(10, 5)] }, 9, ""},
		{"cut at a record's end", func(b []byte) []byte { return b[:at(10, 0)] }, 9, ""},
		{"last record half zeros", func(b []byte) []byte { clear(b[at(10, 40):]); return b }, 9, ""},
		{"rubbish after the end", func(b []byte) []byte { copy(b[at(11, 0):], "rubbish"); return b }, 10, ""},
		{"rubbish far after the end", func(b []byte) []byte { copy(b[at(11, 9000):], "rubbish"); return b }, 10, ""},
		{"no records", func(b []byte) []byte { return b[:fileHeaderSize] }, -1, ""},
		{"half a header", func(b []byte) []byte { return b[:7] }, -1, ""},
		{"empty file", func([]byte) []byte { return nil }, -1, ""},
		{"only zeros", func(b []byte) []byte { clear(b); return b }, -1, ""},
		{"header of zeros", func(b []byte) []byte { clear(b[:fileHeaderSize]); return b }, 0, "no file header"},
		{"magic", flip(2), 0, "magic"},
		{"version", flip(7), 0, "version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := options(t.TempDir())
			seed(t, opt, 10, 10)
			name := filepath.Join(opt.DataDir, versionDir, "log.1")
			if err := os.WriteFile(name, c.do(padded(t, name)), 0o644); err != nil {
				t.Fatal(err)
			}
			s, _, log, res, err := tryRestore(t, opt)
			if c.last == 0 {
				var corrupt *CorruptError
				if !errors.As(err, &corrupt) || corrupt.File != name || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %v, restored up to %v", err, res.LastZxid)
				}
				if err := s.Log().Append(batchOf(res.LastZxid+1, res.LastZxid+1, 1)); err == nil {
					t.Error("appended to a log that was refused")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := max(c.last, 0); res.LastZxid != want || !slices.Equal(log.zxids, zxids(1, want)) {
				t.Fatalf("restored %v", log.zxids)
			}
			if err := s.Log().Append(batchOf(res.LastZxid+1, 12, 50)); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			if _, _, log, _ := restore(t, opt); !slices.Equal(log.zxids, zxids(1, 12)) {
				t.Errorf("second restore %v", log.zxids)
			}
		})
	}
}

func TestFsyncIsReported(t *testing.T) {
	opt := options(t.TempDir())
	n := 0
	opt.OnFsync = func(time.Duration) { n++ }
	seed(t, opt, 10, 2)
	if n != 5 {
		t.Errorf("%d syncs for 5 batches", n)
	}
	opt = options(t.TempDir())
	opt.NoSync = true
	opt.FS = vfs.NewFaulty(vfs.OS, func(op vfs.Op, name string) *vfs.Fault {
		if op == vfs.OpSync || op == vfs.OpSyncDir && strings.HasSuffix(name, versionDir) {
			t.Errorf("%s of %s", op, name)
		}
		return nil
	})
	seed(t, opt, 10, 2)
}
