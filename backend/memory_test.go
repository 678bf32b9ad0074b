package backend

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"zebu/mvcc"
)

// idle opens a directory and tells its resident memory in KiB.
func idle(dir string) {
	b, err := Open(dir, nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s, err := mvcc.Open(b, mvcc.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Println(strings.TrimSpace(strings.TrimSuffix(kib, "kB")))
		}
	}
	runtime.KeepAlive(s)
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// TestIdleMemory holds what an open directory costs that nobody uses: the whole process stays below 60 MB.
func TestIdleMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	cmd, lines := child(t, "idle", t.TempDir())
	var kib int
	if lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &kib); err != nil {
			t.Fatal(lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KiB", kib)
	if kib == 0 || kib > 60_000_000/1024 {
		t.Errorf("an idle process takes %d KiB", kib)
	}
}

// mapped is the resident memory of a directory's tables, in KiB.
func mapped(t *testing.T, b *Backend) (sum int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ours := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.Contains(line, " r") && strings.Contains(line, "-") {
			ours = strings.Contains(line, b.abs) && strings.HasSuffix(line, ".sst")
		}
		if kib, ok := strings.CutPrefix(line, "Rss:"); ok && ours {
			n := 0
			if _, err := fmt.Sscan(kib, &n); err != nil {
				t.Fatal(line)
			}
			sum += n
		}
	}
	return sum
}

func TestReleaseMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	b, s := must(t, t.TempDir(), 1<<20)
	dir := b.dir
	if err := advance(s, 1500, b.Commit); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, s = must(t, dir, 1<<20)
	defer b.Close()
	before := mapped(t, b)
	deadline := time.Now().Add(20 * time.Second)
	for { // again while Badger, just opened, still merges tables and so reads them
		if err := b.Release(); err != nil {
			t.Fatal(err)
		}
		after := mapped(t, b)
		if before >= 1000 && after <= before/10 {
			break
		}
		if before < 1000 || time.Now().After(deadline) {
			t.Fatalf("%d KiB of tables before, %d after", before, after)
		}
	}
	compare(t, s)
}
