package proto

import (
	"fmt"
	"testing"
)

// hot are the records of the busiest requests and replies.
var hot = []record{
	&RequestHeader{Xid: 1, Op: OpGetData},
	&ReplyHeader{Xid: 1, Zxid: 2},
	&PathWatchRequest{Path: "/services/payments", Watch: true},
	&SetDataRequest{Path: "/services/payments", Data: make([]byte, 100), Version: -1},
	&CreateRequest{Path: "/services/payments", Data: make([]byte, 100), ACL: []ACL{{PermAll, ID{"world", "anyone"}}}},
	&PathVersion{Path: "/services/payments", Version: 3},
	&TxnHeader{ClientID: 1, Cxid: 2, Zxid: 3, Time: 4, Type: OpSetData},
	&SetDataTxn{Path: "/services/payments", Data: make([]byte, 100), Version: 4},
	&CreateTxn{Path: "/services/payments", Data: make([]byte, 100), ACL: []ACL{{PermAll, ID{"world", "anyone"}}}},
	&StatResponse{},
	&GetDataResponse{Data: make([]byte, 100)},
	&WatcherEvent{Type: EventNodeCreated, State: StateSyncConnected, Path: "/services/payments"},
	&QuorumPacket{Type: 2, Zxid: 3, Data: make([]byte, 100)},
}

func TestHotRecordsAllocateNothing(t *testing.T) {
	buf := make([]byte, 0, 1024)
	var d Decoder
	for _, r := range hot {
		if n := testing.AllocsPerRun(100, func() {
			buf = r.Append(buf[:0])
			d.Reset(buf)
			r.Decode(&d)
		}); n != 0 {
			t.Errorf("%T: %v allocations", r, n)
		}
		if d.Err() != nil || d.Remaining() != 0 {
			t.Errorf("%T: %v, %d bytes left", r, d.Err(), d.Remaining())
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, r := range hot {
		b.Run(fmt.Sprintf("%T", r), func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 1024)
			for b.Loop() {
				buf = r.Append(buf[:0])
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, r := range hot {
		b.Run(fmt.Sprintf("%T", r), func(b *testing.B) {
			b.ReportAllocs()
			buf := r.Append(nil)
			out := newRecord(r)
			var d Decoder
			for b.Loop() {
				d.Reset(buf)
				out.Decode(&d)
			}
		})
	}
}
