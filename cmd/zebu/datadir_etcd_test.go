package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/etcdfile"
	"zebu/mvcc"
)

// etcdSnapshot writes what etcdctl snapshot save would of a key space with some keys, and returns its path.
func etcdSnapshot(t *testing.T, keys int) string {
	t.Helper()
	memory := &mvcc.Memory{}
	s, err := mvcc.Open(memory, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		b, err := mvcc.NewRecord(&pb.PutRequest{Key: fmt.Appendf(nil, "k%d", i), Value: []byte("v")}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Apply(s.Applied()+1, b); err != nil || r.Err != nil {
			t.Fatal(r.Err, err)
		}
	}
	memory.Commit(s.TakeMark())
	var b bytes.Buffer
	err = etcdfile.Send(memory.View(), t.TempDir(), nil, func(file io.Reader, _ int64) error {
		_, err := b.ReadFrom(file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b.Bytes())
	return writeText(t, "snapshot", string(append(b.Bytes(), sum[:]...)))
}

// writeText writes a file in a directory of its own.
func writeText(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFromEtcd(t *testing.T) {
	snapshot, other := etcdSnapshot(t, 3), etcdSnapshot(t, 4)
	dir := filepath.Join(t.TempDir(), "a", "new")
	out, code := run(t, "datadir", "from-etcd", snapshot, dir)
	if code != 0 || !strings.Contains(out, "3 keys at revision 4, 0 leases, 0 users, as of 0x1") || strings.Contains(out, "other servers") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	as := regexp.MustCompile(`as of 0x([0-9a-f]+)`)
	zxid := as.FindStringSubmatch(out)[1]
	for name, want := range map[string]string{"acceptedEpoch": "1", "currentEpoch": "1", "etcd/CURRENT": zxid + " " + zxid + "\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, "version-2", name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("there is %v, %v", left, err)
	}
	// It is a directory like any other.
	back := filepath.Join(t.TempDir(), "back")
	if out, code := run(t, "datadir", "for-zookeeper", back, "--data", dir); code != 0 || !strings.Contains(out, "3 keys at revision 4") ||
		!strings.Contains(out, "the state at 0x"+zxid+", with 5 znodes") {
		t.Errorf("exit code %d:\n%s", code, out)
	}

	// Members of an ensemble: the same file gives the same zxid, another one another.
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "myid"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := writeText(t, "zoo.cfg", "dataDir="+data+"\ninitLimit=5\nsyncLimit=2\nserver.1=127.0.0.1:1:2;3\nserver.2=127.0.0.1:4:5;6\nserver.3=127.0.0.1:7:8;9\n")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for d, file := range map[string]string{data: snapshot, elsewhere: other} {
		out, code := run(t, "datadir", "from-etcd", file, d, "-c", config)
		if code != 0 || !strings.Contains(out, "other servers") || !strings.Contains(out, "set etcd.clientPort") ||
			strings.Contains(out, "set dataDir") != (d != data) || (as.FindStringSubmatch(out)[1] == zxid) != (file == snapshot) {
			t.Errorf("exit code %d:\n%s", code, out)
		}
		if b, err := os.ReadFile(filepath.Join(d, "myid")); err != nil || string(b) != "2\n" {
			t.Errorf("myid %q, %v", b, err)
		}
	}
}

func TestFromEtcdRefuses(t *testing.T) {
	snapshot := etcdSnapshot(t, 3)
	whole, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	refused := func(want string, args ...string) {
		t.Helper()
		if out, code := run(t, append([]string{"datadir", "from-etcd"}, args...)...); code == 0 || !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d:\n%s", args, code, out)
		}
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("%v: there is a directory", args)
		}
	}
	refused("which file", snapshot)
	refused("no such file", filepath.Join(t.TempDir(), "none"), dir)
	refused("it does not match its check sum", writeText(t, "damaged", strings.Replace(string(whole), "k1", "k7", 1)), dir)
	refused("with a check sum behind it", writeText(t, "bare", string(whole[:len(whole)-sha256.Size])), dir)
	refused("with a check sum behind it", writeText(t, "short", "short"), dir)
	garbage := make([]byte, 1<<16)
	sum := sha256.Sum256(garbage)
	refused("not an etcd database", writeText(t, "garbage", string(append(garbage, sum[:]...))), dir)
	used := t.TempDir()
	if err := os.Mkdir(filepath.Join(used, "version-2"), 0o755); err != nil {
		t.Fatal(err)
	}
	refused("a server has worked in "+used, snapshot, used)
	refused("no such file", snapshot, dir, "-c", filepath.Join(t.TempDir(), "none.cfg"))

	data, logs := t.TempDir(), t.TempDir()
	servers := "\ninitLimit=5\nsyncLimit=2\nserver.1=127.0.0.1:1:2;3\nserver.2=127.0.0.1:4:5;6\n"
	config := writeText(t, "zoo.cfg", "dataDir="+data+"\ndataLogDir="+logs+servers)
	refused("myid", snapshot, dir, "-c", config)
	if err := os.WriteFile(filepath.Join(data, "myid"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(used, "myid"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(used, "version-2")); err != nil {
		t.Fatal(err)
	}
	refused(`says "1", and the configuration is that of server 2`, snapshot, used, "-c", config)
	if err := os.Mkdir(filepath.Join(logs, "version-2"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(logs, "version-2", "log.1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("has the logs of a server", snapshot, data, "-c", config)
	for _, d := range []string{data, used} {
		if left, err := filepath.Glob(filepath.Join(d, "*")); err != nil || len(left) != 1 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
}
