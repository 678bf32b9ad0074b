package mvcc

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

func encode(t *testing.T, m Message) []byte {
	t.Helper()
	b, err := NewRecord(m).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPutGet(t *testing.T) {
	mem := &Memory{}
	s, err := Open(mem, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r, err := s.Apply(proto.Zxid(i+1), encode(t, &pb.PutRequest{Key: []byte("a"), Value: []byte{byte(i)}}))
		if err != nil || r.Err != nil || r.Revision != int64(i+2) || len(r.Events) != 1 {
			t.Fatal(r, err)
		}
	}
	got, err := s.Range(&pb.RangeRequest{Key: []byte("a")})
	if err != nil || got.Kvs[0].Version != 3 || got.Kvs[0].Value[0] != 2 {
		t.Fatal(got, err)
	}
	b := s.Take()
	mem.Commit(b)
	s.Stored(b)
	s2, err := Open(mem, Options{})
	if err != nil || s2.Applied() != 3 || s2.Revision() != 4 {
		t.Fatal(s2, err)
	}
	got2, err := s2.Range(&pb.RangeRequest{Key: []byte("a")})
	if err != nil || got.String() != got2.String() {
		t.Fatal(got2, err)
	}
}
