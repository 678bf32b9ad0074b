package backend

import (
	"bytes"
	"fmt"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
)

// BenchmarkPut applies and commits puts of 256 bytes, 20 to a batch, as a busy server does.
func BenchmarkPut(b *testing.B) {
	back, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer back.Close()
	s, err := mvcc.Open(back, mvcc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	put := &pb.PutRequest{Value: bytes.Repeat([]byte("v"), 256)}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		put.Key = fmt.Appendf(nil, "key%06d", n%100_000)
		if err := apply(s, proto.Zxid(n+1), put); err != nil {
			b.Fatal(err)
		}
		if n%20 == 0 {
			batch := s.Take()
			if err := back.Commit(batch); err != nil {
				b.Fatal(err)
			}
			s.Stored(batch)
		}
	}
}

// BenchmarkGet reads one of 100,000 keys.
func BenchmarkGet(b *testing.B) {
	back, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer back.Close()
	s, err := mvcc.Open(back, mvcc.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for n := range 100_000 {
		put := &pb.PutRequest{Key: fmt.Appendf(nil, "key%06d", n), Value: bytes.Repeat([]byte("v"), 256)}
		if err := apply(s, proto.Zxid(n+1), put); err != nil {
			b.Fatal(err)
		}
	}
	batch := s.Take()
	if err := back.Commit(batch); err != nil {
		b.Fatal(err)
	}
	s.Stored(batch)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		got, err := s.Range(&pb.RangeRequest{Key: fmt.Appendf(nil, "key%06d", n*7919%100_000)})
		if err != nil || got.Count != 1 {
			b.Fatal(got, err)
		}
	}
}
