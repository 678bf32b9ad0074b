package mvcc

import (
	"bytes"
	"errors"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"zebu/proto"
)

var requests = []Message{
	&pb.PutRequest{Key: []byte("k"), Value: []byte("v"), Lease: 7, PrevKv: true},
	&pb.DeleteRangeRequest{Key: []byte("k"), RangeEnd: []byte{0}},
	&pb.TxnRequest{Success: []*pb.RequestOp{putOp("a"), txnOp(nil, []*pb.RequestOp{delOp("b", "c")})}},
	&pb.CompactionRequest{Revision: 5, Physical: true},
	&pb.LeaseGrantRequest{ID: -3, TTL: 60},
	&pb.LeaseRevokeRequest{ID: 9},
	&pb.LeaseCheckpointRequest{Checkpoints: []*pb.LeaseCheckpoint{{ID: 1, Remaining_TTL: 2}}},
	&pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 4, Alarm: pb.AlarmType_NOSPACE},
}

func TestRecord(t *testing.T) {
	kinds := map[Kind]bool{}
	for _, m := range requests {
		r := NewRecord(m)
		r.Epoch, r.AuthRevision, r.User = 3, 1<<40, "root"
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRecord(b)
		if err != nil || got.Epoch != 3 || got.AuthRevision != 1<<40 || got.User != "root" || got.Kind != r.Kind {
			t.Fatalf("%+v, %v", got, err)
		}
		want, _ := m.Marshal()
		if have, _ := got.Request.Marshal(); !bytes.Equal(have, want) {
			t.Errorf("%v became %v", m, got.Request)
		}
		kinds[got.Kind] = true
		for n := range len(b) - len(want) {
			if _, err := DecodeRecord(b[:n]); !errors.Is(err, ErrRecord) {
				t.Errorf("%x: %v", b[:n], err)
			}
		}
	}
	if len(kinds) != len(requests) {
		t.Errorf("kinds: %v", kinds)
	}
	for name, b := range map[string][]byte{
		"no kind":         {0, 0, 0, 0},
		"unknown kind":    {99, 0, 0, 0},
		"no protobuf":     {byte(KindPut), 0, 0, 0, 0xff},
		"invalid request": {byte(KindPut), 0, 0, 0},
		"long user":       {byte(KindPut), 0, 0, 0xff, 0xff, 0xff, 0x7f},
		"large epoch":     {byte(KindPut), 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0},
	} {
		if _, err := DecodeRecord(b); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Record{Kind: KindTxn, Request: &pb.PutRequest{}}).Encode(); !errors.Is(err, ErrRecord) {
		t.Errorf("wrong kind: %v", err)
	}
	if _, err := NewRecord(&pb.RangeRequest{}).Encode(); !errors.Is(err, ErrRecord) {
		t.Errorf("no mutation: %v", err)
	}
}

// FuzzApply applies whatever decodes: there is an answer or an error, no panic, and the state can be opened again.
func FuzzApply(f *testing.F) {
	for _, m := range requests {
		b, err := NewRecord(m).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		mem := &Memory{}
		s, err := Open(mem, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for z, m := range []Message{
			&pb.PutRequest{Key: []byte("b"), Value: []byte("1")}, &pb.LeaseGrantRequest{ID: 7, TTL: 60},
			&pb.PutRequest{Key: []byte("k"), Lease: 7}, &pb.DeleteRangeRequest{Key: []byte("b")},
		} {
			if _, err := s.Apply(proto.Zxid(z+1), encode(t, m)); err != nil {
				t.Fatal(err)
			}
		}
		for z := proto.Zxid(5); z < 7; z++ {
			result, err := s.Apply(z, b)
			if err != nil {
				if !errors.Is(err, ErrRecord) {
					t.Fatal(err)
				}
				continue
			}
			if result.Err == nil && result.Response == nil || s.Applied() != z {
				t.Fatalf("%+v at %v", result, s.Applied())
			}
		}
		size := s.Size()
		if batch := s.Take(); batch != nil {
			mem.Commit(batch)
		}
		again, err := Open(mem, Options{})
		if err != nil || again.Size() != size || again.Revision() != s.Revision() {
			t.Fatal(err, again)
		}
	})
}

func TestFence(t *testing.T) {
	s, err := Open(&Memory{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	grant := encode(t, &pb.LeaseGrantRequest{ID: 7, TTL: 60})
	if _, err := s.Apply(proto.MakeZxid(1, 1), grant); err != nil {
		t.Fatal(err)
	}
	r := NewRecord(&pb.LeaseRevokeRequest{ID: 7})
	r.Epoch = 1
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Apply(proto.MakeZxid(2, 1), b); err != nil || got.Err != ErrFenced {
		t.Errorf("in a later epoch: %+v, %v", got, err)
	}
	if _, ok := s.Lease(7); !ok {
		t.Error("the lease is gone")
	}
	if got, err := s.Apply(proto.MakeZxid(2, 1), grant); err != nil || got.Err != nil || got.Response != nil {
		t.Errorf("applied again: %+v, %v", got, err)
	}
	r.Epoch = 2
	if b, err = r.Encode(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Apply(proto.MakeZxid(2, 2), b); err != nil || got.Err != nil {
		t.Errorf("in its epoch: %+v, %v", got, err)
	}
}

// TestEncodeRefuses holds that nothing gets into the log that cannot be applied.
func TestEncodeRefuses(t *testing.T) {
	for name, m := range map[string]Message{
		"put without a key":          &pb.PutRequest{},
		"an operation with nothing":  &pb.TxnRequest{Success: []*pb.RequestOp{{}}},
		"a range that is not there":  &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{}}}},
		"two puts of a key":          &pb.TxnRequest{Success: []*pb.RequestOp{putOp("k"), putOp("k")}},
		"a deletion without a range": &pb.DeleteRangeRequest{},
	} {
		if b, err := NewRecord(m).Encode(); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
}
