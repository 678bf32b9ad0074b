package gateway

import (
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"zebu/mvcc"
)

// codec turns messages to bytes and back: etcd's with the code generated for them, which gRPC's own codec would leave aside
// for reflection, and others (health, reflection) as gRPC's does.
type codec struct{}

// selfEncoding are messages that no code was generated for.
type selfEncoding interface {
	buffers() (mem.BufferSlice, error)
}

// Name is that of gRPC's own, for this takes its place.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case selfEncoding:
		return m.buffers()
	case mvcc.Message:
		b, err := marshal(m)
		return mem.BufferSlice{b}, err
	case proto.Message:
		b, err := proto.Marshal(m)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	return nil, fmt.Errorf("a message of type %T", v)
}

// errTxn is what is wrong with a transaction that is not decoded.
var errTxn = errors.New("a transaction that is damaged, or in which others nest too deep")

// marshal uses a pooled buffer if that is worth it.
func marshal(m mvcc.Message) (mem.Buffer, error) {
	size := m.Size()
	if mem.IsBelowBufferPoolingThreshold(size) {
		b := make([]byte, size)
		_, err := m.MarshalToSizedBuffer(b)
		return mem.SliceBuffer(b), err
	}
	pool := mem.DefaultBufferPool()
	b := pool.Get(size)
	if _, err := m.MarshalToSizedBuffer((*b)[:size]); err != nil {
		pool.Put(b)
		return nil, err
	}
	return mem.NewBuffer(b, pool), nil
}

// Unmarshal implements encoding.CodecV2. Messages keep nothing of data.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	switch m := v.(type) {
	case *pb.TxnRequest:
		if !mvcc.Decodable(buffer.ReadOnlyData()) {
			return errTxn
		}
		return m.Unmarshal(buffer.ReadOnlyData())
	case mvcc.Message:
		return m.Unmarshal(buffer.ReadOnlyData())
	case proto.Message:
		return proto.Unmarshal(buffer.ReadOnlyData(), m)
	}
	return fmt.Errorf("a message of type %T", v)
}
