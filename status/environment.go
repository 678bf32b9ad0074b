package status

import (
	"bufio"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
)

// Environment returns the lines of envi as name and value, in ZooKeeper's order, with the Go runtime's answers in the
// place of Java's, and zebu's own version last.
func (r *Report) Environment() [][2]string {
	host, err := os.Hostname()
	if err != nil {
		host = "<NA>"
	}
	dir, _ := os.Getwd()
	home, _ := os.UserHomeDir()
	exe, _ := os.Executable()
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	free, most, total := memory()
	mb := func(bytes uint64) string { return fmt.Sprintf("%dMB", bytes>>20) }
	return [][2]string{
		{"zookeeper.version", r.Version.String()},
		{"host.name", host},
		{"java.version", runtime.Version()},
		{"java.vendor", "Go"},
		{"java.home", ""},
		{"java.class.path", exe},
		{"java.library.path", ""},
		{"java.io.tmpdir", os.TempDir()},
		{"java.compiler", runtime.Compiler},
		{"os.name", osName()},
		{"os.arch", runtime.GOARCH},
		{"os.version", osVersion()},
		{"user.name", name},
		{"user.home", home},
		{"user.dir", dir},
		{"os.memory.free", mb(free)},
		{"os.memory.max", mb(most)},
		{"os.memory.total", mb(total)},
		{"zebu.version", r.Version.Zebu},
	}
}

func (r *Report) envi(w *bufio.Writer) {
	line(w, "Environment:")
	for _, kv := range r.Environment() {
		line(w, kv[0], "=", kv[1])
	}
}

// memory returns what the Go runtime holds and does not use, may hold, and holds, in bytes: Java's free, max and total
// memory.
func memory() (free, most, total uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	total = s[0].Value.Uint64()
	free = total - min(total, s[1].Value.Uint64())
	most = total
	if limit := debug.SetMemoryLimit(-1); uint64(limit) < 1<<62 {
		most = uint64(limit)
	}
	return free, most, total
}

// osName is the system's name as Java calls it.
func osName() string {
	switch runtime.GOOS {
	case "darwin":
		return "Mac OS X"
	}
	return strings.ToUpper(runtime.GOOS[:1]) + runtime.GOOS[1:]
}

func osVersion() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(release))
}
