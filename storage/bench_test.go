package storage

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"zebu/internal/vfs"
	"zebu/proto"
)

// treeImage is a tree of n nodes with 100 bytes of data each, a thousand to a parent, made up as it is read.
type treeImage struct {
	memImage
	n    int
	data []byte
}

func newTreeImage(n int) *treeImage {
	return &treeImage{memImage: memImage{zxid: 1}, n: n, data: bytes.Repeat([]byte("x"), 100)}
}

func (t *treeImage) Nodes(yield func(string, []byte, int64, *proto.StatPersisted) bool) {
	st := &proto.StatPersisted{Czxid: 1, Mzxid: 2, Ctime: 1_700_000_000_000, Mtime: 1_700_000_000_000}
	if !yield("", nil, -1, st) {
		return
	}
	path := []byte("/parent-")
	parent := ""
	for i := range t.n {
		if i%1000 == 0 {
			path = strconv.AppendInt(path[:len("/parent-")], int64(i/1000), 10)
			parent = string(path)
			if !yield(parent, nil, 1, st) {
				return
			}
		}
		child := fmt.Appendf(path[:len(parent)], "/child-%06d", i)
		if !yield(string(child), t.data, 1, st) {
			return
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, txns := range []int{1, 16, 64, 1000} {
		b.Run(fmt.Sprintf("%dx1KiB", txns), func(b *testing.B) {
			s, err := Open(DefaultOptions(b.TempDir()))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if _, err := s.Restore(NopBuilder{}, nil); err != nil {
				b.Fatal(err)
			}
			z := proto.Zxid(0)
			body := txn(1, 1024)
			var batch Batch
			var took []time.Duration
			b.SetBytes(int64(txns * len(body)))
			for b.Loop() {
				start := time.Now()
				batch.Reset()
				for range txns {
					z++
					batch.Add(z, body)
				}
				if err := s.Log().Append(&batch); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

func BenchmarkSnapshotEncode(b *testing.B) {
	img := newTreeImage(1_000_000)
	for b.Loop() {
		if err := WriteSnapshotStream(io.Discard, img, SnapshotTails{Digest: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshotFile(b *testing.B) {
	for _, compression := range []string{CompressNone, CompressSnappy, CompressGzip} {
		opt := DefaultOptions(b.TempDir())
		opt.Compression = compression
		name := "plain"
		if compression != "" {
			name = compression
		}
		s, err := Open(opt)
		if err != nil {
			b.Fatal(err)
		}
		var info SnapshotInfo
		b.Run("write-"+name, func(b *testing.B) {
			img := newTreeImage(1_000_000)
			for b.Loop() {
				if info, err = s.WriteSnapshot(img); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(info.Size)/1e6, "MB")
		})
		b.Run("verify-"+name, func(b *testing.B) {
			for b.Loop() {
				if err := VerifySnapshot(vfs.OS, info.Name); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode-"+name, func(b *testing.B) {
			b.ReportAllocs()
			df, _ := parseName(info.Name, snapshotPrefix)
			for b.Loop() {
				if _, err := s.loadSnapshot(df, NopBuilder{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		_ = s.Close()
	}
}
