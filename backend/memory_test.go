package backend

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

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
