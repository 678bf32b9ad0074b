package mvcc

import (
	"encoding/binary"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// nested encodes transactions in transactions: the innermost puts a key.
func nested(t testing.TB, levels int) []byte {
	t.Helper()
	op := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("k"), Lease: -1}}}
	inner, err := (&pb.TxnRequest{Failure: []*pb.RequestOp{op}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	// From the end to the beginning: what is in front has the length of all behind.
	b := make([]byte, 12*levels+len(inner))
	at := len(b) - copy(b[len(b)-len(inner):], inner)
	for range levels {
		for _, tag := range []byte{fieldTxn<<3 | 2, fieldSuccess<<3 | 2} {
			head := binary.AppendUvarint([]byte{tag}, uint64(len(b)-at))
			at -= copy(b[at-len(head):], head)
		}
	}
	return b[at:]
}

func TestDecodable(t *testing.T) {
	for levels, want := range map[int]bool{0: true, 1: true, maxNesting: true, maxNesting + 1: false, 100_000: false} {
		b := nested(t, levels)
		if got := Decodable(b); got != want {
			t.Errorf("%d levels: %t", levels, got)
		}
		if !want {
			continue
		}
		r := &pb.TxnRequest{}
		if err := r.Unmarshal(b); err != nil || Check(r, 1<<30) != nil {
			t.Errorf("%d levels: %v, %v", levels, err, Check(r, 1<<30))
		}
		for n := range min(len(b), 100) {
			if Decodable(b[:n]) && r.Unmarshal(b[:n]) != nil {
				t.Errorf("%d levels: cut off at %d it seems to be sound", levels, n)
			}
		}
	}
	for name, b := range map[string]string{
		"a group":         "\x0b\x0c\x12\x00",
		"a long number":   "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x12\x00",
		"a great length":  "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"a length beyond": "\x12\x04\x22\x05\x12\x00",
	} {
		if Decodable([]byte(b)) {
			t.Errorf("%s is sound", name)
		}
	}
}

// FuzzDecodable holds that what may be decoded can be, or is not etcd's, and does not nest too deep.
func FuzzDecodable(f *testing.F) {
	f.Add(nested(f, 3))
	f.Add([]byte("\x12\x08\x22\x06\x12\x04\x22\x02\x12\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &pb.TxnRequest{}
		if !Decodable(b) || r.Unmarshal(b) != nil {
			return
		}
		depth := 0
		for level := []*pb.TxnRequest{r}; len(level) > 0; depth++ {
			var next []*pb.TxnRequest
			for _, r := range level {
				for _, op := range append(r.Success, r.Failure...) {
					if txn := op.GetRequestTxn(); txn != nil {
						next = append(next, txn)
					}
				}
			}
			level = next
		}
		if depth > maxNesting+1 {
			t.Errorf("%d levels", depth)
		}
	})
}
