package backend

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/mvcc"
	"zebu/proto"
)

// do applies a request to a Store.
func do(t *testing.T, s *mvcc.Store, m mvcc.Message) {
	t.Helper()
	if err := apply(s, s.Applied()+1, m); err != nil {
		t.Fatal(err)
	}
}

// commitAll commits all that there is to be committed.
func commitAll(t *testing.T, b *Backend, s *mvcc.Store) {
	t.Helper()
	for batch := s.Take(); batch != nil; batch = s.Take() {
		if err := b.Commit(batch); err != nil {
			t.Fatal(err)
		}
		s.Stored(batch)
	}
}

// TestManyVersionsOfAKey compacts more versions of one key than Badger takes in one write.
func TestManyVersionsOfAKey(t *testing.T) {
	b, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s, err := mvcc.Open(b, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30_000 {
		do(t, s, &pb.PutRequest{Key: []byte("k"), Value: []byte("v")})
		if i%4000 == 0 {
			commitAll(t, b, s)
		}
	}
	commitAll(t, b, s)
	do(t, s, &pb.CompactionRequest{Revision: s.Revision()})
	for s.CompactStep(1000) {
		commitAll(t, b, s)
	}
	commitAll(t, b, s)
}

// TestManyLeases hands more leases to the storage, at once and as an image, than Badger takes in one write.
func TestManyLeases(t *testing.T) {
	const n = 30_000
	b, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s, err := mvcc.Open(b, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(n) {
		do(t, s, &pb.LeaseGrantRequest{ID: i + 1, TTL: 1000})
	}
	commitAll(t, b, s)
	view := b.View()
	defer view.Close()
	var image bytes.Buffer
	if err := mvcc.WriteImage(&image, view); err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Import(&image); err != nil {
		t.Fatal(err)
	}
	s, err = mvcc.Open(other, mvcc.Options{})
	if err != nil || s.NumLeases() != n || s.Applied() != proto.Zxid(n) {
		t.Fatal(fmt.Sprint(s.NumLeases(), s.Applied()), err)
	}
}

// TestFullDisk commits when there is hardly room, which Badger would not survive, and goes on when there is.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	b, s := must(t, dir, memTableSize)
	left := int64(-1)
	b.free = func(string) int64 { return left }
	do(t, s, &pb.PutRequest{Key: []byte("k")})
	commitAll(t, b, s)
	left = needed - 1
	do(t, s, &pb.PutRequest{Key: []byte("k")})
	if err := b.Commit(s.Take()); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	b, s = must(t, dir, memTableSize)
	if s.Revision() != 2 {
		t.Errorf("revision %d", s.Revision())
	}
	b.free = func(string) int64 { return needed }
	do(t, s, &pb.PutRequest{Key: []byte("k")})
	commitAll(t, b, s)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
