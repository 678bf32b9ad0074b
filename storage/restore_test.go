package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zebu/internal/vfs"
	"zebu/proto"
)

func v2(opt Options, name string) string { return filepath.Join(opt.DataDir, versionDir, name) }

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// history makes snapshots at the given zxids and logs that begin at the given ones, up to last.
func history(t *testing.T, opt Options, snaps, logs []proto.Zxid, last proto.Zxid) {
	t.Helper()
	s, _, _, _ := restore(t, opt)
	for _, z := range snaps {
		if _, err := s.WriteSnapshot(image(z)); err != nil {
			t.Fatal(err)
		}
	}
	for i, z := range logs {
		end := last
		if i+1 < len(logs) {
			end = logs[i+1] - 1
		}
		if err := s.log.reset(z - 1); err != nil {
			t.Fatal(err)
		}
		if err := s.Log().Append(batchOf(z, end, 20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRestoreChoosesAndRefuses(t *testing.T) {
	none := func(*testing.T, *Options) {}
	spoil := func(names ...string) func(*testing.T, *Options) {
		return func(t *testing.T, opt *Options) {
			for _, n := range names {
				b := readFile(t, v2(*opt, n))
				b[len(b)/2] ^= 1
				put(t, v2(*opt, n), string(b))
			}
		}
	}
	remove := func(names ...string) func(*testing.T, *Options) {
		return func(t *testing.T, opt *Options) {
			for _, n := range names {
				if err := os.Remove(v2(*opt, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	type z = []proto.Zxid
	for _, c := range []struct {
		name        string
		snaps, logs z
		last        proto.Zxid
		do          func(*testing.T, *Options)
		snap, end   proto.Zxid
		first       proto.Zxid // replayed, 0 if none
		want        string     // error
	}{
		{"newest snapshot and what follows", z{0, 5, 9}, z{1, 6, 10}, 12, none, 9, 12, 10, ""},
		{"log goes on over the snapshot", z{0, 5}, z{1}, 12, none, 5, 12, 6, ""},
		{"snapshot is newer than the log", z{0, 20}, z{1}, 12, none, 20, 20, 0, ""},
		{"log after a snapshot from a leader", z{0, 20}, z{1, 21}, 25, remove("log.1"), 20, 25, 21, ""},
		{"newest snapshot damaged", z{0, 5, 9}, z{1, 6, 10}, 12, spoil("snapshot.9"), 5, 12, 6, ""},
		{"two newest damaged", z{0, 5, 9}, z{1, 6, 10}, 12, spoil("snapshot.9", "snapshot.5"), 0, 12, 1, ""},
		{"all damaged", z{0, 5, 9}, z{1, 6, 10}, 12, spoil("snapshot.9", "snapshot.5", "snapshot.0"), 0, 0, 0, "no snapshot in"},
		{"damaged, and the logs do not reach it", z{0, 20}, z{1}, 12, spoil("snapshot.14"), 0, 0, 0, "history ends at 0xc"},
		{"snapshots gone", z{0}, z{1}, 12, remove("snapshot.0"), 0, 0, 0, "but no snapshot"},
		{"trust empty", z{0}, z{1}, 12, func(t *testing.T, o *Options) { remove("snapshot.0")(t, o); o.TrustEmpty = true }, 0, 12, 1, ""},
		{"log in the middle gone", z{0}, z{1, 5, 9}, 12, remove("log.5"), 0, 0, 0, "log.9: corrupt at offset 16: transaction 0x9 does not follow 0x4"},
		{"first log gone", z{0}, z{1, 5, 9}, 12, remove("log.1"), 0, 0, 0, "0x5 does not follow 0x0"},
		{"first log gone but not needed", z{0, 5}, z{1, 5, 9}, 12, remove("log.1"), 5, 12, 6, ""},
		{"empty newest snapshot", z{0, 5}, z{1}, 12, func(t *testing.T, o *Options) { put(t, v2(*o, "snapshot.c"), "") }, 5, 12, 6, ""},
		{"foreign names", z{0}, z{1}, 3, func(t *testing.T, o *Options) {
			for _, n := range []string{"log.zz", "log.", "logs", "snapshot.9.bak", "snapshot.9.gz.old", "tmp.snapshot.9", "snapshot.ffffffffffffffff", "log.1.bak", "x"} {
				put(t, v2(*o, n), "?")
			}
		}, 0, 3, 1, ""},
		{"torn log, next one goes on", z{0}, z{1, 5}, 8, func(t *testing.T, o *Options) {
			b := padded(t, v2(*o, "log.1"))
			b[fileHeaderSize+4*(frameSize+minTxnSize+14+20+eorSize)+20] = 7
			put(t, v2(*o, "log.1"), string(b))
		}, 0, 8, 1, ""},
		{"log with the end cut, next one goes on after it", z{0}, z{1, 5}, 8, func(t *testing.T, o *Options) {
			put(t, v2(*o, "log.1"), string(readFile(t, v2(*o, "log.1"))[:200]))
		}, 0, 0, 0, "does not follow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := options(t.TempDir())
			history(t, opt, c.snaps, c.logs, c.last)
			c.do(t, &opt)
			s, _, log, res, err := tryRestore(t, opt)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %v, %+v", err, res)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want []proto.Zxid
			if c.first > 0 {
				want = zxids(c.first, c.end)
			}
			if res.SnapshotZxid != c.snap || res.LastZxid != c.end || !slices.Equal(log.zxids, want) || res.Empty {
				t.Errorf("%+v, replayed %v", res, log.zxids)
			}
			if err := s.Log().Append(batchOf(c.end+1, c.end+1, 1)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRestoreOfAnEmptyDirectory(t *testing.T) {
	for _, c := range []struct {
		auto, initialize bool
		last             proto.Zxid
	}{{true, false, 0}, {true, true, 0}, {false, true, 0}, {false, false, -1}} {
		opt := options(t.TempDir())
		opt.LogDir = t.TempDir()
		opt.AutoCreateDB = c.auto
		if c.initialize {
			put(t, filepath.Join(opt.LogDir, "initialize"), "")
		}
		_, img, _, res := restore(t, opt)
		if !res.Empty || res.LastZxid != c.last || res.HasSnapshot || img.finished {
			t.Errorf("%+v: %+v", c, res)
		}
		if _, err := os.Stat(filepath.Join(opt.LogDir, "initialize")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("initialize: %v", err)
		}
	}
	// What a first start leaves that crashed while it wrote the first snapshot.
	opt := options(t.TempDir())
	put(t, v2(opt, "snapshot.0"), "")
	if _, _, _, res := restore(t, opt); !res.Empty {
		t.Errorf("%+v", res)
	}
}

func TestFuzzySnapshot(t *testing.T) {
	opt := options(t.TempDir())
	history(t, opt, []proto.Zxid{0}, []proto.Zxid{1}, 9)
	digest := uint64(77)
	img := image(8)
	img.digest = &digest
	s, _, _, _ := restore(t, opt)
	info, err := s.WriteSnapshot(img)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	// A snapshot that began at 4 and ended at 8, and one of a leader that stands at <1, 0>.
	for name, until := range map[string]proto.Zxid{"snapshot.4": 8, "snapshot.100000000": 1 << 32} {
		b := readFile(t, info.Name)
		if err := os.Rename(info.Name, v2(opt, name)); err != nil {
			t.Fatal(err)
		}
		s, got, _, res := restore(t, opt)
		if res.FuzzyUntil != until || (got.digest != nil) != (until == 8) {
			t.Errorf("%s: %+v, digest %v", name, res, got.digest)
		}
		_ = s.Close()
		if err := os.Remove(v2(opt, name)); err != nil {
			t.Fatal(err)
		}
		put(t, info.Name, string(b))
	}
}

func TestOpenChecksDirectories(t *testing.T) {
	mixed := func(name string, inLogs bool) Options {
		opt := options(t.TempDir())
		opt.LogDir = t.TempDir()
		dir := opt.DataDir
		if inLogs {
			dir = opt.LogDir
		}
		put(t, filepath.Join(dir, versionDir, name), "")
		return opt
	}
	missing := options(filepath.Join(t.TempDir(), "no", "such"))
	missing.AutoCreateDir = false
	file := options(t.TempDir())
	put(t, filepath.Join(file.DataDir, versionDir), "")
	codec := options(t.TempDir())
	codec.Compression = "zip"
	for want, opt := range map[string]Options{
		"log directory holds a snapshot":             mixed("snapshot.0", true),
		"snapshot directory holds a transaction log": mixed("log.1", false),
		"datadir.autocreate is false":                missing,
		"is not a directory":                         file,
		`snapshot compression "zip" is not known`:    codec,
	} {
		if _, err := Open(opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	opt := options(filepath.Join(t.TempDir(), "a", "b"))
	opt.LogDir = t.TempDir()
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	otherData, otherLogs := opt, opt
	otherData.DataDir, otherLogs.LogDir = t.TempDir(), t.TempDir()
	for _, again := range []Options{opt, otherData, otherLogs} {
		if _, err := Open(again); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("second Open: %v", err)
		}
	}
	if err := s.Log().Append(batchOf(1, 1, 1)); err == nil {
		t.Error("append before Restore")
	}
	_ = s.Close()
	if s, err = Open(opt); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if err := s.Log().Append(batchOf(1, 1, 1)); err == nil {
		t.Error("append after Close")
	}
}

func TestTruncate(t *testing.T) {
	type z = []proto.Zxid
	for _, c := range []struct {
		name        string
		snaps, logs z
		last, to    proto.Zxid
		wantSnaps   z
		wantLogs    z
		missing     bool
	}{
		{"in the middle of a file", z{0}, z{1, 6, 11}, 15, 8, z{0}, z{1, 6}, false},
		{"the last of a file", z{0}, z{1, 6, 11}, 15, 10, z{0}, z{1, 6}, false},
		{"the first of a file", z{0}, z{1, 6, 11}, 15, 6, z{0}, z{1, 6}, false},
		{"the end", z{0}, z{1, 6, 11}, 15, 15, z{0}, z{1, 6, 11}, false},
		{"everything", z{0}, z{1, 6, 11}, 15, 0, z{0}, z{}, false},
		{"before the newest snapshot", z{0, 5, 10, 12}, z{1, 6, 11}, 15, 8, z{0, 5}, z{1, 6}, false},
		{"at a snapshot", z{0, 5, 10}, z{1, 6, 11}, 15, 10, z{0, 5, 10}, z{1, 6}, false},
		{"at a snapshot without logs before it", z{10}, z{11}, 15, 10, z{10}, z{}, false},
		{"before the only snapshot", z{10}, z{11}, 15, 9, z{10}, z{11}, true},
		{"after the end", z{0}, z{1, 6, 11}, 15, 16, z{0}, z{1, 6, 11}, true},
		{"another epoch's end", z{0}, z{1}, 15, 1<<32 + 4, z{0}, z{1}, true},
		{"a new epoch's beginning", z{0}, z{1}, 15, 1 << 32, z{0}, z{1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := options(t.TempDir())
			history(t, opt, c.snaps, c.logs, c.last)
			s, _, _, before := restore(t, opt)
			err := s.Truncate(c.to)
			if errors.Is(err, ErrNoPoint) != c.missing || err != nil && !c.missing {
				t.Fatal(err)
			}
			check := func(prefix string, want z) {
				t.Helper()
				files, err := list(vfs.OS, s.snapDir, prefix)
				if err != nil {
					t.Fatal(err)
				}
				got := z{}
				for _, f := range files {
					got = append(got, f.zxid)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s %v, want %v", prefix, got, want)
				}
			}
			check(snapshotPrefix, c.wantSnaps)
			check(logPrefix, c.wantLogs)
			end := min(c.to, c.last)
			next := c.to + 1
			if c.missing {
				end, next = before.LastZxid, before.LastZxid+1
			}
			if err := s.Log().Append(batchOf(next, next+2, 30)); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			_, _, log, res := restore(t, opt)
			want := append(zxids(res.SnapshotZxid+1, end), zxids(next, next+2)...)
			if !slices.Equal(log.zxids, want) {
				t.Errorf("restored %v, want %v", log.zxids, want)
			}
		})
	}
}

// TestTruncateFailures makes each step of a truncation fail: the log must take nothing more, and what is left on disk must
// be a history without a hole that ends between the point and where it ended before.
func TestTruncateFailures(t *testing.T) {
	for nth := 1; ; nth++ {
		opt := options(t.TempDir())
		history(t, opt, []proto.Zxid{0, 5, 10, 12}, []proto.Zxid{1, 6, 11}, 15)
		armed, count := false, 0
		opt.FS = vfs.NewFaulty(vfs.OS, func(op vfs.Op, _ string) *vfs.Fault {
			changes := op == vfs.OpRemove || op == vfs.OpTruncate || op == vfs.OpSync || op == vfs.OpSyncDir
			if armed && changes {
				if count++; count >= nth { // and the disk stays broken
					return &vfs.Fault{Err: syscall.ENOSPC}
				}
			}
			return nil
		})
		s, _, _, _ := restore(t, opt)
		armed = true
		err := s.Truncate(8)
		armed = false
		if err == nil {
			if nth < 6 {
				t.Fatalf("only %d steps", nth)
			}
			return
		}
		if err := s.Log().Append(batchOf(9, 9, 1)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("step %d: append after a failed truncation: %v", nth, err)
		}
		_ = s.Close()
		_, _, _, res := restore(t, opt)
		if res.LastZxid < 8 || res.LastZxid > 15 {
			t.Errorf("step %d: %+v", nth, res)
		}
	}
}

func TestPurge(t *testing.T) {
	type z = []proto.Zxid
	for _, c := range []struct {
		name                string
		snaps, logs         z
		spoil               z // snapshots
		keep                int
		wantSnaps, wantLogs z
	}{
		{"too few", z{0, 5, 10}, z{1, 6, 11}, nil, 3, z{0, 5, 10}, z{1, 6, 11}},
		{"oldest goes, the log over the boundary stays", z{0, 5, 10, 12}, z{1, 6, 11}, nil, 3, z{5, 10, 12}, z{1, 6, 11}},
		{"log that ends before the boundary goes", z{0, 6, 10, 12}, z{1, 6, 11}, nil, 3, z{6, 10, 12}, z{6, 11}},
		{"two go", z{0, 3, 11, 12, 13}, z{1, 4, 6, 11}, nil, 3, z{11, 12, 13}, z{11}},
		{"keep more", z{0, 3, 11, 12, 13}, z{1, 4, 6, 11}, nil, 4, z{3, 11, 12, 13}, z{1, 4, 6, 11}},
		{"a damaged one does not count", z{0, 3, 11, 12, 13}, z{1, 4, 6, 11}, z{12}, 3, z{3, 11, 12, 13}, z{1, 4, 6, 11}},
		{"a damaged old one goes", z{0, 3, 11, 12, 13}, z{1, 4, 6, 11}, z{3}, 3, z{11, 12, 13}, z{11}},
		{"too few are valid", z{0, 3, 11, 12, 13}, z{1, 4, 6, 11}, z{0, 11, 13}, 3, z{0, 3, 11, 12, 13}, z{1, 4, 6, 11}},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := options(t.TempDir())
			history(t, opt, c.snaps, c.logs, 15)
			s, _, _, _ := restore(t, opt)
			for _, z := range c.spoil {
				put(t, v2(opt, snapshotName(z, "")), "spoilt")
			}
			if err := s.Purge(c.keep); err != nil {
				t.Fatal(err)
			}
			for prefix, want := range map[string]z{snapshotPrefix: c.wantSnaps, logPrefix: c.wantLogs} {
				files, _ := list(vfs.OS, s.snapDir, prefix)
				var got z
				for _, f := range files {
					got = append(got, f.zxid)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s %v, want %v", prefix, got, want)
				}
			}
		})
	}
	s, _, _, _ := restore(t, options(t.TempDir()))
	if err := s.Purge(2); err == nil {
		t.Error("Purge(2) succeeded")
	}
}

func TestEpochs(t *testing.T) {
	opt := options(t.TempDir())
	s, _, _, _ := restore(t, opt)
	if _, err := s.CurrentEpoch(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if err := errors.Join(s.SetAcceptedEpoch(7), s.SetCurrentEpoch(6), s.SetAcceptedEpoch(12)); err != nil {
		t.Fatal(err)
	}
	a, errA := s.AcceptedEpoch()
	c, errC := s.CurrentEpoch()
	if a != 12 || c != 6 || errA != nil || errC != nil {
		t.Errorf("epochs %d %v, %d %v", a, errA, c, errC)
	}
	if got := string(readFile(t, v2(opt, "acceptedEpoch"))); got != "12" {
		t.Errorf("file holds %q", got)
	}
	put(t, v2(opt, "currentEpoch"), "x")
	if _, err := s.CurrentEpoch(); err == nil {
		t.Error("no error")
	}
	// A rename that was lost.
	if err := os.Rename(v2(opt, "acceptedEpoch"), v2(opt, "acceptedEpoch.tmp")); err != nil {
		t.Fatal(err)
	}
	if a, err := s.AcceptedEpoch(); a != 12 || err != nil {
		t.Errorf("epoch %d, %v", a, err)
	}
}

func TestEpochFailuresLeaveTheOldOne(t *testing.T) {
	for _, bad := range []vfs.Op{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpRename} {
		opt := options(t.TempDir())
		armed := false
		opt.FS = vfs.NewFaulty(vfs.OS, func(op vfs.Op, _ string) *vfs.Fault {
			if armed && op == bad {
				return &vfs.Fault{Err: syscall.ENOSPC}
			}
			return nil
		})
		s, _, _, _ := restore(t, opt)
		if err := s.SetCurrentEpoch(3); err != nil {
			t.Fatal(err)
		}
		armed = true
		if err := s.SetCurrentEpoch(4); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: error %v", bad, err)
		}
		armed = false
		if e, err := s.CurrentEpoch(); e != 3 || err != nil {
			t.Errorf("%s: epoch %d, %v", bad, e, err)
		}
	}
}

func FuzzLog(f *testing.F) {
	for _, dir := range goldenDirs {
		b, err := os.ReadFile(filepath.Join(dir, "log.1"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "log.1")
		put(t, name, string(b))
		var out Batch
		var tail Tail
		err := eachRecord(vfs.OS, name, 1<<20, func(rec *Record) error {
			out.Add(rec.Header.Zxid, rec.Txn)
			return nil
		}, &tail)
		if err != nil {
			return
		}
		// What was read is there, byte for byte, up to the tail.
		if want := fileHeaderSize + int64(out.Bytes()); out.Len() > 0 && (tail.Offset != want || string(out.seal()) != string(b[fileHeaderSize:want])) {
			t.Errorf("%d transactions, tail %+v", out.Len(), tail)
		}
	})
}

// TestReplacementCutOff is about a server that stops when a leader's snapshot is in force and the old history still there. What follows
// the snapshot must not be taken for what follows the old logs, although epochs may begin like that.
func TestReplacementCutOff(t *testing.T) {
	const replacement = proto.Zxid(2<<32 | 1)
	for _, written := range []bool{false, true} {
		opt := options(t.TempDir())
		history(t, opt, []proto.Zxid{0}, []proto.Zxid{1}, 9)
		s, _, _, _ := restore(t, opt)
		if err := s.Replacing(replacement); err != nil {
			t.Fatal(err)
		}
		if written {
			if _, err := s.WriteSnapshot(image(replacement)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, _, _, res := restore(t, opt)
		want := Span{Prev: 9, Next: 6<<32 | 1, Through: 6<<32 | 1}
		if written {
			want = Span{}
		} else if res.LastZxid != 9 {
			t.Errorf("without the snapshot: %+v", res)
		}
		if err := s.Log().Append(batchOf(6<<32|1, 6<<32|1, 20)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.SpanAround(9, 6<<32|1, 1<<30); err != nil || got != want {
			t.Errorf("snapshot written: %t: the logs hold %+v (%v), want %+v", written, got, err, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, _, _, res = restore(t, opt) // nothing is set aside twice
		if res.LastZxid != 6<<32|1 {
			t.Errorf("snapshot written: %t: restored %+v", written, res)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplacementByAnother is about a server that stops before a leader's snapshot is written; a ZooKeeper, which knows nothing of notes, goes on
// from its directory, gets the same snapshot, and logs what follows. That stays when zebu starts again.
func TestReplacementByAnother(t *testing.T) {
	const replacement = proto.Zxid(2<<32 | 1)
	opt := options(t.TempDir())
	history(t, opt, []proto.Zxid{0}, []proto.Zxid{1}, 9)
	s, _, _, _ := restore(t, opt)
	if err := s.Replacing(replacement); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := options(t.TempDir())
	history(t, other, []proto.Zxid{replacement}, []proto.Zxid{replacement + 1}, replacement+5)
	for _, name := range []string{snapshotName(replacement, other.Compression), logName(replacement + 1)} {
		if err := os.Rename(v2(other, name), v2(opt, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, _, _, res := restore(t, opt)
	if res.LastZxid != replacement+5 {
		t.Errorf("restored %+v", res)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSetAside(t *testing.T) {
	opt := options(t.TempDir())
	history(t, opt, []proto.Zxid{0, 5}, []proto.Zxid{1, 6}, 9)
	s, _, _, res := restore(t, opt)
	if res.LastZxid != 9 {
		t.Fatalf("history ends at %v", res.LastZxid)
	}
	const replacement = proto.Zxid(1 << 32) // a restored state goes on in a new epoch
	if _, err := s.WriteSnapshot(image(replacement)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetAside(replacement); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().Append(batchOf(replacement+1, replacement+3, 20)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(opt.DataDir, versionDir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != lockName {
			names = append(names, e.Name())
		}
	}
	want := []string{
		"log.100000001", "replaced.log.1", "replaced.log.6", "replaced.snapshot.0", "replaced.snapshot.5", "snapshot.100000000",
	}
	if !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	s, _, _, res = restore(t, opt)
	if res.SnapshotZxid != replacement || res.LastZxid != replacement+3 {
		t.Errorf("restored %+v", res)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Without the replacement there is no way back into the old history, which would leave a hole.
	if err := os.Remove(v2(opt, "snapshot.100000000")); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(opt); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Restore(NopBuilder{}, func(*proto.TxnHeader, []byte, []byte) error { return nil }); err == nil {
		t.Error("a log whose snapshot is lost was replayed")
	}
}
