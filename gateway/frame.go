package gateway

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/mem"
)

// frame is a WatchResponse of which the events are encoded already: they follow the rest, as field 11 does.
type frame struct {
	head   *pb.WatchResponse // without events
	events []byte
}

func (f *frame) buffers() (mem.BufferSlice, error) {
	head, err := marshal(f.head)
	if err != nil || len(f.events) == 0 {
		return mem.BufferSlice{head}, err
	}
	return mem.BufferSlice{head, mem.SliceBuffer(f.events)}, nil
}

// eventsTag begins each event in a WatchResponse: field 11, with its length.
const eventsTag = 11<<3 | 2

func encodeEvents(events []*mvccpb.Event) ([]byte, error) {
	size := 0
	for _, e := range events {
		size += e.Size() + 1 + binary.MaxVarintLen32
	}
	b := make([]byte, 0, size)
	for _, e := range events {
		n := e.Size()
		b = append(b, eventsTag)
		b = binary.AppendUvarint(b, uint64(n))
		at := len(b)
		b = b[:at+n]
		if _, err := e.MarshalToSizedBuffer(b[at:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

const (
	encodedSlots = 64
	maxEncoded   = 64 << 10 // bytes of what is kept in a slot
)

// encodings remembers the bytes of the last slices of events, so that what goes to many watches is encoded once (or, if
// several streams come at once, a few times). It holds at most encodedSlots*maxEncoded bytes.
type encodings struct {
	slots [encodedSlots]atomic.Pointer[encoding]
}

// encoding keeps events, too: as long as it is there, no other slice can have their address.
type encoding struct {
	events []*mvccpb.Event
	bytes  []byte
}

// encode returns the bytes of events, of which there are some and which nobody changes afterwards.
func (e *encodings) encode(events []*mvccpb.Event) ([]byte, error) {
	first := &events[0]
	address := uintptr(unsafe.Pointer(first))
	slot := &e.slots[(address>>3^address>>9)%encodedSlots]
	if known := slot.Load(); known != nil && &known.events[0] == first && len(known.events) == len(events) {
		return known.bytes, nil
	}
	b, err := encodeEvents(events)
	if err != nil {
		return nil, err
	}
	if len(b) <= maxEncoded {
		slot.Store(&encoding{events, b})
	}
	return b, nil
}
