package storage

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"zebu/internal/vfs"
	"zebu/proto"
)

// The files in testdata were written by real servers: a log, the snapshot of a first start, and one snapshot of the same
// tree in each compression. The log's preallocated zeros are cut down to 100.
var goldenDirs = []string{"testdata/apache-3.9.5", "testdata/apache-3.8.0"}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenLogReencodesToTheSameBytes(t *testing.T) {
	for _, dir := range goldenDirs {
		name := filepath.Join(dir, "log.1")
		want := readFile(t, name)
		h := proto.FileHeader{Magic: proto.TxnLogMagic, Version: logVersion}
		got := h.Append(nil)
		var b Batch
		next := proto.Zxid(1)
		var tail Tail
		err := eachRecord(vfs.OS, name, 1<<20, func(rec *Record) error {
			if rec.Header.Zxid != next {
				t.Errorf("%s: zxid %v, want %v", name, rec.Header.Zxid, next)
			}
			next++
			b.Add(rec.Header.Zxid, rec.Txn)
			return nil
		}, &tail)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.seal()...)
		if next != 0x19 || tail.Torn != "" || int(tail.Offset) != len(got) {
			t.Errorf("%s: ends before %v at %+v, want before 0x19 at %d", name, next, tail, len(got))
		}
		if !bytes.Equal(got, want[:len(want)-100]) {
			t.Errorf("%s: re-encoded log differs", name)
		}
	}
}

func TestGoldenSnapshotsReencodeToTheSameBytes(t *testing.T) {
	for _, dir := range goldenDirs {
		for _, base := range []string{"snapshot.0", "snapshot.18"} {
			name := filepath.Join(dir, base)
			if err := VerifySnapshot(vfs.OS, name); err != nil {
				t.Fatal(err)
			}
			want := readFile(t, name)
			var img memImage
			tail, err := ReadSnapshotStream(bytes.NewReader(want), &img)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			img.zxid, img.digest = tail.DigestZxid, &tail.Digest
			if !tail.HasDigest || tail.HasLastZxid != (dir == goldenDirs[0]) || tail.HasLastZxid && tail.LastZxid != img.zxid {
				t.Errorf("%s: tail %+v", name, tail)
			}
			var got bytes.Buffer
			if err := WriteSnapshotStream(&got, &img, SnapshotTails{Digest: true, LastZxid: tail.HasLastZxid}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s: re-encoded snapshot differs", name)
			}
		}
	}
}

func TestGoldenSnapshotContents(t *testing.T) {
	var img memImage
	if _, err := ReadSnapshotStream(bytes.NewReader(readFile(t, "testdata/apache-3.9.5/snapshot.18")), &img); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]memNode{}
	for _, n := range img.nodes {
		nodes[n.path] = n
	}
	if img.nodes[0].path != "" || len(img.sessions) != 1 || img.sessions[0].timeout != 10000 || len(img.acls) != 3 {
		t.Errorf("first node %q, sessions %+v, %d ACLs", img.nodes[0].path, img.sessions, len(img.acls))
	}
	for path, data := range map[string]string{"/app": "multi", "/umläut": "ü€", "/deep/er/node": "d", "/zookeeper/quota": ""} {
		if n, ok := nodes[path]; !ok || string(n.data) != data {
			t.Errorf("%s: %+v, want data %q", path, n, data)
		}
	}
	if n := nodes["/app/eph"]; n.stat.EphemeralOwner != img.sessions[0].id {
		t.Errorf("owner of /app/eph is %v, want %v", n.stat.EphemeralOwner, img.sessions[0].id)
	}
	for _, p := range []string{"/app/b", "/m2", "/app/eph2"} {
		if _, ok := nodes[p]; ok {
			t.Errorf("%s is there", p)
		}
	}
}

func TestGoldenCompressedSnapshots(t *testing.T) {
	for _, dir := range goldenDirs {
		for _, ext := range []string{".gz", ".snappy"} {
			name := filepath.Join(dir, "snapshot.18"+ext)
			if err := VerifySnapshot(vfs.OS, name); err != nil {
				t.Fatal(err)
			}
			r, err := OpenSnapshot(vfs.OS, name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			var plain, compressed memImage
			if _, err := ReadSnapshotStream(bytes.NewReader(readFile(t, filepath.Join(dir, "snapshot.18"))), &plain); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadSnapshotStream(bytes.NewReader(got), &compressed); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(plain.nodes) != len(compressed.nodes) || len(plain.nodes) < 10 {
				t.Errorf("%s: %d nodes, want %d", name, len(compressed.nodes), len(plain.nodes))
			}
		}
	}
}

func TestGoldenDirectoryRestores(t *testing.T) {
	for _, src := range goldenDirs {
		for _, snap := range []string{"snapshot.0", "snapshot.18", "snapshot.18.gz", "snapshot.18.snappy"} {
			dir := t.TempDir()
			v2 := filepath.Join(dir, versionDir)
			if err := os.Mkdir(v2, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"log.1", snap} {
				if err := os.WriteFile(filepath.Join(v2, f), readFile(t, filepath.Join(src, f)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s, img, log, res := restore(t, options(dir))
			if res.LastZxid != 0x18 || !img.finished || img.zxid != res.SnapshotZxid {
				t.Errorf("%s %s: %+v, image at %v", src, snap, res, img.zxid)
			}
			if want := 0x18 - int(res.SnapshotZxid); len(log.zxids) != want || res.Txns != want {
				t.Errorf("%s %s: %d transactions, want %d", src, snap, len(log.zxids), want)
			}
			if err := s.Log().Append(batchOf(0x19, 0x1a, 10)); err != nil {
				t.Error(err)
			}
		}
	}
}
