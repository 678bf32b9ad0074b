package gateway

import (
	"bytes"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

func events(n, size int) []*mvccpb.Event {
	var list []*mvccpb.Event
	for i := range n {
		list = append(list, &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte("k"), ModRevision: int64(i), Value: []byte(strings.Repeat("x", size))}})
	}
	return list
}

// TestFrame checks that events that are encoded beforehand make the same message.
func TestFrame(t *testing.T) {
	var shared encodings
	for _, list := range [][]*mvccpb.Event{nil, events(1, 0), events(3, 100), events(2, 100000), {{Type: mvccpb.DELETE, Kv: &mvccpb.KeyValue{Key: []byte("k")}}}} {
		head := pb.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 1, Revision: 7}, WatchId: -1, CancelReason: "reason", Fragment: true}
		whole := head
		whole.Events = list
		want, err := whole.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		f := &frame{head: &head}
		if len(list) > 0 {
			if f.events, err = shared.encode(list); err != nil {
				t.Fatal(err)
			}
		}
		got, err := codec{}.Marshal(f)
		if err != nil || !bytes.Equal(got.Materialize(), want) {
			t.Errorf("%d events: %x instead of %x, %v", len(list), got.Materialize(), want, err)
		}
	}
}

// TestEncodings checks that what is shared is encoded once, and that nothing else is taken for it.
func TestEncodings(t *testing.T) {
	var shared encodings
	encode := func(list []*mvccpb.Event) []byte {
		b, err := shared.encode(list)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	list := events(3, 10)
	first := encode(list)
	if again := encode(list); &again[0] != &first[0] {
		t.Error("encoded twice")
	}
	if part := encode(list[:2]); len(part) >= len(first) {
		t.Error("a part is taken for the whole")
	}
	if allocs := testing.AllocsPerRun(100, func() { _, _ = shared.encode(list[:2]) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	other := events(3, 10)
	if b := encode(other); !bytes.Equal(b, first) || &b[0] == &first[0] {
		t.Error("others are taken for them")
	}
	large := events(2, maxEncoded)
	if one, two := encode(large), encode(large); &one[0] == &two[0] {
		t.Error("a large one is kept")
	}
}
