package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"zebu/internal/peers"
)

// Tests of the way back to Apache ZooKeeper for those who have used the etcd API.

// etcdOf connects to the etcd API on a port of this machine.
func etcdOf(t *testing.T, port int) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("127.0.0.1:%d", port)}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// putEtcd puts a key, as soon as the ensemble lets it.
func putEtcd(t *testing.T, port int, key, value string) {
	t.Helper()
	c := etcdOf(t, port)
	defer c.Close()
	var err error
	seen := ""
	poll(t, 30*time.Second, "answer to a put", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err = c.Put(ctx, key, value); err != nil {
			seen = err.Error()
		}
		return err == nil
	}, &seen)
}

// forZooKeeper converts the directory data beside a zoo.cfg and puts the result in its place; it returns what was said, and the name
// that zebu's own directory has now.
func forZooKeeper(t *testing.T, dir string, properties []string) (said, before string) {
	t.Helper()
	data, made := filepath.Join(dir, "data"), filepath.Join(dir, "made")
	args := []string{"datadir", "for-zookeeper", made, "--config", filepath.Join(dir, "zoo.cfg")}
	for _, p := range properties {
		args = append(args, "-D"+p)
	}
	out, err := exec.CommandContext(t.Context(), zebu(t).Binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before = data + ".zebu"
	for _, r := range [][2]string{{data, before}, {made, data}} {
		if err := os.Rename(r[0], r[1]); err != nil {
			t.Fatal(err)
		}
	}
	return string(out), before
}

// TestBackToZooKeeper has Apache ZooKeeper go on with the znodes of a server that has etcd transactions in its log.
func TestBackToZooKeeper(t *testing.T) {
	for _, c := range []struct {
		name, compression, end string
		back                   func(*testing.T) *peers.Java
	}{
		{"3.9", "", "killed", apache39},
		{"3.8", "gz", "torn", apache38},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			port := memberPort(t)
			properties := []string{superDigest, "zookeeper.extendedTypesEnabled=true", "zookeeper.snapCount=30",
				"zookeeper.snapshot.compression.method=" + c.compression}
			x := &trip{t: t, live: map[string]*wire{}, config: peers.Config{
				Dir: t.TempDir(), Properties: properties,
				Extra: []string{"maxSessionTimeout=120000", "snapCount=30", fmt.Sprintf("etcd.clientPort=%d", port)},
			}}
			x.start(zebu(t))
			putEtcd(t, port, "first", "1")
			x.fill()
			putEtcd(t, port, "last", "2")
			x.end(c.end)
			said, before := forZooKeeper(t, x.config.Dir, properties)
			// The server was killed: its key space may lack the last transaction, which the log has.
			whole := strings.Contains(said, "2 keys at revision 3, 0 leases, 0 users") && !strings.Contains(said, "not in there yet")
			lacks := strings.Contains(said, "1 keys at revision 2,") && strings.Contains(said, "; 1 are not in there yet")
			if !whole && !lacks || !strings.Contains(said, "2 etcd transactions in the logs") {
				t.Errorf("it said:\n%s", said)
			}
			apache := c.back(t)
			x.start(apache)
			x.check()
			x.create(x.admin, "/after", "", 0, openACL)
			x.end("stopped")

			// What zebu had is as it was: nothing for ZooKeeper, and whole for zebu.
			config := x.config
			config.Extra = append(config.Extra, "dataDir="+before)
			if s, err := peers.Start(t.Context(), apache, config); err == nil {
				s.Kill()
				t.Error("ZooKeeper has started on a log with etcd transactions")
			}
			s := start(t, zebu(t), config)
			kv, err := etcdOf(t, port).Get(t.Context(), "last")
			if err != nil || len(kv.Kvs) != 1 || kv.Header.Revision != 3 {
				t.Errorf("zebu on its own directory: %v, %v", kv, err)
			}
			stop(t, s)
		})
	}
}

// TestUnusedEtcdNeedsNoConversion: ZooKeeper opens what a server with the etcd API has written as long as nobody used that.
func TestUnusedEtcdNeedsNoConversion(t *testing.T) {
	t.Parallel()
	x := &trip{t: t, live: map[string]*wire{}, config: peers.Config{
		Dir: t.TempDir(), Properties: []string{superDigest, "zookeeper.extendedTypesEnabled=true", "zookeeper.snapCount=30"},
		Extra: []string{"maxSessionTimeout=120000", "snapCount=30", fmt.Sprintf("etcd.clientPort=%d", memberPort(t))},
	}}
	x.start(zebu(t))
	x.fill()
	if names := x.files("etcd/CURRENT"); len(names) != 1 {
		t.Fatal("there is no key space")
	}
	x.end("killed")
	x.start(apache39(t))
	x.check()
}

// TestEnsembleBackToZooKeeper does the same with an ensemble: its members' new directories make one of Apache ZooKeeper.
func TestEnsembleBackToZooKeeper(t *testing.T) {
	t.Parallel()
	e := ensembleOf(t, "zebu", "zebu", "zebu")
	for _, m := range e.members {
		m.etcd = memberPort(t)
	}
	e.lead(3)
	c := connect(t, 10*time.Second, e.seat(1).addr())
	c.mustCreate("/node", "before", 0)
	putEtcd(t, e.seat(1).etcd, "key", "1")
	e.kill(3) // another epoch
	putEtcd(t, e.seat(2).etcd, "key", "2")
	c.mustSync()
	c.mustCreate("/later", "x", 0)
	c.Close()
	e.start(3)
	e.same()
	for i, kind := range []string{"3.9", "3.8", "3.9"} {
		e.stop(i + 1)
		m := e.seat(i + 1)
		said, _ := forZooKeeper(t, m.dir, e.properties)
		if !strings.Contains(said, "etcd transactions in the logs, the last one 0x") {
			t.Errorf("it said:\n%s", said)
		}
		for _, name := range []string{"myid", "version-2/acceptedEpoch", "version-2/currentEpoch"} {
			was, err := os.ReadFile(filepath.Join(m.dir, "data.zebu", name))
			is, err2 := os.ReadFile(filepath.Join(m.dir, "data", name))
			if err != nil || err2 != nil || string(was) != string(is) {
				t.Errorf("%s: %q, %v; was %q, %v", name, is, err2, was, err)
			}
		}
		m.maker = makerOf(t, kind)
	}
	e.launch(1, 2, 3)
	e.serving(1, 2, 3)
	c = connect(t, 10*time.Second, e.seat(2).addr())
	c.mustSync()
	for path, want := range map[string]string{"/node": "before", "/later": "x"} {
		if b, _, err := c.Get(path); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	c.mustCreate("/after", "y", 0)
	e.same()
}
