package interop

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"zebu/internal/peers"
)

// Suites of clients, each on an ensemble of three that the client's own harness starts: it runs "java … QuorumPeerMain zoo.cfg" or
// zkServer.sh, for which dist has stand-ins. With INTEROP_ONLY=apache they run on Apache ZooKeeper 3.9;
// then with -parallel=1, for a small machine does not bear a dozen Java servers at once.

// onApache says whether to run suites on the reference.
func onApache() bool { return os.Getenv("INTEROP_ONLY") == "apache" }

// suiteEnv is the environment of a harness.
func suiteEnv(t *testing.T, more ...string) []string {
	t.Helper()
	env := append(os.Environ(), "ZOO_LOG_DIR="+t.TempDir(), "TMPDIR="+t.TempDir())
	if onApache() {
		shims, err := filepath.Abs("shims")
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "ZOOKEEPER_BIN_PATH="+shims, "ZOOKEEPER_CLASSPATH="+apache39(t).ClassPath())
	} else {
		dist, err := filepath.Abs("../dist")
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "ZOOKEEPER_BIN_PATH="+dist, "ZEBU="+zebu(t).Binary, "ZOOKEEPER_CLASSPATH=/nowhere",
			"PATH="+dist+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	return append(env, more...)
}

// runSuite runs a harness and returns what it printed. It leaves no servers behind.
func runSuite(t *testing.T, cmd *exec.Cmd) (string, error) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails if all have ended, as they should
	}
	return string(out), err
}

// TestGoClientEnsembleSuite runs those of go-zookeeper/zk's integration tests that want an ensemble.
func TestGoClientEnsembleSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: takes half a minute, mostly of waiting")
	}
	t.Parallel()
	// Two are left out that race with themselves on any server. IncrementalReconfig asks once, and may do so while a server has no
	// leader; see TestMixedReconfiguration. DNSHostProviderReconnect writes right after its server has died, and fails if its
	// connection has not heard of that yet.
	want := []string{"BasicCluster", "ClientClusterFailover", "NoQuorum", "RecurringReAuthHang", "Reconfig"}
	cmd := exec.CommandContext(t.Context(), "go", "test", ".", "-vet=off", "-count=1", "-v", "-run=^TestIntegration_("+strings.Join(want, "|")+")$")
	cmd.Dir = goClientSource(t)
	cmd.Env = suiteEnv(t, "ZK_VERSION=3.9.5") // the reconfiguration tests want to know
	out, err := runSuite(t, cmd)
	passed := strings.Count(out, "\n--- PASS: TestIntegration")
	if err != nil || passed != len(want) {
		failures := regexp.MustCompile(`(?m)^\s*--- (FAIL|SKIP).*|^panic.*|\S+_test\.go:\d+: .*`).FindAllString(out, -1)
		t.Fatalf("%v, %d passed:\n%s", err, passed, strings.Join(failures[max(0, len(failures)-60):], "\n"))
	}
}

// goClientSource copies the client with its tests. It cannot read how ZooKeeper 3.8 and later write their build time, and so does not
// find them healthy: for the reference that is mended.
func goClientSource(t *testing.T) string {
	t.Helper()
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/go-zookeeper/zk").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "zk")
	if err := os.CopyFS(dir, os.DirFS(strings.TrimSpace(string(module)))); err != nil {
		t.Fatal(err)
	}
	if !onApache() {
		return dir
	}
	file := filepath.Join(dir, "flw.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mended := strings.Replace(string(text), `built on (\d\d/\d\d/\d\d\d\d \d\d:\d\d [A-Za-z0-9:\+\-]+)`, `built on ([-0-9]+ [0-9:]+ UTC)`, 1)
	mended = strings.Replace(mended, `"01/02/2006 15:04 MST"`, `"2006-01-02 15:04 MST"`, 1)
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(mended), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// kazooParts are kazoo's modules of tests. Two are left out, which run those of client and lock over again with eventlet and gevent in
// place of threads, and two that do not talk to servers: build and selectors_select.
var kazooParts = []struct {
	name    string
	modules []string
}{
	{"client", []string{"client", "exceptions", "hosts", "interrupt", "paths", "retry", "security", "threading_handler", "utils"}},
	{"connection", []string{"connection", "watchers", "sasl", "barrier", "counter"}},
	{"recipes", []string{"cache", "election", "lease", "lock", "partitioner", "party", "queue"}},
}

// kazooLeftOut are single tests of kazoo that are not run.
var kazooLeftOut = map[string]string{
	"TestSSLClient":             "TLS is to come",
	"test_invalid_sasl_auth":    "python/test_patient.py does the same, like the others below, but waits for what must happen",
	"test_connect_sasl_auth":    "gives the other servers 0.1 s to have a node",
	"test_connect_auth":         "gives the other servers 0.1 s to have a node",
	"test_concurrent_execution": "gives a thread 0.1 s to put what others take",
}

// TestKazooEnsembleSuite runs kazoo's own tests, in three parts side by side: they mostly wait.
func TestKazooEnsembleSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: takes a minute, mostly of waiting")
	}
	t.Parallel()
	python := pythonWith(t, "kazoo's own tests", "kazoo")
	patient, err := filepath.Abs(filepath.Join("python", "test_patient.py"))
	if err != nil {
		t.Fatal(err)
	}
	var selected []string
	for name := range kazooLeftOut {
		selected = append(selected, "not "+name)
	}
	for _, part := range kazooParts {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=120", "-k", strings.Join(selected, " and "), "--pyargs"}
			for _, module := range part.modules {
				args = append(args, "kazoo.tests.test_"+module)
			}
			if part.name == "connection" {
				args = append(args, patient)
			}
			cmd := exec.CommandContext(t.Context(), python, args...)
			cmd.Dir = t.TempDir()
			cmd.Env = suiteEnv(t, "ZOOKEEPER_VERSION=3.9.5", fmt.Sprintf("ZOOKEEPER_PORT_OFFSET=%d", faultPorts(t, 30)))
			out, err := runSuite(t, cmd)
			summary := regexp.MustCompile(`(?m)^(FAILED|ERROR) .*|^.*\d+ passed.*`).FindAllString(out, -1)
			if err != nil {
				t.Errorf("%v\n%s\n%s", err, strings.Join(summary, "\n"), out[max(0, len(out)-4000):])
			}
			t.Log(strings.Join(summary, "\n"))
		})
	}
}

// pythonWith returns a Python that has what python/NAME.txt lists, for what. It is made the first time, and kept in the cache.
func pythonWith(t *testing.T, what, name string) string {
	t.Helper()
	requirements := filepath.Join("python", name+".txt")
	text, err := os.ReadFile(requirements)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := peers.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, name+"-"+fmt.Sprintf("%x", sha256.Sum256(text))[:12])
	python := filepath.Join(dir, "bin", "python")
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err == nil {
		return python
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", dir},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements},
	} {
		out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		if err != nil {
			have(t, &peers.Missing{What: what, Why: errors.Join(err, fmt.Errorf("%s: %s", strings.Join(args, " "), out)).Error()})
		}
	}
	if err := os.WriteFile(done, []byte(time.Now().UTC().String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return python
}
