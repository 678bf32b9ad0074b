package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"zebu/internal/peers"
)

// Tests of data directories that are made from snapshots of etcd.

// fromEtcd makes a data directory and returns what was said.
func fromEtcd(t *testing.T, snapshot, dir string, args ...string) string {
	t.Helper()
	args = append([]string{"datadir", "from-etcd", snapshot, dir}, args...)
	out, err := exec.CommandContext(t.Context(), zebu(t).Binary, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// digest is what a server says of its key space: hash, the revision it is of, and that of the last compaction.
func (s etcdShell) digest(t *testing.T, flags ...string) string {
	t.Helper()
	out, complaint, ok := s.run(t.Context(), append(flags, "endpoint", "hashkv", "-w", "json")...)
	var answers []struct {
		HashKV struct {
			Hash            uint32 `json:"hash"`
			CompactRevision int64  `json:"compact_revision"`
			HashRevision    int64  `json:"hash_revision"`
		}
	}
	if err := json.Unmarshal([]byte(out), &answers); err != nil || !ok || len(answers) != 1 {
		t.Fatalf("%v: %s%s", err, out, complaint)
	}
	return fmt.Sprintf("%+v", answers[0].HashKV)
}

// importScript makes something of everything.
const importScript = `put a 1
put a 2
put b 3
del b
put c 4
put a 5
compact 5
del c
put c 6
lease grant 4000
user add root:secret
user grant-role root root
role add r
role grant-permission r read a
user add u:pw
user grant-role u r
put last 7`

// importQuestions have the same answers before and after.
const importQuestions = `--user=root:secret get --from-key a -w fields
--user=root:secret get a --rev=6 -w fields
--user=root:secret get a --rev=4
--user=root:secret get c --rev=7 -w fields
--user=root:secret get leased -w fields
--user=u:pw get a
--user=u:pw get c
--user=root:secret lease list
--user=root:secret role get r
--user=root:secret user get u
auth status`

// sameAnswers asks two servers the same.
func sameAnswers(t *testing.T, ours, theirs etcdShell) {
	t.Helper()
	for _, line := range strings.Split(importQuestions, "\n") {
		want, got := said(t.Context(), theirs, strings.Fields(line)), said(t.Context(), ours, strings.Fields(line))
		for _, own := range []string{"MemberID", "ClusterID", "RaftTerm"} {
			want, got = withoutField(want, own), withoutField(got, own)
		}
		if got != want {
			t.Errorf("etcdctl %s\n-- before:\n%s-- after:\n%s", line, want, got)
		}
	}
	if want, got := theirs.digest(t, "--user=root:secret"), ours.digest(t, "--user=root:secret"); got != want {
		t.Errorf("digest %s, before %s", got, want)
	}
}

// TestFromEtcd goes from an etcd to a zebu and back to an etcd, by snapshots: all three have the same.
func TestFromEtcd(t *testing.T) {
	t.Parallel()
	must := func(s etcdShell, args ...string) string {
		t.Helper()
		out, complaint, ok := s.run(t.Context(), args...)
		if !ok {
			t.Fatalf("%v: %s", args, complaint)
		}
		return out
	}
	etcd := etcdctl(t, etcdServer(t, filepath.Join(t.TempDir(), "etcd")))
	for _, line := range strings.Split(importScript, "\n") {
		out := must(etcd, strings.Fields(line)...)
		if id, granted := strings.CutPrefix(out, "lease "); granted {
			must(etcd, "put", "leased", "8", "--lease="+strings.Fields(id)[0])
		}
	}
	must(etcd, "auth", "enable")
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	must(etcd, "--user=root:secret", "snapshot", "save", first)

	config := peers.Config{Dir: t.TempDir()}
	endpoint := freeAddress(t)
	_, port, _ := strings.Cut(endpoint, ":")
	config.Extra = []string{"etcd.clientPort=" + port, "etcd.clientPortAddress=127.0.0.1"}
	if out, want := fromEtcd(t, first, filepath.Join(config.Dir, "data")), ": 4 keys at revision 11, 1 leases, 2 users, as of 0x1"; !strings.Contains(out, want) {
		t.Errorf("it says %s, expected %q", out, want)
	}
	s := start(t, zebu(t), config)
	ours := etcdctl(t, endpoint)
	awaitEtcd(t, ours)
	sameAnswers(t, ours, etcd)
	must(ours, "--user=root:secret", "snapshot", "save", second)

	peer, restored := freeAddress(t), filepath.Join(dir, "restored")
	must(etcdutl(t), "snapshot", "restore", second, "--data-dir="+restored, "--initial-cluster=default=http://"+peer, "--initial-advertise-peer-urls=http://"+peer)
	again := etcdctl(t, etcdServer(t, restored))
	sameAnswers(t, again, ours)

	// It goes on, and what was imported is there after a restart.
	if out := must(ours, "--user=root:secret", "put", "a", "9", "-w", "fields"); !strings.Contains(out, `"Revision" : 12`) {
		t.Error(out)
	}
	stop(t, s)
	start(t, zebu(t), config)
	awaitEtcd(t, ours)
	if out := must(ours, "--user=root:secret", "get", "a", "--print-value-only"); out != "9\n" {
		t.Errorf("a is %q", out)
	}
	if out := must(ours, "--user=root:secret", "get", "a", "--rev=11", "--print-value-only"); out != "5\n" {
		t.Errorf("a at revision 11 is %q", out)
	}
}

// TestFromEtcdEnsemble makes the directories of two servers of an ensemble from a snapshot. The third one begins with nothing: it gets
// everything from the others, at once and after they have gone on, and it must not be an Apache ZooKeeper.
func TestFromEtcdEnsemble(t *testing.T) {
	t.Parallel()
	source := etcdctl(t, zebuEtcd(t))
	for i := range 5 {
		if _, complaint, ok := source.run(t.Context(), "put", fmt.Sprint("k", i), "v"); !ok {
			t.Fatal(complaint)
		}
	}
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	if _, complaint, ok := source.run(t.Context(), "snapshot", "save", snapshot); !ok {
		t.Fatal(complaint)
	}
	e := ensembleOf(t, "zebu", "zebu", "3.9").withEtcd()
	for _, id := range []int{1, 2} {
		fromEtcd(t, snapshot, filepath.Join(e.seat(id).dir, "data"))
	}
	e.start(1, 2)
	leader := e.seat(e.leader())
	e.launch(3)
	e.watch.excuse("3")
	poll(t, 30*time.Second, "refusal of an Apache member", func() bool {
		return strings.Contains(leader.sinceStart(), "it cannot apply transactions of the etcd API")
	})
	e.kill(3)
	e.seat(3).maker = makerOf(t, "zebu")
	for _, key := range []string{"first", "second"} {
		if err := os.RemoveAll(filepath.Join(e.seat(3).dir, "data", "version-2")); err != nil {
			t.Fatal(err)
		}
		e.start(3)
		if log := e.seat(3).sinceStart(); !strings.Contains(log, `"by": "SNAP"`) {
			t.Errorf("an empty server is synchronised otherwise: %s", tail(log, 20))
		}
		eventually(t, "put", func(ctx context.Context) error { _, err := e.etcdClient(3).Put(ctx, key, "v"); return err })
		e.sameEtcd()
		resp, err := e.etcdClient(3).Get(t.Context(), "k", clientv3.WithPrefix(), clientv3.WithSerializable())
		if err != nil || len(resp.Kvs) != 5 || resp.Kvs[4].ModRevision != 6 {
			t.Fatalf("the server that was empty has %v, %v", resp, err)
		}
		e.kill(3)
	}
	e.start(3)
	e.sameEtcd()
}
