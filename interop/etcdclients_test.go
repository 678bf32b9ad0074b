package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"zebu/internal/peers"
)

// TestJetcd runs etcd's client for Java on an ensemble whose leader dies: keys, transactions and elections work before and after, and a
// watch, a lease that is kept alive, a lock and somebody who waits for it outlive the leader. A real etcd says the same.
func TestJetcd(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: starts two Java programs")
	}
	t.Parallel()
	jars, err := peers.JetcdJars(t.Context())
	have(t, err)
	classes := t.TempDir()
	if out, err := exec.Command("javac", "-nowarn", "-d", classes, "-cp", peers.ClassPath(jars), "java/Jetcd.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	program := func(endpoints ...string) driver {
		cmd := exec.Command("java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
			classes+string(os.PathListSeparator)+peers.ClassPath(jars), "Jetcd")
		cmd.Args = append(cmd.Args, endpoints...)
		return startProcess(t, cmd)
	}
	e := ensembleOf(t, "zebu", "zebu", "zebu").withEtcd()
	e.start(1, 2, 3)
	sameEtcdClient(t, e, program)
}

// TestAetcd does the same with a client for Python, which leaves it to its user to ask again and to resume watches.
func TestAetcd(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: waits for leases")
	}
	t.Parallel()
	python := pythonWith(t, "aetcd", "aetcd")
	program := func(endpoints ...string) driver {
		return startProcess(t, exec.Command(python, append([]string{"python/etcdclient.py"}, endpoints...)...))
	}
	e := ensembleOf(t, "zebu", "zebu", "zebu").withEtcd()
	e.start(1, 2, 3)
	sameEtcdClient(t, e, program)
}

// sameEtcdClient has the program of a client do what it does before and after its leader dies, and on a real etcd, where none does.
func sameEtcdClient(t *testing.T, e *ensemble, program func(endpoints ...string) driver) {
	t.Helper()
	reference := launchEtcd(t, filepath.Join(t.TempDir(), "etcd"), "http")
	awaitEtcd(t, etcdctl(t, reference))
	etcd := program("http://" + reference)
	var endpoints []string
	for _, m := range e.members {
		endpoints = append(endpoints, fmt.Sprintf("http://127.0.0.1:%d", m.etcd))
	}
	zebu := program(endpoints...)
	for _, part := range []string{"before", "after"} {
		if part == "after" {
			e.kill(e.leader())
		}
		var want string
		var told error
		var asking sync.WaitGroup
		asking.Go(func() { want, told = etcd.do(part) })
		got, err := zebu.do(part)
		asking.Wait()
		if err = errors.Join(told, err); err != nil || got != want || strings.HasPrefix(want, "FAIL") {
			t.Fatalf("%s: %v\n-- etcd:\n%s\n-- zebu:\n%s", part, err, want, got)
		}
		t.Log(got)
	}
}
