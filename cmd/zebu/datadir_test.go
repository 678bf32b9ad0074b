package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zebu/internal/vfs"
	"zebu/proto"
	"zebu/storage"
)

// etcdDir makes a data directory with znodes below /app and etcd transactions after them, as a server that was killed leaves it, and
// returns it with a zoo.cfg that names it.
func etcdDir(t *testing.T) (data, file string) {
	t.Helper()
	data = t.TempDir()
	opt := storage.DefaultOptions(data)
	s, err := storage.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(storage.NopBuilder{}, nil); err != nil {
		t.Fatal(err)
	}
	var b storage.Batch
	z := proto.MakeZxid(2, 0)
	add := func(op proto.OpCode, body []byte) {
		z++
		h := proto.TxnHeader{ClientID: 7, Zxid: z, Type: op}
		b.End(append(h.Append(b.Begin()), body...), z)
	}
	open := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "world", ID: "anyone"}}}
	for i := range 3 {
		txn := proto.CreateTxn{Path: fmt.Sprintf("/n%d", i), ACL: open, ParentCVersion: int32(i + 1)}
		add(proto.OpCreate, txn.Append(nil))
		add(proto.OpEtcd, proto.AppendBuf(nil, []byte("whatever it is")))
	}
	if err := s.Log().Append(&b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "zoo.cfg")
	text := "dataDir=" + data + "\nclientPort=0\nclientPortAddress=127.0.0.1\nsnapshot.trust.empty=true\nsnapshot.compression.method=gz\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return data, file
}

// tree lists a directory with the sizes of its files.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		fmt.Fprintln(&b, strings.TrimPrefix(path, dir), info.Size())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestForZooKeeper(t *testing.T) {
	data, file := etcdDir(t)
	for name, text := range map[string]string{"myid": "2\n", "version-2/acceptedEpoch": "4", "version-2/currentEpoch": "2"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, data)
	dir := filepath.Join(t.TempDir(), "new")
	out, code := run(t, "datadir", "for-zookeeper", dir, "-c", file)
	if code != 0 || !strings.Contains(out, "3 etcd transactions in the logs, the last one 0x200000006\n") ||
		!strings.Contains(out, "the state at 0x200000006, with 8 znodes and 0 sessions.\n") || strings.Contains(out, "dataLogDir") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if after := tree(t, data); after != before {
		t.Errorf("the directory was\n%s\nand is\n%s", before, after)
	}
	for name, want := range map[string]string{"myid": "2\n", "version-2/acceptedEpoch": "4", "version-2/currentEpoch": "2"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if logs, err := filepath.Glob(filepath.Join(dir, "version-2", "log.*")); err != nil || len(logs) > 0 {
		t.Errorf("logs %v, %v", logs, err)
	}
	if out, code := run(t, "snapshot", "dump", filepath.Join(dir, "version-2", "snapshot.200000006.gz")); code != 0 || !strings.Contains(out, "node /n2 ") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestForZooKeeperRefuses(t *testing.T) {
	data, file := etcdDir(t)
	dir := filepath.Join(t.TempDir(), "new")
	refused := func(want string, args ...string) {
		t.Helper()
		if out, code := run(t, append([]string{"datadir", "for-zookeeper"}, args...)...); code == 0 || !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d:\n%s", args, code, out)
		}
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("%v: there is a directory", args)
		}
	}
	refused("something is there already", data, "-c", file)
	refused("leaves no room for --data", dir, "-c", file, "--data", data)
	refused("which directory")
	refused("no such file", dir, "-c", filepath.Join(t.TempDir(), "none.cfg"))
	refused("missing", dir, "--data", filepath.Join(t.TempDir(), "none"))
	empty := t.TempDir()
	if err := os.Mkdir(filepath.Join(empty, "version-2"), 0o755); err != nil {
		t.Fatal(err)
	}
	refused("holds no data of a server", dir, "--data", empty)
	refused("snapshots are lost", dir, "--data", data) // without snapshot.trust.empty
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	lock, err := vfs.OS.Lock(filepath.Join(data, "version-2", "zebu.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	refused("stop the server first", dir, "-c", file)
}

// TestForZooKeeperOfServer converts what a server has written that was stopped as it is told.
func TestForZooKeeperOfServer(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(t.TempDir(), "zoo.cfg")
	text := "dataDir=" + data + "\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\netcd.clientPort=0\netcd.clientPortAddress=127.0.0.1\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as soon as it serves
	root := newRootCommand()
	root.SetArgs([]string{"server", file, "--log-level", "error"})
	root.SetOut(&strings.Builder{})
	if err := root.ExecuteContext(ctx); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	out, code := run(t, "datadir", "for-zookeeper", dir, "--data", data)
	if code != 0 || !strings.Contains(out, "0 keys at revision 1, 0 leases, 0 users, as of 0x0;") || !strings.Contains(out, "0 etcd transactions") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}
