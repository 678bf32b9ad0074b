// Package peers runs the servers that zebu is tested against and measured beside: Apache ZooKeeper 3.9 from Maven,
// Apache ZooKeeper 3.8 from Debian, and zebu itself, each as a process of its own with its own configuration file, on
// free loopback ports. It is for tests and benchmarks only.
package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// A Maker builds the command that runs one make of server.
type Maker interface {
	// Name is short, for test names and reports.
	Name() string
	// Command runs a server in the foreground on the configuration file cfg, with system properties ("zookeeper.x=y").
	Command(cfg string, properties []string) *exec.Cmd
}

// Java is an Apache ZooKeeper: a class path and options for the virtual machine.
type Java struct {
	name      string
	java      string
	classPath string
	// Options are the virtual machine's; replaced by benchmarks, which want a large heap.
	Options []string
}

// Small virtual machines that start fast: tests start dozens of them.
var smallVM = []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"}

// Apache39 returns Apache ZooKeeper 3.9.5.
func Apache39(ctx context.Context) (*Java, error) {
	java, err := lookPath("java", "Apache ZooKeeper 3.9", "default-jdk-headless")
	if err != nil {
		return nil, err
	}
	jars, err := Jars(ctx)
	if err != nil {
		return nil, err
	}
	return &Java{name: "apache-3.9.5", java: java, classPath: ClassPath(jars), Options: smallVM}, nil
}

// debianJars is where Debian's packages zookeeper and libslf4j-java put what a 3.8 server needs.
var debianJars = []string{"/usr/share/java/zookeeper.jar", "/usr/share/java/servlet-api.jar", "/usr/share/java/slf4j-simple.jar"}

// Apache38 returns Debian 12's Apache ZooKeeper, 3.8.0.
func Apache38() (*Java, error) {
	java, err := lookPath("java", "Apache ZooKeeper 3.8", "default-jdk-headless")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(debianJars[0]); err != nil {
		return nil, &Missing{What: "Apache ZooKeeper 3.8", Why: "no " + debianJars[0] + " (Debian package zookeeper)"}
	}
	cp := debianJars[0]
	for _, j := range debianJars[1:] {
		cp += string(os.PathListSeparator) + j
	}
	options := append(slices.Clone(smallVM), "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
	return &Java{name: "apache-3.8.0", java: java, classPath: cp, Options: options}, nil
}

// Name implements [Maker].
func (j *Java) Name() string { return j.name }

// ClassPath is what this server runs on: its client library runs on the same.
func (j *Java) ClassPath() string { return j.classPath }

// Command implements [Maker].
func (j *Java) Command(cfg string, properties []string) *exec.Cmd {
	args := append([]string(nil), j.Options...)
	for _, p := range properties {
		args = append(args, "-D"+p)
	}
	args = append(args, "-cp", j.classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", cfg)
	return exec.Command(j.java, args...)
}

// Zebu is a built zebu binary.
type Zebu struct {
	Binary string
}

var buildOnce = struct {
	sync.Once
	path string
	err  error
}{}

// BuildZebu compiles cmd/zebu, once per process, with the race detector if race is set in the first call. It returns
// $ZEBU_BINARY instead if that is set: to try a released binary.
func BuildZebu(ctx context.Context, race bool) (*Zebu, error) {
	if binary := os.Getenv("ZEBU_BINARY"); binary != "" {
		return &Zebu{Binary: binary}, nil
	}
	b := &buildOnce
	b.Do(func() { b.path, b.err = build(ctx, race) })
	if b.err != nil {
		return nil, b.err
	}
	return &Zebu{Binary: b.path}, nil
}

func build(ctx context.Context, race bool) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	// One file per test process: packages are tested side by side, each builds its own.
	dir := filepath.Join(cache, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	out := filepath.Join(dir, fmt.Sprintf("zebu-%d", os.Getpid()))
	if runtime.GOOS == "windows" {
		out += ".exe"
	}
	args := []string{"build", "-o", out}
	if race {
		args = append(args, "-race")
	}
	if text, err := exec.CommandContext(ctx, "go", append(args, "zebu/cmd/zebu")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cmd/zebu: %w\n%s", err, text)
	}
	return out, nil
}

// RemoveBuild deletes what [BuildZebu] built; for the end of TestMain.
func RemoveBuild() {
	if buildOnce.path != "" {
		_ = os.Remove(buildOnce.path) // a leftover in a cache directory harms nobody
	}
}

// Name implements [Maker].
func (z *Zebu) Name() string { return "zebu" }

// Command implements [Maker].
func (z *Zebu) Command(cfg string, properties []string) *exec.Cmd {
	args := []string{"server", cfg}
	for _, p := range properties {
		args = append(args, "-D"+p)
	}
	return exec.Command(z.Binary, args...)
}
