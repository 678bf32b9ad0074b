package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestOS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := OS.MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	name, other := filepath.Join(dir, "x"), filepath.Join(dir, "y")
	f, err := OS.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("J"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Preallocate(10_000); err != nil {
		t.Fatal(err)
	}
	if err := f.Preallocate(5_000); err != nil { // does not shrink
		t.Fatal(err)
	}
	f.StartWriteback(0, 10_000)
	f.AwaitWriteback(0, 10_000)
	if n, err := f.Size(); n != 10_000 || err != nil || f.Name() != name {
		t.Errorf("size %d, %v, name %s", n, err, f.Name())
	}
	if err := errors.Join(f.Sync(), f.Close(), OS.Rename(name, other), OS.SyncDir(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := OS.OpenWrite(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if f, err = OS.OpenWrite(other); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(6), f.Close()); err != nil {
		t.Fatal(err)
	}
	if f, err = OS.Open(other); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); string(b) != "Jello\x00" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	_ = f.Close()
	if names, err := OS.ReadDir(dir); !slices.Equal(names, []string{"y"}) || err != nil {
		t.Errorf("%v, %v", names, err)
	}
	if st, err := OS.Stat(other); err != nil || st.Size() != 6 {
		t.Errorf("%v, %v", st, err)
	}
	if err := OS.Remove(other); err != nil {
		t.Error(err)
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	l, err := OS.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OS.Lock(name); !errors.Is(err, ErrLocked) {
		t.Errorf("error %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = OS.Lock(name); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// TestFaultyFailsWhatItIsTold makes every operation fail once, and sees that the others do what they do.
func TestFaultyFailsWhatItIsTold(t *testing.T) {
	for _, bad := range []Op{
		OpCreate, OpOpen, OpRename, OpRemove, OpReadDir, OpMkdirAll, OpStat, OpSyncDir, OpLock,
		OpRead, OpWrite, OpSync, OpTruncate, OpPreallocate, OpClose,
	} {
		dir := t.TempDir()
		seen := map[Op]error{}
		fsys := NewFaulty(OS, func(op Op, _ string) *Fault {
			if op == bad {
				return &Fault{Err: syscall.ENOSPC, Short: 2}
			}
			return nil
		})
		note := func(op Op, err error) {
			if seen[op] == nil {
				seen[op] = err
			}
		}
		name := filepath.Join(dir, "x")
		f, err := fsys.Create(name)
		if note(OpCreate, err); err == nil {
			n, err := f.Write([]byte("abcd"))
			note(OpWrite, err)
			if bad == OpWrite && n != 2 {
				t.Errorf("short write of %d", n)
			}
			_, err = f.WriteAt([]byte("a"), 0)
			note(OpWrite, err)
			_, err = f.ReadAt(make([]byte, 1), 0)
			note(OpRead, err)
			note(OpSync, f.Sync())
			note(OpPreallocate, f.Preallocate(8))
			note(OpTruncate, f.Truncate(4))
			note(OpClose, f.Close())
			g, err := fsys.Open(name)
			if note(OpOpen, err); err == nil {
				_, err = g.Read(make([]byte, 1))
				note(OpRead, err)
				note(OpClose, g.Close())
			}
			note(OpRename, fsys.Rename(name, name+"y"))
			if bad != OpRename {
				note(OpRemove, fsys.Remove(name+"y"))
			}
		}
		_, err = fsys.ReadDir(dir)
		note(OpReadDir, err)
		_, err = fsys.Stat(dir)
		note(OpStat, err)
		note(OpMkdirAll, fsys.MkdirAll(filepath.Join(dir, "d")))
		note(OpSyncDir, fsys.SyncDir(dir))
		l, err := fsys.Lock(filepath.Join(dir, "lock"))
		if note(OpLock, err); err == nil {
			_ = l.Close()
		}
		for op, err := range seen {
			if (op == bad) != errors.Is(err, syscall.ENOSPC) || op != bad && err != nil {
				t.Errorf("with a faulty %s: %s returned %v", bad, op, err)
			}
		}
		if _, ok := seen[bad]; !ok {
			t.Errorf("%s was not tried", bad)
		}
	}
}
