package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: Linux reports them in hundredths of a second to every process.
const clockTick = 10 * time.Millisecond

// cpuTime returns the user and system time that process pid has used.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	ticks, err := parseStat(string(stat))
	return time.Duration(ticks) * clockTick, err
}

// parseStat returns utime + stime, fields 14 and 15 of proc(5)'s stat. The command name, field 2, may hold spaces and
// parentheses.
func parseStat(stat string) (ticks int64, err error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("process status %q: too short", stat)
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process status: %w", err)
		}
		ticks += n
	}
	return ticks, nil
}

// memory is a process's resident memory in bytes: now, and the most there ever was.
type memory struct{ rss, peak int64 }

func memoryOf(pid int) (memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	return memory{rss: kilobytes(string(status), "VmRSS:"), peak: kilobytes(string(status), "VmHWM:")}, nil
}

// kilobytes returns the value of a line such as "VmRSS:  123 kB" in bytes, 0 if there is none.
func kilobytes(text, key string) int64 {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == key {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// settledMemory waits until pid's resident memory has stopped changing by more than 1 % in half a second, for at most
// five seconds.
func settledMemory(pid int) (memory, error) {
	last, err := memoryOf(pid)
	for range 10 {
		if err != nil {
			break
		}
		time.Sleep(500 * time.Millisecond)
		var m memory
		if m, err = memoryOf(pid); max(m.rss-last.rss, last.rss-m.rss)*100 < m.rss {
			return m, err
		}
		last = m
	}
	return last, err
}

// describeMachine names the machine in words, with the file system that dir is on.
func describeMachine(dir string) string {
	cores := fmt.Sprintf("%d cores", runtime.NumCPU())
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	if strings.Contains(string(cpu), " hypervisor") {
		cores = fmt.Sprintf("%d virtual cores", runtime.NumCPU())
	}
	for line := range strings.Lines(string(cpu)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			cores += " (" + strings.TrimSpace(value) + ")"
			break
		}
	}
	info, _ := os.ReadFile("/proc/meminfo")
	mem := float64(kilobytes(string(info), "MemTotal:")) / (1 << 30)
	return fmt.Sprintf("%s, %.0f GiB of memory, %s", cores, mem, describeDisk(dir))
}

func describeDisk(dir string) string {
	mounts, err := os.Open("/proc/mounts")
	if err != nil {
		return "unknown file system"
	}
	defer mounts.Close()
	dir, _ = filepath.Abs(dir)
	best, text := -1, "unknown file system"
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 3 || len(f[1]) < best {
			continue
		}
		if rest, ok := strings.CutPrefix(dir, f[1]); ok && (rest == "" || rest[0] == '/' || f[1] == "/") {
			best, text = len(f[1]), f[2]
			if strings.HasPrefix(f[0], "/dev/vd") {
				text += " on virtio"
			} else if strings.HasPrefix(f[0], "/dev/nvme") {
				text += " on NVMe"
			}
		}
	}
	return text
}
