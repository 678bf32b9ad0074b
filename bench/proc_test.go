package main

import (
	"os"
	"runtime"
	"testing"
)

func TestParseStat(t *testing.T) {
	ticks, err := parseStat("42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 70 5 0 0 20 0 1 0 100 1000 10 184")
	if err != nil || ticks != 75 {
		t.Errorf("%d ticks, %v", ticks, err)
	}
	for _, bad := range []string{"", "42 (x) S 1", "42 (x) S 1 42 42 0 -1 4194304 100 0 0 0 x 5 0"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestOwnProcessHasMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	m, err := memoryOf(os.Getpid())
	if err != nil || m.rss < 1<<20 || m.peak < m.rss {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Error(err)
	}
}
