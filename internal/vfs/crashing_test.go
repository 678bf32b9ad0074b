package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
)

func content(t *testing.T, f FS, name string) string {
	t.Helper()
	file, err := f.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Synced data stays; of the rest, every outcome that a disk may have turns up.
func TestCrashingLosesOnlyWhatIsNotSynced(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 0))
		c := NewCrashing(rng.IntN)
		if err := c.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		f, err := c.Create("/d/a")
		if err != nil {
			t.Fatal(err)
		}
		f.Write(bytes.Repeat([]byte("s"), 600))
		f.Sync()
		c.SyncDir("/d")
		f.WriteAt(bytes.Repeat([]byte("n"), 600), 300)
		f.Truncate(800)
		if _, err := c.Create("/d/b"); err != nil {
			t.Fatal(err)
		}
		if err := c.Rename("/d/b", "/d/c"); err != nil {
			t.Fatal(err)
		}
		c.Crash()
		a := content(t, c, "/d/a")
		if len(a) < 600 || a[:300] != string(bytes.Repeat([]byte("s"), 300)) {
			t.Fatalf("seed %d: synced data is lost: %q", seed, a)
		}
		b, cc := content(t, c, "/d/b"), content(t, c, "/d/c")
		if b != "none" && cc != "none" {
			t.Fatalf("seed %d: a rename left both names", seed)
		}
		names := "b " + b + " c " + cc
		switch {
		case len(a) == 600 && a[599] == 's':
			seen["nothing written"] = true
		case len(a) == 800 && a[300] == 'n' && a[799] == 'n':
			seen["all written"] = true
		case len(a) == 800 && a[300] == 's' && a[799] == 'n':
			seen["later sector only"] = true
		case a[300] == 'n' && a[len(a)-1] != 'n' || len(a) < 800:
			seen["torn"] = true
		}
		seen[names] = true
		if _, err := f.Write([]byte("x")); !errors.Is(err, ErrCrashed) {
			t.Fatalf("a file outlived the crash: %v", err)
		}
	}
	for _, want := range []string{"nothing written", "all written", "later sector only", "torn", "b none c none", "b  c none", "b none c "} {
		if !seen[want] {
			t.Errorf("never happened: %s", want)
		}
	}
}

func TestCrashAfter(t *testing.T) {
	c := NewCrashing(func(int) int { return 0 })
	if err := c.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	f, err := c.Create("/d/a")
	if err != nil {
		t.Fatal(err)
	}
	c.CrashAfter(1)
	if _, err := f.Write([]byte("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("2")); !errors.Is(err, ErrCrashed) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.Open("/d/a"); !errors.Is(err, ErrCrashed) {
		t.Fatalf("got %v", err)
	}
	c.Kill()
	if got := content(t, c, "/d/a"); got != "1" {
		t.Errorf("after a kill: %q", got)
	}
}
