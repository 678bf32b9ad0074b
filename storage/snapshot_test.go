package storage

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zebu/internal/vfs"
	"zebu/proto"
)

// richImage has every kind of content, and nodes larger than any buffer.
func richImage() *memImage {
	digest := uint64(0xfedcba9876543210)
	m := image(0x100000007)
	m.digest = &digest
	m.sessions = []memSession{{0x100000000000001, 4000}, {-5, 30000}}
	m.acls = []memACL{
		{1, []proto.ACL{{Perms: 31, ID: proto.ID{Scheme: "world", ID: "anyone"}}}},
		{7, []proto.ACL{{Perms: 1, ID: proto.ID{Scheme: "ip", ID: "::1"}}, {Perms: 31, ID: proto.ID{Scheme: "digest", ID: "ü:x="}}}},
		{8, nil},
	}
	m.nodes = append(m.nodes,
		memNode{path: "/null", aclID: 7},
		memNode{path: "/empty", data: []byte{}, aclID: -1},
		memNode{path: "/big", data: bytes.Repeat([]byte("0123456789abcdef"), 200_000), aclID: 1},
		memNode{path: "/" + strings.Repeat("long", 300_000), data: []byte("x"), aclID: 1},
		memNode{path: "/stat", aclID: 1, stat: proto.StatPersisted{
			Czxid: 1, Mzxid: 2, Ctime: 3, Mtime: 4, Version: 5, Cversion: 6, Aversion: 7, EphemeralOwner: -8, Pzxid: 9}},
	)
	return m
}

func sameImage(t *testing.T, got, want *memImage) {
	t.Helper()
	if !slices.Equal(got.sessions, want.sessions) {
		t.Errorf("sessions %+v, want %+v", got.sessions, want.sessions)
	}
	if len(got.acls) != len(want.acls) {
		t.Fatalf("%d ACLs, want %d", len(got.acls), len(want.acls))
	}
	for i, a := range want.acls {
		if got.acls[i].id != a.id || !slices.Equal(got.acls[i].acl, a.acl) {
			t.Errorf("ACL %+v, want %+v", got.acls[i], a)
		}
	}
	if len(got.nodes) != len(want.nodes) {
		t.Fatalf("%d nodes, want %d", len(got.nodes), len(want.nodes))
	}
	for i, n := range want.nodes {
		if !reflect.DeepEqual(got.nodes[i], n) {
			t.Errorf("node %.50q differs", n.path)
		}
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, compression := range []string{CompressNone, CompressGzip, CompressSnappy} {
		opt := options(t.TempDir())
		opt.Compression = compression
		s, _, _, _ := restore(t, opt)
		want := richImage()
		info, err := s.WriteSnapshot(want)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix("snapshot.100000007."+compression, ".")
		if filepath.Base(info.Name) != name || info.Zxid != want.zxid || info.Size < 1000 {
			t.Errorf("%+v", info)
		}
		if last, ok := s.LastSnapshot(); !ok || last != info {
			t.Errorf("LastSnapshot is %+v", last)
		}
		below := filepath.Join(filepath.Dir(info.Name), "etcd", "0")
		if err := os.MkdirAll(below, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(below, "file"), []byte("ten bytes!"), 0o644); err != nil {
			t.Fatal(err)
		}
		if data, log := s.Sizes(); data != info.Size+10 || log != data {
			t.Errorf("sizes %d, %d", data, log)
		}
		_ = s.Close()
		_, got, _, res := restore(t, opt)
		sameImage(t, got, want)
		if res.LastZxid != want.zxid || res.FuzzyUntil != want.zxid || got.zxid != want.zxid || got.digest == nil || *got.digest != *want.digest {
			t.Errorf("%+v, digest %v", res, got.digest)
		}
	}
}

func TestSnapshotTails(t *testing.T) {
	for _, tails := range []SnapshotTails{{}, {Digest: true}, {LastZxid: true}, {Digest: true, LastZxid: true}} {
		var buf bytes.Buffer
		want := richImage()
		if err := WriteSnapshotStream(&buf, want, tails); err != nil {
			t.Fatal(err)
		}
		var got memImage
		tail, err := ReadSnapshotStream(bytes.NewReader(buf.Bytes()), &got)
		if err != nil {
			t.Fatalf("%+v: %v", tails, err)
		}
		sameImage(t, &got, want)
		if tail.HasDigest != tails.Digest || tail.HasLastZxid != tails.LastZxid ||
			tails.Digest && (tail.Digest != *want.digest || tail.DigestZxid != want.zxid) || tails.LastZxid && tail.LastZxid != want.zxid {
			t.Errorf("%+v: %+v", tails, tail)
		}
		if err := VerifySnapshotStream(&buf); err != nil {
			t.Errorf("%+v: %v", tails, err)
		}
	}
}

func TestImageWithoutDigest(t *testing.T) {
	var buf bytes.Buffer
	if err := WriteSnapshotStream(&buf, image(3), SnapshotTails{Digest: true, LastZxid: true}); err != nil {
		t.Fatal(err)
	}
	tail, err := ReadSnapshotStream(&buf, &memImage{})
	want := SnapshotTail{HasDigest: true, DigestVersion: 2, HasLastZxid: true, LastZxid: 3}
	if err != nil || tail != want {
		t.Errorf("%+v, %v; want %+v", tail, err, want)
	}
}

func TestDigestOfOldVersion(t *testing.T) {
	var buf bytes.Buffer
	if err := WriteSnapshotStream(&buf, image(9), SnapshotTails{}); err != nil {
		t.Fatal(err)
	}
	w := newSnapWriter(io.Discard)
	w.buf = append(w.buf, buf.Bytes()...)
	at := len(w.buf)
	w.buf = proto.AppendStr(proto.AppendInt32(proto.AppendInt64(w.buf, 9), 1), "abc123")
	tail := slices.Clone(w.buf[at:])
	w.seal()
	tail = append(tail, w.buf...)
	got, err := ReadSnapshotStream(io.MultiReader(&buf, bytes.NewReader(tail)), &memImage{})
	if err != nil || got.Digest != 0xabc123 || got.DigestVersion != 1 || got.HasLastZxid {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDecodeSnapshotLeavesWhatFollows(t *testing.T) {
	for _, size := range []int{16, 4096, 2 << 20} {
		var buf bytes.Buffer
		want := richImage()
		if err := EncodeSnapshot(&buf, want); err != nil {
			t.Fatal(err)
		}
		buf.WriteString("what follows")
		r := bufio.NewReaderSize(&buf, size)
		var got memImage
		if err := DecodeSnapshot(r, &got); err != nil {
			t.Fatal(err)
		}
		sameImage(t, &got, want)
		if rest, _ := io.ReadAll(r); string(rest) != "what follows" {
			t.Errorf("buffer of %d: rest is %d bytes", size, len(rest))
		}
	}
}

func TestImageMustHoldWhatItAnnounces(t *testing.T) {
	if err := EncodeSnapshot(io.Discard, lyingImage{richImage()}); err == nil {
		t.Error("no error")
	}
}

type lyingImage struct{ *memImage }

func (lyingImage) NumACLs() int { return 1 }

// TestEveryDamageIsFound flips each bit and cuts at each length.
func TestEveryDamageIsFound(t *testing.T) {
	var buf bytes.Buffer
	if err := WriteSnapshotStream(&buf, image(3), SnapshotTails{Digest: true, LastZxid: true}); err != nil {
		t.Fatal(err)
	}
	b := buf.Bytes()
	lastTail, digestTail := 8+sealSize, 8+4+8+sealSize // what remains without them is a whole snapshot
	for i := range b {
		bad := slices.Clone(b)
		bad[i] ^= 1
		if VerifySnapshotStream(bytes.NewReader(bad)) == nil {
			t.Errorf("byte %d changed, and it is valid", i)
		}
		_, err := ReadSnapshotStream(bytes.NewReader(bad), &memImage{})
		if err == nil {
			t.Errorf("byte %d changed, and it was read", i)
		}
		if VerifySnapshotStream(bytes.NewReader(b[:i])) == nil && i != len(b)-lastTail && i != len(b)-lastTail-digestTail {
			t.Errorf("cut at %d, and it is valid", i)
		}
	}
}

func TestFailedSnapshotLeavesTheOneBefore(t *testing.T) {
	for _, c := range []struct {
		op    vfs.Op
		nth   int
		match string
	}{
		{vfs.OpCreate, 1, ""}, {vfs.OpWrite, 1, ""}, {vfs.OpWrite, 2, ""}, {vfs.OpSync, 1, ""}, {vfs.OpClose, 1, ""}, {vfs.OpRename, 1, ""},
	} {
		opt := options(t.TempDir())
		seed(t, opt, 10, 10)
		armed, count := false, 0
		opt.FS = vfs.NewFaulty(vfs.OS, func(op vfs.Op, _ string) *vfs.Fault {
			if armed && op == c.op {
				if count++; count == c.nth {
					return &vfs.Fault{Err: syscall.ENOSPC, Short: 100}
				}
			}
			return nil
		})
		s, _, _, _ := restore(t, opt)
		armed = true
		img := richImage()
		img.zxid = 10
		if _, err := s.WriteSnapshot(img); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%+v: error %v", c, err)
		}
		armed = false
		if err := s.Log().Append(batchOf(11, 11, 10)); err != nil {
			t.Errorf("%+v: the log is affected: %v", c, err)
		}
		_ = s.Close()
		s, got, log, res := restore(t, opt)
		sameImage(t, got, image(0))
		if res.SnapshotZxid != 0 || res.LastZxid != 11 || len(log.zxids) != 11 {
			t.Errorf("%+v: %+v", c, res)
		}
		names, _ := vfs.OS.ReadDir(s.snapDir)
		for _, n := range names {
			if strings.HasPrefix(n, tmpPrefix) {
				t.Errorf("%+v: %s is still there", c, n)
			}
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	for _, dir := range goldenDirs {
		for _, n := range []string{"snapshot.0", "snapshot.18"} {
			b, err := os.ReadFile(filepath.Join(dir, n))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var img memImage
		tail, err := ReadSnapshotStream(bytes.NewReader(b), &img)
		if err == nil && !tail.HasDigest && !tail.HasLastZxid {
			// Whatever is read is written the same way.
			var again bytes.Buffer
			if err := EncodeSnapshot(&again, &img); err != nil {
				t.Fatal(err)
			}
			var img2 memImage
			if err := DecodeSnapshot(&again, &img2); err != nil {
				t.Fatal(err)
			}
			sameImage(t, &img2, &img)
		}
		_ = DecodeSnapshot(bufio.NewReaderSize(bytes.NewReader(b), 16), &memImage{}) // must not panic
	})
}

func FuzzSnappy(f *testing.F) {
	b, err := os.ReadFile("testdata/apache-3.9.5/snapshot.18.snappy")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := newXerialReader(bytes.NewReader(b)); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20)) // must not panic
		}
	})
}
